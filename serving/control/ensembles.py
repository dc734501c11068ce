"""A candidate made of models of named versions: fetched, combined anew, measured, registered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rampart.ensembles.base import Combine, Ensemble, Stage, calibrated
from rampart.ensembles.voting import fit_soft_voting, fit_voting
from rampart.errors import DataError, InputError
from rampart.models.base import Floats
from rampart.models.calibration import Calibration
from rampart.models.kinds import KINDS

LARGEST_TABLE = 1_000_000_000
"""Bytes of one that is fetched: it is held in memory, and lies on a disk that others share."""
Rule = Literal["voting", "soft", "weighted"]
ModelKind = Literal["ngram", "tabular", "encoder"]
Named = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
_RULES: Mapping[str, Combine] = {"voting": fit_voting, "soft": fit_soft_voting}


class Composition(BaseModel):
    """What an ensemble is made of, and what it is measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: dict[ModelKind, Named] = Field(
        min_length=1,
        description="Kind of model to the version, by number or alias, that it is taken from.",
        examples=[{"ngram": "1", "tabular": "champion"}],
    )
    rule: Rule = Field(
        default="voting",
        description="voting weighs on the validation part, soft weighs all alike, weighted takes "
        "the weights given.",
    )
    weights: dict[ModelKind, Weight] | None = Field(
        default=None, description="Kind of model to its share of the vote, for weighted."
    )
    table: str = Field(
        min_length=1,
        max_length=1_000,
        pattern=r"^[^\x00]*$",
        description="File of split messages on the server, or an address that it may read.",
        examples=["/data/split.parquet"],
    )
    column: str = Field(
        default="split", pattern=r"^\w{1,64}$", description="Its column with the split."
    )
    false_positive_rate: float = Field(
        default=0.01, gt=0, lt=1, description="On validation, at which the threshold is put."
    )
    register_candidate: bool = Field(
        default=False, description="Whether it becomes a version, as the challenger."
    )

    @model_validator(mode="after")
    def _weights_are_the_members(self) -> Self:
        if (self.rule == "weighted") != (self.weights is not None):
            raise ValueError("weights go with the rule weighted, and with no other")
        if self.weights is not None:
            if set(self.weights) != set(self.members):
                raise ValueError("weights have to name the members, all and no other")
            if not any(self.weights.values()):
                raise ValueError("weights may not all be zero")
        return self


@dataclass(frozen=True)
class Asked:
    """The decision for what somebody composed by hand: a challenger, which no gate has seen."""

    reason: str
    promote: bool = False
    alias: str = "challenger"
    comparisons: object = ()


def compose(
    arguments: Mapping[str, Any],
    tracking_uri: str,
    target: Path,
    tell: Callable[[str, str], None],
) -> dict[str, Any]:
    """Make the bundle, measure it on the test part, and register it where that was asked.

    Args:
        arguments: a `Composition` and the `model_name` of the registered model.
        tracking_uri: of MLflow.
        target: folder of the bundle.
        tell: is told a step's name and state.

    Returns:
        The bundle's folder and id, its weights, its metrics, and its version if it has one.

    Raises:
        UnknownModelError: there is no such version.
        InputError: a version has no model of the kind.
        SourceError: the table's address cannot be read.
        DataError: the table is not split so, or lacks a class.
        BundleError: a version's bundle is broken.
        RegistryError: MLflow fails.
    """
    from rampart import assessment
    from rampart.bundle.build import Origin, assemble, finish
    from rampart.bundle.manifest import CARD_FILE, REFERENCE_FILE
    from rampart.bundle.revision import source_revision
    from rampart.data.labelled import Labelled
    from rampart.data.tables import read_table, write_table
    from rampart.inference.engine import Engine
    from rampart.registry.registry import Registry

    given = dict(arguments)
    registry = Registry(tracking_uri, name=given.pop("model_name"))
    asked = Composition.model_validate(given)
    with TemporaryDirectory(prefix="rampart-ensemble-") as place:
        scratch = Path(place)
        tell("fetch", "started")
        messages = read_table(_here(asked.table, scratch))
        _check(messages, asked)
        sources, numbers = _fetched(registry, asked, scratch)
        tell("fetch", "done")
        tell("combine", "started")
        candidate = scratch / "candidate"
        manifest = assemble(
            candidate,
            sources,
            Labelled.part(messages, asked.column, "validation"),
            combine=_weighted(asked.weights) if asked.weights else _RULES[asked.rule],
            false_positive_rate=asked.false_positive_rate,
            origin=Origin(
                source_revision=source_revision(),
                parameters={f"{kind} of version": str(at) for kind, at in numbers.items()},
            ),
        )
        tell("combine", "done")
        tell("evaluate", "started")
        section = assessment.assess(
            Engine.load(candidate),
            messages[messages[asked.column] == "test"],
            assessment.CAMPAIGN_SPLIT,
        )
        card = assessment.card(manifest, [section], asked.table)
        reference = scratch / REFERENCE_FILE
        write_table(assessment.drift_reference(section), reference)
        finished = finish(
            candidate,
            target,
            metrics=section.evaluation.manifest_metrics(),
            documents={CARD_FILE: card.encode(), REFERENCE_FILE: reference.read_bytes()},
        )
        tell("evaluate", "done")
    version = None
    if asked.register_candidate:
        tell("register", "started")
        version, finished = _registered(registry, target, finished, manifest.id, numbers)
        tell("register", "done")
    stage = finished.ensemble.stages[-1]
    return {
        "bundle": str(target),
        "bundle_id": finished.id,
        "members": numbers,
        "weights": stage.weights,
        "intercept": stage.intercept,
        "threshold": finished.threshold,
        "metrics": finished.metrics["all"],
        "version": version,
    }


