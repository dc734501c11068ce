"""The corpus is read as it lies in its archive: mails as bytes, labels by their folders."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from rampart.data import sources
from rampart.data.sources import spam_assassin
from rampart.data.sources.npm import Package
from rampart.errors import SourceError

MEMBERS = {
    "package/package.json": b"{}",
    "package/data/spam-1/00002.b.txt": b"Subject: two\n\nBuy \xff",
    "package/data/spam-1/00002.b.json": b"{}",
    "package/data/easy-ham-2/00001.a.txt": b"Subject: one\n\nHi",
    "package/data/hard-ham-1/00003.c.txt": b"Subject: three\r\n\r\nNews",
    "package/data/other-1/00004.d.txt": b"not of it",
    "package/data/spam-1/deep/00005.e.txt": b"not of it",
    "package/../data/spam-1/00006.f.txt": b"not of it",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds a corpus of three mails, pinned in place of the real one."""
    with tarfile.open(fileobj=(stored := io.BytesIO()), mode="w:gz") as archive:
        folder = tarfile.TarInfo("package/data/spam-1/00009.x.txt")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content = stored.getvalue()
    package = Package("@a/corpus", "1.0.0", hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(spam_assassin, "PACKAGE", package)
    monkeypatch.setattr(spam_assassin, "MAILS", 3)
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / package.file_name).write_bytes(content)
    return tmp_path


def test_mails_are_read_in_order_of_id_with_the_label_of_their_folder(cache: Path) -> None:
    step = sources.read("spam-assassin", cache=cache)
    assert step.rows[["id", "group", "label", "raw"]].values.tolist() == [
        ["easy-ham-2/00001.a", "easy-ham-2", 0, b"Subject: one\n\nHi"],
        ["hard-ham-1/00003.c", "hard-ham-1", 0, b"Subject: three\r\n\r\nNews"],
        ["spam-1/00002.b", "spam-1", 1, b"Subject: two\n\nBuy \xff"],
    ]
    assert step.rows["text"].isna().all()
    assert len(step.rejects) == 0


def test_progress_is_told_in_mails(cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    sources.read("spam-assassin", cache=cache, on_progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_cache_is_the_users_where_none_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (cache / "rampart").mkdir()
    name = spam_assassin.PACKAGE.file_name
    (cache / name).rename(cache / "rampart" / name)
    monkeypatch.setattr(spam_assassin, "user_cache", lambda: cache / "rampart")
    assert len(sources.read("spam-assassin").rows) == 3


def test_a_corpus_that_was_altered_is_not_read(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache / spam_assassin.PACKAGE.file_name
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(SourceError):
        sources.read("spam-assassin", cache=cache / "none")


def test_the_fingerprint_is_known_without_the_corpus(tmp_path: Path) -> None:
    assert sources.fingerprint("spam-assassin", tmp_path) == spam_assassin.SHA256
    assert not list(tmp_path.iterdir())
