"""What the cache of tokens saves: `.venv/bin/python -m benchmarks.tokens`.

Cuts the default corpus's clean texts for the packaged encoder without a cache, with an empty one
and with the one that this filled, and prints each way's time, by the clock and of the processor.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from rampart.features.pretrained import PACKAGED_BASE
from rampart.models.encoder import WindowSettings
from rampart.training.frozen import Cutter
from rampart.training.network import base_tokenizer
from rampart.training.tokens import TokenCache


def main() -> None:
    """Measure and print."""
    texts = corpus.messages()["clean"].tolist()
    tokenizer, window = base_tokenizer(PACKAGED_BASE), WindowSettings()
    table = Table("cut", "seconds", "CPU s", title=f"{len(texts):,} texts")
    with TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder))
        for name, kept in (("without a cache", None), ("into it", cache), ("out of it", cache)):
            cut = Cutter(tokenizer, window, kept)
            clock, processor = time.perf_counter(), time.process_time()
            cut(texts)
            table.add_row(
                name,
                f"{time.perf_counter() - clock:.2f}",
                f"{time.process_time() - processor:.2f}",
            )
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.arrow"))
    console = Console()
    console.print(table)
    console.print(f"{size / 1e6:.1f} MB on disk")


if __name__ == "__main__":
    main()
