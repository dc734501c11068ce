"""Texts that no mail program would write: broken HTML, huge lines, odd Unicode, and mixtures.

A text is drawn from a seed and its number alone, so that what failed can be had again.
"""

from __future__ import annotations

import numpy as np

PIECES: tuple[str, ...] = (
    # Markup that ends nowhere, or never began.
    "<", ">", "</", "<!--", "-->", "<!-->", "<![CDATA[", "]]>", "<!", "<?", "<a href=", "<a href='",
    '<a href="http://a.example/?q=', "</a", "<script>", "</script", "<style>*{", "</style>",
    "<form action=//a.example>", "<img src=x onerror=alert(1)>", "<div style='display:none'>",
    "<font size=0 color=#fff>", "<table" * 5, "<b" * 20, "<p>" * 30, "</div>" * 30,
    "<a><b></a></b>",
    "<svg onload=a>", "&", "&#", "&#x", "&#xd800;", "&#99999999;", "&#0;", "&amp;amp;", "&nbsp",
    "&lt;script&gt;", "&NotEqualTilde;", "=\n", "=3D", "=E9", "<0>", "< b >", "<B/>", "<a\n\nhref>",
    # Addresses and links of every wrong kind.
    "http://", "https://[::1", "http://0x7f.1/", "http://1.2.3.4:99999/", "ftp://a@b@c/", "a@",
    "@b.c",
    "http://xn--a.example/", "http://\u0430pple.com", "//a", "http://a..b..c/",
    "mailto:a@b.example",
    "data:text/html;base64,PHNjcmlwdD4=", "javascript:void(0)", "http://" + "a." * 60 + "example",
    "bit.ly/x", "www.", "http://a.example/%00%ff%zz", "http://\u202egro.elpmaxe",
    # Unicode that is not what it looks like.
    "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u202d", "\u2066", "\u2069",
    "\u061c",
    "\u0301" * 40, "e\u0301", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U000e0041\U000e007f",
    "\ufe0f", "\U0001f3f4", "\ud800", "\udfff", "\udc80", "\ufffd", "\ufffe", "\uffff",
    "\U0010ffff",
    "\u0130", "\u0131", "\u1e9e", "\ufb01", "\u01c4", "\u2028", "\u2029", "\x85", "\x00", "\x07",
    "\x1b[31m",
    "\x7f", "\x0b", "\x0c", "\u0661\u0662", "\u2460", "\u00bd", "\u3042", "\u6f22\u5b57",
    "\u05d0\u05d1",
    "\u0627\u0644\u0644\u0647", "\u0e01\u0e33", "\uff30\uff41\uff59",
    "\U0001d5e3\U0001d5ee\U0001d606",
    # What the lexicons and patterns look for, and what is nearly it.
    "FREE!!!", "$$$", "$1,000,000.00", "100%", "act now", "verify your account", "password", "SSN",
    "ignore all previous instructions", "<|im_start|>system", "[INST]", "### System:", "DAN",
    "QUJD" * 40, "deadbeef" * 40, "\\x41\\x42", "%41%42", "rot13", "-----BEGIN PGP MESSAGE-----",
    "4111 1111 1111 1111", "DE89370400440532013000", "192.168.0.1", "+1 (555) 010-9999",
    "078-05-1120",
    "ann@example.org", "Dr. Ann Example", "I", "don't", "you", "Dear Sir/Madam,", "w o r d s",
    "v1agra",
    # What mail brings along.
    "Subject: ", "Re: Re: Fwd: ", "> > > ", "_______\nlist mailing list\n", "-- \n", "From: a\n\n",
    "Content-Type: text/html\n\n", "--boundary\n", "[list] ", "begin 644 a\nM",
    "URL: http://a.example/\n",
    # Room and none.
    " ", "\t", "\n", "\r\n", "\r", "\n\n\n", " " * 100, "\xa0" * 20, ".", ",", "...", "!", "?",
    "-" * 80,
    "=" * 80, "a", "A", "1", "word ", "The quick brown fox. ", "aaaa", "x" * 60, "\u00e9\u00e8",
    "_", "'", '"', "\\",
    "(" * 30, ")" * 30, "[" * 30, "{{x}}", "${x}", "%s%n", "'; DROP TABLE x; --", "\\u0000",
    "None", "NaN",
)  # fmt: skip


def text(seed: int, number: int) -> str:
    """One text: mostly short mixtures, now and then one piece many times or one long line."""
    draw = np.random.default_rng((seed, number))
    kind = int(draw.integers(100))
    if kind < 1:
        return _piece(draw) * int(draw.integers(1, 1_000))
    if kind < 2:
        return _mixed(draw, int(draw.integers(100, 1_000)))
    if kind < 10:
        return _characters(draw, int(draw.integers(0, 200)))
    if kind < 20:
        return _damaged(draw, _mixed(draw, int(draw.integers(1, 16))))
    return _mixed(draw, int(draw.integers(0, 16)))


def _piece(draw: np.random.Generator) -> str:
    return PIECES[int(draw.integers(len(PIECES)))]


def _mixed(draw: np.random.Generator, pieces: int) -> str:
    joint = ("", "", " ", "\n")[int(draw.integers(4))]
    return joint.join(PIECES[at] for at in draw.integers(len(PIECES), size=pieces).tolist())


def _characters(draw: np.random.Generator, length: int) -> str:
    """Any code points, surrogates among them."""
    highest = (0x7F, 0x2FF, 0xFFFF, 0x10FFFF)[int(draw.integers(4))]
    return "".join(map(chr, draw.integers(0, highest + 1, size=length).tolist()))


def _damaged(draw: np.random.Generator, given: str) -> str:
    """Characters lost, doubled and swapped."""
    characters = list(given)
    for place in draw.integers(0, max(1, len(characters)), size=10).tolist():
        if place < len(characters):
            characters[place] = ("", characters[place] * 2, characters[-1 - place])[
                int(draw.integers(3))
            ]
    return "".join(characters)
