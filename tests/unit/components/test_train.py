"""The training components fit, export and seal; without a split they leave empty folders."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any, get_args

import onnx
import pytest
from kfp import dsl

from components.compress.choose import choose_encoder
from rampart.bundle.store import verify
from rampart.data.cleaning import clean
from rampart.data.tables import read_table
from rampart.errors import InputError
from rampart.inference.engine import Engine
from rampart.models.encoder import EncoderModel
from rampart.tuning.settings import Target
from rampart.tuning.spaces import of_champion, space
from tests.unit.components.conftest import Make
from tests.unit.tuning.conftest import asked


def test_the_models_say_what_they_were_trained_on(chain: SimpleNamespace) -> None:
    assert chain.present.ngram.metadata == {
        "texts": 180,
        "column": "split",
        "ngram_words": "2",
        "ngram_regularisation": "30.0",
        "ngram_min_documents": "2",
        "ngram_max_features": "10000",
    }
    assert chain.present.tabular.metadata["texts"] == 180
    assert chain.present.tabular.metadata["trees"] > 0
    assert chain.present.network.metadata["column"] == "split"
    assert chain.present.exported.metadata["largest_difference"] < 1e-3


def test_what_is_served_holds_no_training_weights(chain: SimpleNamespace) -> None:
    served = {path.name for path in Path(chain.present.encoder.path).iterdir()}
    assert served == {"model.onnx", "tokenizer.json", "config.json"}


def _chosen(
    chain: SimpleNamespace,
    artifact: Make,
    variants: str,
    tolerance: float = 1.0,
    *,
    for_gpu: bool = False,
) -> tuple[Any, str]:
    model, comparison = artifact(dsl.Model, "model"), artifact(dsl.HTML, "comparison")
    choose_encoder.python_func(
        table=chain.table,
        column="split",
        network=chain.present.network,
        exported=chain.present.exported,
        ngram=chain.present.ngram,
        tabular=chain.present.tabular,
        variants=variants,
        tolerance=tolerance,
        for_gpu=for_gpu,
        seed=0,
        model=model,
        comparison=comparison,
    )
    return model, Path(comparison.path).read_text(encoding="utf-8")


def test_the_cheapest_variant_is_served_that_loses_little_enough(
    chain: SimpleNamespace, artifact: Make
) -> None:
    model, page = _chosen(chain, artifact, "int8,int8-minmax")
    whole, folder = Path(chain.present.exported.path), Path(model.path)
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
    assert model.metadata["variant"] in {"float", "int8", "int8-minmax"}
    assert f"<strong>{model.metadata['variant']}</strong>" in page
    assert "<svg" in page
    texts = [clean(text) for text in ("Win a free prize today", "Lunch at noon?")]
    exact, near = (EncoderModel.load(one).score(texts).logit for one in (whole, folder))
    assert near == pytest.approx(exact, abs=0.5)


def test_float_alone_is_taken_as_it_is(chain: SimpleNamespace) -> None:
    exported, encoder = (
        Path(one.path) / "model.onnx" for one in (chain.present.exported, chain.present.encoder)
    )
    assert exported.read_bytes() == encoder.read_bytes()


@pytest.mark.parametrize("variants", ["float", "int8"])
def test_for_a_gpu_the_graph_in_half_floats_goes_along(
    chain: SimpleNamespace, artifact: Make, variants: str, tmp_path: Path
) -> None:
    model, _ = _chosen(chain, artifact, variants, for_gpu=True)
    folder, whole = Path(model.path), Path(chain.present.exported.path)
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx", "model.half.onnx", "tokenizer.json", "config.json",
    }  # fmt: skip
    # What is around the weights of so small a network is larger than they are.
    size, exact_size = (
        sum(len(one.raw_data) for one in onnx.load(path).graph.initializer)
        for path in (folder / "model.half.onnx", whole / "model.onnx")
    )
    assert size < 0.55 * exact_size
    # The CPU can run it too, if slowly.
    copytree(folder, tmp_path / "half")
    (tmp_path / "half" / "model.half.onnx").replace(tmp_path / "half" / "model.onnx")
    texts = [clean(text) for text in ("Win a free prize today", "Lunch at noon?")]
    exact, near = (EncoderModel.load(one).score(texts).logit for one in (whole, tmp_path / "half"))
    assert near == pytest.approx(exact, abs=0.02)


def test_a_variant_that_there_is_not_is_named(chain: SimpleNamespace, artifact: Make) -> None:
    with pytest.raises(InputError, match="int8-minmax"):
        _chosen(chain, artifact, "int3")


def test_combine_seals_a_bundle_that_answers(chain: SimpleNamespace) -> None:
    manifest = verify(Path(chain.present.candidate.path))
    assert chain.present.candidate.metadata == {
        "id": manifest.id,
        "threshold": manifest.threshold,
    }
    assert manifest.data_fingerprint == "f" * 64
    assert manifest.parameters["encoder trained on"] == "all"
    # All that a study searches, by the names that it has for it.
    searched = {name for target in get_args(Target) for name in space(asked(target=target))}
    told = {name for name in manifest.parameters if name in searched}
    assert told == {name for name in searched if not name.startswith("share_")}
    assert of_champion(asked(target="tabular"), manifest.parameters) == {
        "tabular_learning_rate": 0.1,
        "tabular_leaves": 8,
        "tabular_leaf_texts": 10,
    }
    assert [model.name for model in manifest.models] == ["ngram", "tabular", "encoder"]
    rows = read_table(chain.table.path)
    tested = rows[rows["split"] == "test"]
    verdicts = Engine.load(Path(chain.present.candidate.path)).score(list(tested["text"]), top_k=0)
    right = [
        (verdict.label == "spam") == bool(label)
        for verdict, label in zip(verdicts, tested["label"], strict=True)
    ]
    assert sum(right) / len(right) > 0.9


def test_a_split_that_cannot_be_used_leaves_empty_folders(chain: SimpleNamespace) -> None:
    for artifact in vars(chain.past).values():
        assert Path(artifact.path).is_dir()
        assert list(Path(artifact.path).iterdir()) == []
        assert artifact.metadata == {}
