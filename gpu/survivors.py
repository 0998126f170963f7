"""Mutants that no check notices, and why: (file, line, what was taken out) -> reason."""

REASONS: dict[tuple[str, str, str], str] = {}
