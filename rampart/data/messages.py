"""From what a source gives to what models read: parsed, cleaned, and rid of what cannot be used."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from rampart.data.cleaning import clean
from rampart.data.mail import parse
from rampart.data.schema import ARRIVED
from rampart.data.step import Progress, Reject, Step, Ticker, reject_table

STEP = "clean"
# A feed reader's mails: what they say was written by a web site, and their form gives them away.
_FEED_ITEM = re.compile(r"\A\s*URL: \S+\s+Date: ", re.IGNORECASE)
_HAS_HTML = re.compile(r"<(?:html|body|p|br|div|table|a|font)[\s>/]", re.IGNORECASE)
_WORD = re.compile(r"\w")


class _Read(NamedTuple):
    """A row's content, whichever way it came."""

    text: str
    subject: str
    body: str
    arrived: datetime | None
    has_html: bool
    attachments: str


def to_messages(raw: pd.DataFrame, on_progress: Progress | None = None) -> Step:
    """Parse and clean a `RAW` table into a `MESSAGES` table; each row is still its own campaign.

    A row without a word to read, and a feed reader's item, goes to the rejects.

    Args:
        raw: what a source gave.
        on_progress: called with rows done and rows in all.
    """
    rows, rejects = [], []
    tick = Ticker(len(raw), on_progress)
    given = zip(
        *(raw[name].tolist() for name in ("id", "group", "label", "raw", "text")), strict=True
    )
    for number, (identity, group, label, mail, text) in enumerate(given, start=1):
        read = _from_mail(mail) if isinstance(mail, bytes) else _from_text(text)
        cleaned = clean(read.text).text.strip()
        if _FEED_ITEM.match(read.body):
            rejects.append(Reject(identity, group, "feed item", read.subject[:80]))
        elif not _WORD.search(cleaned):
            rejects.append(Reject(identity, group, "no text", f"{len(read.text)} characters"))
        else:
            known = (identity, group, label, read.text, cleaned, read.subject, read.arrived)
            rows.append((*known, read.has_html, read.attachments, identity))
        tick(number)
    columns = ["id", "group", "label", "text", "clean", "subject", "arrived"]
    table = pd.DataFrame(rows, columns=[*columns, "has_html", "attachments", "campaign"])
    table["arrived"] = pd.to_datetime(table["arrived"], utc=True).astype(ARRIVED)
    return Step(table.astype({"label": "int8", "has_html": bool}), reject_table(STEP, rejects))


def _from_mail(raw: bytes) -> _Read:
    mail = parse(raw)
    return _Read(
        mail.text, mail.subject, mail.body, mail.arrived, mail.has_html, ", ".join(mail.attachments)
    )


def _from_text(text: str) -> _Read:
    first, empty, body = text.partition("\n\n")
    has_subject = bool(empty) and "\n" not in first.strip()
    subject, body = (first.strip(), body) if has_subject else ("", text)
    return _Read(text, subject, body, None, bool(_HAS_HTML.search(text)), "")
