"""What ``accelerate`` did, as a table that can be undone."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass
class Row:
    """One module, or run of modules.

    Attributes:
        path: name in the model, as of ``named_modules``; "" is the model itself.
        what: class, or classes, that were there; of several, the first does the work now, the others are identities.
        swapped: whether fastspec runs now.
        reason: of a refusal.
        difference: largest error relative to the largest value of the original.
        speedup: time of the original over ours, medians of this one input.
        memory: bytes that torch allocated in one call, before and after.
    """

    path: str
    what: str
    swapped: bool = False
    reason: str = ""
    difference: float | None = None
    speedup: float | None = None
    memory: tuple[int, int] | None = None


@dataclass
class Report:
    """Result of ``fastspec.accelerate``.

    Attributes:
        model: the accelerated model: the one given, or its replacement where the model itself was a front end.
        rows: what was found.
    """

    model: nn.Module
    rows: list[Row] = field(default_factory=list)
    _places: list[tuple[nn.Module | None, str, nn.Module, nn.Module]] = field(default_factory=list, repr=False)

    @property
    def swapped(self) -> list[Row]:
        return [row for row in self.rows if row.swapped]

    @property
    def refused(self) -> list[Row]:
        return [row for row in self.rows if not row.swapped]

    def undo(self) -> nn.Module:
        """Put every original module back, with the values and the mode of now; the model as it was given."""
        for parent, name, old, new in reversed(self._places):
            for was, now in zip(old.modules(), new.modules(), strict=True):
                was._parameters.update(now._parameters)
                was._buffers.update(now._buffers)
                was.training = now.training
            if parent is None:
                self.model = old
            else:
                parent._modules[name] = old
        self._places.clear()
        for row in self.rows:
            row.swapped, row.reason = False, row.reason or "undone"
        return self.model

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table("module", "was", "now", "max difference", "speed-up", "memory")
        for row in self.rows:
            memory = "" if row.memory is None else " → ".join(f"{m / 2**20:.1f} MiB" for m in row.memory)
            ours = "fastspec, then identities" if " → " in row.what else "fastspec"
            table.add_row(
                row.path or "(model)",
                row.what,
                ours if row.swapped else f"as it was: {row.reason}",
                "" if row.difference is None else f"{row.difference:.1e}",
                "" if row.speedup is None else f"{row.speedup:.1f}x",
                memory,
            )
        return table

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120).print(self)
        return text.getvalue()
