"""What every transform is: an nn.Module that says how it leaves Python."""

from __future__ import annotations

from typing import NoReturn

from torch import nn


class Layer(nn.Module):
    """A transform as a module: for torch.compile, torch.export, ONNX and torch.jit.trace, not for torch.jit.script."""

    def __prepare_scriptable__(self) -> NoReturn:
        """torch.jit.script asks every module in a model for this; better our words than its own, further down."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot go through torch.jit.script, whose compiler reads a subset of Python: trace "
            "it with torch.jit.trace(module, example), or the whole model with torch.export.export"
        )
