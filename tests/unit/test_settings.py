"""What the environment says, which variable wins, and which one is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rampart.errors import InputError
from rampart.settings import settings, tracking_address

NAMES = ("CACHE_DIR", "TRACKING_URI", "KFP_ENDPOINT", "KFP_NAMESPACE", "KFP_TOKEN")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is set, and nothing is remembered from or for another test."""
    for name in ("MLFLOW_TRACKING_URI", *(f"RAMPART_{name}" for name in NAMES)):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_nothing_is_set_unless_the_environment_sets_it() -> None:
    assert set(settings().model_dump().values()) == {None}


def test_each_is_read_from_its_variable_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(f"RAMPART_{name}", name.lower())
    monkeypatch.setenv("RAMPART_SOMETHING_ELSE", "is no concern")
    expected = {name.lower(): name.lower() for name in NAMES} | {"cache_dir": Path("cache_dir")}
    assert settings().model_dump() == expected
    monkeypatch.setenv("RAMPART_KFP_ENDPOINT", "later")
    assert settings().kfp_endpoint == "kfp_endpoint"


def test_our_own_tracking_variable_goes_before_mlflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert settings().tracking_uri == "http://mlflow.example"
    settings.cache_clear()
    monkeypatch.setenv("RAMPART_TRACKING_URI", "http://rampart.example")
    assert settings().tracking_uri == "http://rampart.example"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(f"RAMPART_{name}", "")
    assert set(settings().model_dump().values()) == {None}
    settings.cache_clear()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert settings().tracking_uri == "http://mlflow.example"


@pytest.mark.parametrize("token", ["secret\n", "sec ret", "s\u00e9cret"])
def test_a_wrong_value_names_its_variable_and_keeps_a_secret(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("RAMPART_KFP_TOKEN", token)
    with pytest.raises(InputError, match="RAMPART_KFP_TOKEN cannot be used: ") as caught:
        settings()
    assert token.strip() not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPART_KFP_TOKEN", "very-secret")
    assert settings().kfp_token == "very-secret"
    assert "very-secret" not in repr(settings()) + str(settings())


def test_a_tracking_address_that_is_given_goes_before_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert tracking_address("http://given.example") == "http://given.example"
    assert tracking_address("") == "http://mlflow.example"


def test_no_tracking_address_is_an_error_that_says_what_to_set() -> None:
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI"):
        tracking_address("")
