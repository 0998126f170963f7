"""Derivatives of every order, through every way that torch has to ask for them."""

import pytest
import torch
from cases import ENDINGS, F64, Case, DenseCase, ending_name, make_bank, signals, true_power, true_transform
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.library import opcheck

from fastspec.ops import basis_grad, frame_transform, overlap_add, spectral_power
from fastspec.plan import Ending, FramePlan

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),  # torch's own use of torch
    pytest.mark.filterwarnings("ignore:.*an autograd kernel was not registered"),  # opcheck calls raw ops
    pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex"),
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The tensors here are tiny: a second thread only costs time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SMALL = [
    Case(13, 2, 6, 2, win=5, dtype=F64),
    Case(9, 1, 5, 7, pad="circular", center_pad=4, onesided=False, dtype=F64),
    DenseCase(13, 2, 6, 2, ((0, 6), (2, 5), (5, 6)), dtype=F64),
]
CASE = Case(61, 2, 16, 5, win=12, dtype=F64)
DENSE = DenseCase(61, 2, 16, 5, ((0, 16), (2, 14), (3, 4), (0, 9), (12, 16)), dtype=F64)
BOTH = pytest.mark.parametrize("case", [CASE, DENSE], ids=str)
SHORT = pytest.mark.parametrize(
    "case",
    [Case(30, 2, 8, 3, dtype=F64), DenseCase(30, 2, 8, 3, ((0, 8), (2, 5), (7, 8), (0, 4)), dtype=F64)],
    ids=str,
)
ENDING = Ending.make(1.0, log="db", floor=1e-3)
LINEAR = ("frame_transform", "overlap_add", "basis_grad")


def linear_op(name, case, backend, seed=0):
    """An op as a function of its two tensors, and such tensors."""
    plan = case.plan
    x, window = signals(case, seed)
    y = torch.randn(case.B, plan.n_bins, plan.n_frames(case.T), dtype=case.dtype.to_complex())
    return {
        "frame_transform": (lambda x, w: frame_transform(x, w, plan, backend), [x, window]),
        "overlap_add": (lambda y, w: overlap_add(y, w, plan, case.T, backend), [y, window]),
        "basis_grad": (lambda x, y: basis_grad(x, y, plan, backend), [x, y]),
    }[name]


def fused(case, ending, backend, banded=True, n_bands=3, **options):
    """spectral_power as a function of x, window and bank, and such tensors."""
    plan = case.plan
    leaves = list(signals(case))
    if not banded:
        return lambda x, w: spectral_power(x, w, None, plan, ending, backend, **options), leaves
    leaves.append(make_bank(plan.n_bins, n_bands, case.dtype) + 0.1)  # an empty band has a kink, see test_ops
    return lambda x, w, b: spectral_power(x, w, b, plan, ending, backend, **options), leaves


def leaves_of(tensors):
    return [t.detach().clone().requires_grad_() for t in tensors]


def assert_same(actual, expected, rtol=1e-9):
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=rtol, atol=rtol * max(1.0, e.abs().max().item()))


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("name", LINEAR)
def test_linear_ops_check(name, case, backend):
    op, tensors = linear_op(name, case, backend)
    assert gradcheck(op, leaves_of(tensors), check_forward_ad=True)
    assert gradgradcheck(op, leaves_of(tensors), check_fwd_over_rev=True)


@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
@pytest.mark.parametrize("ending", ENDINGS, ids=ending_name)
def test_fused_check(ending, banded, backend):
    cases = [SMALL[0], SMALL[2]] if ending in ENDINGS[1:8:3] else SMALL[:1]
    for case in cases:
        op, tensors = fused(case, ending, backend, banded)
        assert gradcheck(op, leaves_of(tensors), check_forward_ad=True)
        assert gradgradcheck(op, leaves_of(tensors), check_fwd_over_rev=True)


@pytest.mark.parametrize("ending", ENDINGS, ids=ending_name)
def test_second_order_silence(ending, backend):
    """On a clip with silent frames second derivatives are finite, and those of the other frames unharmed."""
    case = Case(60, 1, 8, 8, pad="none", dtype=F64)
    x, window = signals(case)
    bank = make_bank(5, 3, F64)
    x[:, 16:40] = 0  # frames 2, 3 and 4
    silent = torch.zeros(60, dtype=torch.bool)
    silent[16:40] = True

    def second(clip, case):
        x, w, b = leaves_of([clip, window, bank])
        out = spectral_power(x, w, b, case.plan, ending, backend)
        grads = torch.autograd.grad(out.sum(), (x, w, b), create_graph=True)
        return [g.detach() for g in grads], torch.autograd.grad(sum(g.square().sum() for g in grads[:1]), (x, w, b))

    first, grads = second(x, case)
    assert all(g.isfinite().all() for g in [*first, *grads])
    assert (first[0][:, silent] == 0).all()
    assert (grads[0][:, silent] == 0).all()
    alone_first, alone = second(x[:, 40:], Case(20, 1, 8, 8, pad="none", dtype=F64))
    assert_same([first[0][:, 40:], grads[0][:, 40:]], [alone_first[0], alone[0]])


