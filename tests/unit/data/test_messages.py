"""From raw rows to messages: what is kept, and why the rest is not."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.messages import to_messages
from rampart.data.schema import ARRIVED, MESSAGES, validate
from rampart.data.step import REJECT_COLUMNS

MAIL = (
    b"Received: from a by b; Thu, 22 Aug 2002 18:26:25 +0700\r\n"
    b"Date: Mon, 1 Jan 1990 00:00:00 +0000\r\nSubject: Re: Hello\r\n\r\n"
    b"> quoted\r\nGood morning.\r\n"
)


def raw_table(*contents: bytes | str) -> pd.DataFrame:
    rows = [
        (f"m{number}", "here", number % 2, content if isinstance(content, bytes) else None,
         content if isinstance(content, str) else None)
        for number, content in enumerate(contents)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["id", "group", "label", "raw", "text"], dtype=object)
    return table.astype({"label": "int8"})


def test_a_mail_is_parsed_and_cleaned_and_dated_by_its_received_header() -> None:
    [row] = to_messages(raw_table(MAIL)).rows.to_dict("records")
    assert row["subject"] == "Re: Hello"
    assert row["clean"] == "Hello\n\nGood morning."
    assert "> quoted" in row["text"]
    assert row["arrived"] == pd.Timestamp("2002-08-22T11:26:25Z")


def test_a_text_is_read_as_subject_empty_line_and_body() -> None:
    [row] = to_messages(raw_table("Offer\n\n<p>Buy <b>now</b></p>")).rows.to_dict("records")
    assert (row["subject"], row["has_html"]) == ("Offer", True)
    assert row["clean"].split() == ["Offer", "Buy", "now"]
    assert pd.isna(row["arrived"])


def test_feed_items_and_messages_without_a_word_are_rejected_with_the_reason() -> None:
    feed = b"Subject: News\r\n\r\nURL: http://x.example/1\r\nDate: Not supplied\r\n\r\nA story.\r\n"
    step = to_messages(raw_table(feed, "--- ! ---", "A word"))
    assert step.rows["id"].tolist() == ["m2"]
    assert step.rejects[["id", "reason"]].values.tolist() == [
        ["m0", "feed item"], ["m1", "no text"],
    ]  # fmt: skip
    assert set(step.rejects["step"]) == {"clean"}


def test_attachments_are_named_and_a_message_is_its_own_campaign() -> None:
    mail = (
        b"Subject: Two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<p>Look</p>\r\n"
        b"--x\r\nContent-Type: image/gif\r\n\r\nGIF\r\n"
        b"--x\r\nContent-Type: application/pdf\r\n\r\nPDF\r\n--x--\r\n"
    )
    [row] = to_messages(raw_table(mail)).rows.to_dict("records")
    assert row["attachments"] == "image/gif, application/pdf"
    assert row["has_html"]
    assert row["campaign"] == row["id"] == "m0"


def test_a_text_without_a_subject_line_has_none() -> None:
    texts = ["no empty line", "two\nlines\n\nbefore it", "\n\nnothing before it"]
    assert to_messages(raw_table(*texts)).rows["subject"].tolist() == ["", "", ""]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=60), st.binary(max_size=120)), max_size=6))
def test_every_row_is_kept_or_rejected_with_its_reason_and_never_both(
    contents: list[bytes | str],
) -> None:
    table = raw_table(*contents)
    step = to_messages(table)
    assert sorted([*step.rows["id"], *step.rejects["id"]]) == sorted(table["id"])
    assert step.rows["id"].is_monotonic_increasing
    assert tuple(step.rejects.columns) == REJECT_COLUMNS
    assert set(step.rejects["step"]) <= {"clean"}
    assert set(step.rejects["group"]) <= {"here"}
    assert set(step.rejects["reason"]) <= {"no text", "feed item"}
    assert step.rejects["detail"].map(lambda value: isinstance(value, str)).all()
    assert step.rows["arrived"].dtype == ARRIVED
    validate(step.rows, MESSAGES)


def test_progress_ends_with_the_whole() -> None:
    told: list[tuple[int, int]] = []
    to_messages(raw_table("a", "b", "c"), lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)
