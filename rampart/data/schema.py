"""What the tables hold that steps pass on: three pandera schemas, and one sentence when one breaks.

`RAW` is what a source gives, `MESSAGES` what preparation makes of it, `SPLIT` what models are
trained and measured on. Columns beyond a schema's own are let through.
"""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pandera.pandas as pa

from rampart.errors import DataError

SPLITS = ("train", "validation", "test", "none")
ARRIVED = pd.DatetimeTZDtype("ns", "UTC")


def _holds(kind: type) -> pa.Check:
    """Each value present is of one type: an object column promises nothing by itself."""
    return pa.Check(
        lambda column: column.map(lambda value: isinstance(value, kind)),
        name=f"is {kind.__name__}",
        error=f"is {kind.__name__}",
    )


def _text(*, unique: bool = False, nullable: bool = False, checks: Any = ()) -> pa.Column:
    # pandas 3 reads strings into a type of its own, pandas 2 into objects.
    return pa.Column(object, [_holds(str), *checks], unique=unique, nullable=nullable, coerce=True)


_ONE_CONTENT = pa.Check(
    lambda table: table["raw"].notna() ^ table["text"].notna(),
    name="exactly one of raw and text",
    error="exactly one of raw and text",
)
_LABEL = pa.Column("int8", pa.Check.isin([0, 1]))

RAW = pa.DataFrameSchema(
    {
        "id": _text(unique=True),
        "group": _text(),
        "label": _LABEL,
        "raw": pa.Column(object, _holds(bytes), nullable=True),
        "text": _text(nullable=True),
    },
    checks=_ONE_CONTENT,
    name="raw",
)

MESSAGES = pa.DataFrameSchema(
    {
        "id": _text(unique=True),
        "group": _text(),
        "label": _LABEL,
        "text": _text(),
        "clean": _text(),
        "subject": _text(),
        "arrived": pa.Column(ARRIVED, nullable=True, coerce=True),
        "has_html": pa.Column(bool),
        "attachments": _text(),
        "campaign": _text(),
    },
    name="messages",
)

_PART = pa.Check.isin(SPLITS)
SPLIT = MESSAGES.add_columns({"split": _text(checks=[_PART]), "time_split": _text(checks=[_PART])})
SPLIT.name = "split"


def validate(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Check a table against a schema; times are brought to UTC nanoseconds, nothing else changes.

    Raises:
        DataError: a column is missing or holds a value that it may not.
    """
    with warnings.catch_warnings():
        # pandera concatenates its own reports in a way that pandas deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return schema.validate(table, lazy=True)
        except pa.errors.SchemaErrors as error:
            raise DataError(_sentence(error.failure_cases, schema.name or "")) from None


def _sentence(cases: pd.DataFrame, name: str) -> str:
    """The first broken rule: its column, the check, how many rows break it, and one bad value."""
    missing = cases[cases["check"] == "column_in_dataframe"]
    if len(missing):
        columns = ", ".join(repr(str(column)) for column in missing["failure_case"])
        return f"The {name} table lacks the columns {columns}."
    of_columns = cases[cases["schema_context"] != "DataFrameSchema"]
    first = (of_columns if len(of_columns) else cases).iloc[0]
    same = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
    where = f"column {first['column']!r} of the {name} table"
    if not len(of_columns):
        where = f"the {name} table"
    count = max(1, int(same["index"].nunique()))
    bad = first["failure_case"]
    shown = repr(bad.item() if hasattr(bad, "item") else bad)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    rows = "1 row" if count == 1 else f"{count} rows"
    return f"The check '{first['check']}' fails in {where} for {rows}, first with {shown}."
