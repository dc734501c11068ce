"""Whether two builds of a commit give the same image: `make images-twice`.

Each is built without the builder's cache; the layers are compared by their digests, one by one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from images.build import build, targets, variables


def layers(builder: str, tag: str) -> list[str]:
    """The digests of an image's layers, uncompressed, the base's first."""
    calls = {
        "docker": ["docker", "image", "inspect", tag],
        "buildah": ["buildah", "inspect", "--type", "image", tag],
    }
    done = subprocess.run(calls[builder], capture_output=True, text=True, check=True)  # noqa: S603
    document = json.loads(done.stdout)
    found: list[str] = (
        document[0]["RootFS"]["Layers"]
        if builder == "docker"
        else document["OCIv1"]["rootfs"]["diff_ids"]
    )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Build twice and compare; exits with 1 where a layer differs."""
    parser = argparse.ArgumentParser(prog="python -m images.twice", description=__doc__)
    parser.add_argument("names", nargs="*", default=["predictor"], help="images or groups of them")
    parser.add_argument("--builder", choices=["docker", "buildah"], default="docker")
    given, more = parser.parse_known_args(arguments)
    environment = variables()
    found = []
    for _ in range(2):
        build(given.names, given.builder, ["--no-cache", *more])
        found.append(
            {
                one.name: layers(given.builder, one.tags[0])
                for one in targets(environment, given.names)
            }
        )
    differ = False
    for name, first in found[0].items():
        same = [one == other for one, other in zip(first, found[1][name], strict=True)]
        differ |= not all(same)
        sys.stdout.write(f"{name}: {sum(same)} of {len(same)} layers are the same\n")
    sys.exit(differ)


if __name__ == "__main__":
    main()
