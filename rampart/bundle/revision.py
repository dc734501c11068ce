"""Which code wrote a bundle."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rampart import __version__

_PACKAGE = Path(__file__).resolve().parent.parent


def source_revision() -> str:
    """RAMPART_REVISION, as images have it, else the checkout's commit, else the version."""
    return os.environ.get("RAMPART_REVISION") or _commit() or __version__


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None or not (_PACKAGE.parent / ".git").exists():
        return None
    call = [git, "-C", str(_PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or None


def code_digest(packages: Iterable[Path] = (_PACKAGE,), *, without: Iterable[Path] = ()) -> str:
    """Twelve hex digits that change with any source file of the packages.

    Args:
        packages: their folders.
        without: folders in them whose files do not count.
    """
    left_out = tuple(without)
    whole = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*")):
            if any(path.is_relative_to(folder) for folder in left_out):
                continue
            if path.suffix in {".py", ".j2"}:
                name = path.relative_to(package.parent).as_posix()
                whole.update(f"{name}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:12]
