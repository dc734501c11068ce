"""The image's entry point: RAMPART_STREAM_* variables, or flags of the same names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rampart.errors import InputError, RampartError, outcome
from serving.stream.settings import StreamSettings, checked

_USAGE_ERROR = 2
# On a command line everybody on the machine could read it.
_NO_FLAG = "password"


def main(arguments: Sequence[str] | None = None) -> int:
    """Score until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    parser = argparse.ArgumentParser(prog="python -m serving.stream", allow_abbrev=False)
    for name, field in StreamSettings.model_fields.items():
        if name != _NO_FLAG:
            flag = f"--{name.replace('_', '-')}"
            parser.add_argument(flag, default=argparse.SUPPRESS, help=field.description)
    try:
        settings = checked(StreamSettings, **vars(parser.parse_args(arguments)))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE_ERROR
    try:
        # Only now: importing the server imports what computes, which takes seconds.
        from serving.stream.server import serve

        serve(settings)
    except RampartError as error:
        sys.stderr.write(f"{error}\n")
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
