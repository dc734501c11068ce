"""The command line as it is called, in this process: arguments in, exit code and streams out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rampart.cli import main
from rampart.settings import settings


class Result(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("KFP_ENDPOINT", "KFP_NAMESPACE", "KFP_TOKEN", "TRACKING_URI"):
        monkeypatch.delenv(f"RAMPART_{name}", raising=False)
    monkeypatch.setenv("RAMPART_CACHE_DIR", str(tmp_path / "cache"))
    # Help is laid out for the terminal's width, which here is nobody's.
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def rampart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls `rampart` with arguments, and with bytes on standard input if given."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["rampart", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Result(int(ended.value.code or 0), *capsys.readouterr())

    return call
