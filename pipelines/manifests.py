"""Write each pipeline as Kubeflow Pipelines' resources: `make manifests`.

A test compiles and compares, so that manifests/ and pipelines/ never say different things.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.catalogue import NAMES, compile_pipeline

FOLDER = Path(__file__).resolve().parents[1] / "manifests" / "pipelines"
_HEAD = """\
# The pipeline {name}, and this version of it, as Kubeflow Pipelines' own resources: it appears in
# the UI, and schedules name it. Written by `make manifests`: change pipelines/{name}.py instead.
"""


def manifest(name: str) -> str:
    """The file of one pipeline."""
    with tempfile.TemporaryDirectory() as scratch:
        path = compile_pipeline(name, Path(scratch) / f"{name}.yaml", kubernetes=True)
        return _HEAD.format(name=name) + path.read_text(encoding="utf-8")


def main() -> None:
    """Write all of them."""
    for name in NAMES:
        (FOLDER / f"{name}.yaml").write_text(manifest(name), encoding="utf-8")


if __name__ == "__main__":
    main()
