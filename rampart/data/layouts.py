"""The tables of `rampart.data.schema` as Arrow has them: what shards are checked against."""

from __future__ import annotations

import pyarrow as pa

from rampart.data.step import REJECT_COLUMNS

_RAW = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("group", pa.string(), nullable=False),
    pa.field("label", pa.int8(), nullable=False),
    pa.field("raw", pa.binary()),
    pa.field("text", pa.string()),
]
_MESSAGES = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("group", pa.string(), nullable=False),
    pa.field("label", pa.int8(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("clean", pa.string(), nullable=False),
    pa.field("subject", pa.string(), nullable=False),
    pa.field("arrived", pa.timestamp("ns", tz="UTC")),
    pa.field("has_html", pa.bool_(), nullable=False),
    pa.field("attachments", pa.string(), nullable=False),
    pa.field("campaign", pa.string(), nullable=False),
]
_PARTS = [pa.field(name, pa.string(), nullable=False) for name in ("split", "time_split")]

RAW = pa.schema(_RAW)
MESSAGES = pa.schema(_MESSAGES)
SPLIT = pa.schema(_MESSAGES + _PARTS)
REJECTS = pa.schema([pa.field(name, pa.string(), nullable=False) for name in REJECT_COLUMNS])
