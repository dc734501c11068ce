"""What the images take on disk, beside the limit for those that serve: `make image-sizes`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from images.build import targets, variables

LIMIT = 500_000_000
_SERVING = ("predictor", "transformer", "explainer", "aggregator")


def size(builder: str, tag: str) -> int | None:
    """Bytes of an image's layers; None where it has not been built."""
    calls = {
        "docker": ["docker", "image", "inspect", tag],
        "buildah": ["buildah", "images", "--json", tag],
    }
    done = subprocess.run(calls[builder], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return None
    [document] = json.loads(done.stdout)[:1]
    found = document.get("Size", document.get("size"))
    return int(found) if str(found).isdigit() else _bytes(str(found))


def _bytes(text: str) -> int:
    number, unit = text.split()
    return int(float(number) * {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[unit.upper()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print them."""
    parser = argparse.ArgumentParser(prog="python -m images.sizes", description=__doc__)
    parser.add_argument("--builder", choices=["docker", "buildah"], default="docker")
    given = parser.parse_args(arguments)
    for target in targets(variables()):
        found = size(given.builder, target.tags[0])
        if found is None:
            sys.stdout.write(f"{target.tags[0]:40} not built\n")
            continue
        limit = ""
        if target.name in _SERVING:
            limit = f"{found / LIMIT:.0%} of {LIMIT / 1e6:.0f} MB"
        sys.stdout.write(f"{target.tags[0]:40} {found / 1e6:8.0f} MB  {limit}\n")


if __name__ == "__main__":
    main()
