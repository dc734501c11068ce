"""What an encoder costs: bytes, memory and time, each measured in a process of its own.

Time is the processor's, on one thread, so that a busy machine says about the same as an idle one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from rampart.errors import TrainingError
from rampart.models.encoder import (
    CONFIG_FILE,
    ONNX_FILE,
    TOKENIZER_FILE,
    EncoderConfig,
    EncoderModel,
)

SHAPES = tuple((texts, tokens) for texts in (1, 8) for tokens in (32, 128, 256))
"""Texts and tokens of the batches that are timed."""

TORCHSCRIPT_FILE = "model.pt"
NETWORK_FOLDER = "network"
WEIGHTS_FILE = "model.safetensors"
_REPEATS = 30
_FEWEST = 5
_SECONDS = 2.0
_MEGABYTE = 1e6
_KILOBYTE = 1024


class Time(BaseModel):
    """CPU milliseconds of one batch."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p99: float


class Cost(BaseModel):
    """What an encoder costs.

    Attributes:
        size: MB on disk.
        resident: MB that loading and running it adds to a process.
        time: by batch, such as "8x128" for eight texts of 128 tokens, as long as it can read.
    """

    model_config = ConfigDict(frozen=True)

    size: float
    resident: float
    time: Mapping[str, Time]


def shape_name(texts: int, tokens: int) -> str:
    """As `Cost.time` names a batch."""
    return f"{texts}x{tokens}"


def measure_cost(folder: Path) -> Cost:
    """What the encoder in a folder costs: a graph, or TorchScript or a network where it holds one.

    Raises:
        TrainingError: it does not run.
    """
    command = [sys.executable, "-m", "rampart.compression.costs", str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if said.returncode:
        raise TrainingError(
            f"The encoder in {folder} does not run: {said.stderr.strip().splitlines()[-1:]}.",
            "Write it again.",
        )
    return Cost.model_validate_json(said.stdout)


def main(folder: Path) -> None:
    """Print, as JSON, what the encoder in a folder costs this process."""
    # What the libraries take is not the model's.
    kinds = {ONNX_FILE: _graph, TORCHSCRIPT_FILE: _torchscript, NETWORK_FOLDER: _network}
    file = next(name for name in kinds if (folder / name).exists())
    before, model = kinds[file](folder)
    draw = np.random.default_rng(0)
    found = {}
    for texts, tokens in SHAPES:
        ids = draw.integers(1000, 20000, size=(texts, tokens)) % model.words
        try:
            model.run(ids)
        except Exception:
            # It may know no places behind its window.
            if tokens <= model.window:
                raise
            continue
        found[shape_name(texts, tokens)] = _timed(model, ids)
    weights = Path(file) / WEIGHTS_FILE if file == NETWORK_FOLDER else Path(file)
    size = (folder / weights).stat().st_size / _MEGABYTE
    cost = Cost(size=size, resident=_resident() - before, time=found)
    sys.stdout.write(json.dumps(cost.model_dump()))


class _Loaded:
    """An encoder that can be run on ids."""

    def __init__(self, run: Callable[[np.ndarray], None], words: int, window: int) -> None:
        self.run = run
        self.words = words
        self.window = window


def _graph(folder: Path) -> tuple[float, _Loaded]:
    import onnxruntime

    del onnxruntime
    before = _resident()
    model = EncoderModel.load(folder, threads=1)

    def run(ids: np.ndarray) -> None:
        model.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return before, _Loaded(run, model.tokenizer.get_vocab_size(), model.config.window.tokens)


def _torchscript(folder: Path) -> tuple[float, _Loaded]:
    import torch
    from tokenizers import Tokenizer

    torch.set_num_threads(1)
    before = _resident()
    module = torch.jit.load(str(folder / TORCHSCRIPT_FILE))
    words = Tokenizer.from_file(str(folder / TOKENIZER_FILE)).get_vocab_size()
    config = EncoderConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())

    def run(ids: np.ndarray) -> None:
        given = torch.from_numpy(ids)
        with torch.inference_mode():
            module(given, torch.ones_like(given))

    return before, _Loaded(run, words, config.window.tokens)


def _network(folder: Path) -> tuple[float, _Loaded]:
    import torch

    from rampart.compression.onnx import Served
    from rampart.training.attribution_head import load_attribution
    from rampart.training.network import EncoderNetwork

    torch.set_num_threads(1)
    before = _resident()
    network, document = EncoderNetwork.load(folder / NETWORK_FOLDER)
    found = load_attribution(folder / NETWORK_FOLDER, network)
    module = Served(network, found[0] if found else None).eval()

    def run(ids: np.ndarray) -> None:
        given = torch.from_numpy(ids)
        with torch.inference_mode():
            module(given, torch.ones_like(given))

    return before, _Loaded(run, network.bert.config.vocab_size, document.window.tokens)


def _timed(model: _Loaded, ids: np.ndarray) -> Time:
    model.run(ids)
    model.run(ids)
    times: list[float] = []
    while len(times) < _FEWEST or (len(times) < _REPEATS and sum(times) < _SECONDS):
        begin = time.process_time()
        model.run(ids)
        times.append(time.process_time() - begin)
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return Time(p50=float(p50), p99=float(p99))


def _resident() -> float:
    """MB of this process, as the system counts them."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * _KILOBYTE / _MEGABYTE
    # Elsewhere only the most that it ever was is told.
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE


if __name__ == "__main__":
    main(Path(sys.argv[1]))
