"""Errors say what is wrong and what to do, and become one status and one exit code each."""

from __future__ import annotations

import pickle

import pytest

from rampart import errors
from rampart.errors import OUTCOMES, InputError, RampartError, TooLargeError, outcome

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, RampartError)
]


def test_an_error_reads_as_its_problem_and_its_remedy() -> None:
    assert str(RampartError("top_k is -1.", "Send 0 or more.")) == "top_k is -1. Send 0 or more."
    assert str(RampartError("It broke.")) == "It broke."


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_a_process_whole(kind: type[RampartError]) -> None:
    error = pickle.loads(pickle.dumps(kind("What is wrong.", "What to do.")))
    assert type(error) is kind
    assert (error.problem, error.remedy) == ("What is wrong.", "What to do.")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_an_outcome_of_its_own(kind: type[RampartError]) -> None:
    assert outcome(kind("x")) == OUTCOMES[kind]
    assert kind.__name__ in (errors.__doc__ or "")


def test_a_new_kind_of_error_takes_the_outcome_of_its_nearest_class() -> None:
    class StillTooLargeError(TooLargeError):
        """Narrower than any in the table."""

    assert outcome(StillTooLargeError("x")).http_status == 413


def test_only_what_the_caller_sent_is_the_callers_fault() -> None:
    for kind in KINDS:
        status, code = OUTCOMES[kind]
        if issubclass(kind, InputError):
            assert 400 <= status < 500
        assert code > 2, "1 and 2 are Python's and the command line's own"