@BOTH
@pytest.mark.parametrize("ending", [ENDINGS[0], ENDINGS[1], ENDINGS[9], ENDINGS[14]], ids=ending_name)
def test_gradient_penalty(case, ending, backend):
    """A loss with the norm of a gradient in it, against plain torch: first and second order together."""
    plan = case.plan
    tensors = [*signals(case), make_bank(plan.n_bins, 4, F64)]

    def loss_grads(op):
        leaves = leaves_of(tensors)
        out = op(*leaves)
        grads = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
        return torch.autograd.grad(out.sum() + sum(g.square().sum() for g in grads), leaves)

    ours = loss_grads(lambda x, w, b: spectral_power(x, w, b, plan, ending, backend))
    assert_same(ours, loss_grads(lambda x, w, b: true_power(x, w, b, case, ending)))


def test_third_order(backend):
    op, tensors = fused(SMALL[0], Ending.make(3.0, log="log1p"), backend)

    def gradient_in_x(*leaves):
        return torch.autograd.grad(op(*leaves).sum(), leaves[0], create_graph=True)[0]

    assert gradgradcheck(gradient_in_x, leaves_of(tensors))


@BOTH
def test_only_needed_gradients(case, backend):
    """Each subset of inputs may want a gradient; the values are the same as all together."""
    op, tensors = fused(case, ENDING, backend)
    everything = torch.autograd.grad(op(*(leaves := leaves_of(tensors))).sum(), leaves)
    for wanted in range(1, 8):
        inputs = [t.detach().clone().requires_grad_(bool(wanted >> i & 1)) for i, t in enumerate(tensors)]
        op(*inputs).sum().backward()
        for i, (t, g) in enumerate(zip(inputs, everything, strict=True)):
            if wanted >> i & 1:
                assert torch.equal(t.grad, g)
            else:
                assert t.grad is None


@BOTH
def test_backward_twice_and_accumulation(case, backend):
    op, tensors = fused(case, ENDING, backend)
    leaves = leaves_of(tensors)
    out = op(*leaves).sum()
    out.backward(retain_graph=True)
    once = [t.grad.clone() for t in leaves]
    out.backward()
    assert all(torch.equal(t.grad, 2 * g) for t, g in zip(leaves, once, strict=True))


def test_a_dense_spectrum_is_kept_or_recomputed(backend):
    """The same numbers either way; kept, it is the one tensor saved beside the inputs."""
    results = []
    for recompute in (False, True):
        op, tensors = fused(DENSE, ENDING, backend, recompute=recompute)
        leaves, saved = leaves_of(tensors), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t) or t, lambda t: t):
            out = op(*leaves)
        mine = {t.data_ptr() for t in leaves}
        others = [t for t in saved if t.data_ptr() not in mine]
        assert [t.shape for t in others] == ([] if recompute else [(2, 5, DENSE.plan.n_frames(61))])
        results.append([out.detach(), *torch.autograd.grad(out.sin().sum(), leaves)])
    assert_same(*results)


def test_only_the_waveform_and_parameters_are_saved(backend):
    op, tensors = fused(Case(4000, 2, 400, 100), ENDING, backend)
    leaves = leaves_of(tensors)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        op(*leaves)
    assert {t.data_ptr() for t in saved} == {t.data_ptr() for t in leaves}
    assert len(saved) == 3


@BOTH
def test_changing_a_saved_input_is_noticed(case, backend):
    op, tensors = fused(case, ENDING, backend)
    leaves = leaves_of(tensors)
    x = leaves[0] * 1
    out = op(x, *leaves[1:])
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@BOTH
@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
def test_forward_ad_agrees_with_backward(case, banded, backend):
    op, tensors = fused(case, ENDING, backend, banded)
    tangents = [torch.randn_like(t) for t in tensors]
    with forward_ad.dual_level():
        out = op(*(forward_ad.make_dual(t, d) for t, d in zip(tensors, tangents, strict=True)))
        derivative = forward_ad.unpack_dual(out).tangent
    leaves = leaves_of(tensors)
    out = op(*leaves)
    cotangent = torch.randn_like(out)
    grads = torch.autograd.grad(out, leaves, cotangent)
    expected = sum((g * d).sum() for g, d in zip(grads, tangents, strict=True))
    torch.testing.assert_close((derivative * cotangent).sum(), expected)


