"""What the models see of a text, and the way back to what was sent."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import AlignedText, clean

TAGS = (
    "<p>", "</p>", "<br>", "<b>", "</b>", "<a href='x>y'>", "</a>", "<script>", "</script >",
    "<style>", "</style>", "<!--", "-->", "<!doctype html>", "<td", "<?xml?>", "<>", "</>", "<",
    ">", "<div\n>",
)  # fmt: skip
ENTITIES = (
    "&amp;", "&lt;", "&nbsp;", "&#65;", "&#x1F600;", "&#0;", "&#1;", "&NotEqualTilde;", "&notit;",
    "&nosuch;", "&#99999999;", "&", "&amp", "AT&T;",
)  # fmt: skip
MAIL = (
    "Re: ", "[list] ", "> quoted\n", "\n", "\r\n", "\r", "  ", "\t", "-- \n", "_____\n",
    "Ann wrote:\n", "the mailing list\n", "-----Original Message-----\n", "ilug",
    "exmh-users@example.com", "DeathToSpam", "---", "To unsubscribe from this group\n",
)  # fmt: skip
ODD = (
    "\u200b", "\u00ad", "\ufeff", "e\u0301", "\U0001f469\u200d\U0001f4bb", "\x00", "\x0c", "\ufffd",
    "\u202e", "\ud83d", "İ", "\u2028", "文字", "\u05d0",
)  # fmt: skip
soup = st.lists(
    st.one_of(st.sampled_from(TAGS + ENTITIES + MAIL + ODD), st.text(max_size=8)), max_size=40
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(soup, soup.map("<html>".__add__), st.text(max_size=200)))
@example("")
@example("<html>")
@example("<p>&")
@example("<p><script>x")
@example("<p><script></style></script>y")
@example("<p><!-->x-->y")
def test_every_character_knows_where_it_stood(source: str) -> None:
    aligned = clean(source)
    starts, ends = aligned.starts, aligned.ends
    assert len(starts) == len(ends) == len(aligned.text)
    assert starts.dtype == ends.dtype == np.int64
    assert np.all(starts < ends)
    assert np.all((starts >= 0) & (ends <= len(source)))
    # In order, and no source character is shared by two pieces.
    same = (np.diff(starts) == 0) & (np.diff(ends) == 0)
    assert np.all(same | (starts[1:] >= ends[:-1]))
    for character, start, end in zip(aligned.text, starts, ends, strict=True):
        if end - start == 1:
            assert source[start] == character


@settings(max_examples=100, deadline=None)
@given(soup)
def test_what_nobody_sees_never_reaches_a_model(source: str) -> None:
    text = clean(source).text
    assert not set(text) & set("\x00\u200b\u00ad\ufeff\ufffd\u202e\ud83d")
    # What is left can be encoded: tokenizers take nothing else.
    text.encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(soup, st.data())
def test_a_span_leads_to_the_part_of_the_source_that_it_was_read_from(
    source: str, data: st.DataObject
) -> None:
    aligned = clean(source)
    if not aligned.text:
        return
    start = data.draw(st.integers(0, len(aligned.text) - 1))
    end = data.draw(st.integers(start + 1, len(aligned.text)))
    (first,), (last,) = aligned.to_source(np.array([start]), np.array([end]))
    assert 0 <= first < last <= len(source)
    assert first == aligned.starts[start]
    assert last == aligned.ends[end - 1]


def _seen(aligned: AlignedText, source: str, word: str) -> str:
    at = aligned.text.index(word)
    start, end = aligned.to_source(np.array([at]), np.array([at + len(word)]))
    return source[start[0] : end[0]]


@pytest.mark.parametrize(
    ("source", "word", "shown"),
    [
        ("<p>mo<b></b>ney</p>", "money", "mo<b></b>ney"),
        ("<p>caf&eacute; &amp; bar</p>", "café", "caf&eacute;"),
        ("vi\u200bag\u00adra", "viagra", "vi\u200bag\u00adra"),
        ("<p>&#x1F600;</p>", "\U0001f600", "&#x1F600;"),
        ("\U0001f600 e\u0301t\u0065\u0301", "e\u0301te\u0301", "e\u0301te\u0301"),
        ("one\r\ntwo", "one\ntwo", "one\r\ntwo"),
        ("a &amp; b without markup", "&amp;", "&amp;"),
        ("<p>AT&T; R&D</p>", "AT&T; R&D", "AT&T; R&D"),
    ],
)
def test_a_word_is_shown_as_it_was_sent(source: str, word: str, shown: str) -> None:
    assert _seen(clean(source), source, word) == shown


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Re: Fwd: [tag] Re[2]: hello", "hello"),
        ("AW: Antw: hello", "hello"),
        ("hello\n\n> quoted\n>> twice\n| barred\nAB> initialled\nmine", "hello\n\nmine"),
        ("hello\n\nOn Monday, Ann Lee wrote:\n> quoted\nmine", "hello\n\nmine"),
        ("hello\n-----Original Message-----\nmine", "hello\nmine"),
        (
            "mine\n_______________________\nIlug mailing list\nhttp://lists.example/listinfo/ilug\n",
            "mine\n\n",
        ),
        ("mine\n-- \nIrish Linux Users' Group: ilug@linux.ie\nhttp://linux.ie", "mine\n"),
        ("mine\nTo unsubscribe from this group, send\nmail to x\n\nmore", "mine\n\n\nmore"),
        ("ask exmh-workers@example.com or spamassassin-talk", "ask or "),
        ("ask fork@example.com", "ask "),
        ("before --DeathToSpamDeathToSpam-- after", "before after"),
        ("a  b \t c\n\n\n\nd", "a b c\n\nd"),
        ("<html><style>p {x}</style><script>if (a<b) c()</script><p>seen</p>", " \nseen\n"),
        ("<p>a<!-- hidden > -->b</p>", "\nab\n"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", " \n a b \n "),
    ],
)
def test_what_tells_of_the_way_here_or_is_unseen_goes(source: str, text: str) -> None:
    got = clean(source).text
    assert got.split() == text.split()
    assert got.count("\n\n") == text.count("\n\n") or "<" in source


_TRACES = [
    "zzzzteana", "ilug-social", "spamassassin-sightings", "razor-users", "exmh-workers", "[ilug]",
    "rpm-zzzlist", "sadev", "satalk", "spambayes-dev", "secprog", "freshrpms", "fork@", "fork",
    "social-admin@", "webdev-request@", "iiu@xent.com", "--DeathToSpam", "social", "spam", "rpm",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(_TRACES), st.sampled_from([str.upper, str.title, str.lower])),
        min_size=1,
        max_size=4,
    )
)
def test_names_of_lists_go_from_a_text_of_ascii_as_from_any_other(
    traces: list[tuple[str, Callable[[str], str]]],
) -> None:
    """Texts of ASCII are first asked whether any name can be in them."""
    text = "About this\n\nask " + " or ".join(change(trace) for trace, change in traces) + " x"
    assert [*clean(text).words, "\u00e9"] == clean(f"{text} \u00e9").words


@pytest.mark.parametrize(
    "text",
    [
        "Meeting on Thursday\n\nDear Ann,\nlunch at 12:30? It costs $5, or 4 < 5 & 6 > 5.\n\nBob",
        "Ärger im Büro: 文字 \U0001f600 e\u0301\nx = a[0] if a > b else c",
        "Prices\n\n- one\n- two\n------\ntotal: 3",
        "a fork in the road, social work, spoons; regarding re-use",
        "he said: yes, and she wrote: no",
        "Let me know.\n\n-- \nBob, Acme Ltd.\nhttp://example.com",
        "form\x0cfeed, and\rcarriage",
    ],
)
def test_ordinary_mail_stays_as_it_is(text: str) -> None:
    aligned = clean(text)
    assert aligned.text == text
    assert np.array_equal(aligned.starts, np.arange(len(text)))
    assert np.array_equal(aligned.ends, np.arange(len(text)) + 1)


def test_tags_in_a_text_without_html_are_text() -> None:
    assert clean("write <user@example.com> & wait").text == "write <user@example.com> & wait"


def test_an_unclosed_comment_or_script_hides_nothing() -> None:
    assert "after" in clean("<p>before<!-- after").text
    assert "after" in clean("<p>before<script>after").text


MEGABYTE = 1_000_000
_HOSTILE = (
    "<", "&", ">", "-", "- ", "\n", "_____\n", "_____", "Re: ", "[a] ", "[", ">>>> ", " ", "wrote:",
    "said: \t", "\nx wrote", "DeathToSpam-", "-- \n", "_____\nx\ny\nz\n",
    "to unsubscribe from this group\n", "ilug@", "\r", "\u200b", "|\n", "<p><", "<p>&#1", "<p><!--",
    "<p><!-->", "<script>", "<p></script", "<p>&amp;", "<p>_____\n",
)  # fmt: skip


@pytest.mark.parametrize("unit", _HOSTILE)
def test_a_megabyte_of_one_thing_does_not_hold_it_up(unit: str) -> None:
    # Under the suite's limit for a test only a time linear in the length gets there.
    source = unit * (MEGABYTE // len(unit))
    aligned = clean(source)
    assert len(aligned.text) == len(aligned.starts)
    assert len(aligned.text) <= len(source)


@given(st.text())
def test_words_are_runs_of_letters_and_single_signs_where_they_stand(text: str) -> None:
    aligned = AlignedText.plain(text)
    found = [(match.group(), match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]
    assert aligned.words == [word for word, _ in found]
    assert [tuple(span) for span in aligned.word_spans.tolist()] == [span for _, span in found]
