"""What a step keeps is told kind by kind, and parts of a step keep less."""

from __future__ import annotations

from pathlib import Path

import pytest

from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining
from rampart.training.memory import MemorySettings
from rampart.training.timeline import KINDS, Timeline, timeline


def _of(base: Path, micro: int | None = None) -> Timeline:
    return timeline(
        EncoderTraining(
            base=str(base),
            window=WindowSettings(tokens=48, tail=12),
            trained_layers=1,
            batch_size=16,
            memory=MemorySettings(micro_batch=micro),
        )
    )


def test_a_quarter_of_a_step_at_once_keeps_a_quarter_of_its_activations(base_encoder: Path) -> None:
    whole, parts = _of(base_encoder), _of(base_encoder, 4)
    most = [one.megabytes[:, KINDS.index("activations")].max() for one in (whole, parts)]
    assert most[1] == pytest.approx(most[0] / 4, rel=0.05)
    # Adam keeps two numbers for each weight.
    for one in (whole, parts):
        assert one.peak()["optimizer"] == pytest.approx(2 * one.peak()["parameters"], rel=0.01)
    assert whole.megabytes.shape == (len(whole.milliseconds), len(KINDS))
    drawn = whole.svg("A step")
    assert all(kind in drawn for kind in KINDS)
