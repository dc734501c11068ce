"""The training pipeline's components in one chain, called as functions with KFP's own artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kfp import dsl

from tests.conftest import campaigns

COUNT = 300
Make = Callable[..., Any]


def maker(folder: Path) -> Make:
    """Makes artifacts as the executor does: a name, a place in `folder`, no metadata yet."""

    def make(kind: type, name: str) -> Any:
        return kind(name=name, uri=str(folder / name))

    return make


@pytest.fixture
def artifact(tmp_path: Path) -> Make:
    return maker(tmp_path)


def train(column: str, table: Any, base: Path, folder: Path) -> SimpleNamespace:
    """The part of the chain that the pipeline runs once for each split."""
    from components.compress.choose import choose_encoder
    from components.compress.onnx import export_onnx
    from components.train.attribution import train_attribution
    from components.train.combine import combine
    from components.train.encoder import train_encoder
    from components.train.ngram import train_ngram
    from components.train.tabular import train_tabular

    folder.mkdir(parents=True, exist_ok=True)
    make = maker(folder)
    ngram, network = make(dsl.Model, "ngram"), make(dsl.Model, "network")
    tabular = make(dsl.Model, "tabular")
    encoder, candidate = make(dsl.Model, "encoder"), make(dsl.Model, "candidate")
    attributed, exported = make(dsl.Model, "attributed"), make(dsl.Model, "exported")
    faithfulness = make(dsl.Metrics, "faithfulness")
    train_ngram.python_func(
        table=table,
        column=column,
        words=2,
        regularisation=30.0,
        min_documents=2,
        max_features=10_000,
        model=ngram,
    )
    train_tabular.python_func(
        table=table,
        column=column,
        learning_rate=0.1,
        leaves=8,
        leaf_texts=10,
        seed=0,
        model=tabular,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rampart.training.tokens.user_cache", lambda: folder / "cache")
        train_encoder.python_func(
            table=table,
            column=column,
            base=str(base),
            tokens=48,
            tail=12,
            sample=0,
            trained_layers=2,
            epochs=3,
            learning_rate=0.005,
            batch_size=16,
            micro_batch=8,
            checkpointing=False,
            precision="float32",
            optimizer="adamw",
            seed=0,
            network=network,
        )
    train_attribution.python_func(
        table=table,
        column=column,
        network=network,
        texts=20,
        seed=0,
        attributed=attributed,
        faithfulness=faithfulness,
    )
    export_onnx.python_func(network=attributed, model=exported)
    choose_encoder.python_func(
        table=table,
        column=column,
        network=attributed,
        exported=exported,
        ngram=ngram,
        tabular=tabular,
        variants="float",
        tolerance=0.002,
        for_gpu=False,
        seed=0,
        model=encoder,
        comparison=make(dsl.HTML, "comparison"),
    )
    combine.python_func(
        table=table,
        column=column,
        ngram=ngram,
        tabular=tabular,
        encoder=encoder,
        ensemble="voting",
        cascade_tolerance=0.0,
        cascade_doubt=0.05,
        false_positive_rate=0.01,
        fingerprint="f" * 64,
        encoder_sample=0,
        encoder_layers=2,
        encoder_epochs=3,
        encoder_learning_rate=0.005,
        encoder_batch_size=16,
        encoder_tail=12,
        seed=0,
        candidate=candidate,
    )
    return SimpleNamespace(
        ngram=ngram,
        tabular=tabular,
        network=network,
        exported=exported,
        encoder=encoder,
        candidate=candidate,
    )


@pytest.fixture(scope="session")
def chain(base_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Every component's outputs by name, from texts without a time of arrival."""
    from components.data.clean import clean
    from components.data.ingest import ingest
    from components.data.split import split
    from components.deploy.register import register
    from components.evaluate.evaluate import evaluate
    from components.evaluate.gate import gate
    from rampart.registry.connection import default_tracking_uri

    folder = tmp_path_factory.mktemp("chain")
    make = maker(folder)
    data = folder / "data.jsonl"
    rows = [
        {"id": f"m{number}", "body": text, "is": label}
        for number, (text, label) in enumerate(campaigns(COUNT))
    ]
    rows.append({"id": "odd", "body": "no label", "is": "perhaps"})
    rows.append({"id": "empty", "body": "<p> </p>", "is": 0})
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    made = SimpleNamespace(folder=folder, uri=str(data))
    made.raw, made.unread = make(dsl.Dataset, "raw"), make(dsl.Dataset, "unread")
    ingest.python_func(
        uri=made.uri,
        fingerprint="f" * 64,
        text_column="body",
        label_column="is",
        raw=made.raw,
        rejects=made.unread,
    )
    made.messages, made.unusable = make(dsl.Dataset, "messages"), make(dsl.Dataset, "unusable")
    clean.python_func(raw=made.raw, messages=made.messages, rejects=made.unusable)
    made.table, made.counts = make(dsl.Dataset, "table"), make(dsl.Metrics, "counts")
    split.python_func(
        messages=made.messages, seed=0, time_split=True, table=made.table, counts=made.counts
    )

    made.present = train("split", made.table, base_encoder, folder / "present")
    made.past = train("time_split", made.table, base_encoder, folder / "past")

    made.measured = {
        "bundle": make(dsl.Model, "bundle"),
        "predictions": make(dsl.Dataset, "predictions"),
        "evaluation": make(dsl.Artifact, "evaluation"),
        "report": make(dsl.HTML, "report"),
        "card": make(dsl.Markdown, "card"),
        "metrics": make(dsl.Metrics, "metrics"),
        "roc": make(dsl.ClassificationMetrics, "roc"),
        "confusion": make(dsl.ClassificationMetrics, "confusion"),
    }
    evaluate.python_func(
        table=made.table,
        candidate=made.present.candidate,
        from_the_past=made.past.candidate,
        uri=made.uri,
        **made.measured,
    )
    made.tracking_uri = default_tracking_uri(folder / "registry")
    made.decision = make(dsl.Artifact, "decision")
    gate.python_func(
        table=made.table,
        bundle=made.measured["bundle"],
        predictions=made.measured["predictions"],
        tracking_uri=made.tracking_uri,
        model_name="rampart",
        decision=made.decision,
    )
    made.registered = register.python_func(
        bundle=made.measured["bundle"],
        decision=made.decision,
        evaluation=made.measured["evaluation"],
        report=made.measured["report"],
        tracking_uri=made.tracking_uri,
        model_name="rampart",
    )
    return made
