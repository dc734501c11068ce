"""The served encoder: windows that read each token once, terms that sum to the logit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import BundleError
from rampart.models.encoder import (
    EncoderModel,
    WindowSettings,
    length_batches,
    windows,
)
from tests.conftest import mails, plain

window_settings = st.builds(
    WindowSettings,
    tokens=st.integers(8, 64),
    tail=st.integers(0, 80),
    inner=st.integers(0, 6),
    inner_share=st.floats(0.0, 1.0),
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1_000), window_settings)
def test_windows_read_every_position_at_most_once_and_share_the_logit(
    count: int, chosen: WindowSettings
) -> None:
    cut = windows(count, chosen)
    read = np.concatenate([window.position for window in cut])
    assert len(set(read.tolist())) == len(read)
    assert np.all((read >= 0) & (read < count))
    assert sum(window.share for window in cut) == pytest.approx(1.0)
    assert all(window.share >= 0 for window in cut)
    assert all(len(window.position) <= chosen.tokens - 2 for window in cut)
    assert len(cut) <= 1 + chosen.inner
    assert all(np.all(np.diff(window.position) > 0) for window in cut)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1_000), window_settings)
def test_the_first_window_holds_head_and_tail(count: int, chosen: WindowSettings) -> None:
    room = chosen.tokens - 2
    outer = windows(count, chosen)[0].position
    assert len(outer) == min(count, room)
    if count > room:
        tail = min(chosen.tail, room // 2)
        assert outer[: room - tail].tolist() == list(range(room - tail))
        assert outer[room - tail :].tolist() == list(range(count - tail, count))


def test_enough_inner_windows_read_all_of_a_text() -> None:
    chosen = WindowSettings(tokens=10, tail=4, inner=3, inner_share=0.5)
    read = np.concatenate([window.position for window in windows(8 + 3 * 8, chosen)])
    assert sorted(read.tolist()) == list(range(32))


def test_too_few_inner_windows_are_spread_over_the_text() -> None:
    chosen = WindowSettings(tokens=10, tail=4, inner=2, inner_share=0.5)
    inner = windows(200, chosen)[1:]
    assert [window.position[0] for window in inner] == [4, 188]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 2_000))
def test_batches_hold_every_text_once_and_keep_to_their_size(
    lengths: list[int], limit: int
) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    batches = length_batches(sizes, limit)
    assert sorted(int(index) for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (sizes[batch].max() + 2) <= limit


@pytest.fixture(scope="module")
def model(trained_models: dict[str, Path]) -> EncoderModel:
    return EncoderModel.load(trained_models["encoder"], threads=1)


def _with_window(folder: Path, target: Path, **window: float) -> EncoderModel:
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    config["window"] |= window
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return EncoderModel.load(target, threads=1)


LONG = " ".join(mails(12, seed=20)[0])


@pytest.mark.parametrize("window", [{}, {"inner": 3, "inner_share": 0.4}, {"tail": 0}])
def test_terms_and_bias_make_up_the_logit(
    trained_models: dict[str, Path], tmp_path: Path, window: dict[str, float]
) -> None:
    model = _with_window(trained_models["encoder"], tmp_path / "encoder", **window)
    texts = [*mails(20, seed=21)[0], LONG, "", " ", "\u200b", "x", "e\u0301 \U0001f600"]
    scores = model.score(plain(*texts))
    for text, logit, terms in zip(texts, scores.logit, scores.terms or (), strict=True):
        assert terms.bias + terms.value.sum() == pytest.approx(logit, abs=1e-6)
        assert np.all((terms.start >= 0) & (terms.start < terms.end) & (terms.end <= len(text)))


def test_terms_point_at_the_pieces_of_the_text(model: EncoderModel) -> None:
    text = "\U0001f600 Win a PRIZE today"
    (terms,) = model.score(plain(text)).terms or ()
    pieces = [text[a:b] for a, b in zip(terms.start, terms.end, strict=True)]
    assert pieces[-4:] == ["Win", "a", "PRIZE", "today"]


def test_what_a_token_without_a_span_adds_goes_into_the_bias(model: EncoderModel) -> None:
    encoding = SimpleNamespace(offsets=[(0, 3), (3, 3), (4, 6)])
    terms = model._terms(encoding, np.array([1.0, 2.0, 0.0]), 0.5)
    assert (terms.start.tolist(), terms.end.tolist(), terms.value.tolist()) == ([0], [3], [1.0])
    assert terms.bias == pytest.approx(0.5 + 2.0)


def test_an_empty_text_gets_the_bias(model: EncoderModel) -> None:
    assert model.score(plain("", "\n \t")).logit == pytest.approx([model.config.bias] * 2)


def test_no_texts_get_no_scores_and_no_terms_come_unasked(model: EncoderModel) -> None:
    assert model.score(plain()).logit.shape == (0,)
    scores = model.score(plain("Win a prize"), explain=False)
    assert scores.terms is None
    assert scores.logit == pytest.approx(model.score(plain("Win a prize")).logit)


@pytest.mark.parametrize("batch_tokens", [1, 64, 512, 1_000_000])
def test_the_company_of_a_text_does_not_change_its_logit(
    model: EncoderModel, batch_tokens: int
) -> None:
    texts = [*mails(16, seed=22)[0], "", "x", LONG]
    alone = [model.score(plain(text)).logit[0] for text in texts]
    batched = EncoderModel(model.config, model.tokenizer, model.session, batch_tokens)
    assert batched.score(plain(*texts)).logit == pytest.approx(alone, abs=1e-5)
    assert batched.score(plain(*texts[::-1])).logit[::-1] == pytest.approx(alone, abs=1e-5)


def test_a_long_text_is_read_at_its_head_and_its_tail(model: EncoderModel) -> None:
    room, tail = model.config.window.tokens - 2, model.config.window.tail
    words = ["lunch"] * 200
    (unchanged,) = model.score(plain(" ".join(words))).logit
    for position, read in ((0, True), (room - tail, False), (100, False), (199, True)):
        changed = [*words[:position], "prize", *words[position + 1 :]]
        (logit,) = model.score(plain(" ".join(changed))).logit
        assert (abs(logit - unchanged) > 1e-6) == read


def test_inner_windows_read_what_lies_between(
    trained_models: dict[str, Path], tmp_path: Path
) -> None:
    folder = trained_models["encoder"]
    model = _with_window(folder, tmp_path / "encoder", inner=8, inner_share=0.5)
    words = ["lunch"] * 200
    changed = [*words[:100], "prize", *words[101:]]
    one, other = model.score(plain(" ".join(words), " ".join(changed))).logit
    assert abs(one - other) > 1e-6
    (terms,) = model.score(plain(" ".join(words))).terms or ()
    assert len(terms.value) == 200


def test_the_logit_of_windows_is_the_mean_of_theirs(
    trained_models: dict[str, Path], tmp_path: Path, model: EncoderModel
) -> None:
    settings_ = WindowSettings(
        **model.config.window.model_dump() | {"inner": 2, "inner_share": 0.3}
    )
    cut = _with_window(trained_models["encoder"], tmp_path / "encoder", inner=2, inner_share=0.3)
    words = [("prize", "lunch", "meeting", "loans")[number * 7 % 4] for number in range(100)]
    parts = [" ".join(words[at] for at in w.position) for w in windows(100, settings_)]
    shares = np.array([window.share for window in windows(100, settings_)])
    whole = cut.score(plain(" ".join(words))).logit[0]
    assert whole == pytest.approx(float(shares @ model.score(plain(*parts)).logit), abs=1e-5)


def _overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content)  # type: ignore[return-value]


def _config(**changed: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changed
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return damage


def _another_graph(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "other", ends[:1], ends[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no graph": lambda folder: (folder / "model.onnx").unlink(),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "an empty graph": _overwrite("model.onnx", b""),
    "a pickle for a graph": _overwrite("model.onnx", b"\x80\x04N."),
    "another graph": _another_graph,
    "a tokenizer that is none": _overwrite("tokenizer.json", b"{}"),
    "a config that is no JSON": _overwrite("config.json", b"{"),
    "a setting that is unknown": _config(code="x"),
    "a bias that is no number": _config(bias=float("nan")),
    "a token that cannot be": _config(pad_id=-1),
    "a window that is too long": _config(window={"tokens": 100_000}),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_files_that_are_not_an_encoder_are_refused(
    damage: Callable[[Path], None], trained_models: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(trained_models["encoder"], folder)
    damage(folder)
    with pytest.raises(BundleError, match="encoder in encoder/ cannot be read"):
        EncoderModel.load(folder, threads=1)
