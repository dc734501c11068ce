"""Kafka's artefacts in the user's cache folder: fetched by Maven once, checked by their hashes."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from rampart.errors import SourceError
from rampart.settings import user_cache

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
HASHES = HERE / "jars.sha256"
_JAVA = 17
_SECONDS = 300


def artefacts(cache: Path | None = None) -> Path:
    """The folder of Kafka's jars; they are fetched where they are not there.

    Args:
        cache: what it lies in; the user's cache folder by default.

    Raises:
        SourceError: Maven is not installed, does not get them, or got something else.
    """
    wanted = pinned()
    # A folder by what is in it, so that another version never finds this one's jars.
    name = hashlib.sha256(HASHES.read_bytes()).hexdigest()[:16]
    folder = (cache or user_cache()) / "kafka" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                fetched = fetch(Path(scratch) / "jars")
                check(hashed(fetched), wanted)
                fetched.replace(folder)
        # Again each time: what lies in a cache folder is anybody's who can write there.
        check(hashed(folder), wanted)
    return folder


def pinned() -> dict[str, str]:
    """What each jar has to be: SHA-256 by name."""
    pairs = (line.split() for line in HASHES.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def pin() -> int:
    """Write down what Maven gives for the pom now; how many jars that is."""
    with tempfile.TemporaryDirectory() as scratch:
        found = hashed(fetch(Path(scratch) / "jars"))
    lines = [f"{digest}  {name}\n" for name, digest in sorted(found.items())]
    HASHES.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def fetch(folder: Path) -> Path:
    """Have Maven put the jars into a folder.

    Raises:
        SourceError: Maven is not installed, or does not get them.
    """
    program = shutil.which("mvn")
    if program is None:
        raise SourceError(
            "Kafka's artefacts are fetched by Maven, which is not installed.",
            "Install it (Debian: apt-get install maven), or start Docker and use `make kafka`.",
        )
    command = [
        program, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(POM),
        "dependency:copy-dependencies", f"-DoutputDirectory={folder}",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
        command, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        raise SourceError(
            f"Maven does not get Kafka's artefacts. {' '.join(said[:1])}".strip(),
            "See whether it reaches a registry.",
        )
    return folder


def hashed(folder: Path) -> dict[str, str]:
    """SHA-256 of each jar of a folder, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*"))
    }


def check(found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Refuse anything but what was pinned.

    Raises:
        SourceError: a jar is another, is missing, or is one too many; it is named.
    """
    wrong = sorted(name for name, _ in set(found.items()) ^ set(wanted.items()))
    if wrong:
        raise SourceError(
            f"{wrong[0]} is not what broker/jars.sha256 says.",
            "Remove the folder `kafka` in Rampart's cache folder, and try again.",
        )


def java() -> str:
    """The program that runs them.

    Raises:
        SourceError: there is no Java, or an older one.
    """
    program = shutil.which("java")
    told = ""
    if program is not None:
        done = subprocess.run(  # noqa: S603 - as above
            [program, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
        told = done.stderr.partition("\n")[0]
        match = re.search(r'version "(\d+)', told)
        if match and int(match[1]) >= _JAVA:
            return program
    raise SourceError(
        f"Kafka needs Java {_JAVA} or newer, and here is {told or 'none'}.",
        f"Install it (Debian: apt-get install openjdk-{_JAVA}-jre-headless), or start Docker.",
    )
