"""Mails by the million, made up from a seed: mbox files whose labels are in their names.

Words come as often as in a language (the nth most frequent 1/n times as often) and every mail has
some that no other has. Most mails are one of a kind, others come in campaigns of up to thousands,
whose copies differ in a few words or in case and digits alone. Threats and harmless mails share
their words but for a few thousand that lean to one side; a tenth of the campaigns leans to neither,
so that no model can be right about all. Half of the mails are plain; the others are in HTML, quoted
printable, base64, or of two parts.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORDS = 60_000
LEANING = 600  # Words that lean to each side.
FILE_MAILS = 50_000
THREATS = 0.4
_LETTERS = list("eeeeaaaiiooutnnrrsslldcmpgbfhvkwyjxzq")
_OWN, _OTHER = 0.12, 0.02  # Shares of a text's words that lean to its side, and to the other.
_UNDECIDED = 0.1
_GIANT = 0.01  # Share of the mails in one campaign.
_BOUNDARY = "=_parts_of_this_mail"


def write(folder: Path, count: int, seed: int = 0) -> None:
    """Write mbox files of `count` mails in all, in memory that does not grow with their number."""
    folder.mkdir(parents=True, exist_ok=True)
    threats = round(count * THREATS)
    for label, mails in ((0, count - threats), (1, threats)):
        name = "spam" if label else "ham"
        source = _Source(seed, label, mails)
        for number, start in enumerate(range(0, mails, FILE_MAILS)):
            with (folder / f"{name}-{number:03}.mbox").open("wb") as file:
                for mail in source.take(min(FILE_MAILS, mails - start)):
                    file.write(mail)


def _vocabulary(seed: int) -> NDArray[np.str_]:
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(draw.choices(_LETTERS, k=draw.randint(2, 10)))] = None
    return np.array(list(found))


class _Source:
    """Mails of one label, campaign by campaign."""

    def __init__(self, seed: int, label: int, mails: int) -> None:
        self.words = _vocabulary(seed)
        self.label = label
        self.draw = np.random.default_rng([seed, label])
        self.plain = random.Random(f"{seed} {label}")  # noqa: S311 - not for secrets
        self.often = np.cumsum(1 / np.arange(1, WORDS + 1))
        self.begin = datetime(2020, 1, 1, tzinfo=UTC)
        self._stream = self._mails(round(mails * _GIANT))

    def take(self, count: int) -> list[bytes]:
        """The next mails, their campaigns mixed."""
        mails = [next(self._stream) for _ in range(count)]
        self.plain.shuffle(mails)
        return mails

    def _mails(self, giant: int) -> Iterator[bytes]:
        size = giant
        while True:
            yield from self._campaign(max(1, size))
            size = min(int(self.draw.zipf(2.2)), 2_000)

    def _campaign(self, size: int) -> Iterator[bytes]:
        length = int(self.draw.integers(60, 200))
        original = np.searchsorted(self.often, self.draw.random(length) * self.often[-1])
        own, other = _OWN, _OTHER
        if self.draw.random() < _UNDECIDED:
            own = other = (_OWN + _OTHER) / 2
        side = self.draw.random(length)
        # Neither the most frequent words nor the rare ones lean.
        place = 500 + 2 * self.draw.integers(0, LEANING, length)
        original = np.where(side < own, place + self.label, original)
        original = np.where(side > 1 - other, place + 1 - self.label, original)
        subject = self.words[original[: int(self.draw.integers(3, 7))]]
        days = float(self.draw.random() * 700)
        for copy in range(size):
            numbers = original
            if copy and self.draw.random() < 0.8:
                numbers = original.copy()
                changed = self.draw.integers(0, length, 3)
                numbers[changed] = self.draw.integers(0, WORDS, 3)
            body = self._body(self.words[numbers].tolist(), alike=copy > 0 and numbers is original)
            when = self.begin + timedelta(days=days, minutes=17 * copy)
            yield self._mail(" ".join(subject), body, when)

    def _body(self, words: list[str], *, alike: bool) -> str:
        """Lines and sentences; a copy that reads alike differs in case and digits alone."""
        lines = []
        for start in range(0, len(words), 12):
            line = " ".join(words[start : start + 12])
            lines.append((line.upper() if alike and start == 0 else line.capitalize()) + ".")
        own = "0" if alike else "".join(self.plain.choices("abcdefghijklmnop", k=7))
        lines.append(f"Order {self.plain.randint(10_000, 99_999)}: http://{words[0]}.example/{own}")
        return "\n".join(lines)

    def _mail(self, subject: str, body: str, when: datetime) -> bytes:
        time = format_datetime(when)
        head = (
            f"From sender@example.com {when:%a %b %d %H:%M:%S %Y}\n"
            f"Received: from a.example by b.example; {time}\n"
            f"From: sender@example.com\nTo: you@example.com\nDate: {time}\n"
            f"Subject: {'Re: ' if self.plain.random() < 0.2 else ''}{subject}\nMIME-Version: 1.0\n"
        )
        content = _encoded(self.plain.random(), body)
        return (head + content).encode() + b"\n\n"


def _encoded(draw: float, body: str) -> str:
    """Headers of a body, and the body, in one of the ways of mail."""
    kind, html = "Content-Type: text/{}; charset=utf-8\n", _html(body)
    if draw < 0.5:
        return kind.format("plain") + "\n" + body
    if draw < 0.65:
        return kind.format("html") + "\n" + html
    if draw < 0.75:
        quoted = quopri.encodestring(html.encode()).decode()
        return kind.format("html") + f"Content-Transfer-Encoding: quoted-printable\n\n{quoted}"
    if draw < 0.85:
        coded = base64.encodebytes(body.encode()).decode()
        return kind.format("plain") + f"Content-Transfer-Encoding: base64\n\n{coded}"
    parts = "".join(
        f"--{_BOUNDARY}\n{kind.format(name)}\n{text}\n"
        for name, text in (("plain", body), ("html", html))
    )
    named = f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\n\n'
    return f"{named}{parts}--{_BOUNDARY}--\n"


def _html(body: str) -> str:
    lines = "".join(f"<p>{line}</p>\n" for line in body.split("\n"))
    return f"<html><body><font size=2>{lines}</font></body></html>"
