"""What a text means, as nearness to what was seen before: classes and known campaigns.

Embeddings by SentenceTransformers with packaged MiniLM weights; nearness is the cosine. A text
paraphrased keeps its place where its words are gone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText, clean
from rampart.errors import BundleError, TrainingError
from rampart.features.base import Feature, FeatureFamily, Floats, Reading
from rampart.features.pretrained import PACKAGED_BASE, base_folder

CENTROIDS_FILE, SETTINGS_FILE = "centroids.npz", "semantic.json"
_FEATURES = (
    Feature("threat_nearness", "cosine", "to the mean of the threats seen in training"),
    Feature("harmless_nearness", "cosine", "to the mean of the harmless texts seen in training"),
    Feature("threat_lean", "cosine", "the first less the second"),
    Feature("campaign_nearness", "cosine", "to the nearest of the largest known threat campaigns"),
)


class SemanticFeatures(FeatureFamily):
    """Nearness to classes and campaigns; needs the extra `semantic`.

    Args:
        base: the packaged encoder, a folder, or a name on the user's own hub.
        campaigns: how many of the largest threat campaigns are remembered.
    """

    name: ClassVar[str] = "semantic"

    def __init__(self, base: str = PACKAGED_BASE, campaigns: int = 50) -> None:
        self.base = base
        self.campaigns = campaigns

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""
        return _FEATURES

    def embed(self, texts: Sequence[str | AlignedText]) -> NDArray[np.float32]:
        """Embeddings of clean texts, float32 [n, h], each of length one."""
        aligned = [text if isinstance(text, AlignedText) else clean(text) for text in texts]
        plain = [text.text for text in aligned]
        encoder = _encoder(self.base)
        if not plain:
            return np.zeros((0, encoder.get_embedding_dimension()), dtype=np.float32)
        found: NDArray[np.float32] = encoder.encode(
            plain, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return found

    def fit(
        self,
        texts: Sequence[str | AlignedText],
        labels: Any = None,
        campaigns: Sequence[str] | None = None,
    ) -> Self:
        """Learn where classes and campaigns lie.

        Args:
            texts: as sent or cleaned, n of them.
            labels: 0 and 1, [n].
            campaigns: name of each text's campaign; without them every threat is one of its own.

        Raises:
            TrainingError: a class is missing.
        """
        label = np.asarray(labels if labels is not None else [])
        if len(label) != len(texts) or set(label.tolist()) != {0, 1}:
            raise TrainingError(
                "The semantic features need texts of both classes.", "Give a label for each text."
            )
        embedded = self.embed(texts)
        self.classes_ = np.stack([_centre(embedded[label == one]) for one in (0, 1)])
        names = list(campaigns) if campaigns is not None else [str(n) for n in range(len(texts))]
        threats = Counter(name for name, one in zip(names, label, strict=True) if one == 1)
        largest = [
            name for name, _ in sorted(threats.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
        named = np.array(names, dtype=object)
        self.known_ = np.stack(
            [
                _centre(embedded[(named == name) & (label == 1)])
                for name in largest[: self.campaigns]
            ]
        )
        return self

    def read(self, text: AlignedText) -> Reading:
        """The features of one text."""
        [reading] = self.readings([text])
        return reading

    def readings(self, texts: Sequence[AlignedText]) -> list[Reading]:
        """The features of several texts.

        Raises:
            TrainingError: it has not been fitted.
        """
        if not self.__sklearn_is_fitted__():
            raise TrainingError("The semantic features are not fitted.", "Call fit first.")
        embedded = self.embed(texts).astype(np.float64)
        harmless, threat = (embedded @ self.classes_.T).T
        known = (embedded @ self.known_.T).max(axis=1, initial=-1.0)
        rows: Floats = np.stack([threat, harmless, threat - harmless, known], axis=1)
        return [Reading(row) for row in rows]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def save(self, folder: Path) -> None:
        """Write semantic.json and centroids.npz."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SETTINGS_FILE).write_text(json.dumps(self.get_params()), encoding="utf-8")
        np.savez(folder / CENTROIDS_FILE, classes=self.classes_, known=self.known_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            BundleError: a file is missing or does not hold what it should.
        """
        try:
            family = cls(**json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8")))
            with np.load(folder / CENTROIDS_FILE, allow_pickle=False) as saved:
                family.classes_, family.known_ = saved["classes"], saved["known"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BundleError(
                f"The semantic features in {folder.name}/ cannot be read: {error}.",
                "Fit and save them again.",
            ) from error
        return family


def _centre(embedded: NDArray[np.float32]) -> Floats:
    """The mean direction of embeddings."""
    mean = embedded.astype(np.float64).mean(axis=0)
    centre: Floats = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return centre


@cache
def _encoder(base: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        base_folder(base), device="cpu", model_kwargs={"use_safetensors": True}
    )
