"""Takes out of an environment what its servers never import: `python images/prune.py SITE LIST`.

A list names patterns from site-packages, one a line; one that begins with `!` keeps what it names.
Run by the standard library alone, in the stage of the Dockerfile that makes the environment.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def patterns(text: str) -> tuple[list[str], list[str]]:
    """What goes and what stays, in a list's text."""
    lines = [line.strip() for line in text.splitlines()]
    named = [line for line in lines if line and not line.startswith("#")]
    goes = [line for line in named if not line.startswith("!")]
    return goes, [line[1:] for line in named if line.startswith("!")]


def prune(site: Path, text: str) -> list[Path]:
    """Remove what the list names from `site`; returns what was removed.

    Raises:
        LookupError: a pattern names nothing, so that the list does not outlive its reasons.
    """
    goes, stays = patterns(text)
    kept = {path for pattern in stays for path in site.glob(pattern)}
    removed: list[Path] = []
    for pattern in goes:
        found = sorted(set(site.glob(pattern)) - kept)
        if not found:
            raise LookupError(f"nothing in {site} is named by {pattern!r}: take it off the list")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        removed += found
    return removed


def main() -> None:
    """Prune the site-packages of the first argument by the list of the second."""
    site, listed = map(Path, sys.argv[1:])
    removed = prune(site, listed.read_text(encoding="utf-8"))
    sys.stdout.write(f"{len(removed)} parts taken out of {site}\n")


if __name__ == "__main__":
    main()
