"""What spaCy is given is as long as the text, and holds no run that it takes apart for minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.features.tagging import LONGEST, blanked, parted

texts = st.lists(
    st.sampled_from(["a" * 90, "$" * 70, "<b>", ".", "ann@example.org", " ", "\n", "\u3042", "-"]),
    max_size=30,
).map("".join)


@pytest.mark.parametrize("change", [blanked, parted])
@given(text=texts)
def test_offsets_stay_and_no_run_is_overlong(change, text) -> None:
    got = change(text)
    assert len(got) == len(text)
    assert max(map(len, got.split()), default=0) < LONGEST
    assert all(one in (other, " ") for one, other in zip(got, text, strict=True))


@pytest.mark.parametrize("change", [blanked, parted])
def test_text_with_words_of_any_sensible_length_stays_as_it_is(change) -> None:
    text = "Dear Ann, see <http://example.org/" + "a" * 60 + "> or (555) 010-9999!"
    assert change(text) == text


def test_what_stands_between_signs_is_kept_and_what_has_none_is_blanked() -> None:
    text = "<" * 60 + "ann@example.org" + ">" * 60
    assert parted(text) == " " * 60 + "ann@example.org" + " " * 60
    assert blanked(text).strip() == ""
