"""What a folder of shards holds, said in its dataset.json: schema, rows, and each shard's hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rampart.errors import DataError

FILE = "dataset.json"
_REMEDY = "Write the dataset again, or restore the file."


class Shard(BaseModel):
    """One Parquet file of a dataset.

    Attributes:
        file: its name in the folder.
        rows: that it holds.
        bytes: that it is long.
        sha256: of its content, in hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^part-\d{5,}\.parquet$")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of dataset.json.

    Attributes:
        version: of this document.
        columns: name and Arrow type of each.
        shards: in the order of their rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    columns: dict[str, str]
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex over the columns and the shards' hashes."""
        whole = hashlib.sha256(repr(sorted(self.columns.items())).encode())
        for shard in self.shards:
            whole.update(shard.sha256.encode())
        return whole.hexdigest()

    def save(self, folder: Path) -> None:
        """Write dataset.json into the folder."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read a folder's dataset.json.

        Raises:
            DataError: the folder has none, or one that cannot be used.
        """
        try:
            return cls.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"The table {str(folder)!r} cannot be read: it is a folder without a readable "
                f"{FILE} ({error}).",
                "Run the step that writes it.",
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the document"
            raise DataError(
                f"The {FILE} of {str(folder)!r} cannot be used: {where}: {first['msg']}.", _REMEDY
            ) from error


def checked(folder: Path, shard: Shard) -> Path:
    """Path of a shard whose bytes are those that were written.

    Raises:
        DataError: the shard is missing, or its content has changed.
    """
    path = folder / shard.file
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"The shard {str(path)!r} cannot be read: {error.strerror or error}.", _REMEDY
        ) from error
    if found != shard.sha256:
        raise DataError(
            f"The shard {str(path)!r} is not as it was written: {size:,} bytes with SHA-256 "
            f"{found[:12]}..., not {shard.bytes:,} with {shard.sha256[:12]}....",
            _REMEDY,
        )
    return path
