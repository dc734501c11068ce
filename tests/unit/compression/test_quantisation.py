"""The encoder with 8-bit weights is smaller and says nearly the same."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from rampart.compression.quantisation import quantise_encoder
from rampart.errors import TrainingError
from rampart.models.encoder import ONNX_FILE, EncoderModel
from tests.conftest import mails, plain


@pytest.fixture(scope="module")
def small(trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    assert quantise_encoder(trained_models["encoder"], folder) > 0
    return folder


def test_weights_are_integers_of_eight_bits(small: Path, trained_models: dict[str, Path]) -> None:
    def floats(folder: Path) -> int:
        tables = onnx.load(str(folder / ONNX_FILE)).graph.initializer
        return sum(
            int(np.prod(table.dims))
            for table in tables
            if table.data_type == onnx.TensorProto.FLOAT and len(table.dims) == 2
        )

    assert floats(small) < floats(trained_models["encoder"])
    types = {table.data_type for table in onnx.load(str(small / ONNX_FILE)).graph.initializer}
    assert onnx.TensorProto.INT8 in types


def test_it_says_nearly_the_same_and_its_terms_still_add_up(
    small: Path, trained_models: dict[str, Path]
) -> None:
    texts = plain(*mails(60, seed=71)[0], "", "Win")
    usual = EncoderModel.load(trained_models["encoder"], threads=1).score(texts)
    ours = EncoderModel.load(small, threads=1).score(texts)
    assert np.corrcoef(usual.logit, ours.logit)[0, 1] > 0.99
    assert not np.array_equal(usual.logit, ours.logit)
    for logit, terms in zip(ours.logit, ours.terms or (), strict=True):
        assert terms.bias + terms.value.sum() == pytest.approx(logit, abs=1e-5)


def test_a_folder_without_a_graph_is_named(tmp_path: Path) -> None:
    level = logging.root.level
    with pytest.raises(TrainingError, match=str(tmp_path)):
        quantise_encoder(tmp_path, tmp_path / "small")
    assert logging.root.level == level


def test_what_is_small_already_is_not_made_smaller(small: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="quantised already"):
        quantise_encoder(small, tmp_path / "smaller")
