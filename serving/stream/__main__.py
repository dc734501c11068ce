"""The images' entry points: RAMPART_STREAM_* variables, or flags of the same names.

`python -m serving.stream` scores; `python -m serving.stream analytics` follows the verdicts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rampart.errors import InputError, RampartError, outcome
from rampart.settings import checked
from serving.stream.settings import (
    AnalyticsSettings,
    StreamSettings,
)

_USAGE_ERROR = 2
_ANALYTICS = "analytics"
# On a command line everybody on the machine could read it.
_NO_FLAG = "password"


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    analytics = given[:1] == [_ANALYTICS]
    kind: type[AnalyticsSettings | StreamSettings] = (
        AnalyticsSettings if analytics else StreamSettings
    )
    parser = argparse.ArgumentParser(
        prog=f"python -m serving.stream{' analytics' if analytics else ''}", allow_abbrev=False
    )
    for name, field in kind.model_fields.items():
        if name != _NO_FLAG:
            flag = f"--{name.replace('_', '-')}"
            parser.add_argument(flag, default=argparse.SUPPRESS, help=field.description)
    try:
        settings = checked(kind, **vars(parser.parse_args(given[analytics:])))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE_ERROR
    try:
        # Only now: importing what works takes seconds.
        if isinstance(settings, AnalyticsSettings):
            from serving.stream.analytics import serve as follow

            follow(settings)
        else:
            from serving.stream.server import serve

            serve(settings)
    except RampartError as error:
        sys.stderr.write(f"{error}\n")
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
