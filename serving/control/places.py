"""Where the files and addresses lie that callers may have runs read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rampart.errors import InputError
from rampart.registry.connection import shown

_OPERATORS = (
    *("tracking_uri", "model_name", "image", "runtime", "service_account"),
    *("destination", "storage", "storage_container", "namespace", "gateway", "hostname", "alerts"),
)
"""Parameters of pipelines that say whose account and whose code runs, what it writes to, and where
it serves."""

# `file:x` is an address to what reads it, as much as `file:///x`.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Places:
    """What may be named: files in a folder, and addresses by what they begin with.

    Args:
        folder: that files have to lie in; None for anywhere on this machine.
        addresses: that may be read with all below them, separated by commas.
    """

    def __init__(self, folder: Path | None, addresses: str = "") -> None:
        self._folder = folder.resolve() if folder is not None else None
        self._addresses = tuple(
            each.strip().rstrip("/") for each in addresses.split(",") if each.strip()
        )

    def check(self, named: Mapping[str, Any], *, away: bool = False) -> None:
        """See that what a caller gave names nothing that it may not.

        Args:
            named: parameter or field to its value; what is no text names nothing.
            away: whether it is read on another machine, which has none of this one's files.

        Raises:
            InputError: a value does, or the parameter is the operator's.
        """
        for name, value in named.items():
            if name in _OPERATORS:
                raise InputError(
                    f"{name} is not the caller's to give.", "Leave it out: the operator sets it."
                )
            if not isinstance(value, str):
                continue
            if "\0" in value:
                raise InputError(f"{name} holds a null character.", "Correct it.")
            if _SCHEME.match(value) or ":/" in value or "::" in value:
                self._check_address(name, value)
            elif value.startswith(("/", ".", "~")) or (not away and _is_there(Path(value))):
                if away:
                    raise InputError(
                        f"{name} names the file {value[:200]!r}, and runs in the cluster see none.",
                        "Give an address, such as s3://BUCKET/FILE.",
                    )
                self._check_file(name, value)

    def table(self, name: str, *, addresses: bool = False) -> str:
        """The path of a table on this machine, or its address where that may be given.

        Raises:
            InputError: it is not there, not where files have to lie, or not to be read.
        """
        if addresses and _SCHEME.match(name):
            self._check_address("table", name)
            return name
        path = self._check_file("table", name)
        if not _is_there(path):
            raise InputError(
                f"There is no table {name[:200]!r} on the server.",
                "Give the path of the output `table` of a training run.",
            )
        return str(path)

    def _check_address(self, name: str, value: str) -> None:
        # No chain of file systems, no way up, and no more than the path behind what is allowed.
        plain = "::" not in value and "\\" not in value and not _climbs(value)
        if plain and any(value == each or value.startswith(f"{each}/") for each in self._addresses):
            return
        raise InputError(
            f"{name} names {shown(value)[:200]!r}, which runs here may not read.",
            f"RAMPART_CONTROL_ADDRESSES allows {', '.join(self._addresses) or 'no address'}.",
        )

    def _check_file(self, name: str, value: str) -> Path:
        try:
            path = Path(value).expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{name} names {value[:200]!r}, which is no path here.", "Correct it."
            ) from error
        if self._folder is not None and not path.is_relative_to(self._folder):
            raise InputError(
                f"{name} names {value[:200]!r}, which does not lie in {self._folder}.",
                "Put the file there, and name it there.",
            )
        return path


def _climbs(address: str) -> bool:
    """Whether one of its steps leads up, also where it is written with per cent signs."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return True
    return any(".." in unquote(each).split("/") for each in (address, path))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # No file can have a name that the system refuses to look up.
        return False
