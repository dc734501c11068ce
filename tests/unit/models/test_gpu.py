"""The encoder computes on a GPU where there is one, and says so where one is asked for in vain."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnxruntime as ort
import pytest

from rampart.compression.quantisation import halve
from rampart.errors import InputError
from rampart.inference.engine import Engine
from rampart.models.encoder import HALF_FILE, EncoderModel
from rampart.models.gpu import has_gpu
from serving.predictor.settings import PredictorSettings
from tests.conftest import plain

TEXTS = plain("Win a free prize today", "Lunch at noon, if the rain stops. " * 20)
CUDA = "CUDAExecutionProvider"
needs_cuda = pytest.mark.skipif(
    CUDA not in ort.get_available_providers(), reason="this ONNX Runtime has no CUDA"
)
needs_none = pytest.mark.skipif(
    CUDA in ort.get_available_providers(), reason="this ONNX Runtime has CUDA"
)


@needs_none
def test_without_cuda_it_is_said_what_to_install(bundle: Path) -> None:
    with pytest.raises(InputError, match="onnxruntime-gpu"):
        EncoderModel.load(bundle / "encoder", device="cuda")
    with pytest.raises(InputError, match="no CUDA"):
        Engine.load(bundle, device="cuda")


@needs_none
def test_welcome_and_not_there_the_cpu_computes_the_usual_graph(
    bundle: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle / "encoder", tmp_path / "encoder")
    # Not to be read: it would be slow on a CPU.
    (folder / HALF_FILE).write_bytes(b"no graph")
    expected = EncoderModel.load(bundle / "encoder").score(TEXTS).logit
    found = EncoderModel.load(folder, device="auto")
    assert found.session.get_providers() == ["CPUExecutionProvider"]
    assert found.score(TEXTS).logit.tolist() == expected.tolist()


def test_a_cuda_that_cannot_be_used_is_told_from_one_that_is_not_there(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens with the GPU's package and no driver: a session that fell back to the CPU."""
    opened = ort.InferenceSession

    def fallen_back(path, options, providers):
        return opened(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", fallen_back)
    assert has_gpu("auto")
    assert not has_gpu("cpu")
    with pytest.raises(InputError, match="cannot be used"):
        EncoderModel.load(bundle / "encoder", device="cuda")
    model = EncoderModel.load(bundle / "encoder", device="auto")
    assert model.score(TEXTS).logit.shape == (2,)


@needs_cuda
def test_on_a_gpu_half_floats_give_nearly_the_same_verdicts(bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle / "encoder", tmp_path / "encoder")
    halve(folder, folder / HALF_FILE)
    model = EncoderModel.load(folder, device="cuda")
    assert model.session.get_providers()[0] == CUDA
    expected = EncoderModel.load(folder).score(TEXTS).logit
    assert model.score(TEXTS).logit == pytest.approx(expected, abs=0.05)


def test_servers_take_a_gpu_where_there_is_one_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert PredictorSettings().device == "auto"
    monkeypatch.setenv("RAMPART_DEVICE", "cpu")
    assert PredictorSettings().device == "cpu"
