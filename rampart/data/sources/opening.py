"""From a URI to open files: any fsspec address, compressed or not, with one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from rampart.data.reading import reading
from rampart.errors import DataError, MissingExtraError, SourceError

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".mbox": "mbox",
    ".eml": "eml",
}
_COMPRESSIONS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".lzma"}


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source.

    Attributes:
        filesystem: the fsspec file system that holds it.
        path: where it is, as that file system writes it.
        kind: a value of `FORMATS`.
        group: the folder of a mail, the bare name of any other file.
        place: the names that may tell its label, nearest first.
        id: how the file is named in ids; unique within the source.
    """

    filesystem: Any
    path: str
    kind: str
    group: str
    place: tuple[str, ...]
    id: str

    @property
    def address(self) -> str:
        """The path as an error should show it: with its protocol, if it is not on this machine."""
        local = isinstance(self.filesystem.protocol, tuple) and "file" in self.filesystem.protocol
        return self.path if local else str(self.filesystem.unstrip_protocol(self.path))


def list_files(uri: str) -> list[File]:
    """The files of a source, by name: the one at the URI, or all mails in the folder there.

    Raises:
        SourceError: there is nothing at the URI, or it cannot be read.
        DataError: the format is unknown, or a folder holds no mail.
    """
    import fsspec

    if not uri.strip():
        raise SourceError("The address of the source is empty.", "Give a file or a folder.")
    with reading(uri):
        filesystem, path = fsspec.core.url_to_fs(uri)
        kind = _format(path)
        if kind is None and filesystem.isdir(path):
            return _mails(uri, filesystem, path)
        if kind is None:
            kind = _sniffed(uri, filesystem, path)
    return [_file(filesystem, path, kind, _posix(path).name if kind == "eml" else _stem(path))]


@contextmanager
def open_file(file: File) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file: its bytes as stored, whose position tells progress, and decompressed."""
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    with file.filesystem.open(file.path, "rb") as stored:
        ending = _posix(file.path).suffix.lower()
        compression = infer_compression(f"x{ending}")
        if compression is None and ending in _COMPRESSIONS:
            raise MissingExtraError(
                f"Reading {file.address!r} needs a package for {ending} files.",
                "Install it (`pip install zstandard` for .zst), or store the file as .gz.",
            )
        if compression is None:
            yield stored, stored
        else:
            with compr[compression](stored, mode="rb") as plain:
                yield stored, plain


def size(file: File) -> int:
    """Bytes of a file as stored; 0 where its file system does not say."""
    return int(file.filesystem.size(file.path) or 0)


def _posix(path: str) -> PurePosixPath:
    return PurePosixPath(urlsplit(path).path if "://" in path else path.replace("\\", "/"))


def _suffixes(path: str) -> list[str]:
    suffixes = [suffix.lower() for suffix in _posix(path).suffixes]
    return suffixes[:-1] if suffixes and suffixes[-1] in _COMPRESSIONS else suffixes


def _format(path: str) -> str | None:
    suffixes = _suffixes(path)
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _stem(path: str) -> str:
    name = _posix(path).name
    for suffix in (*_COMPRESSIONS, *FORMATS):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return _stem(name[: -len(suffix)])
    return name


def _file(filesystem: Any, path: str, kind: str, identity: str, root: str | None = None) -> File:
    # Only the source's own folders tell a label: whoever named those above it had no mail in mind.
    folder = _posix(path).parent
    above = _posix(root).parent if root else folder.parent
    parents = tuple(reversed(folder.relative_to(above).parts))
    if kind == "eml":
        return File(filesystem, path, kind, parents[0] if parents else "", parents, identity)
    return File(filesystem, path, kind, _stem(path), (_stem(path), *parents), identity)


def _mails(uri: str, filesystem: Any, root: str) -> list[File]:
    above = _posix(root).parent
    files = [
        _file(filesystem, path, kind, str(_posix(path).relative_to(above)), root)
        for path in sorted(filesystem.find(root))
        if (kind := _format(path)) in {"eml", "mbox"}
    ]
    if not files:
        raise DataError(
            f"The folder {uri!r} holds no .eml or .mbox file.",
            "Give a folder of mails, or the path of one file.",
        )
    return files


def _sniffed(uri: str, filesystem: Any, path: str) -> str:
    with filesystem.open(path, "rb") as file:
        if file.read(5) == b"From ":
            return "mbox"
    raise DataError(
        f"The format of {uri!r} is not known by its name.",
        f"Name it by one of {', '.join(FORMATS)}, with .gz behind it if compressed.",
    )
