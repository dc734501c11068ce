"""What tests share: mails made by the dozen, and a real bundle small enough to train in seconds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rampart.data.cleaning import AlignedText, clean

if TYPE_CHECKING:
    from rampart.data.labelled import Labelled

SPAM = (
    "Win a free prize today", "Click here to claim your money", "Cheap loans approved at once",
    "Lose weight in ten days", "You have been selected as a winner", "Limited offer, act now!",
    "Make $5,000 a week from home", "Remove your address by replying to this mail",
)  # fmt: skip
HAM = (
    "The meeting moved to Thursday", "I have attached the patch for review",
    "Could you look at the build log?", "The kernel panics when the disk is full",
    "Thanks for the notes on the talk", "Lunch at noon, if the rain stops",
    "My tests pass on the old compiler", "See the manual, chapter four, for the flags",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process ends with one while others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def mails(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts as a client sends them, every third one spam, with labels 0 and 1."""
    draw = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        spam = number % 3 == 0
        lines = draw.choices(SPAM if spam else HAM, k=4) + draw.choices(HAM + SPAM, k=1)
        body = " ".join(f"{line}. {draw.randint(1, 999)} words." for line in lines)
        if number % 5 == 0:
            body = f"<html><body><p>{body}</p><a href='http://example.com'>more</a></body></html>"
        texts.append(f"{draw.choice(lines)}\n\n{body}")
        labels.append(int(spam))
    return texts, np.array(labels, dtype=np.int8)


def labelled(count: int, seed: int = 0) -> Labelled:
    """Mails with their labels, cleaned, the originals beside them."""
    from rampart.data.labelled import Labelled

    texts, labels = mails(count, seed=seed)
    return Labelled([clean(text).text for text in texts], labels, texts)


def split_table(path: Path, count: int = 240) -> Path:
    """A table of mails as the pipeline's step writes it, split three to one to one."""
    import pandas as pd

    from rampart.data.tables import write_table

    texts, labels = mails(count, seed=7)
    rows = np.arange(len(texts))
    parts = np.array(["train", "train", "train", "validation", "test"])
    columns = {"text": texts, "clean": texts, "label": labels, "campaign": rows.astype(str)}
    write_table(pd.DataFrame(columns | {"split": parts[rows // 3 % len(parts)]}), path)
    return path


def sure(network: Any) -> Any:
    """A torch network in training without dropout, so that nothing is left to chance."""
    import torch

    for part in network.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if hasattr(part, "dropout_prob"):
            part.dropout_prob = 0.0
    return network.train()


def plain(*texts: str) -> list[AlignedText]:
    """Clean texts as models take them, for those that see nothing else."""
    return [AlignedText.plain(text) for text in texts]


def campaigns(count: int, seed: int = 0) -> list[tuple[str, int]]:
    """Texts no two of which belong to one campaign, every third one spam, with their labels."""
    draw = random.Random(seed)
    spam, ham = (
        sorted({word.strip(".,!?").lower() for line in lines for word in line.split()})
        for lines in (SPAM, HAM)
    )
    result = []
    for number in range(count):
        label = int(number % 3 == 0)
        words = draw.choices(spam if label else ham, k=12)
        noise = ["".join(draw.choices("abcdefghij", k=5)) for _ in range(6)]
        draw.shuffle(words)
        result.append((f"{' '.join(noise[:3])}\n\n{' '.join(words + noise[3:])}", label))
    return result


def tiny_base(folder: Path) -> Path:
    """A BERT of one narrow layer with random weights and a vocabulary of letters and words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel

    words = sorted({word.strip(".,!?").lower() for line in SPAM + HAM for word in line.split()})
    letters = [chr(code) for code in range(33, 127)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    names = dict.fromkeys([*special, *letters, *(f"##{c}" for c in letters), *words])
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def base_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a pretrained encoder, if a random one."""
    return tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def trained_models(base_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The served folders of an n-gram model and an encoder, both really trained and exported."""
    from rampart.compression.onnx import export_encoder
    from rampart.data.labelled import Labelled
    from rampart.models.encoder import WindowSettings
    from rampart.training.encoder import EncoderTraining, train_encoder
    from rampart.training.ngram import fit_ngram

    folder = tmp_path_factory.mktemp("models")
    texts, labels = mails(240, seed=1)
    cleaned = [clean(text).text for text in texts]
    fit_ngram(cleaned, labels).save(folder / "ngram")
    settings = EncoderTraining(
        base=str(base_encoder),
        window=WindowSettings(tokens=48, tail=12),
        epochs=3,
        batch_size=16,
        learning_rate=5e-3,
    )
    split = 180
    train_encoder(
        Labelled(cleaned[:split], labels[:split]),
        Labelled(cleaned[split:], labels[split:]),
        folder / "trained",
        settings,
    )
    export_encoder(folder / "trained", folder / "encoder")
    return {"ngram": folder / "ngram", "encoder": folder / "encoder"}


@pytest.fixture(scope="session", autouse=True)
def _model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers keep what they make of tests' bundles in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache") / "models"
        for name in ("RAMPART_MODEL_CACHE", "RAMPART_STREAM_MODEL_CACHE"):
            patch.setenv(name, str(folder))
        yield


def assembled(folder: Path, models: dict[str, Path], seed: int) -> Path:
    """A bundle of models, calibrated on mails of a seed."""
    from rampart.bundle.build import assemble

    assemble(folder, models, labelled(120, seed))
    return folder


@pytest.fixture(scope="session")
def bundle(trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed bundle of both models; do not write into it."""
    return assembled(tmp_path_factory.mktemp("bundle") / "bundle", trained_models, 2)


@pytest.fixture(scope="session")
def other_bundle(trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another of the n-gram model alone; its verdicts are others."""
    models = {"ngram": trained_models["ngram"]}
    return assembled(tmp_path_factory.mktemp("other") / "bundle", models, 3)
