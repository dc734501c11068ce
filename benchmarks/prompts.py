"""What the quick models are worth on attacks on language models: `python -m benchmarks.prompts`.

Campaign splits of the corpus prompt-attacks; the n-grams and the trees are fitted on each from
nothing. Prints what the giveaways alone tell (length, first word, package), how much text the
parts share, what they would share if templates were filled in all ways, the models' figures, who
is flagged by group, and what is left of the models when a whole package was never seen.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.sparse import csr_array

from benchmarks import corpus
from rampart.bundle.build import assemble
from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.data.minhash import normalised
from rampart.data.preparation import prepare
from rampart.data.sources import PROMPT_ATTACKS, prompt_attacks, pypi
from rampart.data.sources.prompt_attacks import spikee
from rampart.evaluation.metrics import measure
from rampart.evaluation.scored import Scored
from rampart.inference.engine import Engine
from rampart.inference.predictions import predictions, thresholds
from rampart.settings import settings, user_cache
from rampart.training.ngram import fit_ngram
from rampart.training.tabular import TabularTraining, fit_tabular

METRICS = {
    "f1": "F1",
    "recall_at_1_fpr": "recall at 1 % FPR",
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "false_positive_rate": "FPR at the threshold",
}
SHINGLE = 3
ALIKE = 0.5
Giveaway = Callable[[pd.DataFrame], pd.Series]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prompts", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the splits")
    given = parser.parse_args(arguments)
    console = Console(width=140)
    messages = corpus.messages(PROMPT_ATTACKS)
    messages["package"] = messages["group"].str.partition("/")[0]
    split = [splits.split(messages, seed=seed) for seed in given.seeds]
    console.print(_giveaways(split))
    console.print(_shared(messages, split))
    console.print(_filled(given.seeds))
    tested: list[pd.DataFrame] = []
    limits: dict[int, dict[str, float]] = {}
    for seed, table in zip(given.seeds, track(split, "fitting", transient=True), strict=True):
        rows, limits[seed] = _predicted(table, "split", seed)
        tested.append(rows.assign(seed=seed))
    console.print(_models(tested, limits))
    console.print(_flagged(pd.concat(tested), limits))
    console.print(_unseen(messages, given.seeds[0]))


def _predicted(
    table: pd.DataFrame, column: str, seed: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Probabilities on the test part by models fitted on the rest, and their thresholds."""
    train, validation = (Labelled.part(table, column, part) for part in ("train", "validation"))
    with tempfile.TemporaryDirectory() as kept:
        models = {kind: Path(kept) / kind for kind in ("ngram", "tabular")}
        fit_ngram(train.texts, train.labels).save(models["ngram"])
        fit_tabular(train, validation, TabularTraining(seed=seed)).save(models["tabular"])
        assemble(Path(kept) / "bundle", models, validation)
        engine = Engine.load(Path(kept) / "bundle")
        return predictions(engine, table[table[column] == "test"]), thresholds(engine)


def _measured(table: pd.DataFrame, column: str, limit: float) -> dict[str, float]:
    figures = measure(Scored.of(table["label"].to_numpy(), table[column].to_numpy(), limit))
    return {name: figures[name] or 0.0 for name in METRICS}


def _giveaways(split: Sequence[pd.DataFrame]) -> Table:
    """What is told by the share of attacks that training texts with the same giveaway have."""
    table = Table(
        "ROC-AUC on the test part of", "mean (lowest to highest)", title="Giveaways alone"
    )
    asked: dict[str, Giveaway] = {
        "length, in steps of a fifth": lambda rows: (
            5 * rows["text"].str.len().map(math.log)
        ).round(),
        "the first word": lambda rows: rows["clean"].str.lower().str.split(n=1).str[0],
        "the package": lambda rows: rows["package"],
        "the group": lambda rows: rows["group"],
    }
    for name, giveaway in asked.items():
        found = []
        for rows in split:
            train, test = (rows[rows["split"] == part] for part in ("train", "test"))
            known = train["label"].groupby(giveaway(train)).agg(["sum", "size"])
            # One text more, of average label, so that a rare value says little.
            share = (known["sum"] + train["label"].mean()) / (known["size"] + 1)
            guess = giveaway(test).map(share).fillna(train["label"].mean()).to_numpy(float)
            labels = test["label"].to_numpy()
            found.append(measure(Scored.of(labels, guess, 0.5))["roc_auc"] or 0.0)
        table.add_row(name, _spread(found))
    return table


def _shared(messages: pd.DataFrame, split: Sequence[pd.DataFrame]) -> Table:
    """How many test texts share their word 3-grams with a training text."""
    shingles = _shingles(messages["clean"])
    size = np.asarray(shingles.sum(axis=1)).ravel()
    both = (shingles @ shingles.T).toarray()
    either = size[:, None] + size[None, :] - both
    alike, within = both / either, both / np.minimum(size[:, None], size[None, :])
    table = Table(
        "test texts", f"Jaccard at least {ALIKE}", f"{ALIKE:.0%} of the shorter text",
        title=f"Share of test texts near a training text, by word {SHINGLE}-grams",
    )  # fmt: skip
    for name, label in (("attacks", 1), ("harmless", 0)):
        near: tuple[list[float], list[float]] = ([], [])
        for rows in split:
            test = ((rows["split"] == "test") & (rows["label"] == label)).to_numpy()
            pairs = np.ix_(test, (rows["split"] == "train").to_numpy())
            for found, measured in zip(near, (alike, within), strict=True):
                found.append(float((measured[pairs].max(axis=1) >= ALIKE).mean()))
        table.add_row(name, *map(_spread, near))
    return table


