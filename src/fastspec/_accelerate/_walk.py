"""``accelerate``: find known front ends in a model, put equal ones in their places, prove it on an input."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ._report import Report, Row
from ._swaps import CHANNELLED, REFUSED, RUNS, SWAPS, Refused, kind

_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
Inputs = tuple[tuple[Any, ...], dict[str, Any]]


class _Swapped:
    """Marks modules whose forward is ours; pickled and copied as the original class and where its forward lies."""

    _fastspec_forward: Callable[..., Any] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        run = self.__dict__.get("_fastspec_run")
        function = type(self)._fastspec_forward
        if function is None:  # the work was done by the first module of the run
            return args[0]
        return function(self if run is None else (self, *run), *args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        original = next(base for base in type(self).__mro__[1:] if base is not _Swapped)
        return _revive, (original, type(self)._fastspec_forward), self.__dict__.copy()


def _class(original: type, function: Callable[..., Any] | None) -> type:
    marked = None if function is None else staticmethod(function)
    return type(original.__name__, (_Swapped, original), {"_fastspec_forward": marked})


def _revive(original: type, function: Callable[..., Any] | None) -> Any:
    cls = _class(original, function)
    return object.__new__(cls)


def _twin(module: nn.Module, function: Callable[..., Any] | None) -> nn.Module:
    """The module with another forward: the same parameters, buffers, attributes and hooks in an object of its own."""
    new = _revive(type(module), function)
    new.__dict__.update(module.__dict__)
    for name in ("_parameters", "_buffers"):
        new.__dict__[name] = module.__dict__[name].copy()
    new.__dict__["_modules"] = {name: child and _shallow(child) for name, child in module._modules.items()}
    return new


def _shallow(module: nn.Module) -> nn.Module:
    new = module.__class__.__new__(module.__class__)
    new.__dict__.update(module.__dict__)
    for name in ("_parameters", "_buffers"):
        new.__dict__[name] = module.__dict__[name].copy()
    new.__dict__["_modules"] = {name: child and _shallow(child) for name, child in module._modules.items()}
    return new


def accelerate(model: nn.Module, example: Any = None, tolerance: float = 1e-4) -> Report:
    """Replace the known front ends of a model by equal ones that run fastspec's kernels, in place.

    Known are torchaudio's Spectrogram, MelSpectrogram, MFCC and LFCC, runs of Spectrogram, MelScale, MelSpectrogram
    and AmplitudeToDB in an nn.Sequential, nnAudio's STFT, MelSpectrogram (in MFCC too), Gammatonegram and CQT1992v2,
    asteroid's Encoder of any filterbank, and torchlibrosa's STFT, Spectrogram and LogmelFilterBank, fused where the
    two follow in an nn.Sequential; called one after the other by a parent, as in PANNs, each is replaced by itself. A
    replacement is of a subclass of the original's class and has its very parameters, buffers, hooks and attributes,
    so optimisers go on and checkpoints load; hooks on modules inside a front end, which is one kernel now, would not
    run, so such a front end is left alone. The report tells of a replacement that is slower.

    The first module of a fused run does the work of all; those after it (MelScale, AmplitudeToDB, LogmelFilterBank)
    keep their places and values and return what they are given: called by themselves they are identities until
    ``undo()``. A logarithm of the model's own after a mel spectrogram stays as it is, behind the fused mel.

    Args:
        model: any module.
        example: input of the model (a tensor, a tuple of arguments or a dict of keywords). The model runs once on it,
            in eval mode and without gradients, to show each front end its real input. Without it front ends are
            compared on noise.
        tolerance: a replacement stays only if its output differs by at most this much of the original's largest
            value.

    Returns:
        A ``Report``: print it for a table; ``report.undo()`` restores the model; ``report.model``.

    Raises:
        ValueError: model is not a module, or tolerance not a number above 0.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above 0, got {tolerance!r}")
    report = Report(model)
    candidates = _candidates(model, report)
    inputs = _record(model, example, candidates) if example is not None else {}
    taken: set[int] = set()
    for path, originals, function, whole in candidates:
        if any(id(inner) in taken for m in originals for inner in m.modules()):
            continue
        row = Row(path, " → ".join(type(m).__name__ for m in originals))
        try:
            if len(originals) > 1 and any(len(_places(model, m)) > 1 for m in originals):
                raise Refused("used in several places")
            replacements = _proven(row, originals, function, inputs, example is not None, tolerance)
        except Refused as reason:
            if whole:
                row.reason = str(reason)
                report.rows.append(row)
            continue
        row.swapped = True
        report.rows.append(row)
        taken |= {id(inner) for m in originals for inner in m.modules()}
        for old, new in zip(originals, replacements, strict=True):
            _place(report, model, old, new)
    return report


def _candidates(model: nn.Module, report: Report) -> list[tuple[str, list[nn.Module], Callable[..., Any], bool]]:
    """(path, modules, forward, whether a refusal is told): runs before what they consist of, parents before parts."""
    found: list[tuple[str, list[nn.Module], Callable[..., Any], bool]] = []
    for path, module in model.named_modules():
        children = list(module._modules.items()) if type(module) is nn.Sequential else []
        for i, (name, _) in enumerate(children):
            for (package, classes), function in RUNS.items():
                members = [m for _, m in children[i : i + len(classes)] if m is not None]
                if [kind(m) for m in members] == [(package, c) for c in classes]:
                    found.append((f"{path}.{name}" if path else name, members, function, False))
    ours = {id(part) for m in model.modules() if isinstance(m, _Swapped) for part in m.modules()}
    for path, module in model.named_modules():
        if id(module) in ours:
            continue
        if kind(module) in SWAPS:
            found.append((path, [module], SWAPS[kind(module)], True))
        elif kind(module) in REFUSED:
            report.rows.append(Row(path, type(module).__name__, reason=REFUSED[kind(module)]))
    return found


