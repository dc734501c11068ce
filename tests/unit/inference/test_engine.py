"""The engine's promises: sums that add up, spans in the sender's own text, bundles checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.bundle.store import read_manifest, seal
from rampart.data.cleaning import AlignedText
from rampart.errors import BundleError, InputError
from rampart.inference.engine import Engine
from rampart.models.base import Model, Scores
from tests.conftest import mails


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


def test_bias_and_contributions_make_up_the_logit(engine: Engine) -> None:
    texts, _ = mails(60, seed=3)
    for top_k in (0, 1, 10, 1000):
        for verdict in engine.score(texts, top_k=top_k):
            parts = verdict.explanation
            assert len(parts.value) <= top_k
            assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)


def test_threats_are_told_from_harmless_mail(engine: Engine) -> None:
    texts, labels = mails(90, seed=4)
    verdicts = engine.score(texts)
    right = [
        (verdict.label == "spam") == bool(y) for verdict, y in zip(verdicts, labels, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_the_strongest_spans_come_first_and_hold_whole_words(engine: Engine) -> None:
    text = (
        "Win a free prize today\r\n\r\n"
        "<b>Cl</b>ick &amp; claim your mon\u0065\u0301y \U0001f600 now!"
    )
    verdict = engine.score([text], top_k=50)[0]
    parts = verdict.explanation
    assert np.all(np.diff(np.abs(parts.value)) <= 1e-12)
    words = {text[a:b] for a, b in zip(parts.start, parts.end, strict=True)}
    assert "prize" in words
    assert "Cl</b>ick" in words
    assert all(word.strip() for word in words)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gets_a_verdict_whose_spans_lie_inside_it(engine: Engine, text: str) -> None:
    verdict = engine.score([text], top_k=20)[0]
    parts = verdict.explanation
    assert 0.0 <= verdict.probability <= 1.0
    assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)
    assert np.all((parts.start >= 0) & (parts.start < parts.end) & (parts.end <= len(text)))


def test_the_order_and_company_of_texts_do_not_change_a_verdict(engine: Engine) -> None:
    texts, _ = mails(30, seed=5)
    alone = [engine.score([text])[0].logit for text in texts]
    together = [verdict.logit for verdict in engine.score(texts[::-1])][::-1]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_threshold_of_the_caller_decides_the_label(engine: Engine) -> None:
    texts, _ = mails(6, seed=6)
    assert {verdict.label for verdict in engine.score(texts, threshold=0.0)} == {"spam"}
    assert {verdict.label for verdict in engine.score(texts, threshold=1.0)} == {"ham"}


def test_without_an_explanation_all_of_the_logit_is_bias(engine: Engine) -> None:
    verdict = engine.score(["Hello there"], explain="none")[0]
    assert verdict.explanation.bias == verdict.logit
    assert not verdict.explanation.value.size


@pytest.mark.parametrize("wrong", [{"top_k": -1}, {"threshold": 1.5}, {"threshold": -0.1}])
def test_parameters_out_of_range_are_named(engine: Engine, wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        engine.score(["Hello"], **wrong)  # type: ignore[arg-type]


def test_no_texts_get_no_verdicts(engine: Engine) -> None:
    assert engine.score([]) == []


@pytest.mark.parametrize(
    "text", ["\ud83d", "half \udc00 of a sign", "\x00", "\r\n\r\n", "\u202e\u200b"]
)
def test_what_no_encoding_holds_and_nobody_sees_gets_a_verdict(engine: Engine, text: str) -> None:
    parts = engine.score([text])[0].explanation
    assert np.all((parts.start >= 0) & (parts.end <= len(text)))


@pytest.mark.parametrize("unit", ["x", "prize ", "$", "\n", "<p>prize</p>", "\u4e00", "e\u0301"])
def test_a_text_far_beyond_the_window_gets_a_verdict_that_adds_up(
    engine: Engine, unit: str
) -> None:
    text = unit * (100_000 // len(unit))
    verdict = engine.score([text], top_k=20)[0]
    parts = verdict.explanation
    assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)
    assert np.all((parts.start >= 0) & (parts.start < parts.end) & (parts.end <= len(text)))


def test_the_warm_up_asks_every_model(engine: Engine) -> None:
    asked: list[str] = []

    class Asked(Model):
        kind = "asked"

        def __init__(self, name: str, model: Model) -> None:
            self.name = name
            self.model = model

        @classmethod
        def load(cls, folder: Path, *, threads: int | None = None) -> Asked:
            raise NotImplementedError

        def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
            asked.append(self.name)
            return self.model.score(texts, explain=explain)

    models = {name: Asked(name, model) for name, model in engine.models.items()}
    Engine(engine.manifest, models).warm_up()
    assert set(asked) == {"ngram", "encoder"}


def test_an_altered_bundle_is_not_loaded(bundle: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    with (own / "ngram" / "weights.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"ngram/weights\.npz"):
        Engine.load(own)


def test_a_bundle_that_asks_for_unpickling_is_refused_even_with_good_hashes(
    bundle: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    np.savez(own / "ngram" / "weights.npz", word_idf=np.array([object], dtype=object))
    seal(own, read_manifest(own))
    with pytest.raises(BundleError, match="allow_pickle"):
        Engine.load(own)


def test_a_models_folder_that_lies_outside_is_refused(bundle: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    shutil.copytree(own / "ngram", tmp_path / "x")
    manifest = read_manifest(own)
    outside = manifest.models[0].model_copy(update={"folder": "../x"})
    seal(own, manifest.model_copy(update={"models": (outside, *manifest.models[1:])}))
    with pytest.raises(BundleError, match=r"'\.\./x' points outside the bundle"):
        Engine.load(own)


LOADING = """
import sys
from pathlib import Path

def refuse(event, arguments):
    if event in {"pickle.find_class", "subprocess.Popen", "os.system", "socket.connect"}:
        raise SystemExit(f"{event}: {arguments}")

sys.addaudithook(refuse)
from rampart.inference.engine import Engine

engine = Engine.load(Path(sys.argv[1]), threads=1)
print(engine.score(["Win a free prize today"])[0].stage)
heavy = {"torch", "transformers", "sklearn", "pandas", "scipy", "onnx", "mlflow", "kfp", "kserve"}
print(sorted(heavy & set(sys.modules)))
"""


def test_loading_and_scoring_unpickles_nothing_starts_nothing_and_needs_no_training_library(
    bundle: Path,
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", LOADING, str(bundle)], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == ["voting", "[]"]


def test_the_method_says_whether_a_model_learned_its_explanations(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.method == "terms"
    encoder = engine.models["encoder"]
    learned = encoder.config.model_copy(update={"method": "learned"})  # type: ignore[attr-defined]
    monkeypatch.setattr(encoder, "config", learned)
    assert engine.method == "learned"
