"""What every benchmark measures on: a corpus, parsed and cleaned."""

from __future__ import annotations

import pandas as pd

from rampart.data import splits
from rampart.data.preparation import prepare
from rampart.data.sources import SPAM_ASSASSIN, read
from rampart.settings import settings


def messages(source: str = SPAM_ASSASSIN) -> pd.DataFrame:
    """The usable messages of a source, fetched into the user's cache where it is a corpus."""
    return prepare(read(source, cache=settings().cache_dir).rows).rows


def held_out(source: str, seed: int) -> list[str]:
    """Texts of the test part of a corpus's campaign split."""
    tested = splits.split(messages(source), seed=seed, timed=False)
    texts: list[str] = tested[tested["split"] == "test"]["text"].tolist()
    return texts
