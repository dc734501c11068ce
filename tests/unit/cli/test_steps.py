"""A run's steps are told by line where nobody watches, and drawn where somebody does."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.execution import Event
from rampart.cli.steps import Steps, title


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("train-ngram", "Train the n-grams"),
        ("train-ngram-2", "Train the n-grams, on the past alone"),
        ("something-new", "something-new"),
    ],
)
def test_steps_have_names_for_people(step: str, shown: str) -> None:
    assert title(step) == shown


EVENTS = [
    Event("cached", "ingest"),
    Event("started", "clean"),
    Event("progress", "clean", 5, 10),
    Event("done", "clean"),
    Event("started", "split"),
    Event("failed", "split"),
]


def _shown(*events: Event, terminal: bool) -> str:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=120)
    with Steps(console, 14) as steps:
        for event in events:
            steps.show(event)
    return shown.getvalue()


def test_each_step_gets_one_line_where_nobody_watches() -> None:
    lines = [line.rsplit(maxsplit=2)[0] for line in _shown(*EVENTS, terminal=False).splitlines()]
    assert [" ".join(line.split()) for line in lines] == [
        "1/14 Fetch and read the mails done before",
        "2/14 Parse, clean, find campaigns done",
        "3/14 Split by campaign and by time failed",
    ]


def test_a_terminal_sees_every_step_with_its_end() -> None:
    shown = _shown(*EVENTS, terminal=True)
    for text in ("1/14", "3/14", "done before", "failed"):
        assert text in shown


def test_an_event_before_the_first_step_is_passed_over() -> None:
    assert _shown(Event("progress", "", 1, 2), terminal=False) == ""
