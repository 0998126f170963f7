"""torch.compile of bench.peers.plain_torch, at its word: the first call compiles."""

from __future__ import annotations

import torch

from bench.peers import plain_torch
from bench.peers._torch import both, from_numpy, set_threads, to_numpy  # noqa: F401


def forward(path, x):
    def run():
        with torch.no_grad():  # it compiles under inference_mode anew
            return path(x)

    return run


def magnitude(s):
    return torch.compile(plain_torch.magnitude(s))


def log_mel(s):
    return torch.compile(plain_torch.log_mel(s))


def fbank(s):
    return torch.compile(plain_torch.fbank(s))
