"""The API does not start where everybody could start runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from rampart.errors import InputError
from serving.control.settings import ControlSettings, secret

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_loopback_nobody_has_to_be_asked(host: str) -> None:
    assert not ControlSettings(host=host).authenticates


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_elsewhere_somebody_has_to_be_asked(host: str) -> None:
    with pytest.raises(ValidationError, match="RAMPART_CONTROL_TOKEN"):
        ControlSettings(host=host)
    assert ControlSettings(host=host, token=TOKEN).authenticates
    assert ControlSettings(host=host, mesh_header="kubeflow-userid").authenticates


@pytest.mark.parametrize("token", ["short", "with a space in it", "sixteen bytes \N{SNOWMAN}"])
def test_a_weak_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ControlSettings(token=token)
    assert token not in str(caught.value)


def test_a_token_is_never_shown() -> None:
    assert TOKEN not in repr(ControlSettings(token=TOKEN))


def test_one_place_for_the_token(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="both set"):
        ControlSettings(token=TOKEN, token_file=tmp_path)


def test_a_tokens_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(InputError, match="cannot be read"):
        secret(file, "The token")
    file.write_text(TOKEN + "\n")
    assert secret(file, "The token") == TOKEN
    file.write_text("short\n")
    with pytest.raises(InputError, match="is no token"):
        secret(file, "The token")


def test_variables_are_read_and_empty_ones_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPART_CONTROL_PORT", "9")
    monkeypatch.setenv("RAMPART_CONTROL_TOKEN", "")
    assert ControlSettings().port == 9
    assert ControlSettings().token is None