@SHORT
def test_torch_func(case, backend):
    """grad, vmap over every input, jvp, jacrev, hessian and per-sample gradients against plain torch."""
    op, (x, window, bank) = fused(case, ENDING, backend)

    def plain(x, w, b):
        return true_power(x, w, b, case, ENDING)

    def everything(f):
        xs, ws, bs = (torch.stack([t, t.flip(0) * 1.1, t * 0.7]) for t in (x, window, bank))
        every = (0, 1, 2)
        yield from torch.func.grad(lambda *a: f(*a).sum(), every)(x, window, bank)
        yield torch.func.vmap(f, (0, None, None))(xs, window, bank)
        yield torch.func.vmap(f, (1, None, None), 2)(xs.movedim(0, 1), window, bank)
        yield torch.func.vmap(f, (None, 0, None))(x, ws, bank)
        yield torch.func.vmap(f, (0, 0, 0))(xs, ws, bs)
        yield torch.func.vmap(torch.func.vmap(f, (0, None, None)), (None, None, 0))(xs, window, bs)
        yield torch.func.jvp(f, (x, window, bank), (x.flip(0), window.flip(0), bank.flip(0)))[1]
        yield from torch.func.jacrev(f, every)(x, window, bank)
        yield from torch.func.jacfwd(f, every)(x, window, bank)
        yield torch.func.hessian(lambda w: f(x, w, bank).sum())(window)
        yield torch.func.vmap(torch.func.grad(lambda c: f(c[None], window, bank).sum()))(x)

    assert_same(everything(op), everything(plain), 1e-8)


@SHORT
@pytest.mark.parametrize("name", LINEAR)
def test_torch_func_linear(case, name, backend):
    op, (first, second) = linear_op(name, case, backend)
    firsts, seconds = torch.stack([first, 2 * first]), torch.stack([second, 3 * second, -second])
    loop = torch.stack([torch.stack([op(f, s) for s in seconds]) for f in firsts])
    folded = torch.func.vmap(torch.func.vmap(op, (None, 0)), (0, None))(firsts, seconds)
    assert_same([folded], [loop])
    d_first, d_second = torch.randn_like(first), torch.randn_like(second)
    _, derivative = torch.func.jvp(op, (first, second), (d_first, d_second))
    assert_same([derivative], [op(d_first, second) + op(first, d_second)])


@BOTH
@pytest.mark.parametrize("name", LINEAR)
def test_opcheck_linear(case, name, backend):
    _, tensors = linear_op(name, case, backend)
    length = (case.T,) if name == "overlap_add" else ()
    op = getattr(torch.ops.fastspec, name).default
    for inputs in (tensors, leaves_of(tensors)):
        opcheck(op, (*inputs, *case.plan.args(), *length, backend))


@BOTH
@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
def test_opcheck_fused(case, banded, backend):
    plan = case.plan
    op, tensors = fused(case, ENDING, backend, banded)
    grad = torch.randn_like(op(*tensors))
    arguments = (*plan.args(), *ENDING.args())
    for inputs in (tensors, leaves_of(tensors)):
        x, window, bank = inputs if banded else (*inputs, None)
        opcheck(torch.ops.fastspec.spectral_power.default, (x, window, bank, *arguments, backend))
        for need in ((True, True, banded), (True, False, False), (False, True, False)):
            opcheck(
                torch.ops.fastspec.spectral_power_backward.default,
                (grad, x, window, bank, None, *arguments, *need, backend),
            )
        if case is DENSE:
            opcheck(torch.ops.fastspec.spectral_power_keeping.default, (x, window, bank, *arguments, backend))
            y = frame_transform(x, window, plan, backend).detach()
            opcheck(
                torch.ops.fastspec.spectral_power_backward.default,
                (grad, x, window, bank, y, *arguments, True, True, banded, backend),
            )


def value_and_grads(op, tensors):
    leaves = leaves_of(tensors)
    out = op(*leaves)
    return [out.detach(), *torch.autograd.grad(out.abs().square().sum(), leaves)]


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("compiler", ["aot_eager", "inductor"])
def test_compile_fused(compiler, backend):
    """One graph, forward and backward, then other lengths and batches without a new one for each."""
    plan = CASE.plan
    counter = torch._dynamo.testing.CompileCounterWithBackend(compiler)

    def op(x, w, b):
        plan = FramePlan.make(16, 5, 12)  # made while tracing
        return spectral_power(x * 2, w, b, plan, ENDING, backend) + 1

    compiled = torch.compile(op, fullgraph=True, backend=counter)
    for shape in ((2, 61), (3, 75), (4, 82), (5, 93)):
        x = torch.randn(shape, dtype=F64)
        tensors = [x, signals(CASE)[1], make_bank(plan.n_bins, 4, F64)]
        assert_same(value_and_grads(compiled, tensors), value_and_grads(op, tensors))
    assert counter.frame_count <= 2  # fixed sizes once, then symbolic ones


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("recompute", [False, True])
def test_compile_dense(recompute, backend):
    """As above; whether the spectrum is kept is decided while tracing."""
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    op, (_, *rest) = fused(DENSE, ENDING, backend, recompute=recompute)
    compiled = torch.compile(op, fullgraph=True, backend=counter)
    for shape in ((2, 61), (3, 75), (4, 82), (5, 93)):
        tensors = [torch.randn(shape, dtype=F64), *rest]
        assert_same(value_and_grads(compiled, tensors), value_and_grads(op, tensors))
    assert counter.frame_count <= 2