def _registered(
    registry: Any, target: Path, finished: Any, candidate: str, numbers: Mapping[str, int]
) -> tuple[int, Any]:
    """The version that the bundle became, and its manifest.

    The same candidate becomes no second one, though its card has another date: a run that was
    killed before it could say so may have registered it.
    """
    from rampart.bundle.store import read_manifest

    named = ", ".join(f"{kind} of {number}" for kind, number in numbers.items())
    reason = f"Composed by hand from {named}; candidate {candidate[:16]}."
    if made := [version for version in registry.versions() if version.reason == reason]:
        shutil.rmtree(target)
        registry.fetch(made[0].number, target)
        finished = read_manifest(target)
    done = registry.register(
        target,
        decision=Asked(reason),
        parameters=finished.parameters,
        metrics=finished.metrics["all"],
    )
    return done.version, finished


def _here(table: str, scratch: Path) -> Path:
    """The table on this machine: itself, or a copy of what is at its address.

    Raises:
        InputError: that is no table, or too large.
        SourceError: it cannot be read.
    """
    import fsspec

    from rampart.data.manifest import FILE
    from rampart.data.reading import reading

    if "://" not in table:
        return Path(table)
    copy = scratch / "table"
    with reading(table, "table"):
        filesystem, path = fsspec.core.url_to_fs(table)
        folder = filesystem.isdir(path)
        if folder and not filesystem.exists(f"{path}/{FILE}"):
            raise InputError(f"{table} is a folder without {FILE}, and no table.", "Name a table.")
        if (size := filesystem.du(path)) > LARGEST_TABLE:
            raise InputError(
                f"{table} has {size:,} bytes, and {LARGEST_TABLE:,} are read at the most.",
                "Give a table of fewer messages.",
            )
        filesystem.get(path, str(copy), recursive=folder)
    return copy


def _check(messages: Any, asked: Composition) -> None:
    if asked.column not in messages.columns:
        raise DataError(
            f"{asked.table} has no column {asked.column!r}.",
            "Give the table that a training run left.",
        )
    for part in ("validation", "test"):
        labels = set(messages.loc[messages[asked.column] == part, "label"])
        if labels != {0, 1}:
            raise DataError(
                f"The {part} part of {asked.table} holds labels {sorted(labels)}, not both.",
                "Give messages of both classes.",
            )


def _fetched(
    registry: Any, asked: Composition, scratch: Path
) -> tuple[dict[str, Path], dict[str, int]]:
    """Folder and version number of each member, the cheapest kind first."""
    from rampart.bundle.store import read_manifest

    folders: dict[str, Path] = {}
    numbers: dict[str, int] = {}
    for kind in (kind for kind in KINDS if kind in asked.members):
        number = registry.version(asked.members[kind]).number
        bundle = scratch / f"version-{number}"
        if not bundle.exists():
            registry.fetch(number, bundle)
        entries = [entry for entry in read_manifest(bundle).models if entry.kind == kind]
        if not entries:
            raise InputError(
                f"Version {number} has no model of the kind {kind}.",
                "GET /v1/ensembles/versions lists what each has.",
            )
        folders[kind], numbers[kind] = bundle / entries[0].folder, number
    return folders, numbers


def _weighted(weights: Mapping[ModelKind, float]) -> Combine:
    """The weighted mean of calibrated logits."""
    total = sum(weights.values())
    shares = {str(kind): weight / total for kind, weight in weights.items()}

    def combine(
        logits: Mapping[str, Floats],
        calibrations: Mapping[str, Calibration],
        labels: NDArray[np.int8],
    ) -> Ensemble:
        by_model = {model: shares[model] * calibrations[model].scale for model in logits}
        shift = sum(shares[model] * calibrations[model].shift for model in logits)
        stage = Stage(name="weighted", weights=by_model, intercept=shift)
        return Ensemble(kind="weighted", stages=(calibrated(stage, logits, labels),))

    return combine
