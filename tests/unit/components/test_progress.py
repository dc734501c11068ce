"""Progress goes through a line of text, and no other line is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import progress
from components.progress import PREFIX, heard, tell


def test_what_is_told_is_heard_behind_whatever_comes_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_last_told", 0.0)
    tell(3, 10)
    assert heard("    " + capsys.readouterr().out) == (3, 10)


def test_it_is_told_seldom_but_always_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_last_told", 0.0)
    monkeypatch.setattr("components.progress.time.monotonic", lambda: 100.0)
    for done in range(1, 101):
        tell(done, 100)
    lines = capsys.readouterr().out.splitlines()
    assert [heard(line) for line in lines] == [(1, 100), (100, 100)]


@pytest.mark.parametrize("said", ["", "{}", "[1, 2]", '{"done": "x", "total": 1}', '{"done": 1}'])
def test_a_line_that_only_looks_like_it_says_nothing(said: str) -> None:
    assert heard(PREFIX + said) is None


@given(st.text())
def test_any_other_line_says_nothing(line: str) -> None:
    assert heard(line.replace(PREFIX, "")) is None
