"""Constants are read from a source as it would set them, and nothing of it is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.sources.prompt_attacks.literals import constants, docstrings, strings

SOURCE = b'''
"""Of the module."""
MARKER = "<here>"
WORDS = ["a", f"{MARKER} b", "c" + "d" + f"{MARKER}"]
made = open("never")

class Task:
    """Of the class."""
    text: str = f"Go to {PLACE}, then {MARKER}."
    PLACE = "Paris"
    after = f"Go to {PLACE}."

def fill():
    """Of a function."""
    inner = {"key": ("x", 1)}
    call(template="{goal} now")
'''


def found() -> dict[tuple[str, str], object]:
    return {(item.scope, item.name): item.value for item in constants(SOURCE)}


def test_constants_are_found_with_their_scope() -> None:
    assert found()["", "MARKER"] == "<here>"
    assert found()["Task", "PLACE"] == "Paris"
    assert found()["fill", "inner"] == {"key": ("x", 1)}


def test_what_is_not_constant_is_passed_over() -> None:
    assert ("", "made") not in found()


def test_f_strings_are_filled_with_what_was_known_before_and_else_keep_their_braces() -> None:
    assert found()["", "WORDS"] == ["a", "<here> b", "cd<here>"]
    assert found()["Task", "text"] == "Go to {PLACE}, then <here>."
    assert found()["Task", "after"] == "Go to Paris."


def test_docstrings_are_those_of_the_module_and_its_classes() -> None:
    assert list(docstrings(SOURCE)) == [("", "Of the module."), ("Task", "Of the class.")]


def test_strings_are_all_but_docstrings() -> None:
    known = set(strings(SOURCE))
    assert {"{goal} now", "Paris", "a", "never"} <= known
    assert not any(text.startswith("Of ") for text in known)


def test_a_source_is_never_run(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    source = f"import pathlib\npathlib.Path({str(trace)!r}).touch()\nx = __import__('os')\n"
    assert list(constants(source.encode())) == []
    assert not trace.exists()


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        list(constants(b"def"))


NAMES = st.from_regex(r"[a-z]{2}_[a-z]{3}", fullmatch=True)


@given(st.dictionaries(NAMES, st.text() | st.lists(st.text())))
def test_any_constant_comes_back_as_it_was(values: dict[str, object]) -> None:
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    assert {item.name: item.value for item in constants(source.encode())} == values
