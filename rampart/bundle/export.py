"""A bundle as other servers want their models: copied, checked, with what they have to be told."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from rampart.bundle.store import copy
from rampart.errors import InputError

FORMATS = ("mlserver",)
RUNTIME = "serving.mlserver_runtime.RampartRuntime"
"""The class that MLServer loads; installed with Rampart, and free of torch."""

_BUNDLE = "bundle"


def export(bundle: Path, folder: Path, form: str, *, name: str = "rampart") -> Path:
    """Write a bundle for another server.

    Args:
        bundle: to export.
        folder: that is made; refused where something is there already.
        form: one of `FORMATS`.
        name: of the model there.

    Returns:
        The folder.

    Raises:
        InputError: there is no such format, or something is in the way.
        BundleError: the bundle is broken.
    """
    if form not in FORMATS:
        raise InputError(f"There is no format {form!r}.", f"The formats are {', '.join(FORMATS)}.")
    if folder.exists():
        raise InputError(f"{folder} is there already.", "Name a folder that is not.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        place = Path(work) / "model"
        place.mkdir()
        copy(bundle, place / _BUNDLE)
        settings = {
            "name": name,
            "implementation": RUNTIME,
            "parameters": {"uri": f"./{_BUNDLE}"},
        }
        (place / "model-settings.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        shutil.move(place, folder)
    return folder
