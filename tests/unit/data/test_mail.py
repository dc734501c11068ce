"""Mails become subject, body and the rest; whatever is wrong with one, it is read on."""

from __future__ import annotations

import base64
import random
import sys
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import clean
from rampart.data.mail import DEEPEST, MOST_PARTS, Mail, parse

LONG = "This is the plain part, long enough to be worth reading by itself."


def mail(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def multipart(kind: str, *parts: str, boundary: str = "edge") -> bytes:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    head = f"Subject: Hello\nContent-Type: multipart/{kind}; boundary={boundary}"
    return f"{head}\n\npreamble\n{body}--{boundary}--\nepilogue\n".encode()


def rich_mail() -> bytes:
    """A mail with everything in it, as the standard library writes it."""
    message = EmailMessage()
    message["Received"] = "from a by b; Thu, 22 Aug 2002 12:36:23 +0100 (IST)"
    message["Subject"] = "Grüße — 你好"
    message.set_content(f"{LONG}\nÄrger & Söhne\n")
    message.add_alternative("<html><body><p>Für Sie</p></body></html>", subtype="html")
    message.add_attachment(b"\0\1\2", maintype="image", subtype="png", filename="Bild größer.png")
    inner = EmailMessage()
    inner["Subject"] = "Inside"
    inner.set_content("The forwarded words.\n")
    message.add_attachment(inner)
    return message.as_bytes()


# --- what a whole mail gives --------------------------------------------------------------------


def test_a_mail_of_all_kinds_of_parts_is_read_whole() -> None:
    read = parse(rich_mail())
    assert read.subject == "Grüße — 你好"
    assert read.body == f"{LONG}\nÄrger & Söhne\n\nInside\n\nThe forwarded words."
    assert read.has_html
    assert read.attachments == ("Bild größer.png",)
    assert read.arrived == datetime(2002, 8, 22, 11, 36, 23, tzinfo=UTC)


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\r\r\n"])
def test_line_ends_of_every_kind_read_the_same(end: bytes) -> None:
    assert parse(rich_mail().replace(b"\n", end)) == parse(rich_mail())


def test_the_text_is_subject_empty_line_body() -> None:
    assert parse(mail("Subject: Offer", "", "Buy now")).text == "Offer\n\nBuy now"


def test_without_a_subject_the_text_is_the_body_and_cleaning_keeps_it() -> None:
    read = parse(mail("From: a@example.com", "", "", "Buy now", "and here"))
    assert read.text == "Buy now\nand here"
    assert clean(read.text).text == "Buy now\nand here"


@pytest.mark.parametrize("raw", [b"", b"\n", b"\0", b"\xff\xfe", b":", b"\r\r\r", b"--", b"From "])
def test_next_to_nothing_is_a_mail_without_words(raw: bytes) -> None:
    read = parse(raw)
    assert (read.subject, read.attachments, read.arrived) == ("", (), None)


def test_text_without_headers_is_all_body() -> None:
    assert parse(b"Hello there\nhow are you\n").text == "Hello there\nhow are you\n"


def test_what_an_mbox_wrote_above_the_headers_is_skipped() -> None:
    raw = mail(
        "From a@b Thu Aug 22 12:36:23 2002", "Subject: One", ">From c Thu 12:36", "X: y", "", "Body"
    )
    assert parse(raw).text == "One\n\nBody"


def test_a_text_that_starts_with_the_word_from_is_all_body() -> None:
    assert parse(b"From all of us: thanks").body == "From all of us: thanks"


def test_a_byte_order_mark_and_empty_lines_above_the_headers_are_skipped() -> None:
    assert parse(b"\xef\xbb\xbf\r\n\r\nSubject: One\r\n\r\nBody").text == "One\n\nBody"


def test_a_line_that_is_no_header_starts_the_body() -> None:
    assert parse(mail("Subject: One", "Dear friend", "", "Body")).body == "Dear friend\n\nBody"


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"plain", "plain"),
        (b" folded\n\tover  lines ", "folded over lines"),
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
        (b"=?ISO-8859-1?Q?Gr=FC=DFe_Sie?= all", "Grüße Sie all"),
        (b"=?iso-8859-1*de?Q?Gr=FC=DFe?=", "Grüße"),
        (b"=?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?Q?a?=\n =?koi8-r?Q?=D1?=", "aя"),
        (b"=?utf-8?Q?two words?=", "two words"),
        (b"=?utf-8?Q?What??=", "What?"),
        (b"=?nonsense?Q?caf=E9?=", "café"),
        (b"=?utf-8?Q?never ends", "=?utf-8?Q?never ends"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?B?!!!!?=", "!!!!"),
        (b"=?utf-8?Q??=", ""),
        (b"caf\xe9", "café"),
        ("Grüße 😀".encode(), "Grüße 😀"),
        (b"a\0b", "a\ufffdb"),
    ],
)
def test_subjects_are_decoded_also_broken_ones(header: bytes, subject: str) -> None:
    assert parse(b"Subject: " + header + b"\n\nBody").subject == subject


