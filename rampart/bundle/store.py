"""Writing and opening bundles: nothing half-written is seen, nothing altered is loaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from rampart.bundle.manifest import MANIFEST_FILE, FileEntry, Manifest
from rampart.errors import BundleError

_AGAIN = "Write the bundle again with the pipeline, or fetch it again from where it came."


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write in, which takes its place when the block ends well.

    An earlier `target` stays as it was until then; when the block fails, it stays for good.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
        _into_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _into_place(folder: Path, target: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if not target.exists():
        folder.rename(target)
        return
    # A folder cannot be renamed over another: for an instant there is none, never half of one.
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    target.rename(old / "bundle")
    folder.rename(target)
    shutil.rmtree(old)


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Hash what is in `folder` and write its bundle.json; returns the manifest with its id."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_FILE]
    files = {path.relative_to(folder).as_posix(): _entry(path) for path in paths}
    sealed = manifest.sealed(files)
    (folder / MANIFEST_FILE).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sealed


def verify(folder: Path) -> Manifest:
    """Read bundle.json and check every file against it.

    Raises:
        BundleError: names the file that is missing, altered or outside, or what bundle.json says
            that it should not.
    """
    manifest = read_manifest(folder)
    root = folder.resolve()
    for name, entry in manifest.files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(root):
            raise BundleError(f"{name} in {folder} is a link that leads outside.", _AGAIN)
        if not path.is_file():
            raise BundleError(f"{name} is missing from the bundle {folder}.", _AGAIN)
        if _entry(path) != entry:
            raise BundleError(f"{name} in {folder} is not the file that was written.", _AGAIN)
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


def read_manifest(folder: Path) -> Manifest:
    """Read bundle.json alone, without checking the files it names.

    Raises:
        BundleError: there is none, or it is not of this schema version.
    """
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"{folder} is not a bundle: it holds no {MANIFEST_FILE}.",
            "Give the folder that the pipeline wrote, such as build/demo/bundle.",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleError(
            f"{path} cannot be used: {where}: {first['msg']}.",
            "Use the version of Rampart that wrote it, or write it again.",
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", _AGAIN) from error


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(sha256=digest, size=path.stat().st_size)
