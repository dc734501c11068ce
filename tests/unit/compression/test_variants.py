"""Every way to make the encoder cheaper runs and is measured; the cheapest good one is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from rampart.compression.calibration import stratified
from rampart.compression.costs import Cost, Time, measure_cost
from rampart.compression.quantisation import quantise_static, sensitivities, tables
from rampart.compression.report import page, picture
from rampart.compression.variants import Variant, choose, compare, named
from rampart.compression.ways import FLOAT, REFERENCES, VARIANTS, Source
from rampart.data.cleaning import clean
from rampart.data.labelled import Labelled
from rampart.errors import InputError, TrainingError
from rampart.models.encoder import ONNX_FILE, EncoderModel
from tests.conftest import mails, plain

# The tests' encoder has two layers; test_distillation.py has a student of one.
WITHOUT_STUDENTS = [name for name in VARIANTS if not name.startswith("student")]


def _labelled(count: int, seed: int) -> Labelled:
    texts, labels = mails(count, seed=seed)
    return Labelled([clean(text).text for text in texts], labels)


@pytest.fixture(scope="module")
def source(trained_models: dict[str, Path]) -> Source:
    served = trained_models["encoder"]
    return Source(served, served.parent / "trained", _labelled(80, 5))


@pytest.fixture(scope="module")
def compared(source: Source, tmp_path_factory: pytest.TempPathFactory):
    work = tmp_path_factory.mktemp("variants")
    told: list[tuple[int, int]] = []
    found = compare(
        source, named(",".join(WITHOUT_STUDENTS)), _labelled(60, 6), work, tolerance=0.05,
        on_progress=lambda *done: told.append(done),
    )  # fmt: skip
    assert told[-1] == (len(WITHOUT_STUDENTS), len(WITHOUT_STUDENTS))
    return found, work


def test_each_way_is_measured_and_those_that_can_be_served_are_judged(compared) -> None:
    found, _ = compared
    assert [one.name for one in found.variants] == WITHOUT_STUDENTS
    for one in found.variants:
        assert one.cost.size > 0
        assert all(time.p50 > 0 for time in one.cost.time.values())
        assert (one.f1 is None) == (one.name in REFERENCES)
    assert found.variants[0].changed == 0.0
    assert found.chosen not in REFERENCES


@pytest.mark.parametrize("name", [name for name in WITHOUT_STUDENTS if name not in REFERENCES])
def test_what_it_says_is_nearly_the_same(compared, name: str, source: Source) -> None:
    texts = plain(*_labelled(40, 7).texts)
    usual = EncoderModel.load(source.served, threads=1).score(texts)
    ours = EncoderModel.load(compared[1] / name, threads=1).score(texts)
    assert np.corrcoef(usual.logit, ours.logit)[0, 1] > 0.98
    for logit, terms in zip(ours.logit, ours.terms or (), strict=True):
        assert terms.bias + terms.value.sum() == pytest.approx(logit, abs=1e-6)


def test_the_page_shows_all_and_names_the_one_that_is_served(compared) -> None:
    found, _ = compared
    shown = page(found)
    assert all(f"<td>{one.name}" in shown for one in found.variants)
    assert f"<strong>{found.chosen}</strong>" in shown
    assert picture(found) == picture(found)
    assert "<script" not in shown


def _variant(name: str, time: float, f1: float | None) -> Variant:
    cost = Cost(size=1, resident=1, time={"1x128": Time(p50=time, p99=time)})
    return Variant(name=name, note="", cost=cost, f1=f1)


def test_the_cheapest_within_the_tolerance_is_chosen_and_why_is_said() -> None:
    variants = [
        _variant(FLOAT, 40, 0.95), _variant("int8", 20, 0.949), _variant("int4", 10, 0.94),
        _variant("torchscript", 1, None),
    ]  # fmt: skip
    found = choose(variants, 0.002, 500)
    assert found.chosen == "int8"
    assert "20.0 ms" in found.reason
    assert "Refused for what they lose: int4" in found.reason
    assert [one.front for one in found.variants] == [True, True, True, False]
    assert choose(variants, 0.0, 500).chosen == FLOAT
    assert "Nothing that is cheaper" in choose(variants, 0.0, 500).reason
    assert choose(variants, 0.01, 500).chosen == "int4"


def test_what_is_slower_and_worse_is_not_on_the_front() -> None:
    found = choose([_variant(FLOAT, 40, 0.95), _variant("int8", 50, 0.94)], 0.1, 10)
    assert [one.front for one in found.variants] == [True, False]
    assert found.chosen == FLOAT


def test_names_are_read_float_first_and_unknown_ones_are_refused() -> None:
    assert named("int8, float,int8,") == (FLOAT, "int8")
    assert named("") == (FLOAT,)
    with pytest.raises(InputError, match="int8-minmax"):
        named("int9")


def test_texts_to_calibrate_with_are_of_each_class_and_of_all_lengths() -> None:
    texts = Labelled(["x" * (1 + row) for row in range(100)], np.arange(100) % 10 == 0)
    drawn = stratified(texts, 16, seed=0)
    assert len(drawn.texts) == 16
    assert sum(drawn.labels) == 8
    assert min(map(len, drawn.texts)) < 26
    assert max(map(len, drawn.texts)) > 74
    assert drawn.texts == stratified(texts, 16, seed=0).texts
    assert drawn.texts != stratified(texts, 16, seed=1).texts
    assert len(stratified(texts, 1000, seed=0).texts) == 100


def test_tables_that_are_to_stay_in_float_do(source: Source, tmp_path: Path) -> None:
    names = tables(source.served)
    count = quantise_static(source.served, tmp_path, source.texts.texts[:8], but=names[:2])
    assert count == len(names) - 2
    graph = onnx.load(str(tmp_path / ONNX_FILE)).graph
    kept = {node.name for node in graph.node}
    assert set(names[:2]) <= kept


def test_the_effect_of_each_table_is_measured(source: Source) -> None:
    found = sensitivities(source.served, source.texts.texts[:6])
    assert set(found) == set(tables(source.served))
    assert all(effect >= 0 for effect in found.values())
    assert max(found.values()) > 0


def test_an_encoder_that_does_not_run_is_named(tmp_path: Path) -> None:
    (tmp_path / ONNX_FILE).write_bytes(b"no graph")
    with pytest.raises(TrainingError, match="does not run"):
        measure_cost(tmp_path)