def test_header_names_have_no_case_and_the_first_of_two_counts() -> None:
    assert parse(mail("SUBJECT: One", "subject : Two", "", "Body")).subject == "One"


@pytest.mark.parametrize(
    ("received", "arrived"),
    [
        ("by b; Thu, 22 Aug 2002 12:36:23 +0100", "2002-08-22 11:36:23"),
        ("by b;\n\tThu, 22 Aug 2002 07:36:23 -0400 (EDT)", "2002-08-22 11:36:23"),
        ("by b; 22 Aug 02 12:36:23", "2002-08-22 12:36:23"),
        ("by b; 22 Aug 2002 12:36:23 +9999", "2002-08-22 12:36:23"),
        ("by b; 22 Aug 2002 12:36:23 NOWHERE", "2002-08-22 12:36:23"),
        ("by b; 22 Aug 2002 12:36:60 GMT", "2002-08-22 12:36:59"),
        ("by b; 22 Aug 2002 12:36:23 GMT (sent by x; y)", "2002-08-22 12:36:23"),
        ("by b; 32 Aug 2002 12:36:23 GMT", None),
        ("by b; 22 Aug 1970 12:36:23 GMT", None),
        ("by b; 31 Dec 9999 23:36:23 -1200", None),
        ("by b", None),
        ("by b; soon", None),
    ],
)
def test_the_time_of_arrival_is_read_or_missing(received: str, arrived: str | None) -> None:
    read = parse(mail(f"Received: {received}", "", "Body"))
    assert read.arrived == (arrived and datetime.fromisoformat(f"{arrived}+00:00"))
    assert read.arrived is None or read.arrived.tzinfo is UTC


def test_arrival_is_by_the_top_most_hop_and_never_by_the_senders_date() -> None:
    raw = mail(
        "Date: Mon, 1 Jan 2001 00:00:00 +0000",
        "Received: by b; Thu, 22 Aug 2002 12:36:23 +0000",
        "Received: by a; Wed, 21 Aug 2002 12:36:23 +0000",
        "",
        "Body",
    )
    assert parse(raw).arrived == datetime(2002, 8, 22, 12, 36, 23, tzinfo=UTC)
    assert parse(mail("Date: Mon, 1 Jan 2001 00:00:00 +0000", "", "Body")).arrived is None


# --- bodies -------------------------------------------------------------------------------------


