"""What is tried of each model: names, ranges and defaults are those of the training pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna

from rampart.ensembles.cascade import CascadeSettings
from rampart.errors import InputError
from rampart.models.ngram import NgramSettings
from rampart.training.combination import COMBINATIONS, VOTING, shares_from
from rampart.training.ngram import NgramTraining
from rampart.training.tabular import TabularTraining
from rampart.tuning.settings import (
    WEIGHED,
    Parameters,
    StudySettings,
    Target,
    Value,
    value_of,
)

OWN = "weighted"
"""The ensemble whose weights are a study's own."""
ENSEMBLE, SHARE = "ensemble", "share_"
PARTS = 9
"""Parts of the training texts that the n-grams' steps are counted in."""


@dataclass(frozen=True)
class Number:
    """A range that is searched, on a logarithmic scale if so said."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """A value for a trial."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def holds(self, value: Value) -> bool:
        """Whether a trial could be given it."""
        number = not isinstance(value, str) and self.low <= value <= self.high
        return number and (not self.whole or float(value) == int(value))

    def __str__(self) -> str:
        return f"{self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class Choice:
    """Names of which one is taken."""

    names: tuple[str, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """A value for a trial."""
        return trial.suggest_categorical(name, self.names)

    def holds(self, value: Value) -> bool:
        """Whether a trial could be given it."""
        return value in self.names

    def __str__(self) -> str:
        return ", ".join(self.names)


Space = Mapping[str, Number | Choice]

_SPACES: Mapping[Target, Space] = {
    "ngram": {
        "ngram_words": Number(1, 3, whole=True),
        "ngram_regularisation": Number(0.3, 1_000, log=True),
        "ngram_min_documents": Number(2, 10, log=True, whole=True),
        "ngram_max_features": Number(5_000, 300_000, log=True, whole=True),
    },
    "tabular": {
        "tabular_learning_rate": Number(0.01, 0.3, log=True),
        "tabular_leaves": Number(3, 64, log=True, whole=True),
        "tabular_leaf_texts": Number(2, 60, log=True, whole=True),
    },
    "encoder": {
        "encoder_learning_rate": Number(2e-5, 1e-3, log=True),
        "encoder_batch_size": Number(8, 64, log=True, whole=True),
        "encoder_layers": Number(1, 3, whole=True),
        "encoder_tail": Number(0, 64, whole=True),
    },
    "cascade": {
        "cascade_tolerance": Number(1e-3, 0.1, log=True),
        "cascade_doubt": Number(1e-3, 0.3, log=True),
    },
}


def space(settings: StudySettings) -> Space:
    """What a study searches."""
    if settings.target != "ensemble":
        return _SPACES[settings.target]
    shares = {SHARE + name: Number(0.0, 1.0) for name in settings.models}
    return {ENSEMBLE: Choice((*COMBINATIONS, OWN)), **shares}


def suggested(trial: optuna.Trial, settings: StudySettings) -> dict[str, Value]:
    """Values for a trial; shares only where the ensemble is weighed by them."""
    found: dict[str, Value] = {}
    for name, part in space(settings).items():
        if not name.startswith(SHARE) or found[ENSEMBLE] == OWN:
            found[name] = part.suggest(trial, name)
    return found


def defaults(settings: StudySettings) -> dict[str, Value]:
    """What the training pipeline does where nobody says otherwise."""
    ngram, tabular, cascade = NgramTraining(), TabularTraining(), CascadeSettings()
    every: dict[str, Value] = {
        "ngram_words": NgramSettings().words,
        "ngram_regularisation": ngram.regularisation,
        "ngram_min_documents": ngram.min_documents,
        "ngram_max_features": ngram.max_features,
        "tabular_learning_rate": tabular.learning_rate,
        "tabular_leaves": tabular.leaves,
        "tabular_leaf_texts": tabular.leaf_texts,
        "cascade_tolerance": cascade.tolerance,
        "cascade_doubt": cascade.doubt,
        ENSEMBLE: VOTING,
    }
    if settings.target == "encoder":
        # torch, which the others start without
        from rampart.training.encoder import EncoderTraining

        encoder = EncoderTraining()
        every |= {
            "encoder_learning_rate": encoder.learning_rate,
            "encoder_batch_size": encoder.batch_size,
            "encoder_layers": encoder.trained_layers,
            "encoder_tail": encoder.window.tail,
        }
    return {name: every[name] for name in space(settings) if name in every}


def resources(settings: StudySettings) -> tuple[int, int]:
    """Steps of a trial until it may be pruned first, and at the most."""
    if settings.target == "tabular":
        return min(20, settings.rounds), settings.rounds
    if settings.target == "encoder":
        return 1, settings.epochs
    if settings.target == "ngram":
        return 1, PARTS
    return 1, 1


def starts(settings: StudySettings, former: Sequence[Sequence[Parameters]]) -> list[Parameters]:
    """What is tried first: the defaults, the champion's values, what earlier studies found best.

    Raises:
        InputError: a parameter of the champion is none, or lies outside of what is searched.
    """
    first = defaults(settings)
    known = space(settings)
    every = {ENSEMBLE, "encoder_tokens"}.union(*_SPACES.values())
    if unknown := sorted(set(settings.parameters) - every):
        raise InputError(
            f"The champion has no parameter {unknown[0]!r}.",
            f"There are {', '.join(sorted(every))}.",
        )
    own = {name: value for name, value in settings.parameters.items() if name in known}
    if "=" in str(own.get(ENSEMBLE, "")):
        shares = shares_of(own)
        own = {ENSEMBLE: OWN, **{SHARE + name: shares.get(name, 0.0) for name in settings.models}}
    for name, value in own.items():
        if not known[name].holds(value):
            raise InputError(
                f"{name} cannot be {value!r}: searched is {known[name]}.", "Leave it out."
            )
    queued: list[Parameters] = []
    for start in (first, first | own, *(found for best in former for found in best)):
        if start not in queued:
            queued.append(start)
    return queued


def of_champion(settings: StudySettings, told: Mapping[str, str]) -> dict[str, Value]:
    """What a study takes over of how a bundle was trained: all that it could have found itself.

    For an ensemble or a cascade what its models are fitted with, too.

    Args:
        settings: of the study.
        told: parameters of the training pipeline by name, among whatever else is known.
    """
    known = dict(space(settings))
    if settings.target in WEIGHED:
        for model in settings.models:
            known |= _SPACES[model]
    found: dict[str, Value] = {}
    for name, part in known.items():
        value = value_of(told.get(name, ""))
        shares = name == ENSEMBLE and "=" in str(value)
        if part.holds(value) or (shares and set(shares_from(str(value))) <= set(settings.models)):
            found[name] = value
    return found


def as_pipeline_parameters(found: Parameters) -> dict[str, Value]:
    """A trial's values as the training pipeline takes them: an ensemble's shares as one text."""
    named = {name: value for name, value in found.items() if not name.startswith(SHARE)}
    if named.get(ENSEMBLE) == OWN:
        shares = shares_of(found)
        named[ENSEMBLE] = ",".join(f"{model}={share:.4f}" for model, share in shares.items())
    return named


def shares_of(found: Parameters) -> dict[str, float]:
    """Of each model in the vote, from a trial's values or the pipeline's; alike where all are 0."""
    said = str(found.get(ENSEMBLE, ""))
    if "=" in said:
        return shares_from(said)
    raw = {
        name.removeprefix(SHARE): float(value)
        for name, value in found.items()
        if name.startswith(SHARE)
    }
    total = sum(raw.values())
    return {name: value / total if total else 1 / len(raw) for name, value in raw.items()}