def _filled(seeds: Sequence[int]) -> Table:
    """How many test texts have their template trained on, were each filled in a hundred ways."""
    wheel = next(wheel for wheel in prompt_attacks.WHEELS if wheel.name == "spikee")
    files = pypi.texts(wheel, settings().cache_dir or user_cache())
    asked, template = (
        list(dict.fromkeys(row[key] for _, row in spikee.rows(files, kind) if not row.get("lang")))
        for kind, key in (("instructions", "instruction"), ("jailbreaks", "text"))
    )
    filled = [
        (f"{number}/{place}", str(number), 1, None, text.replace("<INSTRUCTION>", instruction))
        for number, text in enumerate(template[1:])  # The first is the bare instruction.
        for place, instruction in enumerate(asked[:100])
    ]
    raw = pd.DataFrame(filled, columns=["id", "group", "label", "raw", "text"], dtype=object)
    messages = prepare(raw.astype({"label": "int8"})).rows
    shares = []
    for seed in seeds:
        part = splits.by_campaign(messages, seed=seed)
        known = messages["group"][part == "train"]
        shares.append(float(messages["group"][part == "test"].isin(known).mean()))
    table = Table("templates", "texts", "campaigns", "test texts whose template was trained on")
    counts = (len(template) - 1, len(messages), messages["campaign"].nunique())
    table.add_row(*map(str, counts), _spread(shares))
    return table


def _shingles(texts: pd.Series) -> csr_array:
    """Which word 3-grams a text has, float32 [texts, 3-grams]; a shorter one has itself."""
    columns: dict[str, int] = {}
    row, column = [], []
    for number, text in enumerate(texts):
        words = normalised(text).split()
        last = max(1, len(words) - SHINGLE + 1)
        for found in {" ".join(words[start : start + SHINGLE]) for start in range(last)}:
            row.append(number)
            column.append(columns.setdefault(found, len(columns)))
    ones = np.ones(len(row), np.float32)
    return csr_array((ones, (row, column)), shape=(len(texts), len(columns)))


def _models(tested: Sequence[pd.DataFrame], limits: Mapping[int, Mapping[str, float]]) -> Table:
    table = Table("model", *METRICS.values(), title="Campaign splits, mean (lowest to highest)")
    for model in next(iter(limits.values())):
        figures = [_measured(rows, model, limits[rows["seed"].iloc[0]][model]) for rows in tested]
        table.add_row(model, *(_spread([each[name] for each in figures]) for name in METRICS))
    return table


def _flagged(tested: pd.DataFrame, limits: Mapping[int, Mapping[str, float]]) -> Table:
    """Share of each group's test texts that are flagged, over the splits."""
    models = list(next(iter(limits.values())))
    table = Table("group", "label", "tested", *models, title="Flagged at the thresholds, by group")
    for (label, group), rows in tested.groupby(["label", "group"]):
        shares = [_flags(rows, model, limits).mean() for model in models]
        table.add_row(str(group), str(label), str(len(rows)), *(f"{share:.1%}" for share in shares))
    return table


def _flags(
    rows: pd.DataFrame, model: str, limits: Mapping[int, Mapping[str, float]]
) -> NDArray[np.bool_]:
    own = np.array([limits[seed][model] for seed in rows["seed"]])
    flags: NDArray[np.bool_] = rows[model].to_numpy() >= own
    return flags


def _unseen(messages: pd.DataFrame, seed: int) -> Table:
    """Trained without a package, tested on it alone."""
    table = Table(
        "left out", "attacks", "model", *METRICS.values(), title="A package that was never seen"
    )
    for package in sorted(set(messages["package"])):
        own = messages["package"] == package
        rest = splits.by_campaign(messages[~own], seed=seed, shares=(0.75, 0.2, 0.05))
        part = pd.Series("test", index=messages.index)
        # Campaigns that reach into the package are told to nobody: they would have been seen.
        known = messages["campaign"].isin(messages.loc[own, "campaign"])
        part[~own] = rest.where(~known[~own], "none").replace("test", "none")
        rows, limits = _predicted(messages.assign(part=part), "part", seed)
        for model, limit in limits.items():
            figures = _measured(rows, model, limit)
            shown = (f"{figures[name]:.3f}" for name in METRICS)
            table.add_row(package, str(int(rows["label"].sum())), model, *shown)
    return table


def _spread(values: Sequence[float]) -> str:
    found = np.array(values)
    return f"{found.mean():.3f} ({found.min():.3f} to {found.max():.3f})"


if __name__ == "__main__":
    main()