def encoded(encoding: str, body: bytes, charset: str = "utf-8") -> str:
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    return parse(head.encode() + body).body


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("quoted-printable", b"caf=C3=A9 =\nlatte=", "café latte"),
        ("Quoted-Printable", b"100=% of =ZZ", "100=% of =ZZ"),
        ("base64", b"Y2Fmw6k=", "café"),
        ("base64", b"Y2Fm\nw6k", "café"),
        ("base64", b"Y2Fmw6kx1", "café1"),
        ("BASE64", b"Y2Fmw6kg!YXUgbGFpdA==", "café au lait"),
        ("base64", b"YWJj" * 19 + b"\n\n-- \nTo leave this list, write\n", "abc" * 19),
        ("base64", b"Hello\nfrom all of us", "Hello\nfrom all of us"),
        ("base64", b"Buy our wonderful pills, today only!", "Buy our wonderful pills, today only!"),
        ("base64", base64.b64encode(b"a\r\nb\rc"), "a\nb\nc"),
        ("x-unheard-of", b"caf\xc3\xa9", "café"),
        ("8bit", b"caf\xe9 \x93quoted\x94", "café “quoted”"),
    ],
)
def test_transfer_encodings_are_undone_also_broken_ones(
    encoding: str, body: bytes, text: str
) -> None:
    assert encoded(encoding, body).rstrip("\n") == text


def test_html_alone_is_the_body_as_it_came() -> None:
    read = parse(mail("Content-Type: text/html", "", "<p>Hi &amp; bye</p>"))
    assert (read.body, read.has_html) == ("<p>Hi &amp; bye</p>", True)


def test_html_that_is_said_to_be_plain_counts_as_html() -> None:
    assert parse(mail("Content-Type: text/plain", "", "<HTML><b>Hi</b></HTML>")).has_html
    assert not parse(mail("Content-Type: text/plain", "", "a <b>word</b>")).has_html


def test_html_without_a_charset_is_read_by_its_own_meta_tag() -> None:
    meta = '<html><meta http-equiv="content-type" content="text/html; charset=euc-kr">'
    body = (meta + "안녕하세요").encode("euc-kr")
    assert "안녕하세요" in parse(b"Content-Type: text/html\n\n" + body).body


@pytest.mark.parametrize(
    "kind", ["text", "text/", "", ";", "text/plain/x; charset", '"text/plain"', "\0/\0"]
)
def test_a_content_type_that_is_none_is_plain_text(kind: str) -> None:
    assert parse(mail(f"Content-Type: {kind}", "", "Body")).body == "Body"


# --- parts --------------------------------------------------------------------------------------


def test_of_alternatives_the_plain_one_is_read() -> None:
    html = f"Content-Type: text/html\n\n<p>{LONG} And more.</p>"
    for parts in ((f"\n{LONG}", html), (html, f"\n{LONG}")):
        read = parse(multipart("alternative", *parts))
        assert (read.body, read.has_html) == (LONG, True)


@pytest.mark.parametrize("plain", ["", "\n \n", "See HTML."])
def test_of_alternatives_the_html_is_read_where_the_plain_one_says_nothing(plain: str) -> None:
    html = f"<p>{LONG}</p>"
    read = parse(multipart("alternative", f"\n{plain}", f"Content-Type: text/html\n\n{html}"))
    assert read.body == html


def test_a_short_plain_part_stays_where_the_html_shows_no_more() -> None:
    html = "Content-Type: text/html\n\n<html><img src='a-long-address-that-nobody-sees'></html>"
    assert parse(multipart("alternative", "\nHi there", html)).body == "Hi there"


def test_text_parts_are_joined_in_order() -> None:
    html = "Content-Type: text/html\n\n<p>two</p>"
    read = parse(multipart("mixed", "\none\n", html, "\nthree"))
    assert (read.body, read.has_html) == ("one\n\n<p>two</p>\n\nthree", True)


def test_nothing_before_the_first_and_behind_the_last_boundary_is_read() -> None:
    body = parse(multipart("mixed", "\none")).body
    assert body == "one"


