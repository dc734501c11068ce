"""How far rewriting gets spam past the filter: `make benchmark-robustness`, after `make demo`.

Mails that the bundle was not trained on (the test part of the campaign split with seed 0) are
scored as they are and with the threats rewritten by each rule of `rampart.data.rewriting`; harmless
mail stays as it is. Prints recall at 1 % false positives and the median drop of the threats'
logits, for each model alone, for the ensemble, and for the mean of calibrated logits without each
member. Thresholds are chosen on the same harmless mails, which no rule touches, so that recall is
somewhat flattered and the difference between rules is not. Intervals are over whole campaigns.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import corpus
from rampart.data import splits
from rampart.data.rewriting import RULES, words
from rampart.data.tables import read_table
from rampart.drawing import COLOURS, INK, plain, plot
from rampart.errors import DataError
from rampart.evaluation.intervals import Bootstrap, bootstrap
from rampart.evaluation.scored import Scored
from rampart.inference.engine import Engine
from rampart.models.base import Floats, sigmoid
from rampart.resampling import Interval, Resamples

FOLDER = Path("build/benchmarks/robustness")
AS_IT_IS = "as it is"
RECALL = "recall_at_1_fpr"
_CHUNK = 128
Logits = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one rule does.

    Attributes:
        changed: mean share of a threat's words that are no longer there.
        recall: at 1 % false positives, by model.
        drop: median over the threats of the logit as it is less the logit rewritten, by model.
    """

    changed: float
    recall: Mapping[str, Interval]
    drop: Mapping[str, Interval]


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite, score, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--data", type=Path, help="prepared messages; by default the corpus's")
    parser.add_argument("--mails", type=int, default=300, help="threats, and as many harmless")
    parser.add_argument("--share", type=float, default=0.2, help="of the words that are rewritten")
    parser.add_argument("--seed", type=int, default=0, help="of the mails, draws and resamples")
    given = parser.parse_args(arguments)
    console = Console(width=150)
    engine = Engine.load(given.bundle)
    threats, harmless = _held_out(given.data, given.mails, given.seed)
    measured = _measure(engine, threats, harmless, given.share, given.seed)
    title = (
        f"{given.share:.0%} of the words rewritten in {len(threats)} held-out threats, "
        f"{len(harmless)} harmless mails as they are"
    )
    console.print(_shown(f"Recall at 1 % FPR: {title}", measured, "recall"))
    console.print(_shown(f"Median drop of the threats' logits: {title}", measured, "drop"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = FOLDER / "recall.svg"
    single = [entry.name for entry in engine.manifest.models]
    picture.write_text(_drawn(measured, single), encoding="utf-8")
    console.print(f"Picture: {picture}")


def _held_out(data: Path | None, mails: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Threats and harmless mails of the test part, at most so many of each."""
    messages = corpus.messages() if data is None else read_table(data)
    table = splits.split(messages, seed=0, timed=False)
    tested = table[table["split"] == "test"]
    threats, harmless = (tested[tested["label"] == label] for label in (1, 0))
    return (
        threats.sample(min(mails, len(threats)), random_state=seed),
        harmless.sample(min(mails, len(harmless)), random_state=seed),
    )


def _measure(
    engine: Engine, threats: pd.DataFrame, harmless: pd.DataFrame, share: float, seed: int
) -> dict[str, Measured]:
    sent = threats["text"].tolist()
    campaigns = [*threats["campaign"], *harmless["campaign"]]
    calm = _logits(engine, harmless["text"].tolist())
    before = _logits(engine, sent)
    found = {}
    for name in track([AS_IT_IS, *RULES], "Rules", transient=True):
        texts, after = sent, before
        if name != AS_IT_IS:
            draw = np.random.default_rng(seed)
            texts = [RULES[name](text, share, draw) for text in sent]
            after = _logits(engine, texts)
        drawn = _bootstrap(after, calm, campaigns, seed)
        found[name] = Measured(
            changed=float(np.mean([_lost(*pair) for pair in zip(sent, texts, strict=True)])),
            recall={model: _known(drawn, model) for model in after},
            drop={
                model: _median(before[model] - after[model], threats["campaign"], seed)
                for model in after
            },
        )
    return found


def _logits(engine: Engine, texts: Sequence[str]) -> dict[str, Floats]:
    """Calibrated logits of the models, the ensemble, and the mean without each member, [n] each."""
    parts = [engine.logits(texts[first : first + _CHUNK]) for first in range(0, len(texts), _CHUNK)]
    raw = {name: np.concatenate([part[name] for part in parts]) for name in engine.models}
    single = {entry.name: entry.calibration(raw[entry.name]) for entry in engine.manifest.models}
    stage = engine.manifest.ensemble.stages[-1]
    without = {
        f"without {left_out}": np.mean(
            [logit for name, logit in single.items() if name != left_out], axis=0
        )
        for left_out in single
        if len(single) > 1
    }
    return single | {stage.name: stage.combine(raw)} | without


def _bootstrap(threats: Logits, harmless: Logits, campaigns: Sequence[str], seed: int) -> Bootstrap:
    """Metrics on resamples; recall at 1 % FPR chooses its threshold anew on each."""
    labels = np.repeat([1, 0], [len(next(iter(part.values()))) for part in (threats, harmless)])
    return bootstrap(
        {
            model: Scored.of(labels, sigmoid(np.concatenate([logit, harmless[model]])), 0.5)
            for model, logit in threats.items()
        },
        campaigns=campaigns,
        seed=seed,
    )


def _known(drawn: Bootstrap, model: str) -> Interval:
    found = drawn.interval(model, RECALL)
    if found is None:
        raise DataError(
            f"Recall of {model} is undefined: a class is empty.", "Ask for more --mails."
        )
    return found


def _median(values: Floats, campaigns: pd.Series, seed: int) -> Interval:
    """Median of values [n], and its interval over whole campaigns."""
    drawn = [
        _medians(values, weights)
        for weights in Resamples(campaigns.tolist(), len(values), seed=seed).weights()
    ]
    return Interval.of(_medians(values, np.ones((1, len(values))))[0], np.concatenate(drawn))


def _medians(values: Floats, weights: Floats) -> Floats:
    """Lower medians of values [n] under weights [r, n]."""
    order = np.argsort(values)
    reached = np.cumsum(weights[:, order], axis=1)
    medians: Floats = values[order][np.argmax(2 * reached >= reached[:, -1:], axis=1)]
    return medians


def _lost(text: str, rewritten: str) -> float:
    """Share of a text's words that are not in the other."""
    one, other = (
        Counter(given[start:end] for start, end in words(given)) for given in (text, rewritten)
    )
    return (one - other).total() / max(1, one.total())


def _shown(title: str, measured: Mapping[str, Measured], figure: str) -> Table:
    models = list(measured[AS_IT_IS].recall)
    table = Table("threats", "words changed", *models, title=title, show_lines=True)
    for rule, one in measured.items():
        if figure == "drop" and rule == AS_IT_IS:
            continue
        found = one.drop if figure == "drop" else one.recall
        form = "+.2f" if figure == "drop" else ".3f"
        cells = (
            f"{of.value:{form}}\n{of.low:{form}} to {of.high:{form}}"
            for of in (found[model] for model in models)
        )
        table.add_row(rule, f"{one.changed:.0%}", *cells)
    return table


def _drawn(measured: Mapping[str, Measured], single: Sequence[str]) -> str:
    """Recall as dots, a group for each rule; hollow without the model that has the colour."""
    models = list(measured[AS_IT_IS].recall)
    step = 0.8 / len(models)
    title = "Recall at 1 % FPR, threats rewritten"
    with plot(title, len(measured) * len(models) // 2) as (axes, svg):
        for place, model in enumerate(models):
            of = model.removeprefix("without ")
            colour = COLOURS[single.index(of) % len(COLOURS)] if of in single else INK
            at = np.arange(len(measured)) + (place - (len(models) - 1) / 2) * step
            found = [one.recall[model] for one in measured.values()]
            axes.hlines(
                at, [one.low for one in found], [one.high for one in found],
                color=colour, linewidth=0.9,
            )  # fmt: skip
            axes.plot(
                [one.value for one in found],
                at,
                "D" if colour == INK else "o",
                color=colour,
                markersize=5,
                markerfacecolor="none" if model not in single and colour != INK else colour,
                label=plain(model),
            )
        axes.set_yticks(range(len(measured)), [plain(rule) for rule in measured])
        axes.invert_yaxis()
        axes.set_xlabel("recall at 1 % FPR, with 95 % intervals")
    return svg.getvalue()


if __name__ == "__main__":
    main()
