"""The cores of a container are its share of the machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rampart.models.cores import cores

MANY = 64


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)), raising=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("max 100000\n", MANY),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("9900000 100000\n", MANY),
        ("nonsense\n", MANY),
        ("100000 0\n", MANY),
    ],
)
def test_version_2_grants_a_share(tmp_path: Path, given: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(given)
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", MANY), ("300000", 3), ("50000", 1)])
def test_version_1_grants_a_share(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == expected


def test_without_control_groups_it_is_what_the_scheduler_allows(tmp_path: Path) -> None:
    assert cores(tmp_path) == MANY


def test_a_system_that_tells_nothing_of_a_process_tells_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores(tmp_path) == 3
