"""From arguments to a running server: what every image's entry point does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from rampart.errors import RampartError, outcome
from serving.predictor.settings import ServerSettings

USAGE_ERROR = 2
S = TypeVar("S", bound=ServerSettings)


def run(
    program: str,
    kind: type[S],
    serve: Callable[[S], None],
    arguments: Sequence[str] | None,
) -> int:
    """Serve until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    given = vars(_parser(program, kind).parse_args(arguments))
    try:
        settings = kind(**given)
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            sys.stderr.write(f"{where}: {problem['msg']}, not {problem['input']!r}.\n")
        return USAGE_ERROR
    return ended(lambda: serve(settings))


def ended(work: Callable[[], None]) -> int:
    """Do the work; what it ends with is said, and its exit code returned."""
    try:
        work()
    except RampartError as error:
        sys.stderr.write(f"{error}\n")
        return outcome(error).exit_code
    return 0


def _parser(program: str, kind: type[ServerSettings]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    for name, field in kind.model_fields.items():
        flags = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
        if name == "bundle":
            flags["--model_dir"] = None
        parser.add_argument(*flags, dest=name, default=argparse.SUPPRESS, help=field.description)
    return parser
