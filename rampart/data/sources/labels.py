"""The words that tell threat from harmless, in a column or in the name of a file or folder."""

from __future__ import annotations

import re
from collections.abc import Iterable

_THREAT = ("spam", "phishing", "threat", "malicious")
_HARMLESS = ("ham", "legitimate", "benign", "harmless")
_WORDS = {
    **dict.fromkeys((*_THREAT, "1", "1.0", "true"), 1),
    **dict.fromkeys((*_HARMLESS, "0", "0.0", "false"), 0),
}
# "spam-1", "ham_old" and "easy_ham" name their label, "hamburg" and "no-spam" do not.
_PLACE = re.compile(
    rf"(?:(?:easy|hard)[-_ ])?({'|'.join((*_THREAT, *_HARMLESS))})(?![^\W\d_])", re.IGNORECASE
)

REMEDY = "Write labels as 0 or 1, true or false, or " + ", ".join(
    f"{threat} or {harmless}" for threat, harmless in zip(_THREAT, _HARMLESS, strict=True)
)


def label_of(value: object) -> int | None:
    """Label of a column's value: 1 for a threat, 0 for none, None for anything unheard of."""
    return _WORDS.get(str(value).strip().casefold())


def label_of_place(names: Iterable[str]) -> int | None:
    """Label of the first of some names, nearest first, that is a label word or starts with one."""
    for name in names:
        if found := _PLACE.match(name):
            return _WORDS[found.group(1).casefold()]
    return None
