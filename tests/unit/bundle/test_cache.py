"""A cache that processes share: fetched once, checked, evicted only where nobody uses it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from rampart.bundle.cache import BundleCache, Holding
from rampart.bundle.manifest import Manifest, ModelEntry
from rampart.bundle.store import seal
from rampart.ensembles.base import Ensemble, Stage
from rampart.errors import BundleError, MissingExtraError, SourceError

SIZE = 10_000
SPAWN = multiprocessing.get_context("spawn")


def write_bundle(folder: Path, content: str = "a") -> Manifest:
    """A bundle of one file that no model reads."""
    (folder / "ngram").mkdir(parents=True)
    (folder / "ngram" / "weights").write_text(content * SIZE, encoding="utf-8")
    stage = Stage(name="ngram", weights={"ngram": 1.0}, intercept=0.0)
    return seal(
        folder,
        Manifest(
            threshold=0.5,
            models=(ModelEntry(name="ngram", kind="ngram", folder="ngram", cost=1.0),),
            ensemble=Ensemble(kind="soft", stages=(stage,)),
        ),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    write_bundle(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> BundleCache:
    return BundleCache(tmp_path / "cache")


def _file(folder: Path) -> str:
    return f"file://{folder}"


def test_a_bundle_is_fetched_once_and_is_then_there(source: Path, cache: BundleCache) -> None:
    told: list[tuple[int, int]] = []
    first = cache.bundle(_file(source), lambda *done: told.append(done))
    assert (first.folder / "ngram" / "weights").read_text() == "a" * SIZE
    assert told[-1] == (SIZE, SIZE)
    told.clear()
    again = cache.bundle(_file(source), lambda *done: told.append(done))
    assert again.folder == first.folder
    assert not told
    assert cache.folder.stat().st_mode & 0o077 == 0
    assert first.folder.parent.stat().st_mode & 0o077 == 0


def test_a_kept_bundle_that_was_altered_is_fetched_again(source: Path, cache: BundleCache) -> None:
    held = cache.bundle(_file(source))
    (held.folder / "ngram" / "weights").write_text("b" * SIZE)
    held.release()
    again = cache.bundle(_file(source))
    assert (again.folder / "ngram" / "weights").read_text() == "a" * SIZE


@pytest.mark.parametrize("content", ["b" * SIZE, "a" * (SIZE + 1), "a" * (SIZE - 1), "a" * 10**7])
def test_what_is_not_the_file_that_was_written_is_refused_and_not_kept(
    source: Path, cache: BundleCache, content: str
) -> None:
    (source / "ngram" / "weights").write_text(content)
    with pytest.raises(BundleError, match="weights"):
        cache.bundle(_file(source))
    assert not cache.entries()
    assert not [path for path in cache.folder.rglob("*") if path.name == "weights"]


def test_a_manifest_that_was_altered_is_refused_before_anything_is_fetched(
    source: Path, cache: BundleCache
) -> None:
    path = source / "bundle.json"
    path.write_text(path.read_text().replace('"threshold": 0.5', '"threshold": 0.6'))
    with pytest.raises(BundleError, match="altered"):
        cache.bundle(_file(source))
    assert not cache.folder.exists()


def test_an_address_without_a_bundle_is_named(tmp_path: Path, cache: BundleCache) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        cache.bundle(f"file://{tmp_path}/nowhere")
    with pytest.raises(SourceError, match="nonsense"):
        cache.bundle("nonsense://bucket/bundle")
    with pytest.raises(MissingExtraError, match="gcsfs"):
        cache.bundle("gs://bucket/bundle")


def _fetch(address: str, folder: Path, found: multiprocessing.Queue) -> None:
    told: list[int] = []
    held = BundleCache(folder).bundle(address, lambda done, _: told.append(done))
    found.put((str(held.folder), len(told)))


def test_processes_that_ask_at_once_fetch_it_once(source: Path, cache: BundleCache) -> None:
    found = SPAWN.Queue()
    asking = [
        SPAWN.Process(target=_fetch, args=(_file(source), cache.folder, found)) for _ in range(4)
    ]
    for process in asking:
        process.start()
    answers = [found.get(timeout=60) for _ in asking]
    for process in asking:
        process.join()
    assert len({folder for folder, _ in answers}) == 1
    assert sorted(told > 0 for _, told in answers) == [False, False, False, True]


def _make_for_ever(folder: Path) -> None:
    def make(work: Path) -> None:
        (work / "half").write_text("half")
        (folder / "started").touch()
        time.sleep(600)

    BundleCache(folder).derived("key", make)


def test_what_a_killed_process_left_half_made_is_made_anew(cache: BundleCache) -> None:
    process = SPAWN.Process(target=_make_for_ever, args=(cache.folder,))
    process.start()
    while not (cache.folder / "started").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    held = cache.derived("key", lambda work: (work / "whole").write_text("whole"))
    assert (held.folder / "whole").read_text() == "whole"
    assert not list(cache.folder.rglob("half"))


def test_a_derived_file_is_made_once_and_again_when_it_was_altered(cache: BundleCache) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "graph").write_text("graph")

    for _ in range(2):
        held = cache.derived("key", make)
        assert (held.folder / "graph").read_text() == "graph"
        held.release()
    assert len(made) == 1
    (held.folder / "graph").write_text("other")
    cache.derived("key", make)
    assert len(made) == 2


def test_a_make_that_fails_keeps_nothing(cache: BundleCache) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.derived("key", make)
    assert not cache.entries()


def _filled(cache: BundleCache, *keys: str) -> None:
    for age, key in enumerate(reversed(keys)):
        held = cache.derived(key, lambda folder: (folder / "file").write_bytes(b"x" * 1_000))
        held.release()
        used = time.time() - 60 * age
        os.utime(held.folder, (used, used))


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path, limit=3_500)
    _filled(cache, "old", "middle", "new")
    cache.derived("newest", lambda folder: (folder / "file").write_bytes(b"x" * 1_000))
    assert [entry.name for entry in cache.entries()] == ["newest", "new", "middle"]


def test_what_nobody_asks_for_goes_after_some_days(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path, days=1)
    _filled(cache, "one", "two")
    aged = time.time() - 2 * 86_400
    os.utime(tmp_path / "derived" / "one", (aged, aged))
    assert [entry.name for entry in cache.evict()] == ["one"]
    assert [entry.name for entry in cache.entries()] == ["two"]


def test_what_is_in_use_is_never_evicted(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path, limit=0, days=0)
    holding = Holding(cache)
    folder = holding.keep("used", lambda folder: (folder / "file").write_text("x"))
    assert [entry.held for entry in cache.entries()] == [True]
    assert not cache.evict(10**9)
    assert not cache.clear()
    assert (folder / "file").exists()
    holding.release()
    assert [entry.name for entry in cache.clear()] == ["used"]
    assert not folder.exists()


def test_where_nothing_can_be_kept_the_holder_is_told_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    holding = Holding(BundleCache(tmp_path / "file"))
    assert holding.keep("key", lambda folder: None) is None
    assert str(tmp_path / "file") in caplog.text
