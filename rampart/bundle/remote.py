"""A bundle at an address of any kind that fsspec reads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rampart.bundle.manifest import MANIFEST_FILE, Manifest
from rampart.bundle.store import verify
from rampart.data.reading import reading
from rampart.errors import BundleError

Fetching = Callable[[int, int], None]
"""Told the bytes that have come, and those in all."""

# A manifest is kilobytes; what is much larger is something else.
_LARGEST_MANIFEST = 4_000_000
_CHUNK = 1_000_000


def is_address(text: str) -> bool:
    """Whether a bundle is named by an address to fetch it from, not by a folder."""
    return "://" in text


class RemoteBundle:
    """A bundle at an address."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def manifest(self) -> Manifest:
        """Its manifest, whose id is what it says it is.

        Raises:
            SourceError: it cannot be read.
            MissingExtraError: the address needs a package that is not installed.
            BundleError: it is none, or was altered.
        """
        with self._reading(), self._open(MANIFEST_FILE) as file:
            content = file.read(_LARGEST_MANIFEST + 1)
        manifest = Manifest.parsed(
            content,
            f"{MANIFEST_FILE} at {self.address}",
            "Give the folder that the pipeline wrote.",
        )
        if manifest.id != manifest.computed_id():
            raise BundleError(
                f"{MANIFEST_FILE} at {self.address} was altered: its contents do not give its id.",
                "Write the bundle again with the pipeline.",
            )
        return manifest

    def fetch(self, manifest: Manifest, folder: Path, on_progress: Fetching | None) -> None:
        """Copy every file that the manifest names, no byte more than it says, and check all.

        Raises:
            SourceError: one cannot be read.
            BundleError: one is not what the manifest says.
        """
        total = sum(entry.size for entry in manifest.files.values())
        done = 0
        for name, entry in manifest.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            left = entry.size
            with self._reading(), self._open(name) as source, target.open("wb") as file:
                # One byte more than it may have shows that it is not the file that was written.
                while left >= 0 and (chunk := source.read(min(_CHUNK, left + 1))):
                    file.write(chunk)
                    left -= len(chunk)
                    done += len(chunk)
                    if on_progress:
                        on_progress(min(done, total), total)
        (folder / MANIFEST_FILE).write_text(
            manifest.model_dump_json(indent=2) + "\n", encoding="utf-8"
        )
        verify(folder)

    def _open(self, name: str) -> Any:
        import fsspec

        return fsspec.open(f"{self.address}/{name}", "rb")

    def _reading(self) -> AbstractContextManager[None]:
        return reading(
            self.address,
            "bundle",
            missing="there is no such file",
            install="`pip install s3fs` for s3:// addresses",
            remedy=f"Give the address of the folder that holds {MANIFEST_FILE}.",
        )