def _record(model: nn.Module, example: Any, candidates: list[Any]) -> dict[int, Inputs]:
    """The first input of every candidate while the model runs on the example."""
    seen: dict[int, Inputs] = {}

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.setdefault(id(module), (copy.deepcopy(args), copy.deepcopy(kwargs)))

    modes = {m: m.training for m in model.modules()}
    first = {id(originals[0]): originals[0] for _, originals, *_ in candidates}.values()
    handles = [m.register_forward_pre_hook(keep, with_kwargs=True) for m in first]
    try:
        model.eval()
        with torch.no_grad():
            if isinstance(example, dict):
                model(**example)
            else:
                model(*(example if isinstance(example, tuple) else (example,)))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return seen


def _proven(
    row: Row,
    originals: list[nn.Module],
    function: Callable[..., Any],
    inputs: dict[int, Inputs],
    exampled: bool,
    tolerance: float,
) -> list[nn.Module]:
    """The replacements, compared and timed; raises Refused."""
    for module in originals:
        hidden = list(module.modules())[1:] + ([module] if len(originals) > 1 else [])
        if any(getattr(m, hooks) for m in hidden for hooks in _HOOKS):
            raise Refused("hooks on its parts would not run")
    replacements = [_twin(m, function if i == 0 else None) for i, m in enumerate(originals)]
    if len(replacements) > 1:
        replacements[0].__dict__["_fastspec_run"] = tuple(replacements[1:])
    if exampled and id(originals[0]) not in inputs:
        raise Refused("the example did not reach it")
    args, kwargs = inputs.get(id(originals[0])) or ((_noise(originals[0]),), {})

    def chain(modules: list[nn.Module]) -> Any:  # forward itself: hooks are the model's business
        y = modules[0].forward(*args, **kwargs)
        for module in modules[1:]:
            y = module.forward(y)
        return y

    with torch.no_grad():
        try:
            want = chain(originals)
        except Exception as error:
            raise Refused(f"the original fails on this input: {error}") from error
        try:
            have = chain(replacements)
        except (ValueError, NotImplementedError, RuntimeError) as error:
            raise Refused(str(error)) from error
        row.difference = _difference(have, want)
        if not row.difference <= tolerance:
            raise Refused(f"differs by {row.difference:.1e} of the largest value, more than {tolerance:.1e}")
        times = [(_seconds(chain, originals), _seconds(chain, replacements)) for _ in range(3)]
        row.speedup = statistics.median(t for t, _ in times) / statistics.median(t for _, t in times)
        row.memory = _allocated(chain, originals), _allocated(chain, replacements)
    return replacements


def _noise(module: nn.Module) -> Tensor:
    tensors = [*module.parameters(), *module.buffers()]
    like = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    spectra = kind(module) == ("torchlibrosa", "LogmelFilterBank")  # reads power [B, 1, M, F]
    shape = (2, 1, 64, like.shape[0]) if spectra else (2, 1, 32768) if kind(module)[0] in CHANNELLED else (2, 32768)
    noise = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (noise.square() if spectra else noise).to(like)


def _difference(have: Any, want: Any) -> float:
    if isinstance(want, tuple):
        if not isinstance(have, tuple) or len(have) != len(want):
            return float("inf")
        return max(_difference(h, w) for h, w in zip(have, want, strict=True))
    if not isinstance(have, Tensor) or have.shape != want.shape or have.dtype != want.dtype:
        return float("inf")
    if want.numel() == 0:
        return 0.0
    scale = float(want.abs().max())
    worst = float((have - want).abs().max())
    return worst / scale if scale > 0 else worst


def _seconds(chain: Callable[[list[nn.Module]], Any], modules: list[nn.Module]) -> float:
    on_gpu = any(t.is_cuda for m in modules for t in (*m.parameters(), *m.buffers()))
    if on_gpu:
        torch.cuda.synchronize()
    begin = time.perf_counter()
    chain(modules)
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


class _Count(TorchDispatchMode):
    """Adds up the bytes of new storages."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for t in tree_leaves(result):
            if isinstance(t, Tensor) and t.untyped_storage().data_ptr() not in known:
                self.bytes += t.untyped_storage().nbytes()
        return result


def _allocated(chain: Callable[[list[nn.Module]], Any], modules: list[nn.Module]) -> int:
    with _Count() as count:
        chain(modules)
    return count.bytes


def _places(model: nn.Module, module: nn.Module) -> list[tuple[nn.Module, str]]:
    """(parent, name) wherever the model holds the module."""
    return [(p, name) for p in model.modules() for name, child in p._modules.items() if child is module]


def _place(report: Report, model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    if old is model:
        report._places.append((None, "", old, new))
        report.model = new
    for parent, name in _places(model, old):
        report._places.append((parent, name, old, new))
        parent._modules[name] = new
