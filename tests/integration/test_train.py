"""`rampart train`: alone and under torchrun, where processes train one encoder together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rampart.bundle.store import read_manifest
from rampart.inference.engine import Engine
from tests.conftest import mails, split_table
from tests.integration.launch import TORCHRUN


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split_table(tmp_path_factory.mktemp("table") / "split.parquet")


def _train(
    table: Path,
    bundle: Path,
    base: Path,
    *more: str,
    launcher: tuple[str, ...] = (sys.executable,),
) -> subprocess.CompletedProcess:
    command = [*launcher, "-m", "rampart.cli", "train"]
    command += ["--table", str(table), "--bundle", str(bundle), "--base", str(base)]
    command += [
        "--tokens",
        "32",
        "--tail",
        "8",
        "--layers",
        "1",
        "--epochs",
        "2",
        "--learning-rate",
        "5e-3",
    ]
    command += ["--batch-size", "16", "--attribution-texts", "0", "--json", *more]
    own = os.environ | {"RAMPART_CACHE_DIR": str(bundle.parent / "cache")}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=own)


def _right(bundle: Path) -> float:
    texts, labels = mails(60, seed=8)
    verdicts = Engine.load(bundle).score(texts, explain="none")
    return float(
        np.mean([(v.label == "spam") == bool(y) for v, y in zip(verdicts, labels, strict=True)])
    )


@pytest.mark.slow
def test_several_processes_train_one_encoder_and_the_first_writes_the_bundle(
    table: Path, base_encoder: Path, tmp_path: Path
) -> None:
    launcher = (str(TORCHRUN), "--standalone", "--nproc-per-node=2")
    parts = ("--micro-batch", "4", "--checkpointing", "--states", "disk")
    done = _train(table, tmp_path / "bundle", base_encoder, *parts, launcher=launcher)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)  # one of them speaks
    manifest = read_manifest(tmp_path / "bundle")
    assert said["id"] == manifest.id
    assert manifest.parameters["processes"] == "2"
    assert done.stderr.count("Train the encoder\n") == 1
    assert _right(tmp_path / "bundle") > 0.9


@pytest.mark.slow
def test_one_process_needs_no_launcher(table: Path, base_encoder: Path, tmp_path: Path) -> None:
    done = _train(table, tmp_path / "bundle", base_encoder, "--micro-batch", "auto")
    assert done.returncode == 0, done.stderr
    assert "16 of 16 messages of a step are computed at once" in done.stderr
    assert read_manifest(tmp_path / "bundle").parameters["processes"] == "1"
    assert list((tmp_path / "cache" / "tokens").glob("*/*.arrow"))
    assert _right(tmp_path / "bundle") > 0.9
