"""Personal data is found where it stands, replaced without a trace, and named by a key alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import clean
from rampart.errors import InputError
from rampart.features.privacy import Detector, PrivacyFeatures, pseudonymise, redact

DETECTOR = Detector()
KEY, OTHER = b"k" * 32, b"o" * 32
TEXT = (
    "Meeting\n\nHello, my name is John Smith. Write to john.smith@example.com or call "
    "212-555-0123. My card is 4111 1111 1111 1111 and my server 192.0.2.7."
)


def _shown(text: str) -> set[tuple[str, str]]:
    return {(one.kind, text[one.start : one.end]) for one in DETECTOR.find(text)}


def test_each_kind_is_found_where_it_stands() -> None:
    found = _shown(TEXT)
    assert ("PERSON", "John Smith") in found
    assert ("EMAIL_ADDRESS", "john.smith@example.com") in found
    assert ("CREDIT_CARD", "4111 1111 1111 1111") in found
    assert ("IP_ADDRESS", "192.0.2.7") in found


def test_nothing_is_fetched_even_where_no_list_of_domains_is_kept_yet(tmp_path: Path) -> None:
    script = """
import socket
socket.getaddrinfo = lambda *asked, **_: exit(f"asked for {asked[0]}")
from rampart.features.privacy import Detector
print([one.kind for one in Detector().find("Write to john.smith@example.com today.")])
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "TLDEXTRACT_CACHE": str(tmp_path)},
    )
    assert "EMAIL_ADDRESS" in run.stdout, run.stderr
    assert "Public Suffix List" not in run.stderr


def test_markup_inside_a_name_does_not_hide_it_and_what_cleaning_drops_is_read_too() -> None:
    text = "<p>My name is John Sm<b></b>ith.</p>\n> write to mary.jones@example.com\n"
    found = _shown(text)
    assert ("PERSON", "John Sm<b></b>ith") in found
    assert ("EMAIL_ADDRESS", "mary.jones@example.com") in found


def test_findings_come_in_order_and_never_overlap() -> None:
    found = DETECTOR.find(TEXT)
    assert found
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_redacting_leaves_nothing_of_what_was_found_and_keeps_the_rest() -> None:
    replaced = redact(TEXT, DETECTOR.find(TEXT))
    for said in ("John", "john.smith", "4111", "192.0.2.7"):
        assert said not in replaced.text
    assert replaced.text.startswith("Meeting\n\nHello, my name is <PERSON>.")
    for (start, end), (new_start, new_end) in replaced.spans:
        assert re.fullmatch(r"<[A-Z_]+>", replaced.text[new_start:new_end])
        assert TEXT[start:end] not in replaced.text


def test_a_pseudonym_is_the_same_for_the_same_person_and_another_under_another_key() -> None:
    text = "My name is John Smith. I am JOHN  SMITH, and my friend is Mary Jones."
    found = DETECTOR.find(text)
    names = re.findall(r"<PERSON-([0-9a-f]{8})>", pseudonymise(text, found, KEY).text)
    assert len(names) >= 2
    again = re.findall(r"<PERSON-([0-9a-f]{8})>", pseudonymise(text, found, KEY).text)
    others = re.findall(r"<PERSON-([0-9a-f]{8})>", pseudonymise(text, found, OTHER).text)
    assert again == names
    assert not set(others) & set(names)
    by_name = {
        " ".join(text[one.start : one.end].casefold().split()): name
        for one, name in zip(found, names, strict=False)
    }
    assert len(set(by_name.values())) == len(by_name)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InputError, match="16"):
        pseudonymise(TEXT, [], b"short")


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="PERSON"):
        Detector(["SHOE_SIZE"])


def test_counts_are_rates_and_point_at_what_was_found() -> None:
    family = PrivacyFeatures()
    reading = family.read(clean(TEXT))
    names = [feature.name for feature in family.features]
    assert reading.values[names.index("personal_credit_card")] > 0
    [(start, end)] = reading.evidence["personal_credit_card"]
    assert TEXT[start:end] == "4111 1111 1111 1111"
    assert not family.read(clean("nothing here")).values.any()


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_it_fail_and_what_is_not_found_stays(text: str) -> None:
    found = DETECTOR.find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    replaced = redact(text, found)
    kept = sum(end - start for (start, end), _ in replaced.spans)
    put = sum(end - start for _, (start, end) in replaced.spans)
    assert len(replaced.text) == len(text) - kept + put
    assert np.isfinite(PrivacyFeatures().read(clean(text)).values).all()


def test_data_in_a_run_without_spaces_is_found_where_it_stands() -> None:
    text = "<td>" * 40 + "ann@example.org" + "<td>" * 40
    found = {text[one.start : one.end] for one in Detector(["EMAIL_ADDRESS"]).find(text)}
    assert found == {"ann@example.org"}


@pytest.mark.parametrize("unit", ["$", "<", "&", "x", "1-", "."])
def test_a_long_run_of_one_sign_does_not_hold_it_up(unit: str) -> None:
    # 40,000 dollar signs as they are take spaCy eight minutes; the suite stops a test before that.
    text = unit * (40_000 // len(unit)) + " mail ann@example.org"
    found = [text[one.start : one.end] for one in Detector(["EMAIL_ADDRESS"]).find(text)]
    assert found[-1] == "ann@example.org"