def test_attachments_are_named_and_not_read() -> None:
    read = parse(
        multipart(
            "mixed",
            "\nSee below",
            "Content-Type: application/pdf; name=ignored.pdf\n"
            "Content-Disposition: attachment; filename=\"the 'final' one.pdf\"\n\nsecret",
            "Content-Type: text/html; name=form.html\nContent-Disposition: attachment\n\nsecret",
            "Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt\n\nsecret",
            "Content-Type: a/b; name*0*=iso-8859-1''caf%E9; name*1*=%20menu.doc\n\nsecret",
            'Content-Type: a/b; name*0="cat"; name*1=alogue.doc\n\nsecret',
            'Content-Type: a/b; name="=?utf-8?Q?Gr=C3=BC=C3=9Fe?=.doc"\n\nsecret',
            'Content-Type: a/b; name="two\n\tlines.exe\x01"\n\nsecret',
            "Content-Type: image/gif\n\nsecret",
        )
    )
    assert read.body == "See below"
    assert not read.has_html
    assert read.attachments == (
        "the 'final' one.pdf", "form.html", "grüße.txt", "café menu.doc", "catalogue.doc",
        "Grüße.doc", "two lines.exe", "image/gif",
    )  # fmt: skip


def test_an_inline_text_with_a_name_is_read() -> None:
    part = "Content-Type: text/plain; name=patch\nContent-Disposition: inline\n\nwords"
    assert parse(multipart("mixed", part)).body == "words"


@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_the_subject_and_the_body_of_a_nested_mail_are_read(encoding: str) -> None:
    inner = "Subject: =?utf-8?Q?Caf=C3=A9?=\nContent-Type: text/html\n\n<p>inner</p>"
    if encoding == "base64":
        inner = base64.encodebytes(inner.encode()).decode()
    head = f"Content-Type: message/rfc822; name=fwd.eml\nContent-Transfer-Encoding: {encoding}"
    read = parse(multipart("mixed", "\nouter", f"{head}\n\n{inner}"))
    assert (read.body, read.subject) == ("outer\n\nCafé\n\n<p>inner</p>", "Hello")
    assert read.has_html
    assert read.attachments == ("fwd.eml",)


def test_a_digest_holds_mails() -> None:
    assert parse(multipart("digest", "\nSubject: One\n\nfirst")).body == "One\n\nfirst"


def test_reports_to_programs_are_not_read() -> None:
    status = "Content-Type: message/delivery-status\n\nStatus: 5.0.0"
    head = "Content-Type: text/rfc822-headers\n\nSubject: x"
    assert parse(multipart("report", "\nIt failed", status, head)).body == "It failed"


def test_a_boundary_that_is_not_named_or_never_comes_is_guessed() -> None:
    for parameter in ("", "; boundary=other", "; boundary=", '; boundary="'):
        raw = multipart("mixed", "Content-Type: text/plain\n\none", "\ntwo")
        raw = raw.replace(b"; boundary=edge", parameter.encode())
        assert parse(raw).body == "one\n\ntwo"


def test_a_multipart_without_parts_is_text() -> None:
    read = parse(mail("Content-Type: multipart/mixed", "", "Only words"))
    assert read.body == "Only words"


def test_a_multipart_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    whole = multipart("mixed", "\none", "\ntwo words")
    assert parse(whole[: whole.index(b" words")]).body == "one\n\ntwo"


def test_a_boundary_that_another_one_starts_with_does_not_end_its_parts() -> None:
    inner = multipart("mixed", "\ninner", boundary="edge2").decode().split("\n", 1)[1]
    assert parse(multipart("mixed", inner, "\nouter")).body == "inner\n\nouter"


def test_boundaries_are_taken_as_they_are() -> None:
    for boundary in ('"a b (c)+[d]"', "=_.*?", '"----=_\\\\x"'):
        written = boundary.strip('"').replace("\\\\", "\\")
        raw = multipart("mixed", "\none", boundary=written)
        raw = raw.replace(f"boundary={written}".encode(), f"boundary={boundary}".encode(), 1)
        assert parse(raw).body == "one"


