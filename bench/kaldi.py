"""How near fastspec.kaldi is to torchaudio.compliance.kaldi on the example recordings: python -m bench.kaldi.

The truth is torchaudio's own code in float64. Beside it stand both libraries in float32, and fastspec in float64
(``dtype=torch.float64``, from the same float32 samples): the largest absolute differences over every channel, frame
and feature, and the largest feature for their scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from bench.peers import import_torchaudio
from fastspec import audio, kaldi

AUDIO = Path(__file__).parents[1] / "examples" / "audio"
FEATURES = (
    ("fbank", {}),
    ("fbank", {"num_mel_bins": 80}),
    ("mfcc", {}),
    ("spectrogram", {}),
)


def differences(samples: Tensor, rate: float, name: str, options: dict) -> dict[str, float]:
    """The largest feature, and the largest differences from the truth, of float32 clips [C, T]."""
    theirs, ours = getattr(import_torchaudio().compliance.kaldi, name), getattr(kaldi, name)
    options = options | {"sample_frequency": rate}
    truth, rough = (torch.stack([theirs(clip[None], **options) for clip in x]) for x in (samples.double(), samples))
    return {
        "largest": truth.abs().max().item(),
        "torchaudio": (rough - truth).abs().max().item(),
        "float32": (ours(samples, **options) - truth).abs().max().item(),
        "float64": (ours(samples, dtype=torch.float64, **options) - truth).abs().max().item(),
    }


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.kaldi", description=(__doc__ or "").split("\n")[0]).parse_args()
    print("| recording | feature | largest | torchaudio float32 | fastspec float32 | fastspec float64 |")
    print("|---|---|---|---|---|---|")
    for file in ("music.ogg", "speech.flac"):
        loaded, rate = audio.load(AUDIO / file)
        samples = torch.from_numpy(loaded).float()
        for name, options in FEATURES:
            found = differences(samples, float(rate), name, options)
            bands = f", {options['num_mel_bins']} bands" if options else ""
            cells = " | ".join(f"{found[key]:.1e}" for key in ("torchaudio", "float32", "float64"))
            print(f"| {file.split('.')[0]} | {name}{bands} | {found['largest']:.1f} | {cells} |")


if __name__ == "__main__":
    main()
