"""Kernels with one barrier or one comparison taken out: what the tests must notice.

Sources are formatted by clang-format, so a relational operator stands between spaces and a template's bracket does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BARRIER = re.compile(r"\b(?:__syncthreads|__syncwarp|wait_for_copies|barrier\w*|\w+_barrier)\([^;{}]*\);")
RELATION = re.compile(r" (?:<|>|<=|>=)\s")
CONTROL = re.compile(r"\b(for|while|if constexpr|if|static_assert|requires)\s*\($")
OPENING, CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Mutant:
    """One change of one file: `text[start:stop]` becomes `replacement`."""

    file: str
    line: int
    start: int
    stop: int
    removed: str
    replacement: str
    context: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What a written reason names: stable while the line stays."""
        return self.file, self.context, self.removed

    def apply(self, text: str) -> str:
        return text[: self.start] + self.replacement + text[self.stop :]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.removed} -> {self.replacement or 'nothing'}"


def mutants(folder: Path) -> list[Mutant]:
    """Of every .cu and .cuh file, in order."""
    found = []
    for path in sorted([*folder.glob("*.cu"), *folder.glob("*.cuh")]):
        text = path.read_text()
        for start, stop, replacement in sorted({*_barriers(text), *_comparisons(text)}):
            line = text.count("\n", 0, start) + 1
            context = text.splitlines()[line - 1].strip()
            removed = " ".join(text[start:stop].split())
            found.append(Mutant(path.name, line, start, stop, removed, replacement, context))
    return found


def _blank(text: str) -> str:
    """The text with comments, strings and preprocessor lines blanked out, of the same length."""
    pattern = r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\n])*\"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*"
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.S | re.M)


def _barriers(text: str) -> Iterator[tuple[int, int, str]]:
    for match in BARRIER.finditer(_blank(text)):
        yield match.start(), match.end(), ";"


def _comparisons(text: str) -> Iterator[tuple[int, int, str]]:
    code = _blank(text)
    for match in RELATION.finditer(code):
        start, stop = _extent(code, match.start(), -1), _extent(code, match.end(), 1)
        opening = _enclosing(code, start)
        control = CONTROL.search(code[: opening + 1]) if opening >= 0 else None
        if control and control[1] != "if":
            continue  # loops end by their own tests; the others are the compiler's
        yield start, stop, "false" if _guards_exit(code, opening, control is not None, stop) else "true"


def _extent(code: str, position: int, step: int) -> int:
    """Where the operand of a relation ends, to the left (-1) or right (1)."""
    inward, outward = (CLOSING, OPENING) if step < 0 else (OPENING, CLOSING)
    depth = 0
    at = position - 1 if step < 0 else position
    while 0 <= at < len(code):
        char = code[at]
        if char in inward:
            depth += 1
        elif char in outward:
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and (char in ";,?:" and code[at - 1 : at + 1] != "::" and code[at : at + 2] != "::"):
            break
        elif depth == 0 and (code[at : at + 2] in ("&&", "||") or code[at - 1 : at + 1] in ("&&", "||")):
            break
        elif depth == 0 and char == "=" and code[at - 1] == " " and code[at + 1] == " ":
            break
        at += step
    start, stop = (at + 1, position) if step < 0 else (position, at)
    piece = code[start:stop]
    if step < 0:
        lead = re.match(r"\s*(?:return\s+)?", piece)
        return start + (lead.end() if lead else 0)
    return start + len(piece.rstrip())


def _enclosing(code: str, position: int) -> int:
    """The opening parenthesis around a position, or -1 where a brace or semicolon comes first."""
    depth = 0
    for at in range(position - 1, -1, -1):
        if code[at] == ")":
            depth += 1
        elif code[at] == "(":
            if depth == 0:
                return at
            depth -= 1
        elif code[at] in "{}" and depth == 0:
            return -1
    return -1


def _guards_exit(code: str, opening: int, is_if: bool, stop: int) -> bool:
    """The test keeps threads out: of the rest by leaving, or of a value by choosing 0 for it."""
    if is_if:
        depth, at = 1, opening + 1
        while depth:
            depth += (code[at] == "(") - (code[at] == ")")
            at += 1
        return re.match(r"\s*\{?\s*(?:return|break|continue)\b", code[at:]) is not None
    return re.match(r"\s*\)*\s*\?\s*(?:\w+\(0\)|0|\w+\{\}|\{\})\s*:", code[stop:]) is not None
