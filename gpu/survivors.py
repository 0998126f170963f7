"""Mutants that no check notices, and why: (file, line, what was taken out) -> reason."""

REASONS: dict[tuple[str, str, str], str] = {
    (
        "frame_transform.cu",
        "const int count = clip.frames - first < blockDim.y ? int(clip.frames - first) : int(blockDim.y);",
        "clip.frames - first < blockDim.y",
    ): "count is only compared with a thread's frame and column, which lie below blockDim.y: more changes nothing",
    (
        "frame_transform.cu",
        "if (rows > f.bins && q > 0 && 2 * q < f.n_fft) out[(f.n_fft - q) * f.frames] = conj(bin);",
        "2 * q < f.n_fft",
    ): "the middle bin is its own mirror and real: its conjugate differs in the sign of a zero",
    (
        "overlap_add.cu",
        "else if (s >= 0)",
        "s >= 0",
    ): "launched for reflect, replicate and circular padding alone, where every position has a sample",
}
