"""What AgentDojo's wheel holds: tasks for an assistant, the data it reads, and injections there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

from rampart.data.sources.prompt_attacks.literals import constants, docstrings, strings
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

_SUITES = "agentdojo/data/suites/"
_PLACE = re.compile(r"\{(\w*injection\w*)\}")
_SHORTEST = 30  # Characters of a document: shorter ones are names and numbers.
_USER, _MODEL = "Emma Johnson", "AI assistant"


def prompts(files: Texts) -> Iterator[Prompt]:
    """Prompts of the wheel, in order."""
    tasks, goals = (_said(files, name) for name in ("PROMPT", "GOAL"))
    yield from numbered("agentdojo/tasks", HARMLESS, tasks)
    documents, usual = _documents(files)
    clean = [_PLACE.sub(lambda place: usual.get(place[1], ""), text) for text in documents]
    system = _yaml(files["agentdojo/data/system_messages.yaml"]).values()
    yield from numbered("agentdojo/documents", HARMLESS, [*clean, *system])
    injectable = [text for text in mixed(documents) if _PLACE.search(text)]
    injected = (
        _PLACE.sub(lambda _, said=injection: said, document)  # type: ignore[misc]
        for document, injection in zip(cycle(injectable), _injections(files, goals), strict=False)
    )
    yield from numbered("agentdojo/injections", ATTACK, injected)
    yield from documentation("agentdojo/documentation", _documentation(files))


def _yaml(content: bytes) -> Any:
    import yaml

    # A file that includes others has nothing else in it, and the others are read by themselves.
    return None if b"!include" in content else yaml.safe_load(content)


def _said(files: Texts, name: str) -> list[str]:
    """What the tasks ask for, in whichever version of a suite."""
    found = [
        item.value
        for _, content in named(files, "agentdojo/default_suites/", ".py")
        for item in constants(content)
        if item.name == name and isinstance(item.value, str)
    ]
    return list(dict.fromkeys(inspect.cleandoc(text) for text in found))


def _documents(files: Texts) -> tuple[list[str], Mapping[str, str]]:
    """The texts that tools give, with places for injections, and what usually stands there."""
    documents: list[str] = []
    usual: dict[str, str] = {}
    for name, content in named(files, _SUITES, ".yaml"):
        data = _yaml(content)
        if name.endswith("/injection_vectors"):
            usual |= {place: vector["default"] for place, vector in data.items()}
        else:
            documents += _texts(data)
    unique = dict.fromkeys(text.strip() for text in documents)
    return [text for text in unique if len(text) >= _SHORTEST], usual


def _texts(node: Any) -> Iterator[str]:
    """Mails, messages, appointments, files, pages and reviews, wherever they lie."""
    if isinstance(node, list):
        for item in node:
            yield from _texts(item)
    elif isinstance(node, dict):
        title = node.get("subject") or node.get("title") or node.get("name")
        for key, value in node.items():
            if key in {"web_content", "files"} and isinstance(value, dict):
                yield from (text for text in value.values() if isinstance(text, str))
            elif key in {"body", "content", "description"} and isinstance(value, str):
                yield f"{title}\n\n{value}" if title else value
            elif key == "reviews" and isinstance(value, list):
                yield "\n".join([str(title), *map(str, value)])
            else:
                yield from _texts(value)


def _injections(files: Texts, goals: list[str]) -> list[str]:
    """Each of the attacks once, each with another goal."""
    templates = [
        text
        for _, content in named(files, "agentdojo/attacks/", ".py")
        for text in strings(content)
        if "{goal}" in text or ("{user}" in text and "{model}" in text)
    ]
    filled = []
    for template, goal in zip(dict.fromkeys(templates), cycle(mixed(goals)), strict=False):
        said = template.replace("{user}", _USER).replace("{model}", _MODEL)
        filled.append(said.replace("{tools}", "").replace("{goal}", goal))
    return filled


def _documentation(files: Texts) -> Iterator[str]:
    for _, content in named(files, "agentdojo-", "/METADATA"):
        yield from sections(content)
    for _, content in named(files, "agentdojo/", ".py"):
        yield from (text for _, text in docstrings(content))
