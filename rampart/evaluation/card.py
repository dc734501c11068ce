"""The model card that travels in the bundle, as Markdown.

Its headings follow Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rampart.evaluation.evaluation import Evaluation, Figures
from rampart.evaluation.intervals import shown
from rampart.evaluation.metrics import METRICS

_SLICE_METRICS = ("f1", "recall", "false_positive_rate", "recall_at_1_fpr")
_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def model_card(
    *,
    name: str,
    summary: str,
    intended_use: Sequence[str],
    data: Mapping[str, str],
    training: Mapping[str, str],
    evaluations: Mapping[str, Evaluation],
    explanation: Sequence[str],
    limits: Sequence[str],
) -> str:
    """A model card. All text that is given is shown as it is: it holds no markup.

    Args:
        name: of the model.
        summary: a sentence or two on what it is.
        intended_use: what it is for and what it is not, a sentence or two each.
        data: what it was trained and measured on, fact by fact.
        training: the settings that made it.
        evaluations: name of the test split to what was measured on it.
        explanation: how its verdicts are explained, and where that ends.
        limits: what the figures do not show.
    """
    parts = [f"# {_plain(name)}", _line(summary)]
    parts += ["## Intended use", _bullets(intended_use)]
    parts += ["## Data", _facts(data)]
    parts += ["## Training", _facts(training)]
    parts += ["## Figures", _HOW_TO_READ]
    for split, evaluation in evaluations.items():
        parts += [f"### {_plain(split)}", _sizes(evaluation), _headline(evaluation)]
        if evaluation.differences:
            parts += [
                f"What {_plain(evaluation.ensemble)} has over each model, on the same rows:",
                _differences(evaluation),
            ]
        parts += [f"Slices of {_plain(evaluation.ensemble)}:", _slices(evaluation)]
    parts += ["## Explanation", _bullets(explanation)]
    parts += ["## Limits", _bullets(limits)]
    return "\n\n".join(parts) + "\n"


_HOW_TO_READ = (
    "Each figure comes with its 95 % bootstrap interval over whole campaigns of near-duplicates. "
    "An interval without width means that no resample changed the figure, not that it is certain. "
    "With fewer than 1,000 harmless rows, recall at 0.1 % FPR is the recall without any false "
    "positive. n/a: undefined, for want of a class."
)


def _sizes(evaluation: Evaluation) -> str:
    thresholds = ", ".join(
        f"{_plain(model)} {threshold:.4f}" for model, threshold in evaluation.thresholds.items()
    )
    return (
        f"{evaluation.rows:,} rows of {evaluation.campaigns:,} campaigns, "
        f"{evaluation.positives:,} of them threats; {evaluation.resamples:,} resamples. "
        f"Thresholds: {thresholds}."
    )


def _headline(evaluation: Evaluation) -> str:
    ensemble = evaluation.ensemble
    models = [ensemble, *(model for model in evaluation.models if model != ensemble)]
    return _by_metric({model: evaluation.headline(model) for model in models})


def _by_metric(columns: Mapping[str, Figures]) -> str:
    rows = (
        [_title(metric), *(shown(figures[metric]) for figures in columns.values())]
        for metric in METRICS
    )
    return _grid(["Metric", *columns], rows)


def _differences(evaluation: Evaluation) -> str:
    rows = (
        [
            _title(metric),
            *(shown(figures[metric], signed=True) for figures in evaluation.differences.values()),
        ]
        for metric in METRICS
    )
    return _grid(["Metric", *(f"over {model}" for model in evaluation.differences)], rows)


def _slices(evaluation: Evaluation) -> str:
    measured = evaluation.models[evaluation.ensemble]
    rows = (
        [
            name,
            f"{size.rows:,}",
            f"{size.positives:,}",
            *(shown(measured[name][metric]) for metric in _SLICE_METRICS),
        ]
        for name, size in evaluation.slices.items()
    )
    return _grid(["Slice", "Rows", "Threats", *map(_title, _SLICE_METRICS)], rows)


def _title(metric: str) -> str:
    entry = METRICS[metric]
    return entry.title if entry.higher_is_better else f"{entry.title} (lower is better)"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [[_plain(cell) for cell in head], rule, *([_plain(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _facts(facts: Mapping[str, str]) -> str:
    return (
        "\n".join(f"- {_line(f'{name}: {fact}')}" for name, fact in facts.items()) or "None given."
    )


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_line(sentence)}" for sentence in sentences) or "None given."


def _line(text: str) -> str:
    """Text that stands at the start of a line, where it could pass for a list or a rule."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", _plain(text))


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