def nested(depth: int, kind: str = "multipart/mixed") -> bytes:
    levels = (f"Content-Type: {kind}; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return ("".join(levels) + "\nwords").encode()


def test_nesting_is_followed_so_far_and_then_read_as_it_stands() -> None:
    assert parse(nested(DEEPEST)).body == "words"
    deep = parse(nested(DEEPEST + 1)).body
    assert deep.startswith("--b")
    assert deep.endswith("words")


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/alternative"])
def test_parts_in_parts_without_end_are_no_reason_to_fail(kind: str) -> None:
    assert parse(nested(3 * sys.getrecursionlimit(), kind)).body.endswith("words")


def test_mails_in_mails_without_end_are_no_reason_to_fail() -> None:
    inside = b"Content-Type: message/rfc822\n\n" * 3 * sys.getrecursionlimit()
    assert parse(inside + b"Subject: words").body.endswith("words")


def test_parts_without_end_are_read_up_to_a_bound() -> None:
    many = b"Content-Type: multipart/mixed; boundary=e\n\n" + b"--e\n\nword\n" * (MOST_PARTS + 500)
    assert parse(many).body.count("word") == MOST_PARTS


# --- any bytes ----------------------------------------------------------------------------------


def check(read: Mail) -> None:
    """What holds for each mail, whatever was sent."""
    for text in (read.subject, read.body, read.text, *read.attachments):
        assert text.encode().decode() == text
        assert "\0" not in text
        assert "\r" not in text
    assert "\n" not in read.subject
    assert all(name and len(name) <= 255 for name in read.attachments)
    assert read.arrived is None or (read.arrived.tzinfo is UTC and read.arrived.year >= 1990)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read(raw: bytes) -> None:
    check(parse(raw))


FRAGMENTS = [
    b"\n", b"\r\n", b"\n\n", b"--edge\n", b"\n--edge--\n", b"--", b" ", b"\t", b";", b'"', b"=",
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xe9", b"From x\n", b"Subject: ", b"words",
    b"Received: x; 1 Jan 2002 1:1:1 +9999\n", b"Content-Type: multipart/mixed; boundary=edge\n",
    b"Content-Type: multipart/alternative;\n", b"Content-Type: message/rfc822\n", b"boundary=",
    b"Content-Type: text/html; charset=utf-7\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n", b"utf-16'en'%00%D8", b"filename*=zlib''%FF",
    b"Content-Disposition: attachment; filename*0*=", b"=?utf-16?B?ANg=?=", b"=?hz?Q?=7E{?=",
    b"=?", b"?=", b"+2AA-", b"QUJD", b"=41", b"=\n", b"<html>", b"<meta charset=utf-32>",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60))
def test_any_order_of_a_mails_pieces_is_read(pieces: list[bytes]) -> None:
    check(parse(b"".join(pieces)))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_a_mail_damaged_anywhere_is_read(seed: int, wounds: int) -> None:
    draw, raw = random.Random(seed), bytearray(rich_mail())
    for _ in range(wounds):
        at = draw.randrange(len(raw))
        length = draw.choice((0, 1, 1, 40))
        raw[at : at + length] = draw.choice((b"", draw.randbytes(3), draw.choice(FRAGMENTS)))
        if not raw:
            break
    check(parse(bytes(raw)))


VISIBLE = st.characters(exclude_categories=["Cs", "Cc", "Cf"])


@given(st.text(VISIBLE, min_size=1), st.text(VISIBLE | st.just("\n"), max_size=200))
def test_what_the_standard_library_writes_is_read_back(subject: str, body: str) -> None:
    message = EmailMessage()
    message["Subject"] = " ".join(subject.split())
    message.set_content(body, cte="base64")
    read = parse(message.as_bytes())
    assert read.subject == " ".join(subject.split())
    assert read.body.split() == body.split()
