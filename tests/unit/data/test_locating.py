"""What is found in a mail's text is found in the mail's bytes as well."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.locating import Location, _Places, locate
from rampart.data.mail import parse
from rampart.data.mime import with_plain_newlines


def _located(raw: bytes, words: str) -> tuple[Location, bytes]:
    mail = parse(raw)
    start = mail.text.index(words)
    [found] = locate(mail, raw, [(start, start + len(words))])
    return found, raw[found.start : found.end]


def _mail(subject: str, *texts: tuple[str, str, str], newline: bytes = b"\n") -> bytes:
    """A mail of parts, each a text with its subtype and transfer encoding."""
    message = EmailMessage()
    message["Subject"] = subject
    (text, subtype, coding), *others = texts
    message.set_content(text, subtype=subtype, cte=coding)
    if others:
        message.make_mixed()
    for other, kind, way in others:
        part = EmailMessage()
        part.set_content(other, subtype=kind, cte=way)
        message.attach(part)
    return message.as_bytes().replace(b"\n", newline)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_words_of_a_plain_part_are_found_to_the_byte(newline: bytes) -> None:
    raw = _mail(
        "Notes",
        ("See you\nat ten.\n", "plain", "7bit"),
        ("<p>Win a <b>prize</b></p>\n", "html", "8bit"),
        newline=newline,
    )
    assert _located(raw, "Notes") == (Location("subject", 9, 14, exact=True), b"Notes")
    place, found = _located(raw, "at ten")
    assert (place.part, place.exact, found) == ("1", True, b"at ten")
    place, found = _located(raw, "<b>prize</b>")
    assert (place.part, place.exact, found) == ("2", True, b"<b>prize</b>")
    place, found = _located(raw, "you\nat")
    assert found == b"you" + newline + b"at"


@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_so_are_those_behind_characters_of_several_bytes(charset: str) -> None:
    head = f"Subject: x\nContent-Type: text/plain; charset={charset}\n\n"
    raw = head.encode() + "h\u00e9llo \u20ac5 prize\n".encode(charset)
    assert _located(raw, "prize")[1] == b"prize"
    assert _located(raw, "\u20ac5")[1] == "\u20ac5".encode(charset)


@pytest.mark.parametrize("coding", ["base64", "quoted-printable"])
def test_of_an_encoded_part_the_whole_is_named(coding: str) -> None:
    raw = _mail(
        "x", ("plain words\n", "plain", "7bit"), ("Win a pr\u00eeze\n" * 3, "plain", coding)
    )
    place, found = _located(raw, "pr\u00eeze")
    assert (place.part, place.exact) == ("2", False)
    assert found
    assert found in raw
    assert b"plain words" not in found
    assert b"Content-" not in found


def test_of_an_encoded_subject_the_field_is_named() -> None:
    raw = b"From: a\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nbody\n"
    place, found = _located(raw, "Gr\u00fc\u00dfe")
    assert (place.part, place.exact, found) == ("subject", False, b" =?utf-8?q?Gr=C3=BC=C3=9Fe?=")


def test_parts_within_parts_and_mails_within_mails_have_their_numbers() -> None:
    inner = _mail("inner", ("first\n", "plain", "7bit"), ("second\n", "plain", "7bit"))
    head = b"Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nabove\n--b\n"
    raw = head + b"Content-Type: message/rfc822\n\n" + inner + b"\n--b--\n"
    assert [_located(raw, word)[0].part for word in ("above", "inner", "second")] == [
        "1", "2", "2.2",
    ]  # fmt: skip
    assert _located(raw, "second")[1] == b"second"


def test_a_mail_without_a_subject_and_what_is_no_mail() -> None:
    assert _located(b"\n\n\nonly words here", "words")[1] == b"words"
    assert _located(b"\xef\xbb\xbfSubject: a\n\nb", "b")[1] == b"b"
    assert list(locate(parse(b""), b"", [(0, 1)])) == [Location("", -1, -1, exact=False)]


@given(st.text(alphabet="\r\na", max_size=40))
def test_line_ends_are_counted_as_they_are_replaced(text: str) -> None:
    raw = text.encode()
    plain = with_plain_newlines(raw)
    places = _Places(raw, plain, 0)
    for index, letter in enumerate(plain):
        start, end = places(index, index + 1)
        assert end == start + 1
        assert raw[start : start + 1] in {bytes([letter]), b"\r"}
    assert places(len(plain), len(plain)) == (len(raw), len(raw))


@given(
    st.lists(st.text(alphabet="ab \u00e9\u65e5\n", min_size=1, max_size=30), min_size=1, max_size=4)
)
def test_every_place_in_the_text_has_one_in_the_bytes(texts: list[str]) -> None:
    raw = _mail("A subject", *((f"x{text}\n", "plain", "8bit") for text in texts))
    mail = parse(raw)
    spans = [(index, index + 1) for index in range(len(mail.text))]
    for (start, end), place in zip(spans, locate(mail, raw, spans), strict=True):
        letters = mail.text[start:end]
        assert 0 <= place.start <= place.end <= len(raw)
        if place.exact and not letters.isspace():
            assert raw[place.start : place.end].decode() == letters
