"""A bundle at an address: put there whole, its manifest last, and never in another's place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from rampart.bundle.manifest import MANIFEST_FILE
from rampart.bundle.remote import RemoteBundle
from rampart.bundle.store import read_manifest, verify
from rampart.errors import BundleError, SourceError

ADDRESS = "memory://published/bundle"


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    memory = fsspec.filesystem("memory")
    if memory.exists("/published"):
        memory.rm("/published", recursive=True)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_what_is_published_is_fetched_as_it_was(bundle: Path, tmp_path: Path, kind: str) -> None:
    address = ADDRESS if kind == "memory" else f"file://{tmp_path}/deep/down/bundle"
    told: list[tuple[int, int]] = []
    published = RemoteBundle(address).publish(bundle, lambda *far: told.append(far))
    assert published.id == read_manifest(bundle).id
    assert told[-1][0] == told[-1][1] > 0
    RemoteBundle(address).fetch(RemoteBundle(address).manifest(), tmp_path / "back", None)
    assert verify(tmp_path / "back").id == published.id


def test_what_is_there_already_is_not_written_again(bundle: Path) -> None:
    RemoteBundle(ADDRESS).publish(bundle)
    memory = fsspec.filesystem("memory")
    before = memory.modified(f"/published/bundle/{MANIFEST_FILE}")
    RemoteBundle(ADDRESS).publish(bundle)
    assert memory.modified(f"/published/bundle/{MANIFEST_FILE}") == before


def test_another_bundles_place_is_not_taken(bundle: Path, other_bundle: Path) -> None:
    RemoteBundle(ADDRESS).publish(bundle)
    with pytest.raises(BundleError, match="an address of its own"):
        RemoteBundle(ADDRESS).publish(other_bundle)
    assert RemoteBundle(ADDRESS).manifest().id == read_manifest(bundle).id


def test_a_publication_that_broke_off_has_no_manifest_and_is_done_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = RemoteBundle._open, iter(range(100))

    def breaks(self: RemoteBundle, name: str, mode: str = "rb") -> object:
        if mode == "wb" and next(count) == 2:
            raise OSError("the line went dead")
        return real(self, name, mode)

    monkeypatch.setattr(RemoteBundle, "_open", breaks)
    with pytest.raises(SourceError, match="went dead"):
        RemoteBundle(ADDRESS).publish(bundle)
    assert not fsspec.filesystem("memory").exists(f"/published/bundle/{MANIFEST_FILE}")
    assert RemoteBundle(ADDRESS).publish(bundle).id == read_manifest(bundle).id


def test_a_broken_bundle_is_not_published(bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "ngram" / "vocabulary.json").write_text("{}")
    with pytest.raises(BundleError, match=r"vocabulary\.json"):
        RemoteBundle(ADDRESS).publish(broken)
    assert not fsspec.filesystem("memory").exists("/published")
