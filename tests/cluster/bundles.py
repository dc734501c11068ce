"""Bundles that are told apart by their ids: good ones, and one that is blind."""

from __future__ import annotations

import shutil
from pathlib import Path

from rampart.bundle.store import read_manifest, seal


def changed(bundle: Path, folder: Path, **fields: object) -> Path:
    """The same models in a bundle of another id."""
    shutil.copytree(bundle, folder)
    seal(folder, read_manifest(folder).model_copy(update=fields))
    return folder


def blind(bundle: Path, folder: Path) -> Path:
    """A bundle that calls nothing a threat."""
    manifest = read_manifest(bundle)
    stages = tuple(
        stage.model_copy(update={"intercept": -1000.0}) for stage in manifest.ensemble.stages
    )
    return changed(bundle, folder, ensemble=manifest.ensemble.model_copy(update={"stages": stages}))


def all_of(bundle: Path, folder: Path) -> dict[str, Path]:
    """A bundle to begin with, two that are as good, and a blind one."""
    return {
        "old": bundle,
        "new": changed(bundle, folder / "new", parameters={"run": "2"}),
        "newer": changed(bundle, folder / "newer", parameters={"run": "3"}),
        "blind": blind(bundle, folder / "blind"),
    }
