"""Plans and endings: sizes, defaults, every error."""

import math

import pytest
import torch

from fastspec.plan import DensePlan, Ending, FramePlan, plan_of


def test_defaults_are_torchaudios():
    plan = FramePlan.make(400)
    assert plan == FramePlan(400, 200, 400, 200, "reflect", True)
    assert FramePlan.make(400, win_length=300).hop_length == 150


def test_equal_parameters_give_one_object():
    assert FramePlan.make(400, 160) is FramePlan.make(400, 160)
    assert Ending.make(1.0, log="db") is Ending.make(1.0, log="db")
    assert hash(FramePlan.make(400, 160)) == hash(FramePlan.make(400, 160, 400))


def test_padding_is_normalised():
    for plan in (
        FramePlan.make(400, 160, center=False),
        FramePlan.make(400, 160, pad_mode="none"),
        FramePlan.make(400, 160, center_pad=0),
    ):
        assert (plan.pad, plan.pad_mode) == (0, "none")
    assert FramePlan.make(1024, 256, center_pad=384).pad == 384
    assert FramePlan.make(7, 2).pad == 3


def test_unused_ending_parameters_do_not_matter():
    assert Ending.make(floor=1e-5, floor_mode="add", scale=3.0, multiplier=20.0) == Ending.make()
    assert Ending.make(log="ln", scale=3.0, multiplier=20.0) == Ending.make(log="ln")
    assert Ending.make(log="log1p", floor=1e-5, multiplier=20.0) == Ending.make(log="log1p")
    assert Ending.make(log=None) == Ending.make(log="none")


def test_args_round_trip():
    plan, ending = (
        FramePlan.make(400, 160, 320, onesided=False),
        Ending.make(1.0, 1e-6, "db", 1e-5, "add", 1.0, 20.0),
    )
    assert plan_of(*plan.args()) == plan
    assert Ending(*ending.args()) == ending


def test_dense_plans():
    plan = DensePlan.make(16, 5, (0, 3, 15), (16, 4, 16), center_pad=6)
    assert DensePlan.make(16, 5, (0, 3, 15), (16, 4, 16), center_pad=6) is plan
    assert DensePlan.make(16, 5, [0, 3, 15], [16, 4, 16], center_pad=6) == plan
    copy = plan_of(*plan.args())
    assert copy == plan
    assert hash(copy) == hash(plan)
    assert (plan.n_bins, plan.n_taps, plan.offsets, plan.basis_shape) == (3, 18, (0, 16, 17, 18), (2, 18))
    assert plan != DensePlan.make(16, 5, (0, 3, 14), (16, 4, 15), center_pad=6)
    assert (plan.min_length, plan.n_frames(30)) == (7, 6)
    assert "3 rows of 1 to 16 taps" in str(plan)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0, 5, (0,), (1,)), "n_fft must be an integer from 1"),
        ((16, 0, (0,), (1,)), "hop_length must be"),
        ((16, 5, (), ()), "one or more, got 0 and 0"),
        ((16, 5, (0, 1), (4,)), "equally many, one or more, got 2 and 1"),
        ((16, 5, (0, 4), (1, 4)), "row 1 must lie within 0 <= start < stop <= 16, got 4 to 4"),
        ((16, 5, (0,), (17,)), "row 0 must lie within 0 <= start < stop <= 16, got 0 to 17"),
        ((16, 5, (-1,), (7,)), r"starts\[0\] must be an integer >= 0, got -1"),
        ((16, 5, (0,), (7.5,)), r"stops\[0\] must be an integer"),
        ((16, 5, (0,), (7,), True, "edge"), "pad_mode must be one of"),
        ((16, 5, (0,), (7,), False, "reflect", 3), "center_pad needs center=True"),
    ],
)
def test_bad_dense_plans(arguments, match):
    with pytest.raises(ValueError, match=match):
        DensePlan.make(*arguments)


@pytest.mark.parametrize("n_fft", [2, 3, 7, 16, 49, 400, 1009])
@pytest.mark.parametrize("center", [True, False])
def test_sizes_agree_with_torch(n_fft, center):
    for hop in (1, 3, n_fft, n_fft + 5):
        for onesided in (True, False):
            plan = FramePlan.make(n_fft, hop, center=center, onesided=onesided)
            length = 3 * n_fft + 1
            y = torch.stft(
                torch.zeros(length),
                n_fft,
                hop,
                window=torch.ones(n_fft),
                center=center,
                onesided=onesided,
                return_complex=True,
            )
            assert (plan.n_bins, plan.n_frames(length)) == tuple(y.shape)


