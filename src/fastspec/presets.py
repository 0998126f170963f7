"""The spectrogram front ends of published models, as data.

Every preset repeats the numbers of the file named in its ``source`` and nothing else, so that a model which
was trained on that front end can be fed by :mod:`fastspec.transforms` instead. What a model does before or
after the transform (dropping a frame, normalising by a maximum) is told in ``note``.

    >>> from fastspec.presets import preset
    >>> whisper = preset("whisper")
    >>> whisper.n_mels, whisper.hop_length
    (80, 160)
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Preset:
    """One model's front end.

    Attributes:
        name: what :func:`preset` is asked for.
        source: project and file that the numbers were read from.
        kind: ``"mel"`` (:class:`fastspec.transforms.MelSpectrogram`), ``"stft"``
            (:class:`fastspec.transforms.Spectrogram`) or ``"fbank"`` (:class:`fastspec.transforms.KaldiFbank`: one
            row a frame; of the fields below it takes the three lengths, ``n_mels``, ``f_min``, ``f_max``, ``window``
            and ``scale``, all else being Kaldi's).
        sample_rate: Hz.
        n_fft, win_length, hop_length: samples.
        n_mels, f_min, f_max, mel_scale, norm: the mel bank (Hz; ``f_max=None`` is half the sample rate);
            unused by ``"stft"``.
        window, periodic: name of :func:`fastspec.bases.get_window`, and whether it is periodic (``True``) or
            symmetric.
        power, eps: the value is ``(|y|^2 + eps)^(power/2)``; ``power=None`` keeps the complex STFT.
        center, center_pad, pad_mode: padding on each side, by ``center_pad`` samples (``None``: n_fft // 2).
        normalized: as torchaudio's ``normalized``.
        log, floor, floor_mode, log_scale: the compression at the end.
        scale: factor on the samples (``"fbank"`` alone).
        clip_seconds, batch: a workload that is typical of training or running this model, for benchmarks.
        note: what the model does around the transform.
    """

    name: str
    source: str
    kind: str = "mel"
    sample_rate: int = 16000
    n_fft: int = 1024
    win_length: int = 1024
    hop_length: int = 256
    n_mels: int = 80
    f_min: float = 0.0
    f_max: float | None = None
    mel_scale: str = "slaney"
    norm: str | None = "slaney"
    window: str = "hann"
    periodic: bool = True
    power: float | None = 2.0
    eps: float = 0.0
    center: bool = True
    center_pad: int | None = None
    pad_mode: str = "reflect"
    normalized: bool | str = False
    log: str | None = None
    floor: float = 1e-10
    floor_mode: str = "clamp"
    log_scale: float = 1.0
    scale: float = 1.0
    clip_seconds: float = 10.0
    batch: int = 1
    note: str = ""

    @property
    def n_samples(self) -> int:
        """Samples of the typical clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def n_rows(self) -> int:
        """Rows of the output: K bands of a mel spectrogram, F bins of an STFT."""
        return self.n_fft // 2 + 1 if self.kind == "stft" else self.n_mels

    def n_frames(self, n_samples: int) -> int:
        """Frames M of a clip of ``n_samples`` samples."""
        if self.kind == "fbank":
            return (n_samples - self.win_length) // self.hop_length + 1
        each_side = 0
        if self.center:
            each_side = self.n_fft // 2 if self.center_pad is None else self.center_pad
        return (n_samples + 2 * each_side - self.n_fft) // self.hop_length + 1

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that :meth:`transform` passes to the module of this ``kind``."""
        if self.kind == "fbank":
            return {
                "sample_frequency": float(self.sample_rate),
                "frame_length": 1000.0 * self.win_length / self.sample_rate,
                "frame_shift": 1000.0 * self.hop_length / self.sample_rate,
                "num_mel_bins": self.n_mels,
                "low_freq": self.f_min,
                "high_freq": self.f_max or 0.0,
                "window_type": self.window,
                "scale": self.scale,
            }
        chosen: dict[str, Any] = {
            key: getattr(self, key)
            for key in ("n_fft", "win_length", "hop_length", "power", "center", "pad_mode", "normalized")
        }
        chosen["window_fn"] = self.window
        if not self.periodic:
            chosen["wkwargs"] = {"periodic": False}
        if self.center_pad is not None:
            chosen["center_pad"] = self.center_pad
        if self.power is not None:
            chosen["eps"] = self.eps
            for key in ("log", "floor", "floor_mode", "log_scale"):
                chosen[key] = getattr(self, key)
        if self.kind == "mel":
            for key in ("sample_rate", "n_mels", "f_min", "f_max", "mel_scale", "norm"):
                chosen[key] = getattr(self, key)
        return chosen

    def transform(self, **overrides: Any) -> nn.Module:
        """The front end as a module: waveforms ``[..., T]`` to ``[..., K or F, M]``; ``"fbank"``: ``[..., M, K]``.

        Args:
            **overrides: arguments of the module that replace or add to the preset's, such as ``n_mels=128``,
                ``trainable="filterbank"`` or ``backend="cpu"``.

        Raises:
            ValueError, TypeError: an override that the module refuses.
        """
        from fastspec import transforms

        kinds = {"mel": transforms.MelSpectrogram, "stft": transforms.Spectrogram, "fbank": transforms.KaldiFbank}
        return kinds[self.kind](**(self.arguments() | overrides))


def _neural_vocoder(name: str, source: str, **changes: Any) -> Preset:
    """HiFi-GAN's front end, which most vocoders since then share: magnitude with 1e-9 under the root, then
    ln, and padding such that M = T / hop."""
    shared = {
        "sample_rate": 22050,
        "power": 1.0,
        "eps": 1e-9,
        "center_pad": 384,
        "log": "ln",
        "floor": 1e-5,
        "batch": 16,
        "clip_seconds": 8192 / 22050,
    }
    return Preset(name, source, **(shared | changes))


def _kaldi(name: str, source: str, **changes: Any) -> Preset:
    """Kaldi's bands of 25 ms every 10 ms at 16 kHz."""
    shared = {
        "n_fft": 512,
        "win_length": 400,
        "hop_length": 160,
        "f_min": 20.0,
        "mel_scale": "kaldi",
        "norm": None,
        "window": "povey",
        "periodic": False,
        "center": False,
        "log": "ln",
        "floor": 2.0**-23,
    }
    return Preset(name, source, kind="fbank", **(shared | changes))


_ALL = (
    Preset(
        "whisper",
        "openai/whisper: whisper/audio.py",
        n_fft=400,
        win_length=400,
        hop_length=160,
        f_max=8000.0,
        log="log10",
        clip_seconds=30.0,
        note="After: drop the last frame, max(x, x.max() - 8) over the whole clip, (x + 4) / 4.",
    ),
    Preset(
        "whisper-large-v3",
        "openai/whisper: whisper/audio.py",
        n_fft=400,
        win_length=400,
        hop_length=160,
        n_mels=128,
        f_max=8000.0,
        log="log10",
        clip_seconds=30.0,
        note="After: drop the last frame, max(x, x.max() - 8) over the whole clip, (x + 4) / 4.",
    ),
    Preset(
        "parakeet",
        "huggingface/transformers: models/parakeet/feature_extraction_parakeet.py",
        n_fft=512,
        win_length=400,
        hop_length=160,
        f_max=8000.0,
        periodic=False,
        pad_mode="constant",
        log="ln",
        floor=2.0**-24,
        floor_mode="add",
        clip_seconds=16.0,
        batch=16,
        note="Before: pre-emphasis of the whole clip, x[n] - 0.97 x[n-1]. After: mean 0 and standard "
        "deviation 1 (divisor M - 1) per band over the valid frames.",
    ),
    _kaldi(
        "ast",
        "YuanGongND/ast: src/dataloader.py; huggingface/transformers: models/audio_spectrogram_transformer/"
        "feature_extraction_audio_spectrogram_transformer.py",
        n_mels=128,
        window="hanning",
        clip_seconds=10.24,
        batch=12,
        note="Before, in the original's training: the mean of the clip is taken off (that of every frame is anyway). "
        "After: cut, or padded with zeros, to 1024 frames, then (x + 4.2677393) / (2 * 4.5689974).",
    ),
    _kaldi(
        "beats",
        "microsoft/unilm: beats/BEATs.py",
        n_mels=128,
        scale=32768.0,
        batch=16,
        note="After: (x - 15.41663) / (2 * 6.55582).",
    ),
    _kaldi(
        "w2v-bert",
        "huggingface/transformers: models/seamless_m4t/feature_extraction_seamless_m4t.py",
        scale=32768.0,
        batch=8,
        note="After: mean 0 and variance 1 (divisor M - 1, 1e-7 added) per band over the frames of a clip, then two "
        "frames at a time are one row of 160 values.",
    ),
    _kaldi(
        "seamless-m4t",
        "huggingface/transformers: models/seamless_m4t/feature_extraction_seamless_m4t.py",
        scale=32768.0,
        batch=8,
        note="As w2v-bert, which shares the feature extractor.",
    ),
    _neural_vocoder("hifi-gan", "jik876/hifi-gan: meldataset.py, config_v1.json", f_max=8000.0),
    _neural_vocoder(
        "bigvgan-22k",
        "NVIDIA/BigVGAN: meldataset.py, configs/bigvgan_v2_22khz_80band_256x.json",
        clip_seconds=65536 / 22050,
        batch=4,
    ),
    _neural_vocoder(
        "bigvgan-24k",
        "NVIDIA/BigVGAN: meldataset.py, configs/bigvgan_v2_24khz_100band_256x.json",
        sample_rate=24000,
        n_mels=100,
        f_max=12000.0,
        clip_seconds=65536 / 24000,
        batch=4,
    ),
    _neural_vocoder(
        "bigvgan-44k",
        "NVIDIA/BigVGAN: meldataset.py, configs/bigvgan_v2_44khz_128band_512x.json",
        sample_rate=44100,
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        center_pad=768,
        n_mels=128,
        clip_seconds=65536 / 44100,
        batch=4,
    ),
    Preset(
        "tacotron2",
        "NVIDIA/tacotron2: layers.py, stft.py, hparams.py",
        sample_rate=22050,
        f_max=8000.0,
        power=1.0,
        log="ln",
        floor=1e-5,
        clip_seconds=6.0,
        batch=64,
    ),
    Preset(
        "vocos",
        "gemelo-ai/vocos: vocos/feature_extractors.py, configs/vocos.yaml",
        sample_rate=24000,
        n_mels=100,
        mel_scale="htk",
        norm=None,
        power=1.0,
        log="ln",
        floor=1e-7,
        clip_seconds=16384 / 24000,
        batch=16,
    ),
    Preset(
        "f5-tts",
        "SWivid/F5-TTS: src/f5_tts/model/modules.py",
        sample_rate=24000,
        n_mels=100,
        mel_scale="htk",
        norm=None,
        power=1.0,
        log="ln",
        floor=1e-5,
        clip_seconds=10.0,
        batch=8,
    ),
    Preset(
        "panns-cnn14",
        "qiuqiangkong/audioset_tagging_cnn: pytorch/models.py",
        sample_rate=32000,
        hop_length=320,
        n_mels=64,
        f_min=50.0,
        f_max=14000.0,
        log="db",
        batch=32,
    ),
    Preset(
        "panns-16k",
        "qiuqiangkong/audioset_tagging_cnn: README.md",
        n_fft=512,
        win_length=512,
        hop_length=160,
        n_mels=64,
        f_min=50.0,
        f_max=8000.0,
        log="db",
        batch=32,
    ),
    Preset(
        "clap",
        "LAION-AI/CLAP: src/laion_clap/clap_module/htsat.py",
        sample_rate=48000,
        hop_length=480,
        n_mels=64,
        f_min=50.0,
        f_max=14000.0,
        log="db",
        batch=32,
        note="The spectrogram inside the audio tower. The fusion model's data loader uses clap-fusion.",
    ),
    Preset(
        "clap-fusion",
        "LAION-AI/CLAP: src/laion_clap/training/data.py",
        sample_rate=48000,
        hop_length=480,
        n_mels=64,
        f_min=50.0,
        f_max=14000.0,
        mel_scale="htk",
        norm=None,
        log="db",
        batch=32,
    ),
    Preset(
        "vggish",
        "harritaylor/torchvggish: torchvggish/mel_features.py, vggish_params.py",
        n_fft=512,
        win_length=400,
        hop_length=160,
        n_mels=64,
        f_min=125.0,
        f_max=7500.0,
        mel_scale="kaldi",
        norm=None,
        power=1.0,
        center_pad=56,
        pad_mode="constant",
        log="ln",
        floor=0.01,
        floor_mode="add",
        clip_seconds=9.6,
        note="The padding only moves the 400-sample window to the start of the 512-sample frame: no window "
        "reaches into it. After: cut into pieces of 96 frames.",
    ),
    Preset(
        "htdemucs",
        "facebookresearch/demucs: demucs/spec.py, demucs/htdemucs.py",
        kind="stft",
        sample_rate=44100,
        n_fft=4096,
        win_length=4096,
        hop_length=1024,
        power=None,
        normalized="frame_length",
        clip_seconds=7.8,
        batch=2,
        note="Before: reflect padding by 1536 samples and up to a whole number of hops. After: the top bin "
        "and two frames at each end are dropped. The typical batch is one stereo clip.",
    ),
    Preset(
        "open-unmix",
        "sigsep/open-unmix-pytorch: openunmix/transforms.py",
        kind="stft",
        sample_rate=44100,
        n_fft=4096,
        win_length=4096,
        hop_length=1024,
        power=1.0,
        center=False,
        clip_seconds=6.0,
        batch=32,
        note="The typical batch is 16 stereo clips.",
    ),
    Preset(
        "bs-roformer",
        "lucidrains/BS-RoFormer: bs_roformer/bs_roformer.py",
        kind="stft",
        sample_rate=44100,
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        power=None,
        clip_seconds=8.0,
        batch=2,
        note="The typical batch is one stereo clip. Mel-Band RoFormer uses the same STFT.",
    ),
    Preset(
        "encodec-disc",
        "facebookresearch/encodec: encodec/msstftd.py",
        kind="stft",
        sample_rate=24000,
        power=None,
        center=False,
        normalized=True,
        clip_seconds=1.0,
        batch=16,
        note="One of three scales; the others are 2048 and 512 with hop n_fft / 4. Real and imaginary parts "
        "are stacked as channels.",
    ),
    Preset(
        "dac",
        "descriptinc/descript-audio-codec: dac/nn/loss.py, conf/base.yml",
        sample_rate=44100,
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        n_mels=320,
        power=1.0,
        log="log10",
        floor=1e-5,
        clip_seconds=0.38,
        batch=72,
        note="The largest of seven mel losses; the others have windows 32 to 1024, hop n_fft / 4, and "
        "5, 10, 20, 40, 80 and 160 bands.",
    ),
    Preset(
        "beat-this",
        "CPJKU/beat_this: beat_this/preprocessing.py",
        sample_rate=22050,
        hop_length=441,
        n_mels=128,
        f_min=30.0,
        f_max=11000.0,
        norm=None,
        power=1.0,
        normalized="frame_length",
        log="log1p",
        log_scale=1000.0,
        clip_seconds=30.0,
        batch=8,
    ),
    Preset(
        "onsets-and-frames",
        "jongwook/onsets-and-frames: onsets_and_frames/mel.py, constants.py",
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        n_mels=229,
        f_min=30.0,
        f_max=8000.0,
        mel_scale="htk",
        power=1.0,
        log="ln",
        floor=1e-5,
        clip_seconds=20.48,
        batch=8,
        note="Before: the last sample of the clip is dropped, so that M = T / hop.",
    ),
    Preset(
        "piano-transcription",
        "bytedance/piano_transcription: pytorch/models.py",
        n_fft=2048,
        win_length=2048,
        hop_length=160,
        n_mels=229,
        f_min=30.0,
        f_max=8000.0,
        log="db",
        batch=12,
    ),
)

_BY_NAME = {entry.name: entry for entry in _ALL}

_NOT_EXACT = {
    "mt3": "its logarithm replaces zeros alone by 1e-5, which is neither a clamped nor an added floor",
}


def names() -> tuple[str, ...]:
    """The names that :func:`preset` knows, in alphabetical order."""
    return tuple(sorted(_BY_NAME))


def preset(name: str) -> Preset:
    """The front end of a published model.

    Args:
        name: one of :func:`names`; capitals and underscores do not matter.

    Raises:
        ValueError: no preset of that name (the message lists close ones, or says why the model has none).
    """
    key = str(name).strip().lower().replace("_", "-")
    if key in _BY_NAME:
        return _BY_NAME[key]
    if key in _NOT_EXACT:
        raise ValueError(f"name={name!r}: no preset yet, since {_NOT_EXACT[key]}")
    close = difflib.get_close_matches(key, _BY_NAME, n=3, cutoff=0.5)
    close += [known for known in names() if key and known.startswith(key) and known not in close]
    hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(names())}"
    raise ValueError(f"name={name!r} is not a preset; {hint}")
