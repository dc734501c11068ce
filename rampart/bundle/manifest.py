"""What bundle.json holds; the schema of the one contract between training and serving."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rampart.ensembles.base import Ensemble
from rampart.errors import BundleError
from rampart.models.calibration import Calibration

SCHEMA_VERSION: Literal[1] = 1
MANIFEST_FILE = "bundle.json"
CARD_FILE = "card.md"
CASCADE_FILE = "cascade.json"
REFERENCE_FILE = "reference.parquet"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _inside(name: str) -> str:
    """The same path if it can only name something in the bundle, and in one way."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ValueError(f"{name!r} points outside the bundle")
    if not path.parts or path.as_posix() != name or not name.isprintable():
        raise ValueError(f"{name!r} is not a plain relative path")
    return name


class FileEntry(_Document):
    """A file's content: its SHA-256 in hex and its size in bytes."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class ModelEntry(_Document):
    """A base model in the bundle.

    Attributes:
        name: as the ensemble's weights name it.
        kind: which class reads it.
        folder: where its files are.
        cost: milliseconds a text takes on one thread when the bundle was written; cheapest first.
            Measured anew each time, so no part of the bundle's id.
        calibration: maps its logit to one that is a probability's.
        threshold: its own decision threshold, for measuring it alone.
    """

    name: str
    kind: Literal["ngram", "tabular", "encoder"]
    folder: str
    cost: float = Field(ge=0)
    calibration: Calibration = Calibration()
    threshold: float = Field(default=0.5, ge=0, le=1)

    @field_validator("folder")
    @classmethod
    def _folder_is_inside(cls, folder: str) -> str:
        return _inside(folder)


class Manifest(_Document):
    """bundle.json.

    Attributes:
        schema_version: of this document; another one is refused.
        id: SHA-256 over everything below but the models' costs and, through `files`, over every
            byte of the bundle: the same models of the same data have the same one.
        created: when it was written, UTC; not part of the id.
        source_revision: of the code that wrote it.
        data_fingerprint: of the data it was fitted on.
        labels: the harmless label, then the threat.
        threshold: probability from which a text is a threat.
        models: the base models.
        ensemble: how their logits become one.
        metrics: slice to metric to value on the test split; None where it is undefined.
        parameters: how it was trained, for the reader.
        files: every file but this one, by path.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    id: str = ""
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    source_revision: str = "unknown"
    data_fingerprint: str = "unknown"
    labels: tuple[str, str] = ("ham", "spam")
    threshold: float = Field(ge=0, le=1)
    models: tuple[ModelEntry, ...] = Field(min_length=1)
    ensemble: Ensemble
    metrics: dict[str, dict[str, float | None]] = {}
    parameters: dict[str, str] = {}
    files: dict[str, FileEntry] = {}

    @field_validator("files")
    @classmethod
    def _files_are_inside(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        return {_inside(name): entry for name, entry in files.items()}

    @model_validator(mode="after")
    def _models_are_there(self) -> Manifest:
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError(f"models share a name: {names}")
        unknown = set(self.ensemble.models) - set(names)
        if unknown:
            raise ValueError(f"the ensemble weighs models that are not here: {sorted(unknown)}")
        return self

    @classmethod
    def parsed(cls, content: bytes, place: str, remedy: str) -> Manifest:
        """The manifest in a file's bytes.

        Args:
            content: of the file.
            place: where it was, for the error.
            remedy: what to do about it.

        Raises:
            BundleError: it is none, or not of this schema version.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise BundleError(
                f"{place} cannot be used: {where}: {first['msg']}.", remedy
            ) from error

    def computed_id(self) -> str:
        """SHA-256 over the canonical JSON of everything but `id`, `created` and the costs."""
        document = self.model_dump(
            mode="json", exclude={"id": True, "created": True, "models": {"__all__": {"cost"}}}
        )
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def sealed(self, files: dict[str, FileEntry]) -> Manifest:
        """The same with the files and the id that follows."""
        draft = self.model_copy(update={"files": dict(sorted(files.items())), "id": ""})
        return draft.model_copy(update={"id": draft.computed_id()})
