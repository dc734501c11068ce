"""Sealing and opening bundles: what is loaded is, byte for byte, what was written."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from rampart.bundle.manifest import CASCADE_FILE, MANIFEST_FILE, FileEntry, Manifest
from rampart.bundle.staging import staged
from rampart.ensembles.cascade import CascadeReport
from rampart.errors import BundleError

__all__ = ["copy", "read_cascade", "read_manifest", "seal", "staged", "verify"]

_AGAIN = "Write the bundle again with the pipeline, or fetch it again from where it came."


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Hash what is in `folder` and write its bundle.json; returns the manifest with its id."""
    files = {name: _entry(folder / name) for name in _files(folder) if name != MANIFEST_FILE}
    sealed = manifest.sealed(files)
    (folder / MANIFEST_FILE).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sealed


def verify(folder: Path) -> Manifest:
    """Read bundle.json and check every file against it.

    Raises:
        BundleError: names the file that is missing, altered, outside or not in bundle.json, or
            what bundle.json says that it should not.
    """
    manifest = read_manifest(folder)
    root = folder.resolve()
    for name in _files(folder):
        # A model's library may read files that it finds beside those it was given.
        if name not in manifest.files and name != MANIFEST_FILE:
            raise BundleError(f"{name} in {folder} is not a file of this bundle.", _AGAIN)
    for name, entry in manifest.files.items():
        try:
            _check(folder / name, name, entry, root)
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise BundleError(f"{name} in {folder} cannot be read: {error}.", _AGAIN) from error
    if manifest.computed_id() != manifest.id:
        raise BundleError(
            f"{MANIFEST_FILE} in {folder} was altered: its contents do not give its id"
            f" {manifest.id[:12] or '(none)'}.",
            _AGAIN,
        )
    for model in manifest.models:
        if not any(name.startswith(f"{model.folder}/") for name in manifest.files):
            raise BundleError(f"The model {model.name} in {folder} has no files.", _AGAIN)
    return manifest


def _check(path: Path, name: str, entry: FileEntry, root: Path) -> None:
    real = path.resolve()
    if not real.is_relative_to(root):
        raise BundleError(f"{name} in {root} is a link that leads outside.", _AGAIN)
    if not real.is_file():
        raise BundleError(f"{name} is missing from the bundle {root}.", _AGAIN)
    if _entry(real) != entry:
        raise BundleError(f"{name} in {root} is not the file that was written.", _AGAIN)


def _files(folder: Path) -> Iterator[str]:
    """Paths below `folder` of whatever is no folder; a link to a folder counts as a file."""
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*names, *links]):
            yield (here / name).relative_to(folder).as_posix()


def copy(source: Path, target: Path) -> Manifest:
    """Copy a bundle, checked; `target` is replaced whole or left as it was.

    Raises:
        BundleError: the source is no whole bundle.
    """
    manifest = verify(source)
    with staged(target) as folder:
        copy_files(source, folder, (MANIFEST_FILE, *manifest.files))
    return manifest


def copy_files(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Copy files of a bundle by their paths in it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)


def read_manifest(folder: Path) -> Manifest:
    """Read bundle.json alone, without checking the files it names.

    Raises:
        BundleError: there is none, or it is not of this schema version.
    """
    path = folder / MANIFEST_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(
            f"{folder} is not a bundle: it holds no {MANIFEST_FILE}.",
            "Give the folder that the pipeline wrote, such as build/demo/bundle.",
        ) from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", _AGAIN) from error
    return Manifest.parsed(
        content, str(path), "Use the version of Rampart that wrote it, or write it again."
    )


def read_cascade(folder: Path) -> CascadeReport | None:
    """Why a bundle settles texts early or does not; None where nobody asked.

    Raises:
        BundleError: what is there cannot be read.
    """
    path = folder / CASCADE_FILE
    if not path.exists():
        return None
    try:
        return CascadeReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{path} cannot be used: {error}.", _AGAIN) from error


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(sha256=digest, size=path.stat().st_size)
