"""The demo shows held-out mails of every group, whatever the data looks like."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rampart.cli.demo import _held_out
from rampart.data.tables import write_table


def _table(path: Path, groups: dict[str, int], length: int) -> Path:
    """A split table with as many test rows of each group; "spam" groups are spam."""
    rows = [
        {
            "id": f"{group}{number:03}",
            "group": group,
            "label": int(group.startswith("spam")),
            "text": f"{group} {number} " + "x" * length,
            "split": part,
        }
        for group, count in groups.items()
        for number in range(count)
        for part in ("train", "test")
    ]
    write_table(pd.DataFrame(rows), path)
    return path


@pytest.mark.parametrize(
    "groups",
    [
        {"easy-ham": 40, "hard-ham": 9, "spam-1": 20, "spam-2": 3},
        {"ham": 50, "spam": 20},
        {"ham": 4, "spam": 3},
        {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "spam": 1},
    ],
)
@pytest.mark.parametrize("length", [5, 300, 9000])
def test_six_are_shown_of_each_group_some(
    tmp_path: Path, groups: dict[str, int], length: int
) -> None:
    table = _table(tmp_path / "table", groups, length)
    texts, truths = _held_out(table)
    assert len(texts) == len(set(texts)) == 6
    assert {text.split()[0] for text in texts} <= set(groups)
    assert len({text.split()[0] for text in texts}) == min(6, len(groups))
    for text, truth in zip(texts, truths, strict=True):
        assert truth == ("spam" if text.startswith("spam") else "ham")
    assert _held_out(table) == (texts, truths)
