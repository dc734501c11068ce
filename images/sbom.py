"""A bill of materials for each image, by CycloneDX: `make sbom`.

It lists what the image's lock pins, with hashes, and names the base image. What Debian has in that
is in its own bill.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import uv

from images.build import ROOT, Target, targets, variables

FOLDER = Path("build/sbom")


def call(target: Target, output: Path) -> list[str]:
    """The call that writes one bill, its tool in an environment of its own lock."""
    lock = ROOT / "requirements" / f"{target.args['LOCK']}.txt"
    tool = ROOT / "requirements" / "sbom.txt"
    return [
        uv.find_uv_bin(), "run", "--quiet", "--isolated", "--no-project",
        "--with-requirements", str(tool), "cyclonedx-py", "requirements", str(lock),
        "--output-reproducible", "--output-format", "JSON", "--output-file", str(output),
    ]  # fmt: skip


def described(document: dict[str, object], target: Target) -> dict[str, object]:
    """A bill that says which image it is of."""
    metadata = document.setdefault("metadata", {})
    assert isinstance(metadata, dict)  # noqa: S101 - for the type
    metadata["component"] = {
        "type": "container",
        "bom-ref": target.tags[0],
        "name": target.tags[0].partition(":")[0],
        "version": target.tags[0].partition(":")[2],
        "properties": [
            {"name": "rampart:revision", "value": target.args["REVISION"]},
            {"name": "rampart:base", "value": target.args["BASE"]},
        ],
    }
    return document


def main(arguments: Sequence[str] | None = None) -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m images.sbom", description=__doc__)
    parser.add_argument("names", nargs="*", default=["default"], help="images or groups of them")
    given = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for target in targets(variables(), given.names):
        path = FOLDER / f"{target.name}.cdx.json"
        subprocess.run(call(target, path), check=True)  # noqa: S603 - no shell
        document = described(json.loads(path.read_text(encoding="utf-8")), target)
        path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        parts = document["components"]
        assert isinstance(parts, list)  # noqa: S101 - for the type
        sys.stdout.write(f"{path}: {len(parts)} packages\n")


if __name__ == "__main__":
    main()
