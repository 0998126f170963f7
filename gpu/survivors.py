"""Mutants that no check notices, and why: (file, line, what was taken out) -> reason."""

COUNT = "const int count = clip.frames - first < blockDim.y ? int(clip.frames - first) : int(blockDim.y);"
NO_TILE = "if (first >= clip.frames) return;  // ragged: this clip has fewer tiles"
NO_TILE_WHY = "such a block has no frame to load, transform or write (count < 0); it leaves early to save its barriers"
COUNT_WHY = "count is only compared with a thread's frame and column, which lie below blockDim.y: more changes nothing"
SPARE_THREADS = "threads of one row too many would store again what the first ones of the next step store, as it is"

REASONS: dict[tuple[str, str, str], str] = {
    ("frame_transform.cu", COUNT, "clip.frames - first < blockDim.y"): COUNT_WHY,
    ("spectral_power.cu", COUNT, "clip.frames - first < blockDim.y"): COUNT_WHY,
    ("frame_transform.cu", NO_TILE, "first >= clip.frames"): NO_TILE_WHY,
    ("spectral_power.cu", NO_TILE, "first >= clip.frames"): NO_TILE_WHY,
    (
        "warp_power.cuh",
        "if (begin >= frames) return;  // ragged: this clip has fewer tiles",
        "begin >= frames",
    ): "the loop over tiles makes the same test; this one saves the tables",
    (
        "warp_power.cuh",
        "if (first >= frames) return;",
        "first >= frames",
    ): "such a tile has no frame to write (count <= 0), and its samples are zeros by the rule of padding: time saved",
    (
        "frame_transform.cu",
        "if (rows > f.bins && q > 0 && 2 * q < f.n_fft) out[(f.n_fft - q) * f.frames] = conj(bin);",
        "2 * q < f.n_fft",
    ): "the middle bin is its own mirror and real: its conjugate differs in the sign of a zero",
    (
        "spectral_power.cu",
        "if (!f.onesided && q > 0 && 2 * q < f.n_fft) store(out + (f.n_fft - q) * f.frames, u);",
        "2 * q < f.n_fft",
    ): "the middle bin is its own mirror: the same thread stores the same value twice",
    (
        "overlap_add.cu",
        "else if (s >= 0)",
        "s >= 0",
    ): "launched for reflect, replicate and circular padding alone, where every position has a sample",
    (
        "adjoint.cuh",
        "const long long to = m + count == stop || reach > end ? end : reach;",
        "reach > end",
    ): "positions that these frames do not reach are written as 0 and added to afterwards: slower, the same sums",
    (
        "fft.cuh",
        "if (at.frame >= count) return;",
        "at.frame >= count",
    ): "frames that do not exist have a place in shared memory and zeros for samples; nobody transforms or reads them",
    (
        "warp_rows.cuh",
        "__syncwarp();  // needless as long as rows of the exchange are kRow = 20 long",
        "__syncwarp();",
    ): "the cells that a lane has read its samples from are those that it stores to next, and nobody else",
    (
        "warp_power_bwd.cuh",
        "if (count > 0) {",
        "count > 0",
    ): "halo is at most a tile, so count >= 0; with 0 every range in flush is empty: time saved",
    (
        "warp_tile.cuh",
        "if (kBlock % quads != 0 && row >= rows) return;",
        "row >= rows",
    ): SPARE_THREADS,
    (
        "warp_tile.cuh",
        "if (row >= rows || frame >= count) return;",
        "row >= rows",
    ): SPARE_THREADS,
}
