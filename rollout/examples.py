"""Texts whose verdicts anybody would agree on: what a rollout asks servers.

Those of examples.jsonl were written for this; a file of one's own has the same form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from rampart.errors import InputError

OWN = Path(__file__).with_name("examples.jsonl")


class Example(NamedTuple):
    """A text, and whether it is a threat."""

    text: str
    threat: bool


def read_examples(path: Path = OWN) -> tuple[Example, ...]:
    """Examples from a file of lines {"text": ..., "threat": true or false}.

    Raises:
        InputError: the file is not that, or holds one kind only.
    """
    found = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                entry = json.loads(line)
                found.append(Example(str(entry["text"]), _flag(entry["threat"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no examples: line {len(found) + 1}: {error!r}.",
            'Write a line {"text": ..., "threat": true or false} for each.',
        ) from error
    if len({example.threat for example in found}) < 2:
        raise InputError(
            f"The {len(found)} examples in {path} are of one kind.",
            "Give threats and harmless texts.",
        )
    return tuple(found)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"threat is {value!r}")
    return value
