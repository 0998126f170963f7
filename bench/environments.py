"""Environments for peers whose pins conflict with ours: python -m bench.environments [name ...].

Each is a file bench/peers/<name>.txt for pip; it becomes build/peers/<name>, which ``bench.all`` finds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench.cells import ENVIRONMENTS

FILES = {path.stem: path for path in sorted((Path(__file__).parent / "peers").glob("*.txt"))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.environments", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(FILES)} (default: all)")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(FILES)):
        parser.error(f"unknown {', '.join(unknown)}; expected some of {', '.join(FILES)}")
    failed = [name for name in options.names or FILES if not make(name)]
    if failed:
        sys.exit(f"failed, and will be named as missing: {', '.join(failed)}")


def make(name: str) -> bool:
    """Make one; whether pip was content."""
    folder = ENVIRONMENTS / name
    print(f"{name}: {folder}", flush=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--requirement", FILES[name]]
    for command in ([sys.executable, "-m", "venv", folder], pip):
        if subprocess.run(command).returncode:
            return False
    return True


if __name__ == "__main__":
    main()
