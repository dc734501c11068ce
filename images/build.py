"""Build the images, by Docker's buildx or by buildah: `make images`.

What is built stands in docker-bake.json, which `docker buildx bake` reads by itself; for buildah it
is read here. The variables of that file (BASE, VERSION, SSL_CERT_FILE) may be set in the
environment; REVISION and SOURCE_DATE_EPOCH are the commit's, so that one commit gives one image.
Arguments after `--` go to the builder as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rampart import __version__

BAKE_FILE = Path(__file__).with_name("docker-bake.json")
ROOT = BAKE_FILE.parent.parent
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Target:
    """One image as the bake file has it, its variables filled in.

    Attributes:
        name: of the target.
        dockerfile: from the root of the repository.
        stage: of the Dockerfile.
        args: build arguments; empty ones are left out.
        contexts: folders that stages are copied from, by their names.
        labels: by their OCI names.
        tags: names with tags, the version's first.
    """

    name: str
    dockerfile: str
    stage: str
    args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def targets(environment: Mapping[str, str], names: Sequence[str] = ("default",)) -> list[Target]:
    """The targets of these names; a group's name stands for its targets.

    Args:
        environment: values for the bake file's variables; defaults stand for the others.
        names: of targets and groups.

    Raises:
        SystemExit: there is no such name.
    """
    document = json.loads(BAKE_FILE.read_text(encoding="utf-8"))
    values = {
        name: environment.get(name) or entry["default"]
        for name, entry in document["variable"].items()
    }

    def filled(text: str) -> str:
        return _VARIABLE.sub(lambda found: values[found.group(1)], text)

    def entry(name: str) -> dict[str, Any]:
        own = document["target"][name]
        whole: dict[str, Any] = {}
        for part in (*(entry(parent) for parent in own.get("inherits", ())), own):
            for key, value in part.items():
                inherited = whole.get(key)
                if isinstance(value, dict) and isinstance(inherited, dict):
                    whole[key] = inherited | value
                else:
                    whole[key] = value
        return whole

    def expanded(name: str) -> list[str]:
        if name in document["group"]:
            return [one for part in document["group"][name]["targets"] for one in expanded(part)]
        if name not in document["target"] or "tags" not in document["target"][name]:
            there = [*document["group"], *(t for t, e in document["target"].items() if "tags" in e)]
            sys.exit(f"There is no image {name!r}. There are {', '.join(there)}.")
        return [name]

    found = []
    for name in dict.fromkeys(one for given in names for one in expanded(given)):
        whole = entry(name)
        args = {key: filled(value) for key, value in whole["args"].items()}
        found.append(
            Target(
                name,
                whole["dockerfile"],
                whole["target"],
                {key: value for key, value in args.items() if value},
                {key: filled(value) for key, value in whole.get("contexts", {}).items()},
                {key: filled(value) for key, value in whole["labels"].items()},
                tuple(map(filled, whole["tags"])),
            )
        )
    return found


def buildah(target: Target, epoch: str, more: Sequence[str] = ()) -> list[str]:
    """The call of buildah that builds a target."""
    call = ["buildah", "build", "--layers", "--timestamp", epoch]
    call += ["--file", str(ROOT / target.dockerfile), "--target", target.stage]
    for key, value in target.args.items():
        call += ["--build-arg", f"{key}={value}"]
    for key, folder in target.contexts.items():
        call += ["--build-context", f"{key}={folder}"]
    for key, value in target.labels.items():
        call += ["--label", f"{key}={value}"]
    for tag in target.tags:
        call += ["--tag", tag]
    return [*call, *more, str(ROOT)]


def bake(names: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """The call of Docker that builds targets, and leaves them in its own store."""
    call = ["docker", "buildx", "bake", "--file", str(BAKE_FILE), "--load"]
    return [*call, "--set", f"*.context={ROOT}", *more, *names]


def of_commit() -> dict[str, str]:
    """REVISION and SOURCE_DATE_EPOCH of the checkout; -dirty marks one with changes."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return {}

    def said(*call: str) -> str:
        found = subprocess.run(  # noqa: S603 - fixed arguments
            [git, "-C", str(ROOT), *call], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    return {
        "REVISION": said("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
        "SOURCE_DATE_EPOCH": said("log", "-1", "--format=%ct"),
    }


def variables() -> dict[str, str]:
    """Values for the bake file's variables: the version, the commit, and what is set here."""
    return {"VERSION": __version__, **of_commit(), **os.environ}


def main(arguments: Sequence[str] | None = None) -> None:
    """Build."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__)
    parser.add_argument("names", nargs="*", default=["default"], help="images or groups of them")
    parser.add_argument("--builder", choices=["docker", "buildah"], default="docker")
    given, more = parser.parse_known_args(arguments)
    build(given.names, given.builder, [argument for argument in more if argument != "--"])


def build(names: Sequence[str], builder: str, more: Sequence[str] = ()) -> None:
    """Build images of these names or groups.

    Raises:
        SystemExit: the builder is not there, or fails.
    """
    if shutil.which(builder) is None:
        sys.exit(f"{builder} is not on PATH. Install it, or choose the other: BUILDER=...")
    environment = variables()
    found = targets(environment, names)
    for target in found:
        if "" in target.contexts.values():
            sys.exit(
                f"{target.name} needs a folder: {BAKE_FILE.name} says which variable names it."
            )
    if builder == "docker":
        calls = [bake([target.name for target in found], more)]
    else:
        epoch = environment.get("SOURCE_DATE_EPOCH", "0")
        calls = [buildah(target, epoch, more) for target in found]
    for target, call in zip(found, calls, strict=False):
        started = time.monotonic()
        done = subprocess.run(call, env=environment, check=False)  # noqa: S603 - no shell
        if done.returncode:
            sys.exit(f"{builder} could not build {target.name}; what it said is above.")
        what = ", ".join(target.tags) if len(calls) > 1 else f"{len(found)} images"
        sys.stderr.write(f"{what}: {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
