"""Measuring a bundle on labelled messages, and the documents that say what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from rampart.bundle.manifest import Manifest
from rampart.data.sources import SPAM_ASSASSIN
from rampart.ensembles.cascade import CascadeReport
from rampart.evaluation.card import model_card
from rampart.evaluation.evaluation import evaluate
from rampart.evaluation.report import Section, render
from rampart.inference.engine import Engine
from rampart.inference.predictions import predictions, thresholds
from rampart.resampling import RESAMPLES

CAMPAIGN_SPLIT = (
    "Campaign split",
    "Whole campaigns of near-duplicates on one side: what to expect of messages unlike any seen.",
)
TIME_SPLIT = (
    "Time split",
    (
        "Trained on the older messages, measured on the newer, without the campaigns seen before: "
        "what to expect when the world has moved on. These models are not the bundle's own: "
        "they were fitted in the same way on the past alone."
    ),
)
_CORPUS_NOTES = (
    "All of it is mail of 2001 and 2002: nothing here supports a claim about mail of today.",
    (
        "Hard ham (newsletters, orders, notices) is flagged far more often than other ham; see the "
        "slice."
    ),
    (
        "HTML is the strongest single sign of spam in this corpus and an artefact of its age; see "
        "the slices of HTML and plain text."
    ),
)
_NOTES = (
    (
        "One mistake more or less in a thousand rows moves F1 by about a thousandth: differences "
        "below a hundredth on one split mean nothing."
    ),
)
_EXPLANATION = (
    (
        "A verdict's logit is the sum of its bias and of what its spans contribute, to rounding, "
        "from the same pass that made the verdict (method: contributions)."
    ),
    (
        "For the n-grams the sum is faithful: take a span away and its part of the logit goes. For "
        "the encoder it is exact as a sum and half as telling as occlusion, because attention "
        "mixes tokens before they are summed."
    ),
)
_USE = (
    "Scoring e-mail and like text for spam, with the reason shown to an analyst.",
    "Not for deciding about people, and not on its own for deleting what it flags.",
)


def assess(
    engine: Engine,
    table: pd.DataFrame,
    split: tuple[str, str],
    *,
    resamples: int = RESAMPLES,
    on_progress: Callable[[int, int], None] | None = None,
) -> Section:
    """Predict and measure.

    Args:
        engine: the bundle.
        table: labelled messages with their text as sent; all rows are measured.
        split: the name of what they are, and a sentence on what it stands for.
        resamples: behind each interval.
        on_progress: told the rows done and the rows in all.

    Raises:
        DataError: the table holds nothing to measure.
    """
    predicted = predictions(engine, table, on_progress=on_progress)
    measured = evaluate(predicted, thresholds(engine), resamples=resamples)
    return Section(*split, predicted, measured)


def notes(uri: str) -> Sequence[str]:
    """What figures on a source do not show."""
    return (*_CORPUS_NOTES, *_NOTES) if uri == SPAM_ASSASSIN else _NOTES


def report(
    manifest: Manifest,
    sections: Sequence[Section],
    uri: str,
    cascade: CascadeReport | None = None,
) -> str:
    """The HTML report on a bundle; with what settling early costs, if that was asked."""
    return render(
        sections,
        title="Rampart: what this bundle does",
        facts=_facts(manifest, uri),
        notes=notes(uri),
        cascade=cascade,
    )


def card(manifest: Manifest, sections: Sequence[Section], uri: str) -> str:
    """The Markdown card that travels in a bundle."""
    return model_card(
        name="Rampart bundle",
        summary="Calibrated n-grams, trees over named features and an encoder, averaged: labels "
        f"text {manifest.labels[0]} or {manifest.labels[1]} and says which spans decided.",
        intended_use=_USE,
        data=_facts(manifest, uri),
        training=manifest.parameters,
        evaluations={section.name: section.evaluation for section in sections},
        explanation=_EXPLANATION,
        limits=notes(uri),
    )


def drift_reference(section: Section) -> pd.DataFrame:
    """What drift is measured against: scores and shapes of the test rows, and no text."""
    return section.table.drop(columns=["id", "campaign"])


def load_if_there(folder: Path) -> Engine | None:
    """The bundle in a folder, or None where the folder is empty: there was nothing to train on.

    Raises:
        BundleError: something is there and it is no sound bundle.
    """
    return Engine.load(folder) if any(folder.iterdir()) else None


def _facts(manifest: Manifest, uri: str) -> Mapping[str, str]:
    return {
        "Data": uri,
        "Data fingerprint": manifest.data_fingerprint,
        "Code": manifest.source_revision,
        "Written": manifest.created.isoformat(),
        "Labels": " and ".join(manifest.labels),
        "Threshold": f"{manifest.threshold:.4f}",
    }
