"""What every server here computes: the same engine, threads and bundle, in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rampart.bundle.store import read_manifest
from rampart.data.cleaning import clean
from rampart.inference.engine import Engine
from rampart.models.base import sigmoid
from rampart.models.encoder import (
    CONFIG_FILE,
    ONNX_FILE,
    TERMS,
    TOKENIZER_FILE,
    EncoderConfig,
    EncoderModel,
)

BUNDLE, WORK, THREADS = "BENCHMARK_BUNDLE", "BENCHMARK_WORK", "BENCHMARK_THREADS"
ENCODER, ENSEMBLE, CASCADE = "encoder", "ensemble", "cascade"
PLAIN = "plain encoder"
"""The encoder as its documentation's examples would have it: tokenised, padded, run as it comes."""


def scorer() -> Callable[[Sequence[str]], list[float]]:
    """Makes probabilities of texts, as the environment says: by which models of which bundle."""
    work = os.environ[WORK]
    if work == PLAIN:
        return _plain(Path(os.environ[BUNDLE]), int(os.environ[THREADS]))
    engine = Engine.load(
        Path(os.environ[BUNDLE]), threads=int(os.environ[THREADS]), cascade=work == CASCADE
    )
    engine.warm_up()

    def score(texts: Sequence[str]) -> list[float]:
        if work == ENCODER:
            verdicts = engine.score(texts, explain="none", models=["encoder"])
        else:
            verdicts = engine.score(texts)
        return [verdict.probability for verdict in verdicts]

    return score


def _plain(bundle: Path, threads: int) -> Callable[[Sequence[str]], list[float]]:
    """The bundle's encoder by tokenizers and ONNX Runtime, with the runtime's own settings."""
    import onnxruntime as ort
    from tokenizers import Tokenizer

    manifest = read_manifest(bundle)
    entry = next(one for one in manifest.models if one.kind == EncoderModel.kind)
    folder = bundle / entry.folder
    config = EncoderConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.enable_truncation(config.window.tokens)
    tokenizer.enable_padding(pad_id=config.pad_id)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(folder / ONNX_FILE), options)

    def score(texts: Sequence[str]) -> list[float]:
        cut = tokenizer.encode_batch([clean(text).text for text in texts])
        ids = np.array([one.ids for one in cut], dtype=np.int64)
        mask = np.array([one.attention_mask for one in cut], dtype=np.int64)
        [terms] = session.run([TERMS], {"input_ids": ids, "attention_mask": mask})
        logits = (terms * mask).sum(axis=1) + config.bias
        return [float(value) for value in sigmoid(logits)]

    return score
