"""The two example recordings out of their spectrograms: python examples/reconstruct.py [--out FOLDER].

Prints how near each comes: the signal-to-noise ratio where the phases were kept; where they were not, the spectral
convergence of the magnitudes (Griffin and Lim's distance over their norm, in decibels: lower is nearer) and the mean
difference of the log-mel spectrograms that one hears by. --out keeps the sound files, to be listened to.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
from torch import Tensor

import fastspec.functional as F
from fastspec import audio
from fastspec.transforms import GriffinLim, InverseMelSpectrogram, MelSpectrogram, Spectrogram

RECORDINGS = Path(__file__).parent / "audio"


def ways(rate: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Name of each way from samples [C, T] to a spectrogram and back."""
    n_fft = 2048 if rate > 32000 else 1024
    hop = n_fft // 4
    sizes = {"n_fft": n_fft, "hop_length": hop}
    power = Spectrogram(**sizes)
    mels = {"sample_rate": rate, **sizes, "n_mels": 128 if rate > 32000 else 80}
    log_mel = MelSpectrogram(**mels, log="db")

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def lim(n_iter: int, momentum: float) -> Callable[[Tensor], Tensor]:
        return lambda x: GriffinLim(**sizes, n_iter=n_iter, momentum=momentum)(power(x), generator=generator())

    def mel(n_iter: int) -> Callable[[Tensor], Tensor]:
        inverse = InverseMelSpectrogram(**mels, log="db", n_iter=n_iter)
        return lambda x: inverse(log_mel(x), generator=generator())

    return {
        "complex STFT": lambda x: F.istft(F.stft(x, n_fft, hop), n_fft, hop, length=x.shape[-1]),
        "power, no rounds": lim(0, 0.0),
        "power, 32 rounds, no momentum": lim(32, 0.0),
        "power, 32 rounds": lim(32, 0.99),
        "power, 100 rounds": lim(100, 0.99),
        f"{mels['n_mels']} mel bands in dB, 32 rounds": mel(32),
        f"{mels['n_mels']} mel bands in dB, 100 rounds": mel(100),
    }


def measure(x: Tensor, back: Tensor, rate: int) -> tuple[float, float, float]:
    """SNR in dB, spectral convergence in dB, mean difference of log-mel bands within 80 dB in dB."""
    n_fft = 2048 if rate > 32000 else 1024
    x = x[:, : back.shape[1]]
    snr = 10 * torch.log10(x.square().sum() / (back - x).square().sum())
    before, after = (F.stft(one, n_fft, n_fft // 4).abs() for one in (x, back))
    convergence = 20 * torch.log10((after - before).norm() / before.norm())
    log_mel = MelSpectrogram(rate, n_fft, hop_length=n_fft // 4, n_mels=80, log="db")
    heard = [F.amplitude_to_DB(10 ** (log_mel(one) / 10), 10.0, 1e-10, 0.0, 80.0) for one in (x, back)]
    return snr.item(), convergence.item(), (heard[0] - heard[1]).abs().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for the sound files")
    parser.add_argument("--quick", action="store_true", help="one second of each recording")
    options = parser.parse_args()
    print("| recording | from | SNR, dB | spectral convergence, dB | log-mel difference, dB |")
    print("|---|---|---|---|---|")
    for path in sorted(RECORDINGS.iterdir()):
        if path.suffix not in audio.SUFFIXES:
            continue
        samples, rate = audio.load(path, duration=1.0 if options.quick else None)
        x = torch.from_numpy(samples)
        for name, way in ways(rate).items():
            with torch.inference_mode():
                back = way(x)
                snr, convergence, heard = measure(x, back, rate)
            shown = f"{snr:.1f}" if name == "complex STFT" else ""
            print(f"| {path.stem} | {name} | {shown} | {convergence:.1f} | {heard:.2f} |", flush=True)
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                file = options.out / f"{path.stem}, {name}.wav"
                soundfile.write(file, back.T.numpy(), rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
