"""Any address opens, compressed or not; what does not is said with the address."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from rampart.data.sources.opening import list_files, open_file, reading, size
from rampart.errors import DataError, MissingExtraError, RampartError, SourceError

LINES = b'{"text": "a", "label": 1}\n'


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]


def content(uri: str) -> bytes:
    (file,) = list_files(uri)
    with open_file(file) as (_, plain):
        return plain.read()


def zipped(data: bytes) -> bytes:
    import io

    with zipfile.ZipFile(stored := io.BytesIO(), "w") as archive:
        archive.writestr("inside.jsonl", data)
    return stored.getvalue()


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".jsonl", bytes),
        (".jsonl.gz", gzip.compress),
        (".jsonl.bz2", bz2.compress),
        (".jsonl.xz", lzma.compress),
        (".jsonl.zip", zipped),
        (".JSONL.GZ", gzip.compress),
    ],
)
def test_files_are_decompressed_by_their_name(
    tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"my.data{ending}"
    path.write_bytes(compress(LINES))
    assert content(str(path)) == LINES
    (file,) = list_files(str(path))
    assert (file.kind, file.id, file.group) == ("jsonl", "my.data", "my.data")
    assert size(file) == path.stat().st_size


def test_any_file_system_is_read(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe("/box/a.jsonl.gz", gzip.compress(LINES))
    assert content("memory://box/a.jsonl.gz") == LINES
    (tmp_path / "a.zip").write_bytes(zipped(LINES))
    assert content(f"zip://inside.jsonl::{tmp_path}/a.zip") == LINES
    (tmp_path / "b.jsonl").write_bytes(LINES)
    assert content(f"file://{tmp_path}/b.jsonl") == LINES


def test_a_folder_gives_its_mails_in_order_and_nothing_else(
    memory: fsspec.AbstractFileSystem,
) -> None:
    for name in ("spam/2.eml", "spam/1.EML", "ham/deep/3.eml.gz", "ham/all.mbox", "ham/x.txt"):
        memory.pipe(f"/mails/{name}", b"x")
    files = list_files("memory://mails")
    assert [(file.id, file.kind, file.group) for file in files] == [
        ("mails/ham/all.mbox", "mbox", "all"),
        ("mails/ham/deep/3.eml.gz", "eml", "deep"),
        ("mails/spam/1.EML", "eml", "spam"),
        ("mails/spam/2.eml", "eml", "spam"),
    ]
    assert [file.place for file in files[:2]] == [("all", "ham", "mails"), ("deep", "ham", "mails")]


def test_folders_above_the_source_tell_no_label(tmp_path: Path) -> None:
    mail = tmp_path / "spam" / "project" / "mails" / "one.eml"
    mail.parent.mkdir(parents=True)
    mail.write_bytes(b"x")
    assert list_files(str(mail.parent))[0].place == ("mails",)
    assert list_files(str(mail))[0].place == ("mails",)


def test_a_file_without_a_known_ending_is_an_mbox_if_it_starts_like_one(tmp_path: Path) -> None:
    (tmp_path / "Inbox").write_bytes(b"From a@example.com\n\nHi\n")
    assert list_files(str(tmp_path / "Inbox"))[0].kind == "mbox"
    (tmp_path / "notes").write_bytes(b"Dear diary")
    with pytest.raises(DataError, match=r"format of '.*notes' is not known.*\.jsonl"):
        list_files(str(tmp_path / "notes"))


def test_a_folder_without_mails_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.eml or \.mbox file"):
        list_files(str(tmp_path))


@pytest.mark.parametrize(
    "uri", ["/no/such/folder", "memory://no/such", "no-such://x.jsonl", "", " "]
)
def test_what_is_not_there_is_a_source_error_that_names_it(uri: str) -> None:
    with pytest.raises(SourceError, match=uri.strip() or "empty"):
        list_files(uri)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        # Without the time: several processes have to come to the same name of the test.
        ("cut.jsonl.gz", gzip.compress(LINES * 9999, mtime=0)[:60]),
        ("false.jsonl.gz", b"no gzip"),
        ("cut.jsonl.xz", lzma.compress(LINES * 9999)[:60]),
        ("false.jsonl.bz2", b"no bzip2"),
        ("false.jsonl.zip", b"no zip"),
        ("cut.jsonl.zip", zipped(LINES)[:-30]),
    ],
)
def test_broken_compression_is_a_source_error(tmp_path: Path, name: str, stored: bytes) -> None:
    (tmp_path / name).write_bytes(stored)
    with pytest.raises(SourceError, match=name), reading(name):
        content(str(tmp_path / name))


def test_a_compression_that_needs_a_package_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(fsspec.utils.compressions, "zst", raising=False)
    (tmp_path / "a.jsonl.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(MissingExtraError, match="zstandard"):
        content(str(tmp_path / "a.jsonl.zst"))


def test_a_protocol_that_needs_a_package_says_so() -> None:
    with (
        pytest.raises(MissingExtraError, match=r"'s3://b/a'.*No module"),
        reading("s3://b/a"),
    ):
        raise ModuleNotFoundError("No module named 's3fs'")


def test_an_error_that_is_ours_already_is_passed_on() -> None:
    with pytest.raises(RampartError, match=r"^as it was$"), reading("x"):
        raise DataError("as it was")


def test_errors_name_the_address_as_it_was_given(memory: fsspec.AbstractFileSystem) -> None:
    (file,) = list_files("memory://no/such.csv")
    assert file.address == "memory:///no/such.csv"
    assert list_files("/no/such.csv")[0].address == "/no/such.csv"
