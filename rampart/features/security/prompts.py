"""Marks of attacks on language models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from rampart.features.base import Feature
from rampart.features.security.finding import Found, Part, Within
from rampart.features.security.message import Message


class _Mark(NamedTuple):
    """A feature, what a text has to hold some of, in lower case, and the pattern that decides."""

    name: str
    meaning: str
    needs: tuple[str, ...]
    pattern: str


_MARKS = (
    _Mark(
        "override",
        "orders to forget what was said before",
        ("ignore", "disregard", "forget", "override", "bypass"),
        r"\b(?:ignore|disregard|forget|override|bypass)\b[^\n.]{0,40}?"
        r"\b(?:previous|prior|above|earlier|preceding|instructions?|rules|guidelines|prompt)\b",
    ),
    _Mark(
        "role",
        "new parts to play",
        (
            "you are now",
            "from now on",
            "pretend",
            "act as",
            "roleplay",
            "mode",
            "jailbreak",
            "do anything",
            "in character",
        ),
        r"\b(?:you are now|from now on,? you|pretend (?:to be|you)|act as|roleplay as"
        r"|developer mode|jailbreak|dan mode|do anything now|stay in character)\b",
    ),
    _Mark(
        "probe",
        "questions for the hidden prompt",
        ("prompt", "instructions", "repeat", "your rules"),
        r"\b(?:system prompt|initial instructions|hidden (?:prompt|instructions)"
        r"|repeat (?:the|your|everything|all)[^\n.]{0,30}?"
        r"(?:above|instructions|prompt|verbatim)"
        r"|(?:reveal|print|show|output) (?:me )?your (?:instructions|prompt|rules))\b",
    ),
    _Mark(
        "delimiter",
        "marks that end a turn or begin another",
        (
            "<|",
            "inst]",
            "sys>",
            "##",
            "</",
            "<system",
            "<instr",
            "<assistant",
            "system",
            "assistant",
            "human",
        ),
        r"<\|[a-z_]{2,20}\|>|\[/?INST\]|<</?SYS>>"
        r"|^#{2,4} ?(?:system|instruction|assistant|user)\b"
        r"|</?(?:system|assistant|instructions?)>|^(?:system|assistant|human) ?:",
    ),
    _Mark(
        "decode",
        "requests to decode something and follow it",
        ("decode", "decrypt", "decipher", "rot13", "base64", "translate"),
        r"\b(?:decode|decrypt|decipher|rot13|base64|translate)\b[^\n.]{0,60}?"
        r"\b(?:and (?:follow|execute|do|then)|then (?:follow|execute|do)|instructions?)\b",
    ),
    _Mark(
        "exfiltration",
        "images and links that would carry something away",
        ("![", "send ", "curl ", "wget "),
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s?]{1,300}\?"
        r"|\bsend (?:it|them|this|the (?:data|contents?|conversation|passwords?)) to\b"
        r"|\b(?:curl|wget) https?://",
    ),
    _Mark(
        "tool",
        "calls of tools",
        ("tool", "function", 'action"'),
        r"\"(?:tool|function|tool_name|action)\"\s{0,5}:\s{0,5}\"|\bfunction_call\b|<tool_call>",
    ),
    _Mark(
        "unbound",
        "claims that no rule holds",
        ("without", "no restr", "no ethic", "no moral", "no rules", "unfiltered", "amoral"),
        r"\bwithout (?:any )?(?:restrictions?|limitations?|filters?|censorship|moral)"
        r"|\bno (?:restrictions|ethical|moral|rules apply)\b|\bunfiltered\b|\bamoral\b",
    ),
)
# A plain search for what a pattern cannot do without is far cheaper than the pattern.
_PATTERNS = [
    (f"prompt_{mark.name}", mark.needs, re.compile(mark.pattern, re.IGNORECASE | re.MULTILINE))
    for mark in _MARKS
]
_SCANNED = 100_000


def _find(message: Message) -> Iterable[Found]:
    text = message.aligned.text[:_SCANNED]
    lowered = text.lower()
    for name, needs, pattern in _PATTERNS:
        if any(need in lowered for need in needs):
            found = [match.span() for match in pattern.finditer(text)]
            yield Found(name, len(found), found, Within.TEXT)


PART = Part(tuple(Feature(f"prompt_{m.name}", "count", m.meaning) for m in _MARKS), _find)
