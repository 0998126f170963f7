"""kernels/cpu/module.cc. Arrays are addresses; `work` is batch, samples, frames, dtype, threads."""

from collections.abc import Sequence

class Frames:
    def __init__(
        self,
        n_fft: int,
        hop: int,
        win_length: int,
        pad: int,
        pad_mode: int,
        onesided: bool,
        preemphasis: float = 0.0,
        remove_dc: bool = False,
    ) -> None: ...

class Ending:
    def __init__(
        self,
        power: float,
        eps: float,
        log: int,
        multiplier: float,
        floor: float,
        floor_add: bool,
        scale: float,
        /,
    ) -> None: ...

class Bank:
    def __init__(self, bands: int, start: int, count: int, offset: int, weights: int, /) -> None: ...

def frame_transform(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    x: int,
    x_stride: int,
    x_dtype: int,
    window: int,
    y: int,
    /,
) -> None: ...
def overlap_add(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    y: int,
    window: int,
    x: int,
    /,
) -> None: ...
def inverse(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    y: int,
    y_stride: int,
    window: int,
    gain: int,
    x: int,
    /,
) -> None: ...
def restore_magnitude(
    count: int, dtype: int, threads: int, y: int, previous: int, magnitude: int, momentum: float, /
) -> None: ...
def basis_grad(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    x: int,
    x_stride: int,
    x_dtype: int,
    y: int,
    grad_window: int,
    /,
) -> None: ...
def spectral_power(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    x: int,
    x_stride: int,
    x_dtype: int,
    window: int,
    bank: Bank,
    ending: Ending,
    out: int,
    /,
) -> None: ...
def spectral_power_backward(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    grad: int,
    x: int,
    x_stride: int,
    x_dtype: int,
    window: int,
    bank: Bank,
    ending: Ending,
    grad_x: int,
    grad_window: int,
    /,
) -> None: ...

# rows: F, S, addresses of start, stop and offset [F] each, dtype, threads; tile: clips, frames, hop, stride
# array: address or 0, strides of clips and rows
def dense_size(*rows_hop: int) -> int: ...
def dense_pack(*rows_hop_basis_panels: int) -> None: ...
def dense_unpack(*rows_hop_panels_basis: int) -> None: ...
def dense_transform(*rows_tile_x_panels_z: int) -> None: ...
def dense_gradient(*rows_tile_x_z_panels: int) -> None: ...
def dense_frames(*rows_tile_z_basis_low_high_frames: int) -> None: ...
def dense_shared_size(*rows_hop: int) -> tuple[int, int]: ...
def dense_shared_pack(*rows_hop_basis_taps: int) -> None: ...
def dense_shared_adjoint(*rows_tile_z_taps_x: int) -> None: ...
def dense_store(*rows_tile_z_order_y_ending_out: int | Ending | None) -> None: ...
def dense_load(*rows_tile_y_ending_grad_order_z: int | Ending | None) -> None: ...
def same_bytes(a: int, b: int, size: int, /) -> bool: ...
def empty(shape: Sequence[int], code: int, itemsize: int, /) -> object | None: ...  # a DLPack capsule
def empty_cache() -> None: ...
def simd_level() -> str: ...
def set_simd_level(name: str, /) -> None: ...
def abi_version() -> int: ...
def rows_transform(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    x: int,
    x_stride: int,
    x_dtype: int,
    rows: int,
    taps: int,
    start: int,
    stop: int,
    offset: int,
    basis: int,
    y: int,
    ending: Ending | None,
    out: int,
    /,
) -> None: ...
def rows_overlap_add(
    plan: Frames,
    batch: int,
    samples: int,
    frames: int,
    dtype: int,
    threads: int,
    y: int,
    rows: int,
    taps: int,
    start: int,
    stop: int,
    offset: int,
    basis: int,
    x: int,
    /,
) -> None: ...

# octaves: parts (F, S, start, stop, offset, basis, halvings, phases, first, hop, low each), filter and its length,
# clips, samples, frames, bins, centre, reach, pad mode, dtype, threads
def octaves_transform(*octaves_x_stride_y_ending_out: Sequence[Sequence[int]] | int | Ending | None) -> None: ...
def octaves_adjoint(*octaves_y_x: Sequence[Sequence[int]] | int) -> None: ...