@BOTH
@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("name", LINEAR)
def test_compile_linear(case, name, backend):
    op, tensors = linear_op(name, case, backend)
    compiled = torch.compile(op, fullgraph=True, dynamic=True, backend="aot_eager")
    assert_same(value_and_grads(compiled, tensors), value_and_grads(op, tensors))


@SHORT
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_transforms(case):
    """torch.func inside torch.compile runs the reference, with right derivatives; a named backend says no."""
    op, (x, window, bank) = fused(case, ENDING, "")

    def gradient(x):
        return torch.func.grad(lambda x: op(x, window, bank).sum())(x)

    def penalty(x):
        return torch.func.grad(lambda x: gradient(x).square().sum())(x)

    def tangent(x):
        return torch.func.jvp(lambda x: op(x, window, bank), (x,), (x.flip(0),))[1]

    def mapped(x):
        return torch.func.vmap(op, (0, None, None))(torch.stack([x, 2 * x]), window, bank)

    def linear(x):
        return torch.func.grad(lambda x: frame_transform(x, window, case.plan).abs().sum())(x)

    for function in (gradient, penalty, tangent, mapped, linear):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert_same([compiled(x)], [function(x)])

    named, _ = fused(case, ENDING, "cpu")
    with pytest.raises(Exception, match=r"cannot run a torch\.func transform inside"):
        torch.compile(torch.func.grad(lambda x: named(x, window, bank).sum()), backend="eager", fullgraph=True)(x)


@BOTH
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_double_backward_raises(case, backend):
    """torch.compile has no second derivatives outside the graph: an error, not a wrong number."""
    op, tensors = fused(case, ENDING, backend)
    leaves = leaves_of(tensors)
    out = torch.compile(op, backend="aot_eager")(*leaves)
    grads = torch.autograd.grad(out.sum(), leaves, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        grads[0].sum().backward()


@BOTH
@pytest.mark.usefixtures("fresh_dynamo")
def test_export(case, backend):
    op, (x, window, bank) = fused(case, ENDING, backend)

    class Model(torch.nn.Module):
        def forward(self, x):
            return op(x, window, bank)

    samples = torch.export.Dim("samples", min=20, max=4000)
    program = torch.export.export(Model(), (x,), dynamic_shapes=({1: samples},))
    longer = torch.randn(2, 333, dtype=F64)
    assert torch.equal(program.module()(longer), op(longer, window, bank))


@BOTH
def test_inference_mode_and_no_grad(case, backend):
    op, tensors = fused(case, ENDING, backend)
    expected = op(*tensors)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            out = op(*leaves_of(tensors))
            assert torch.equal(out, expected)
            assert not out.requires_grad
    parameters = [torch.nn.Parameter(t, requires_grad=False) for t in tensors]
    assert torch.equal(op(*parameters), expected)


@BOTH
def test_autocast_changes_nothing(case, backend):
    """Half precision has no place in a power spectrum: values and gradients of both orders stay."""
    op, tensors = fused(Case(61, 2, 16, 5), ENDING, backend)

    def run(enabled):
        leaves = leaves_of(tensors)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out = op(*leaves)
            first = torch.autograd.grad(out.sum(), leaves, retain_graph=True)
            composed = torch.autograd.grad(out.sum(), leaves, create_graph=True)
            penalty = composed[0].square().sum()
        return [out, *first, *composed, *torch.autograd.grad(penalty, leaves)]

    for with_autocast, without in zip(run(True), run(False), strict=True):
        assert with_autocast.dtype == without.dtype
        assert torch.equal(with_autocast, without)


def test_linear_ops_against_the_formula(backend):
    """Second derivatives of |T x|^2 by hand: the Hessian in x is 2 Re T^* T."""
    case = Case(20, 1, 6, 4, dtype=F64)
    x, window = signals(case)
    jacobian = torch.func.jacrev(lambda x: torch.view_as_real(true_transform(x, window, case)))(x).reshape(-1, 20)
    hessian = torch.autograd.functional.hessian(
        lambda x: spectral_power(x, window, None, case.plan, Ending.make(), backend).sum(), x
    )
    assert_same([hessian.reshape(20, 20)], [2 * jacobian.mT @ jacobian])
