"""What spikee's wheel holds: templates of jailbreaks, what to ask by them, and plain questions."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from rampart.data.sources.prompt_attacks.literals import docstrings
from rampart.data.sources.prompt_attacks.prompt import (
    ATTACK,
    HARMLESS,
    Prompt,
    documentation,
    mixed,
    named,
    numbered,
    sections,
)
from rampart.data.sources.pypi import Texts

_SEEDS = "spikee/data/workspace/datasets/"
_INSTRUCTION = "<INSTRUCTION>"
_EXTRACTION = "sysmsg-extract"
_MONTH = re.compile(r"-(\d{4}-\d{2})(?:/|$)")
_QUESTIONS = "-investment-advice"  # Asked of an assistant that must not answer them: no attack.


def prompts(files: Texts) -> Iterator[Prompt]:
    """Prompts of the wheel, in order."""
    instructions = rows(files, "instructions")
    yield from _jailbreaks(files, instructions)
    seen: set[str] = set()
    for seeds, row in instructions:
        text = row["instruction"]
        if row["instruction_type"] == _EXTRACTION and text not in seen:
            seen.add(text)
            yield Prompt("spikee/extraction", f"{len(seen):04d}", ATTACK, text, _month(seeds))
    for seeds, row in rows(files, "standalone_user_inputs"):
        harmless = _QUESTIONS in seeds
        group = "spikee/questions" if harmless else "spikee/hijacks"
        label = HARMLESS if harmless else ATTACK
        yield Prompt(group, f"{seeds}/{row['id']}", label, row["text"], _month(seeds))
    yield from numbered("spikee/documents", HARMLESS, _documents(files))
    yield from documentation("spikee/documentation", _documentation(files))


def rows(files: Texts, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Rows of all seed folders' files of a kind, each with its folder's name."""
    return [
        (seeds, json.loads(line))
        for seeds, content in named(files, _SEEDS, f"/{kind}.jsonl")
        for line in content.decode().splitlines()
        if line.strip()
    ]


def _month(seeds: str) -> str:
    found = _MONTH.search(seeds)
    return found[1] if found else ""


def _jailbreaks(files: Texts, instructions: list[tuple[str, dict[str, Any]]]) -> Iterator[Prompt]:
    """Each template once, each with another instruction in its language.

    Filled with every instruction, as the tool does it, a template would stand on both sides of
    any split.
    """
    asked: dict[str, list[str]] = {}
    for _, row in instructions:
        if row["instruction_type"] != _EXTRACTION:
            asked.setdefault(row.get("lang") or "en", []).append(row["instruction"])
    unused = {language: iter(mixed(texts)) for language, texts in asked.items()}
    seen: set[str] = set()
    for seeds, row in rows(files, "jailbreaks"):
        template = row["text"]
        bare = not template.replace(_INSTRUCTION, "").strip(" .")
        if template in seen or bare:
            continue
        seen.add(template)
        instruction = next(unused.get(row.get("lang") or "en", iter(())), "")
        text = template.replace(_INSTRUCTION, instruction)
        yield Prompt("spikee/jailbreaks", f"{len(seen):04d}", ATTACK, text, _month(seeds))


def _documents(files: Texts) -> Iterator[str]:
    """Documents and what is asked and said about them, and system messages that guard them."""
    for _, row in rows(files, "base_user_inputs"):
        if row["document"] != row.get("placeholder"):
            yield from (row["document"], row["question"].removeprefix("Q: "), row["ideal_answer"])
    for _, content in named(files, _SEEDS, "/system_messages.toml"):
        for configuration in tomllib.loads(content.decode())["configurations"]:
            yield configuration["system_message"]


def _documentation(files: Texts) -> Iterator[str]:
    for _, content in named(files, "spikee-", "/METADATA"):
        yield from sections(content)
    for _, content in named(files, _SEEDS, "/README.md"):
        yield from sections(content)
    for _, content in named(files, "spikee/", ".py"):
        yield from (text for _, text in docstrings(content))
