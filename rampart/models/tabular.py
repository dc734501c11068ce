"""Boosted trees over named features: LightGBM, saved as text.

The logit is the sum that TreeSHAP gives exactly (Lundberg 2020): one term for each feature and a
base value. A term is shared evenly by the places in the text where its feature was read; that of a
feature which no place shows (the share of capitals, the absence of links) goes into the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rampart.data.cleaning import AlignedText
from rampart.errors import BundleError
from rampart.features.base import FeatureFamily, Reading
from rampart.features.families import FAMILIES
from rampart.models.base import Device, Floats, Ints, Keep, Model, Scores, Terms

MODEL_FILE = "model.txt"
FEATURES_FILE = "features.json"
_FEWEST_ROWS = 64


class TabularFeatures(BaseModel):
    """What features.json holds: the families, and their columns as they were when it was fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    families: tuple[str, ...] = Field(min_length=1)
    columns: tuple[str, ...] = Field(min_length=1)

    def built(self) -> list[FeatureFamily]:
        """The families themselves.

        Raises:
            ValueError: one is not known here, or their columns have changed since.
        """
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown:
            raise ValueError(f"it reads the features {unknown}, and here are {sorted(FAMILIES)}")
        families = [FAMILIES[name]() for name in self.families]
        columns = columns_of(families)
        if columns != self.columns:
            changed = sorted(set(columns) ^ set(self.columns))
            raise ValueError(f"its features are not those of this version: {changed or 'order'}")
        return families


def columns_of(families: Sequence[FeatureFamily]) -> tuple[str, ...]:
    """Names of all columns of several families, in order."""
    return tuple(feature.name for family in families for feature in family.features)


def read(families: Sequence[FeatureFamily], texts: Sequence[AlignedText]) -> list[Reading]:
    """What several families read in each text, as one."""
    if len(families) == 1:
        return families[0].readings(texts)
    found = zip(*(family.readings(texts) for family in families), strict=True)
    return [
        Reading(
            np.concatenate([part.values for part in parts]),
            {name: spans for part in parts for name, spans in part.evidence.items()},
        )
        for parts in found
    ]


@dataclass
class TabularModel(Model):
    """Boosted trees over named features; see the module."""

    kind: ClassVar[str] = "tabular"

    features: TabularFeatures
    families: Sequence[FeatureFamily]
    booster: Any
    threads: int = 0
    _column: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._column = {name: column for column, name in enumerate(self.features.columns)}

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        """Logits of cleaned texts; see the base class."""
        if not texts:
            return Scores(np.zeros(0), () if explain else None)
        readings = read(self.families, texts)
        values = np.array([reading.values for reading in readings])
        if not explain:
            return Scores(self._predict(values, raw_score=True), None)
        parts = self._predict(values, pred_contrib=True)
        terms = tuple(map(self._terms, readings, parts))
        return Scores(parts.sum(axis=1), terms)

    def _predict(self, values: Floats, **how: bool) -> Floats:
        # Over a few rows, threads take longer to come together than one takes to be done.
        threads = 1 if len(values) < _FEWEST_ROWS else self.threads
        predicted: Floats = self.booster.predict(values, num_threads=threads, **how)
        return predicted

    def _terms(self, reading: Reading, parts: Floats) -> Terms:
        """Each feature's part on the places where it was read, the others' in the bias."""
        value = parts[:-1].copy()
        shown = [self._column[name] for name in reading.evidence]
        counts = [len(spans) for spans in reading.evidence.values()]
        spans = [span for places in reading.evidence.values() for span in places]
        bounds: Ints = np.array(spans, dtype=np.int64).reshape(-1, 2)
        shares = np.repeat(value[shown] / counts, counts) if shown else np.zeros(0)
        value[shown] = 0.0
        bias = float(parts[-1] + value.sum())
        return Terms(bounds[:, 0], bounds[:, 1], shares, bias, of_source=True)

    def save(self, folder: Path) -> None:
        """Write model.txt and features.json."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_text(self.booster.model_to_string(), encoding="utf-8")
        (folder / FEATURES_FILE).write_text(self.features.model_dump_json(), encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        threads: int | None = None,
        keep: Keep | None = None,  # noqa: ARG003
        device: Device = "cpu",  # noqa: ARG003
    ) -> Self:
        """Read what `save` wrote; see the base class."""
        try:
            text = (folder / FEATURES_FILE).read_text(encoding="utf-8")
            features = TabularFeatures.model_validate_json(text)
            families = features.built()
            booster = _trees(folder / MODEL_FILE, features.columns)
        except Exception as error:  # lightgbm raises its own, json and pydantic theirs
            raise BundleError(
                f"The tabular model in {folder.name}/ cannot be read: {error}.",
                "Write the bundle again with the pipeline.",
            ) from error
        return cls(features, families, booster, threads or 0)


def _trees(path: Path, columns: tuple[str, ...]) -> Any:
    import lightgbm

    text = path.read_text(encoding="utf-8")
    if not text.startswith("tree\n"):
        raise ValueError(f"{path.name} holds no trees")
    booster = lightgbm.Booster(model_str=text)
    if tuple(booster.feature_name()) != columns:
        raise ValueError("its trees are over other features than it says")
    return booster
