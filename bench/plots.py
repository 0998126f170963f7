"""The plots of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Line = dict[str, str]

STYLES = {
    "torch": ("#333333", "P"),
    "torch.compile": ("#999999", "P"),
    "torchaudio": ("#e67e22", "o"),
    "librosa": ("#7d3c98", "s"),
    "nnaudio2": ("#c0392b", "^"),
    "nnAudio 0.3.4": ("#e6b0aa", "v"),
    "auvux-dsp": ("#1e8449", "D"),
    "torchlibrosa": ("#b7950b", "X"),
    "kaldi-native-fbank": ("#117a65", "p"),
    "tf.signal": ("#2471a3", "<"),
    "Keras": ("#ca6f1e", ">"),
    "Kapre": ("#884ea0", "h"),
    "audioFlux": ("#5d6d7e", "*"),
}
TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


def ratios_plot(lines: Sequence[Line], path: Path) -> None:
    """The time of every contender over fastspec's, by transform and pass: to the right of 1, fastspec is faster."""
    plt = _pyplot()
    lines = [line for line in lines if line["part"] == "transforms" and line["threads"] == "1" and line["median_ms"]]
    times: dict[tuple[str, str], dict[str, float]] = {}
    for line in lines:
        times.setdefault((line["pass_"], line["workload"]), {})[line["contender"]] = float(line["median_ms"])
    places = sorted((place for place in times if "fastspec" in times[place]), key=lambda place: place[0] != "forward")
    figure, axes = plt.subplots(figsize=(10, 2 + 0.3 * len(places)), layout="constrained")
    for name, (color, mark) in STYLES.items():
        points = [(times[p][name] / times[p]["fastspec"], y) for y, p in enumerate(places) if name in times[p]]
        if points:
            axes.plot(*zip(*points, strict=True), mark, color=color, markersize=7, label=name, alpha=0.85)
    for y, place in enumerate(places):
        if "torch" in times[place]:
            ratio = times[place]["torch"] / times[place]["fastspec"]
            axes.barh(y, ratio - 1, left=1, color="#aed6f1", height=0.7, zorder=0)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    axes.xaxis.set_minor_formatter("")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_xlim(min(left, 0.8), right)
    axes.grid(axis="x", alpha=0.3)
    axes.set_yticks(
        range(len(places)), [f"{w}, {'fwd + bwd' if p == 'both' else 'fwd'}" for p, w in places], fontsize=9
    )
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlabel("times: right of 1 fastspec is faster, left of 1 it is slower; bars: torch")
    about = lines[0] if lines else {"cpu": "", "simd": "", "date": ""}
    axes.set_title(
        f"Time of others over fastspec's: {about['cpu']}, {about['simd']}, one thread, {about['date']}", fontsize=10
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def scaling_plot(lines: Sequence[Line], path: Path) -> None:
    """Milliseconds a second of sound, against clip length, batch and frame length."""
    plt = _pyplot()
    panels = (
        ("clip length", "log-mel", "seconds", "length of one clip, s"),
        ("batch", "log-mel", "batch", "clips of 1 s"),
        ("n_fft", "STFT", "n_fft", "n_fft, hop a quarter"),
    )
    figure, all_axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for axes, (part, workload, column, label) in zip(all_axes, panels, strict=True):
        here = [x for x in lines if x["part"] == part and x["workload"].startswith(workload) and x["median_ms"]]
        for name in dict.fromkeys(line["contender"] for line in here):
            points = sorted((float(x[column]), *_cost(x)) for x in here if x["contender"] == name)
            color, mark = STYLES.get(name, ("#2e86c1", "o"))
            x, y, error = zip(*points, strict=True)
            axes.errorbar(x, y, error, color=color, marker=mark, label=name, capsize=2, markersize=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_title(here[0]["workload"] if here else workload, fontsize=10)
        axes.grid(alpha=0.3)
    all_axes[0].set_ylabel("ms for a second of sound (lower is better)")
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _cost(line: Line) -> tuple[float, float]:
    sound = float(line["seconds"]) * int(line["batch"])
    return float(line["median_ms"]) / sound, float(line["iqr_ms"]) / 2 / sound


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
