"""torchaudio 2.11's spectral part: ``import fastspec.compat.torchaudio as torchaudio``.

``transforms``, ``functional`` and ``compliance.kaldi`` hold what fastspec computes, under torchaudio's names; the
objects are those of ``fastspec.transforms``, ``fastspec.functional`` and ``fastspec.kaldi``, whose arguments begin
with torchaudio's. docs/migrate-torchaudio.md says what is equal and what differs.
"""

from . import compliance, functional, transforms

__all__ = ["compliance", "functional", "transforms"]
