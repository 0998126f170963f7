"""PTX text to kernels of instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .types import is_type, width


class PTXError(Exception):
    """The program is wrong, or says what this interpreter does not know."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; operands are text, registers renamed so that inner scopes do not clash."""

    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]
    predicate: str
    negated: bool
    text: str

    @cached_property
    def types(self) -> list[str]:
        return [modifier for modifier in self.modifiers if is_type(modifier)]

    @cached_property
    def space(self) -> str:
        """The state space of a memory instruction."""
        for modifier in self.modifiers:
            name = modifier.split("::")[0]
            if name in ("global", "shared", "local", "param", "const"):
                return name
        return "generic"


@dataclass(frozen=True)
class Variable:
    """An array in a state space; `values` is its initialiser."""

    name: str
    kind: str
    size: int
    align: int
    values: str = ""


@dataclass
class Kernel:
    name: str
    parameters: list[Variable] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    branch_tables: dict[str, list[str]] = field(default_factory=dict)
    shared: list[Variable] = field(default_factory=list)
    local: list[Variable] = field(default_factory=list)


@dataclass
class Module:
    target: str
    kernels: dict[str, Kernel] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    shared: list[Variable] = field(default_factory=list)
    dynamic_shared: list[str] = field(default_factory=list)


LINKAGE = r"(?:\.(?:visible|extern|weak)\s+)*"
STATEMENT = re.compile(
    r"(?P<brace>[{}])"
    r"|(?P<label>[\w$%]+:(?!:))"
    rf"|(?P<header>{LINKAGE}\.(?:entry|func)\b[^;{{]*)"
    r"|(?P<section>\.section\b[^{]*\{[^}]*\})"
    r"|(?P<directive>(?:\.(?:version|target|address_size|loc|file|maxntid|reqntid|minnctapersm|maxnreg)|@@)[^\n{;]*)"
    r"|(?P<other>[^;]+);",
    re.S,
)
HEADER = re.compile(rf"{LINKAGE}\.(entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)\s*(.*)", re.S)
DECLARATION = re.compile(
    rf"(?P<linkage>{LINKAGE})\.(?P<space>shared|global|const|local|param)\s+"
    r"(?P<qualifiers>(?:\.[\w:]+\s+|\d+\s+)*)(?P<name>[\w$]+)(?P<extents>(?:\[\d*\])*)\s*(?:=\s*(?P<values>.*))?",
    re.S,
)
NAME = re.compile(r"%?[A-Za-z_$][\w$]*")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def parse(text: str) -> Module:
    """The kernels and variables of one PTX file; device functions are left out, and may not be called.

    Raises:
        PTXError: what is no PTX.
    """
    target = re.search(r"\.target\s+(\w+)", text)
    if target is None:
        raise PTXError("no .target: this is not PTX")
    module, reader = Module(target[1]), None
    for kind, statement in _statements(COMMENT.sub("", text)):
        if kind == "header":
            match = HEADER.match(statement)
            assert match is not None
            kernel = Kernel(match[2])
            if match[1] == "entry":
                module.kernels[match[2]] = kernel
            kernel.parameters = [_variable(item) for item in DECLARATION.finditer(match[3])]
            reader = _Body(kernel)  # of a mere declaration, until the next header
        elif kind == "brace":
            if reader is not None and reader.brace(statement):
                reader = None
        elif kind == "label" and reader is not None:
            reader.label(statement[:-1])
        elif kind == "other" and (match := DECLARATION.match(statement)):
            _declare(module, reader and reader.kernel, match)
        elif kind == "other" and reader is not None:
            reader.statement(statement)
    return module


def _statements(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while True:
        while position < len(text) and (text[position].isspace() or text[position] == ";"):
            position += 1
        if position == len(text):
            return
        match = STATEMENT.match(text, position)
        if match is None:
            raise PTXError(f"cannot read {text[position : position + 40]!r}")
        assert match.lastgroup is not None
        yield match.lastgroup, match[match.lastgroup].strip()
        position = match.end()


def _variable(match: re.Match) -> Variable:
    qualifiers = match["qualifiers"]
    kind = next((q for q in re.findall(r"\.(\w+)", qualifiers) if is_type(q)), "b8")
    count = 1
    for extent in re.findall(r"\[(\d*)\]", match["extents"]):
        count *= int(extent or 0)
    align = re.search(r"\.align\s+(\d+)", qualifiers) if ".ptr" not in qualifiers else None
    size = count * width(kind) // 8
    return Variable(match["name"], kind, size, int(align[1]) if align else width(kind) // 8, match["values"] or "")


def _declare(module: Module, kernel: Kernel | None, match: re.Match) -> None:
    variable, space = _variable(match), match["space"]
    if space == "shared":
        if "extern" in match["linkage"] or variable.size == 0:
            module.dynamic_shared.append(variable.name)
        else:
            (kernel.shared if kernel else module.shared).append(variable)
    elif space == "local" and kernel:
        kernel.local.append(variable)
    else:
        module.variables.append(variable)


class _Body:
    """Reads the statements of one kernel."""

    def __init__(self, kernel: Kernel):
        self.kernel, self.scopes, self.scope_count, self.last_label = kernel, [], 0, ""

    def brace(self, brace: str) -> bool:
        """True where the body ends."""
        if brace == "{":
            self.scope_count += 1
            self.scopes.append({})
        else:
            self.scopes.pop()
        return not self.scopes

    def label(self, name: str) -> None:
        self.kernel.labels[name], self.last_label = len(self.kernel.instructions), name

    def statement(self, text: str) -> None:
        text = " ".join(text.split())
        if text.startswith(".reg"):
            self._declare_registers(text)
        elif text.startswith(".branchtargets"):
            self.kernel.branch_tables[self.last_label] = [name.strip() for name in text.split(None, 1)[1].split(",")]
        elif not text.startswith("."):
            self.kernel.instructions.append(self._instruction(text))

    def _declare_registers(self, text: str) -> None:
        _, kind, names = text.split(None, 2)
        for name in names.split(","):
            family = re.fullmatch(r"([%\w$]+)<(\d+)>", name.strip())
            for each in [f"{family[1]}{i}" for i in range(int(family[2]))] if family else [name.strip()]:
                real = each if len(self.scopes) == 1 else f"{each}#{self.scope_count}"
                self.scopes[-1][each] = real
                self.kernel.registers[real] = kind[1:]

    def _instruction(self, text: str) -> Instruction:
        guard = re.match(r"@(!?)([%\w$]+)\s+", text)
        operation, _, operands = text[guard.end() if guard else 0 :].partition(" ")
        opcode, *modifiers = operation.split(".")
        return Instruction(
            opcode,
            tuple(modifiers),
            tuple(map(self._rename, _split(operands))),
            self._rename(guard[2]) if guard else "",
            bool(guard and guard[1]),
            text,
        )

    def _rename(self, operand: str) -> str:
        def real(match: re.Match) -> str:
            return next((scope[match[0]] for scope in reversed(self.scopes) if match[0] in scope), match[0])

        return NAME.sub(real, operand)


def _split(operands: str) -> list[str]:
    """At commas outside brackets."""
    parts, depth, current = [], 0, ""
    for char in operands:
        depth += (char in "{[(") - (char in "}])")
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()] if current.strip() else parts
