"""What each feature and each family is worth, and what it gives away: `make benchmark-importance`.

On the whole SpamAssassin corpus, by boosted trees over the families `security`, `linguistic` and
`semantic`, on campaign splits. Prints what each family adds and is alone, what the HTML features
add, the features that matter most (permutation and SHAP), and which features tell the source of a
text rather than its label; the last table says what becomes of the trees without those. `semantic`
learns from labels, so it is read out of fold in its own training texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import corpus
from rampart.data import splits
from rampart.data.cleaning import AlignedText, clean
from rampart.data.labelled import Labelled
from rampart.features.linguistic import LinguisticFeatures
from rampart.features.security import SecurityFeatures
from rampart.features.security.markup import PART as MARKUP
from rampart.features.semantic import SemanticFeatures
from rampart.inspection import pictures
from rampart.inspection.importance import (
    METRICS,
    FeatureImportance,
    Parts,
    feature_importance,
    without,
)
from rampart.inspection.leakage import Leakage, leakage
from rampart.inspection.matrix import Matrix, beside
from rampart.resampling import Interval
from rampart.training.tabular import TabularTraining

FOLDER = Path("build/benchmarks/importance")
NAMES = {"f1": "F1", "recall_at_1_fpr": "recall at 1 % FPR", "pr_auc": "PR-AUC"}
_CHUNK = 256
Embedding = NDArray[np.float32]


class Remembered(SemanticFeatures):
    """The same family with every text embedded once, however many folds read it."""

    def __init__(self, known: Mapping[str, Embedding]) -> None:
        super().__init__()
        self.known = known

    def embed(self, texts: Sequence[str | AlignedText]) -> NDArray[np.float32]:
        """Embeddings as they were computed before."""
        plain = [text.text if isinstance(text, AlignedText) else clean(text).text for text in texts]
        return np.stack([self.known[text] for text in plain])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importance", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the splits")
    parser.add_argument("--most", type=int, default=20, help="features that are shown")
    given = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    console = Console(width=150)
    mails = corpus.messages()
    plain, known = _plain_families(mails), _embedded(mails)
    leaking = leakage(plain, mails["group"].tolist())
    console.print(_sources(leaking), _leaks(leaking, given.most))
    _kept("leakage", pictures.leaks(leaking), console)
    html = [feature.name for feature in MARKUP.features]
    for place, seed in enumerate(given.seeds):
        table = splits.split(mails, seed=seed, timed=False)
        parts, trees = _parts(table, plain, known, seed), TabularTraining(seed=seed)
        found = feature_importance(parts, trees, seed=seed)
        console.print(_families(found, seed))
        chosen = {"HTML": html, "what leaks": leaking.leaking}
        console.print(_left_out(parts, chosen, trees, seed))
        if place == 0:
            console.print(_features(found, given.most))
            _kept("importance", pictures.importance(found, most=given.most), console)


def _plain_families(mails: pd.DataFrame) -> Matrix:
    """The families that learn nothing, read in every mail."""
    families = (SecurityFeatures(), LinguisticFeatures())
    everything = Labelled.of(mails)
    rows = [
        Matrix.of(Labelled.of(mails.iloc[first : first + _CHUNK]), families)
        for first in track(range(0, len(mails), _CHUNK), "Features", transient=True)
    ]
    return replace(
        rows[0],
        values=np.concatenate([part.values for part in rows]),
        labels=everything.labels,
        campaigns=everything.campaigns,
    )


def _embedded(mails: pd.DataFrame) -> dict[str, Embedding]:
    """The embedding of every clean text; kept in a file, for it takes minutes."""
    plain = list(dict.fromkeys(clean(text).text for text in mails["text"]))
    path = FOLDER / f"embeddings-{sha256(chr(0).join(plain).encode()).hexdigest()[:12]}.npy"
    if not path.exists():
        family = SemanticFeatures()
        parts = [
            family.embed([AlignedText.plain(text) for text in plain[first : first + _CHUNK]])
            for first in track(range(0, len(plain), _CHUNK), "Embeddings", transient=True)
        ]
        np.save(path, np.concatenate(parts))
    return dict(zip(plain, np.load(path), strict=True))


def _parts(table: pd.DataFrame, plain: Matrix, known: Mapping[str, Embedding], seed: int) -> Parts:
    """All families on the three parts of a split; the table's rows are the matrix's."""
    semantic = Remembered(known)
    found = []
    for part in ("train", "validation", "test"):
        at = np.flatnonzero(table["split"] == part)
        texts = Labelled.of(table.iloc[at])
        learns = part == "train"
        meaning = (
            Matrix.learned(texts, semantic, seed=seed) if learns else Matrix.of(texts, [semantic])
        )
        found.append(beside(plain.rows(at), meaning))
    return Parts(*found)


def _families(found: FeatureImportance, seed: int) -> Table:
    table = Table(
        "family", "features",
        *(f"{name}, it adds" for name in NAMES.values()),
        *(f"{name}, alone" for name in NAMES.values()),
        title=f"Families, campaign split {seed}, {found.texts} mails held out", show_lines=True,
    )  # fmt: skip
    together = (_two_lines(found.together[metric]) for metric in METRICS)
    table.add_row("all", str(len(found.features)), *("" for _ in METRICS), *together)
    for one in found.families:
        adds = (_two_lines((one.adds or {}).get(metric), "+.4f") for metric in METRICS)
        alone = (_two_lines(one.alone[metric]) for metric in METRICS)
        table.add_row(one.family, str(one.features), *adds, *alone)
    return table


def _left_out(
    parts: Parts, chosen: Mapping[str, Sequence[str]], trees: TabularTraining, seed: int
) -> Table:
    table = Table(
        "left out", "features", *NAMES.values(),
        title=f"What all features have over all but some, campaign split {seed}", show_lines=True,
    )  # fmt: skip
    lost = without(parts, {name: some for name, some in chosen.items() if some}, trees, seed=seed)
    for name, metrics in lost.items():
        cells = (_two_lines(metrics[metric], "+.4f") for metric in METRICS)
        table.add_row(name, str(len(chosen[name])), *cells)
    return table


def _features(found: FeatureImportance, most: int) -> Table:
    table = Table(
        "feature", "family", "permutation: log loss rises by", "SHAP: adds to the logit",
        title=f"The {most} features that matter most",
    )  # fmt: skip
    for one in found.features[:most]:
        table.add_row(
            one.feature, one.family, _one_line(one.permutation, "+.4f"), _one_line(one.shap, ".3f")
        )
    return table


def _sources(found: Leakage) -> Table:
    table = Table(
        "source", "label", "texts", "others", "AUC of trees on the source", "they rest on",
        title="Sources told from the others of their label",
    )  # fmt: skip
    for one in found.sources:
        table.add_row(
            one.source, str(one.label), str(one.texts), str(one.others),
            _one_line(one.auc, ".3f"), ", ".join(one.strongest),
        )  # fmt: skip
    return table


def _leaks(found: Leakage, most: int) -> Table:
    table = Table(
        "feature", "tells the source", "AUC for it", "AUC for the label", "leaks",
        title=f"{len(found.leaking)} of {len(found.features)} features tell a source better than "
        "the label",
    )  # fmt: skip
    for one in found.features[:most]:
        table.add_row(
            one.feature, one.source, _one_line(one.of_source, ".3f"),
            _one_line(one.of_label, ".3f"), "yes" if one.leaks else "",
        )  # fmt: skip
    return table


def _one_line(of: Interval, form: str) -> str:
    return f"{of.value:{form}} ({of.low:{form}} to {of.high:{form}})"


def _two_lines(of: Interval | None, form: str = ".4f") -> str:
    return "" if of is None else f"{of.value:{form}}\n{of.low:{form}} to {of.high:{form}}"


def _kept(name: str, picture: str, console: Console) -> None:
    path = FOLDER / f"{name}.svg"
    path.write_text(picture, encoding="utf-8")
    console.print(f"Picture: {path}")


if __name__ == "__main__":
    main()
