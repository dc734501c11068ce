"""What features and losses give away is measured, and nothing is quoted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from rampart.errors import DataError
from rampart.features.disclosure import k_anonymity, membership_inference, privacy_report
from rampart.features.privacy import Detector, Finding
from rampart.features.security import SecurityFeatures
from tests.conftest import mails


def test_k_anonymity_counts_rows_in_groups_that_are_too_small() -> None:
    table = pd.DataFrame({"a": ["x"] * 6 + ["y"] * 2, "b": [None] * 6 + [1.0, 2.0]})
    found = k_anonymity(table, ["a", "b"], k=5)
    assert (found.groups, found.smallest, found.below) == (3, 1, 0.25)
    assert k_anonymity(table, ["a"], k=2).below == 0.0
    with pytest.raises(DataError, match="no such"):
        k_anonymity(table, ["no such"])


def test_membership_is_a_coin_toss_where_losses_are_alike_and_certain_where_they_are_apart() -> (
    None
):
    draw = np.random.default_rng(0)
    alike = membership_inference(draw.normal(size=400), draw.normal(size=400))
    assert alike.low <= 0.5 <= alike.high
    apart = membership_inference(draw.normal(size=400) - 10, draw.normal(size=400))
    assert apart.auc == 1.0
    assert apart.caught == 1.0
    with pytest.raises(DataError, match="not finite"):
        membership_inference(np.array([np.nan]), np.array([1.0]))


def test_the_report_counts_what_is_found_and_never_quotes_it() -> None:
    texts = [*mails(40, seed=70)[0], "Write to mary.jones@example.com about it"]
    report = privacy_report(texts, [SecurityFeatures()])
    assert report.found["EMAIL_ADDRESS"] == 1
    assert report.holding["EMAIL_ADDRESS"] == pytest.approx(1 / len(texts))
    assert "mary" not in report.model_dump_json()
    verdicts = {one.feature: one.verdict for one in report.features}
    assert len(verdicts) == len(SecurityFeatures().features)
    # Everybody's is 0: nobody is told apart by it.
    assert verdicts["url_punycode"] == "as it is"
    assert verdicts["entropy"] != "as it is"


def test_a_text_that_fails_is_counted_and_the_rest_goes_on() -> None:
    class Failing(Detector):
        def find(self, text: object) -> list[Finding]:
            if "bad" in str(text):
                raise ValueError("no")
            return []

    texts: Sequence[str] = ["good one", "bad one", "another good one"]
    report = privacy_report(texts, [], detector=Failing())
    assert (report.texts, report.failed) == (2, 1)
