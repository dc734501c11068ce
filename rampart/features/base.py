"""What every family of features is: a scikit-learn transformer with named, documented columns.

Families read a text as it was sent and its clean form side by side: what a text says is counted in
the clean form, which holds no residue of the way here, and how it is made up is read from the
source. They follow scikit-learn's protocol without importing it, because they also serve.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText, clean

Floats = NDArray[np.float64]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column.

    Attributes:
        name: unique among all families.
        unit: of its values: `count`, `per 100 words`, `share`, `bits`, `0 or 1`, ...
        meaning: one line for whoever reads an explanation.
    """

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a family found in one text.

    Attributes:
        values: one for each feature of the family, float64 [k]; never NaN.
        evidence: feature name to the spans it was read from, as offsets [start, end) in code
            points of the text as sent; features that no place shows are not there.
    """

    values: Floats
    evidence: Mapping[str, Sequence[Span]] = field(default_factory=dict)


class FeatureFamily(ABC):
    """A family of features; `transform` takes texts as sent, or already cleaned ones.

    A subclass names its family, lists its features and reads one text; where many are cheaper at
    once it overrides `readings`.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""

    @abstractmethod
    def read(self, text: AlignedText) -> Reading:
        """The features of one text; never fails, whatever the text holds."""

    def readings(self, texts: Sequence[AlignedText]) -> list[Reading]:
        """The features of several texts."""
        return [self.read(text) for text in texts]

    # --- scikit-learn's protocol ---------------------------------------------------------------

    def fit(self, texts: Sequence[str | AlignedText], labels: Any = None) -> Self:  # noqa: ARG002
        """Nothing is learned, unless a family says so."""
        return self

    def transform(self, texts: Sequence[str | AlignedText]) -> Floats:
        """The features of n texts, float64 [n, k]."""
        aligned = [text if isinstance(text, AlignedText) else clean(text) for text in texts]
        rows = [reading.values for reading in self.readings(aligned)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.features))

    def fit_transform(self, texts: Sequence[str | AlignedText], labels: Any = None) -> Floats:
        """`fit`, then `transform`."""
        return self.fit(texts, labels).transform(texts)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Names of the columns."""
        return np.array([feature.name for feature in self.features], dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        """What the constructor was given; each argument is kept under its own name."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        if type(self).__init__ is object.__init__:
            names = []
        return {name: getattr(self, name) for name in names}

    def set_params(self, **given: Any) -> Self:
        """Change what the constructor was given.

        Raises:
            ValueError: there is no parameter of that name.
        """
        known = self.get_params()
        for name, value in given.items():
            if name not in known:
                raise ValueError(f"{name!r} is no parameter: there are {sorted(known)}")
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
            requires_fit=False,
        )