@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "replicate", "circular", "none"])
@pytest.mark.parametrize("center_pad", [None, 0, 3, 40])
@pytest.mark.parametrize("n_fft", [5, 16])
def test_min_length_is_the_shortest_that_passes(pad_mode, center_pad, n_fft):
    plan = FramePlan.make(n_fft, 4, pad_mode=pad_mode, center_pad=center_pad)
    plan.check_length(plan.min_length)
    assert plan.n_frames(plan.min_length) >= 1
    with pytest.raises(ValueError, match=r"waveform must .*, got"):
        plan.check_length(plan.min_length - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_fft": 1}, "n_fft must be an integer from 2 to 65536, got 1"),
        ({"n_fft": 65537}, "n_fft must be an integer from 2 to 65536, got 65537"),
        ({"n_fft": 400.0}, "n_fft must be an integer from 2 to 65536, got 400.0"),
        ({"n_fft": True}, "n_fft must be an integer from 2 to 65536, got True"),
        ({"n_fft": "400"}, "n_fft must be an integer from 2 to 65536, got '400'"),
        ({"n_fft": 400, "hop_length": 0}, "hop_length must be an integer >= 1, got 0"),
        ({"n_fft": 400, "hop_length": math.nan}, "hop_length must be an integer >= 1, got nan"),
        ({"n_fft": 400, "win_length": 0}, "win_length must be an integer >= 1, got 0"),
        ({"n_fft": 400, "win_length": 401}, "win_length must be at most n_fft = 400, got 401"),
        ({"n_fft": 400, "win_length": 1}, "hop_length must be given when win_length // 2 is 0"),
        ({"n_fft": 400, "pad_mode": "mirror"}, "pad_mode must be one of 'reflect', .*, got 'mirror'"),
        ({"n_fft": 400, "center_pad": -1}, "center_pad must be an integer >= 0, got -1"),
        ({"n_fft": 400, "center_pad": 5, "center": False}, "center_pad needs center=True"),
        ({"n_fft": 400, "center_pad": 2**31, "pad_mode": "constant"}, "center_pad must be at most 2147483647"),
        ({"n_fft": 400, "hop_length": 2**31}, "hop_length must be at most 2147483647, got 2147483648"),
        ({"n_fft": 400, "hop_length": 2**70}, "hop_length must be at most 2147483647, got"),
        ({"n_fft": [400]}, r"n_fft must be an integer from 2 to 65536, got \[400\]"),
        ({"n_fft": 400, "pad_mode": ["reflect"]}, r"pad_mode must be one of 'reflect', .*, got \['reflect'\]"),
        ({"n_fft": 400, "center": "no"}, "center must be True or False, got 'no'"),
        ({"n_fft": 400, "onesided": 1}, "onesided must be True or False, got 1"),
    ],
)
def test_plan_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        FramePlan.make(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": 0.0}, "power must be a finite number > 0, got 0.0"),
        ({"power": -1}, "power must be a finite number > 0, got -1"),
        ({"power": math.nan}, "power must be a finite number > 0, got nan"),
        ({"power": math.inf}, "power must be a finite number > 0, got inf"),
        ({"power": None}, "power must be a finite number > 0, got None"),
        ({"eps": -1e-9}, "eps must be a finite number >= 0, got -1e-09"),
        ({"eps": math.nan}, "eps must be a finite number >= 0, got nan"),
        ({"log": "log2"}, "log must be one of 'none', .*, got 'log2'"),
        ({"log": "ln", "floor": -1.0}, "floor must be a finite number >= 0, got -1.0"),
        ({"floor": math.nan}, "floor must be a finite number >= 0, got nan"),
        ({"floor_mode": "max"}, "floor_mode must be one of 'clamp', 'add', got 'max'"),
        ({"log": "log1p", "scale": 0.0}, "scale must be a finite number > 0, got 0.0"),
        ({"power": "2"}, "power must be a finite number > 0, got '2'"),
        ({"power": [2]}, r"power must be a finite number > 0, got \[2\]"),
        ({"power": torch.tensor(2.0)}, "power must be a finite number > 0, got tensor"),  # it could change later
        ({"log": ["ln"]}, r"log must be one of .*, got \['ln'\]"),
        ({"log": "db", "multiplier": math.inf}, "multiplier must be a finite number > 0, got inf"),
    ],
)
def test_ending_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Ending.make(**arguments)


def test_the_largest_hop_runs():
    plan = FramePlan.make(16, 2**31 - 1)
    assert torch.ops.fastspec.frame_transform(torch.ones(1, 20), torch.ones(16), *plan.args(), "").shape == (1, 9, 1)


def test_too_short_clips_say_why():
    with pytest.raises(ValueError, match="longer than the reflect padding of 200 samples, got 200"):
        FramePlan.make(400, 160).check_length(200)
    with pytest.raises(ValueError, match="circular padding of 200 samples, got 199"):
        FramePlan.make(400, 160, pad_mode="circular").check_length(199)
    with pytest.raises(ValueError, match=r"at least 400 samples for one frame .* got 399"):
        FramePlan.make(400, 160, center=False).check_length(399)
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        FramePlan.make(400, 160, pad_mode="constant").check_length(0)
