"""Where the project is, which files it consists of and what its lock files pin."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"


@cache
def project_files() -> tuple[Path, ...]:
    """Every file under version control or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in names.split("\0") if name and (path := ROOT / name).is_file())


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def extras() -> list[str]:
    return list(pyproject()["project"]["optional-dependencies"])


@dataclass(frozen=True)
class Pin:
    """One line of a lock with the hashes that follow it."""

    version: str
    marker: Marker | None
    hashes: frozenset[str]


@cache
def pins(lock: str) -> dict[str, list[Pin]]:
    """What `requirements/<lock>.txt` pins, by canonical name."""
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    found: dict[str, list[Pin]] = {}
    for line in text.splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        written, *hashes = re.split(r"\s+--hash=", line)
        requirement = Requirement(written)
        version = str(requirement.specifier)
        assert version.startswith("=="), f"{lock}.txt does not pin {written}"
        pin = Pin(version.removeprefix("=="), requirement.marker, frozenset(hashes))
        found.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return found
