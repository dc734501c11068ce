"""Bytes become text whatever their charset is said to be."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.charsets import decode


@pytest.mark.parametrize(
    ("text", "really", "claimed"),
    [
        ("Grüße aus Köln", "utf-8", "utf-8"),
        ("Grüße aus Köln", "utf-8", "iso-8859-1"),
        ("Grüße aus Köln", "utf-8", "us-ascii"),
        ("Grüße aus Köln", "utf-8", "x-no-such-charset"),
        ("Grüße aus Köln", "utf-8", None),
        ("“quoted” — 5 €", "cp1252", "iso-8859-1"),
        ("“quoted” — 5 €", "cp1252", "utf-8"),
        ("“quoted” — 5 €", "cp1252", None),
        ("Здравствуйте", "koi8-r", "KOI8-R"),
        ("Здравствуйте", "cp1251", "windows-1251"),
        ("你好世界", "gb18030", "gb2312"),
        ("こんにちは①", "cp932", "Shift_JIS"),
        ("안녕하세요", "euc-kr", "ks_c_5601-1987"),
        ("こんにちは", "iso-2022-jp", "iso-2022-jp"),
        ("even words", "ascii", "utf-16"),
        ("wide words", "utf-16-le", "utf-16le"),
    ],
)
def test_text_is_found_under_true_and_false_claims(
    text: str, really: str, claimed: str | None
) -> None:
    assert decode(text.encode(really), claimed) == text


def test_a_few_damaged_bytes_do_not_lose_the_charset() -> None:
    damaged = "你好世界".encode("gb18030") * 40 + b"\xff"
    assert decode(damaged, "gb2312").startswith("你好世界")


def test_a_claim_that_most_bytes_break_is_not_believed() -> None:
    assert decode("é à è ".encode("cp1252") * 20, "euc-jp") == "é à è " * 20


@pytest.mark.parametrize("order", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_is_believed_and_taken_off(order: bytes) -> None:
    encoding = {3: "utf-8", 2: "utf-16-le" if order == codecs.BOM_UTF16_LE else "utf-16-be"}
    assert decode(order + "Grüße".encode(encoding[len(order)]), "iso-8859-1") == "Grüße"


@pytest.mark.parametrize(
    "claimed",
    [
        "zlib", "rot13", "hex", "punycode", "idna", "unicode_escape", "undefined", "mbcs", "\0",
        "é", "a" * 999,
    ],
)  # fmt: skip
def test_codecs_that_are_no_charsets_are_ignored(claimed: str) -> None:
    assert decode(b"a \\ud800 \\q text", claimed) == "a \\ud800 \\q text"


def test_what_no_charset_holds_becomes_the_replacement_character() -> None:
    assert decode(b"a\0b") == "a\ufffdb"
    assert decode(b"\x81 caf\xe9") == "\ufffd café"
    assert decode(b"+2AA-!", "utf-7") == "\ufffd!"


CLAIMS = ["utf-7", "utf-16", "utf-32", "hz", "iso-2022-kr", "big5", "gb2312", "cp037", "johab"]


@given(st.binary(max_size=300), st.none() | st.text(max_size=20) | st.sampled_from(CLAIMS))
def test_any_bytes_decode_to_text_that_a_file_can_hold(content: bytes, claimed: str | None) -> None:
    text = decode(content, claimed)
    assert "\0" not in text
    assert text.encode().decode() == text
