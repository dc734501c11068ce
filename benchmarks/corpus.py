"""What every benchmark measures on: a corpus, parsed and cleaned."""

from __future__ import annotations

import pandas as pd

from rampart.data.preparation import prepare
from rampart.data.sources import SPAM_ASSASSIN, read
from rampart.settings import settings


def messages(source: str = SPAM_ASSASSIN) -> pd.DataFrame:
    """The usable messages of a source, fetched into the user's cache where it is a corpus."""
    return prepare(read(source, cache=settings().cache_dir).rows).rows
