"""Token ids of texts, cut once and kept: a later run on the same texts reads them from files.

A text's ids are found again by its content, whichever texts it stands among: by a hash of it, under
the hash of the tokenizer and of the settings. They lie in Arrow files of some ten thousand texts
that are mapped and not read, checked against their hash before they are used, and left aside where
they are broken. Several processes may use one cache: files appear whole, under names that their
content gives them, so that what two processes cut at once is kept once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rampart.settings import settings, user_cache

Ids = NDArray[np.int64]
Cut = Callable[[Sequence[str]], Sequence[Ids]]

TEXTS = 32_768
"""The most in one file."""

LIMIT = 2 * 2**30
"""Bytes that a cache may have; the files that were used longest ago go first."""

_FILES = 256  # That a cache may have: each is opened to look for a text.
_ENDING = ".arrow"
_VERSION = b"2"
_KEY = 16  # Bytes of a text's hash.


def user_tokens() -> TokenCache:
    """The cache of whoever runs this: where RAMPART_CACHE_DIR says, else in the user's folder."""
    return TokenCache((settings().cache_dir or user_cache()) / "tokens")


class TokenCache:
    """Token ids on disk.

    Args:
        folder: of the files.
        limit: bytes that they may have.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def ids(self, texts: Sequence[str], cut: Cut, *, tokenizer: str, how: str) -> list[Ids]:
        """Token ids of each text, from the cache or cut now; they must not be written to.

        A cache that cannot be written to is done without.

        Args:
            texts: n of them.
            cut: gives the ids of some texts.
            tokenizer: all that tells it from another, such as its JSON.
            how: likewise of how texts are cut.
        """
        same = hashlib.sha256(_VERSION)
        for part in (tokenizer, how):
            same.update(hashlib.sha256(part.encode()).digest())
        folder = self.folder / same.hexdigest()[:32]
        places: dict[bytes, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(_key(text), []).append(place)
        rows = self._kept(folder, list(places))
        missing = [key for key in places if key not in rows]
        for start in range(0, len(missing), TEXTS):
            some = missing[start : start + TEXTS]
            cut_now = cut([texts[places[key][0]] for key in some])
            new = dict(zip(some, (np.asarray(row, dtype=np.int64) for row in cut_now), strict=True))
            rows |= new
            with suppress(OSError):
                _write(folder, new)
        self._prune()
        found: list[Ids] = [np.zeros(0, np.int64)] * len(texts)
        for key, owners in places.items():
            for place in owners:
                found[place] = rows[key]
        return found

    def _kept(self, folder: Path, keys: list[bytes]) -> dict[bytes, Ids]:
        """Ids of those of the keys that files have."""
        rows: dict[bytes, Ids] = {}
        for path in sorted(folder.glob(f"*{_ENDING}")):
            left = [key for key in keys if key not in rows]
            if not left:
                break
            file = _open(path)
            wanted = file.places(left) if file else {}
            if file is None or not wanted or not file.whole():
                continue
            rows |= {key: file.row(place) for key, place in wanted.items()}
            with suppress(OSError):
                os.utime(path)
        return rows

    def _prune(self) -> None:
        """Remove the files used longest ago."""
        with suppress(OSError):
            files = []
            for path in self.folder.glob(f"*/*{_ENDING}"):
                with suppress(FileNotFoundError):  # another process may prune as well
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            total, count = sum(size for _, size, _ in files), len(files)
            for _, size, path in sorted(files):
                if total <= self.limit and count <= _FILES:
                    break
                path.unlink(missing_ok=True)
                total, count = total - size, count - 1


@dataclass(frozen=True)
class _File:
    """A file, mapped into memory: the map lives as long as the arrays that look into it.

    Attributes:
        keys: of the texts, ascending, bytes [n, 16].
        ends: of each text's ids, from 0 on, int64 [n + 1].
        ids: of all.
        sha256: that they are held to.
    """

    keys: NDArray[np.uint8]
    ends: Ids
    ids: Ids
    sha256: str

    def places(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Where those of the keys are that it has."""
        known = {key.tobytes(): place for place, key in enumerate(self.keys)}
        return {key: known[key] for key in keys if key in known}

    def row(self, place: int) -> Ids:
        """Ids of one text."""
        return self.ids[self.ends[place] : self.ends[place + 1]]

    def whole(self) -> bool:
        """Whether nothing has changed since it was written."""
        return self.sha256 == _hash(self.keys, self.ends, self.ids)


def _key(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=_KEY).digest()


def _write(folder: Path, rows: dict[bytes, Ids]) -> None:
    """Write one file with the hash of what is in it, under its name only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(rows)
    keys = np.frombuffer(b"".join(names), np.uint8).reshape(-1, _KEY)
    ends = np.cumsum([0, *(len(rows[name]) for name in names)]).astype(np.int64)
    ids = np.concatenate([np.zeros(0, np.int64), *(rows[name] for name in names)])
    table = pa.table(
        {
            "key": pa.array(names, pa.binary(_KEY)),
            "ids": pa.LargeListArray.from_arrays(pa.array(ends), pa.array(ids, pa.int64())),
        }
    ).replace_schema_metadata({"sha256": _hash(keys, ends, ids)})
    descriptor, part = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        Path(part).replace(folder / f"{hashlib.sha256(keys.tobytes()).hexdigest()[:32]}{_ENDING}")
    finally:
        Path(part).unlink(missing_ok=True)


def _open(path: Path) -> _File | None:
    """A file of the cache; None where there is none any more, or it is no such file."""
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        keys, ids = (table.column(name).combine_chunks() for name in ("key", "ids"))
        return _File(
            np.frombuffer(keys.buffers()[1], np.uint8)[: len(keys) * _KEY].reshape(-1, _KEY),
            ids.offsets.to_numpy(),
            ids.values.to_numpy(),
            table.schema.metadata[b"sha256"].decode(),
        )
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, IndexError):
        return None


def _hash(keys: NDArray[np.uint8], ends: Ids, ids: Ids) -> str:
    whole = hashlib.sha256()
    for part in (keys, ends, ids):
        whole.update(np.ascontiguousarray(part).data)
    return whole.hexdigest()
