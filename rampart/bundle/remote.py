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

    def publish(self, bundle: Path, on_progress: Fetching | None = None) -> Manifest:
        """Put a bundle at the address, its manifest last; one that is there already stays.

        Raises:
            BundleError: it is broken, or another bundle lies there.
            SourceError: the address cannot be written.
            MissingExtraError: it needs a package that is not installed.
        """
        manifest = verify(bundle)
        if (there := self._there()) is not None:
            if there.id != manifest.id:
                raise BundleError(
                    f"{self.address} holds the bundle {there.id[:12]}, not {manifest.id[:12]}.",
                    "Give an address of its own to each bundle: servers may read it at any time.",
                )
            return manifest
        total = sum(entry.size for entry in manifest.files.values())
        done = 0
        for name in (*manifest.files, MANIFEST_FILE):
            with self._reading(), self._open(name, "wb") as file, (bundle / name).open("rb") as own:
                while chunk := own.read(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    if on_progress:
                        on_progress(min(done, total), total)
        return manifest

    def _there(self) -> Manifest | None:
        import fsspec

        with self._reading():
            system, path = fsspec.core.url_to_fs(self.address)
            if not system.exists(f"{path}/{MANIFEST_FILE}"):
                return None
        return self.manifest()

    def _open(self, name: str, mode: str = "rb") -> Any:
        import fsspec

        # A local folder is made; a store of objects has none.
        made = {"auto_mkdir": True} if mode == "wb" and self.address.startswith("file:") else {}
        return fsspec.open(f"{self.address}/{name}", mode, **made)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(
            self.address,
            "bundle",
            missing="there is no such file",
            install="`pip install s3fs` for s3:// addresses",
            remedy=f"Give the address of the folder that holds {MANIFEST_FILE}.",
        )
