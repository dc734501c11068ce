from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rampart.tuning.kept import kept
from rampart.tuning.pool import Pool


def test_a_fold_parts_the_pool_by_campaign_and_loses_no_row(table: pd.DataFrame) -> None:
    grouped = table.assign(campaign=[f"c{number // 3}" for number in range(len(table))])
    pool = Pool.of(grouped)
    for fold in pool.folds(4, seed=2):
        parts = (fold.train, fold.watched, fold.judged)
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(pool.rows.texts)))
        seen = [{pool.rows.campaigns[row] for row in part} for part in parts]
        assert not seen[0] & seen[1]
        assert not seen[0] & seen[2]
        assert not seen[1] & seen[2]


def test_folds_differ_from_each_other_and_are_those_of_the_seed(table: pd.DataFrame) -> None:
    pool = Pool.of(table)
    first, second = pool.folds(2, seed=0)
    assert first.judged.tolist() != second.judged.tolist()
    assert pool.folds(2, seed=0)[1].judged.tolist() == second.judged.tolist()


def test_a_smaller_part_lies_in_a_larger_and_holds_both_classes(table: pd.DataFrame) -> None:
    pool = Pool.of(table)
    fold = pool.folds(1, seed=0)[0]
    small, large = (fold.part(share, pool.rows.labels, 0) for share in (0.01, 0.3))
    assert set(small.tolist()) < set(large.tolist()) < set(fold.train.tolist())
    assert set(pool.rows.labels[small].tolist()) == {0, 1}


def test_the_test_part_changes_nothing_that_is_known_of_the_pool(table: pd.DataFrame) -> None:
    spoilt = table.copy()
    spoilt.loc[spoilt["split"] == "test", "text"] = "other"
    assert Pool.of(spoilt).fingerprint == Pool.of(table).fingerprint
    spoilt.loc[spoilt["split"] == "train", "text"] = "other"
    assert Pool.of(spoilt).fingerprint != Pool.of(table).fingerprint


def _make(folder: str) -> None:
    def made() -> dict[str, np.ndarray]:
        with (Path(folder) / "made.txt").open("a") as file:
            file.write("made\n")
        return {"values": np.arange(3.0)}

    assert kept(Path(folder), "key", made)["values"].tolist() == [0.0, 1.0, 2.0]


def test_what_several_workers_need_at_once_is_made_by_one(tmp_path: Path) -> None:
    context = get_context("fork")
    workers = [context.Process(target=_make, args=(str(tmp_path),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert (tmp_path / "made.txt").read_text() == "made\n"


def test_what_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> dict[str, np.ndarray]:
        return {"a": np.zeros(1), "b": np.array([object()])}

    with pytest.raises(ValueError, match="Object arrays"):
        kept(tmp_path, "key", broken)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
