"""What redaction costs in quality, and whether models show their texts: `make benchmark-privacy`.

On the campaign split of the whole SpamAssassin corpus: n-grams, trees and their vote are fitted
and measured on mails as sent, with personal data redacted (`<PERSON>`), and with keyed pseudonyms
(`<PERSON-3f9a2c41>`). Then models fitted on mails as sent are attacked by their loss: can it tell
which mails they were trained on? Redacted texts are kept, for Presidio takes minutes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from rampart.data.cleaning import clean
from rampart.data.labelled import Labelled
from rampart.ensembles.voting import fit_voting
from rampart.evaluation.intervals import bootstrap
from rampart.evaluation.metrics import threshold_at_fpr
from rampart.evaluation.scored import Scored
from rampart.features.disclosure import membership_inference
from rampart.features.privacy import Detector, Finding, Replaced, pseudonymise, redact
from rampart.models.base import Floats, Model, log_losses, sigmoid
from rampart.models.calibration import fit_platt
from rampart.training.ngram import fit_ngram
from rampart.training.tabular import TabularTraining, fit_tabular

FOLDER = Path("build/benchmarks/privacy")
METRICS = {"f1": "F1", "recall_at_1_fpr": "recall at 1 % FPR", "pr_auc": "PR-AUC"}
SENT, REDACTED, PSEUDONYMS = "as sent", "redacted", "pseudonyms"
VOTE = "vote of both"
# Public, because the corpus is: a key that hides anybody is random.
_KEY = sha256(b"rampart benchmark").digest()
_REPLACE: Mapping[str, Callable[[str, Sequence[Finding]], Replaced]] = {
    REDACTED: redact,
    PSEUDONYMS: lambda text, findings: pseudonymise(text, findings, _KEY),
}
Texts = Mapping[str, list[str]]


@dataclass(frozen=True)
class Fitted:
    """Models fitted on one form of the mails.

    Attributes:
        logits: by model, then by part of the split, float64 [n].
        labels: by part, [n].
    """

    logits: Mapping[str, Mapping[str, Floats]]
    labels: Mapping[str, NDArray[np.int8]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Redact, fit, measure, attack, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--mails", type=int, help="drawn from the corpus; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    given = parser.parse_args(arguments)
    console = Console(width=130)
    mails = corpus.messages()
    if given.mails:
        mails = mails.sample(given.mails, random_state=0)
    texts, found = _replaced(mails["text"].tolist())
    console.print(_holding(found, len(mails)))
    table = splits.split(mails, seed=given.seed, timed=False)
    fitted = {kind: _fitted(_parts(table, some), given.seed) for kind, some in texts.items()}
    campaigns = table.loc[table["split"] == "test", "campaign"].tolist()
    console.print(_cost(fitted, campaigns, given.seed))
    console.print(_attacked(fitted[SENT]))


def _replaced(texts: Sequence[str]) -> tuple[Texts, Counter[str]]:
    """The texts in every form, and how many of them hold each kind of personal data."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "findings.jsonl"
    known = dict(map(json.loads, path.read_text().splitlines())) if path.exists() else {}
    detector = Detector()
    forms: dict[str, list[str]] = {SENT: list(texts), REDACTED: [], PSEUDONYMS: []}
    held: Counter[str] = Counter()
    with path.open("a", encoding="utf-8") as file:
        for text in track(texts, "Finding personal data", transient=True):
            name = sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
            if name not in known:
                found = detector.find(text)
                known[name] = [[one.start, one.end, one.kind, one.score] for one in found]
                file.write(json.dumps([name, known[name]]) + "\n")
            findings = [Finding(*one) for one in known[name]]
            held.update({one.kind for one in findings})
            for kind, replace in _REPLACE.items():
                forms[kind].append(replace(text, findings).text)
    return forms, held


def _parts(table: pd.DataFrame, texts: Sequence[str]) -> dict[str, Labelled]:
    """The parts of a split with other texts in the place of their own."""
    other = table.assign(text=texts, clean=[clean(text).text for text in texts])
    return {part: Labelled.part(other, "split", part) for part in ("train", "validation", "test")}


def _fitted(parts: Mapping[str, Labelled], seed: int) -> Fitted:
    """Fit both models and their vote, and score every part."""
    train, validation = parts["train"], parts["validation"]
    models: dict[str, Model] = {
        "n-grams": fit_ngram(train.texts, train.labels),
        "trees": fit_tabular(train, validation, TabularTraining(seed=seed)),
    }
    labels = {part: rows.labels for part, rows in parts.items()}
    logits: dict[str, dict[str, Floats]] = {name: {} for name in models}
    for part, rows in parts.items():
        aligned = rows.aligned()
        for name, model in models.items():
            logits[name][part] = model.score(aligned, explain=False).logit
    checked = {name: values["validation"] for name, values in logits.items()}
    scales = {name: fit_platt(values, validation.labels) for name, values in checked.items()}
    stage = fit_voting(checked, scales, validation.labels).stages[-1]
    vote = {
        part: stage.combine({name: values[part] for name, values in logits.items()})
        for part in parts
    }
    single = {
        name: {part: scales[name](values) for part, values in of.items()}
        for name, of in logits.items()
    }
    return Fitted(single | {VOTE: vote}, labels)


def _scored(fitted: Fitted, name: str) -> Scored:
    """On the test part, with the threshold at 1 % false positives on validation."""
    checked, tested = (sigmoid(fitted.logits[name][part]) for part in ("validation", "test"))
    limit = threshold_at_fpr(fitted.labels["validation"], checked, 0.01)
    return Scored.of(fitted.labels["test"], tested, limit)


def _cost(fitted: Mapping[str, Fitted], campaigns: Sequence[str], seed: int) -> Table:
    names = list(fitted[SENT].logits)
    drawn = bootstrap(
        {f"{name} {kind}": _scored(fitted[kind], name) for name in names for kind in fitted},
        campaigns=campaigns,
    )
    table = Table(
        "model", "trained and measured on mails", *METRICS.values(), show_lines=True,
        title=f"What redaction changes, campaign split {seed}, {len(campaigns)} mails held out",
    )  # fmt: skip
    for name in names:
        plain = (f"{drawn.point[f'{name} {SENT}'][metric]:.4f}" for metric in METRICS)
        table.add_row(name, SENT, *plain)
        for kind in _REPLACE:
            changes = (
                drawn.difference(f"{name} {kind}", f"{name} {SENT}", metric) for metric in METRICS
            )
            cells = ("" if of is None else of.signed() for of in changes)
            table.add_row(name, kind, *cells)
    return table


def _attacked(fitted: Fitted) -> Table:
    table = Table(
        "model", "AUC of the attack (.5: tells nothing)", "caught at 1 % wrongly named",
        title="Whether its loss tells which mails a model was trained on",
    )  # fmt: skip
    for name, logits in fitted.logits.items():
        train, test = (log_losses(logits[part], fitted.labels[part]) for part in ("train", "test"))
        found = membership_inference(train, test)
        table.add_row(
            name, f"{found.auc:.3f} ({found.low:.3f} to {found.high:.3f})", f"{found.caught:.1%}"
        )
    return table


def _holding(held: Counter[str], texts: int) -> Table:
    table = Table("personal data", "mails that hold any", title=f"What {texts:,} mails hold")
    for kind, count in held.most_common():
        table.add_row(kind, f"{count / texts:.1%}")
    return table


if __name__ == "__main__":
    main()
