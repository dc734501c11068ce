"""How the encoder's second head gets better with more texts: `make benchmark-attribution`.

Takes the trained encoder of a quality run (`make benchmark-quality` leaves one for each split),
fits the head on more and more of the training mails, and prints what the logit loses on validation
mails when the tenth and the fifth of the words that each method puts first are deleted: by the
sum's plain terms, by the head, and by occlusion, which deletes every word once to find out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rampart.cli.console import progress
from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.data.tables import read_table
from rampart.errors import DataError
from rampart.models.base import Floats
from rampart.training.attribution import (
    AttributionTraining,
    fit_attribution,
    strongest,
)
from rampart.training.deletions import Deletions
from rampart.training.network import EncoderNetwork

FOLDER = Path("build/benchmarks/quality")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribution", description=__doc__)
    parser.add_argument("--run", type=Path, help="folder of a quality run; the newest by default")
    parser.add_argument("--split", default="campaign-0", help="the run's folder of one split")
    parser.add_argument("--texts", type=int, nargs="+", default=[200, 400, 800])
    parser.add_argument("--deletions", type=int, default=AttributionTraining().deletions)
    parser.add_argument(
        "--judged", type=int, default=60, help="validation mails; at most half of --texts"
    )
    given = parser.parse_args(arguments)
    run = given.run or _newest()
    seed = int(given.split.rpartition("-")[2])
    table = splits.split(read_table(run / "messages.parquet"), seed=seed, timed=False)
    train, validation = (Labelled.part(table, "split", part) for part in ("train", "validation"))
    trained = run / given.split / "network"
    whole = _occluded(trained, validation.sampled(given.judged, 0).texts)
    shown = Table(
        "", "a tenth deleted", "a fifth deleted", "of what occlusion does",
        title=f"What the logit loses, {given.judged} validation mails, {given.deletions} deletions",
    )  # fmt: skip
    for place, count in enumerate(given.texts):
        settings = AttributionTraining(texts=count, deletions=given.deletions, judged=given.judged)
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "network"
            shutil.copytree(trained, copy)
            with progress(f"{count} texts") as tell:
                report = fit_attribution(copy, train, validation, settings, on_progress=tell)
        if place == 0:
            shown.add_row("plain terms", *_cells(np.array(report.plain), whole))
        shown.add_row(f"head of {count} texts", *_cells(np.array(report.learned), whole))
    shown.add_row("occlusion", *_cells(whole, whole))
    Console(width=100).print(shown)


def _newest() -> Path:
    runs = sorted(FOLDER.glob("*-all"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise DataError("There is no trained encoder.", "Run make benchmark-quality first.")
    return runs[-1]


def _occluded(trained: Path, texts: Sequence[str]) -> Floats:
    """What deleting the words that matter most one by one takes from the logit."""
    network, _ = EncoderNetwork.load(trained)
    scorer = Deletions.of(trained, network)
    drops = []
    for text in texts:
        pieces = scorer.pieces(text)
        if len(pieces.units) < 2:
            continue
        whole = float(scorer.logits([scorer.row(pieces.ids)])[0])
        direction = 1.0 if whole > 0 else -1.0
        alone = whole - scorer.without(pieces, np.eye(len(pieces.units), dtype=bool))
        gone = np.array(strongest(direction * alone))
        drops.append(direction * (whole - scorer.without(pieces, gone)))
    found: Floats = np.mean(drops, axis=0)
    return found


def _cells(drop: Floats, whole: Floats) -> list[str]:
    shares = " / ".join(f"{share:.0%}" for share in drop / whole)
    return [*(f"{value:.2f}" for value in drop), shares]


if __name__ == "__main__":
    main()
