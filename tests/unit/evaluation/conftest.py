"""Tables of predictions as `rampart.inference.predictions` gives them, without the models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rampart.evaluation.evaluation import Evaluation, evaluate

THRESHOLDS = {"ngram": 0.5, "encoder": 0.6, "voting": 0.4}


def predictions(rows: int = 400, seed: int = 0, **noise: float) -> pd.DataFrame:
    """Messages of five groups; each model's logits are the truth and noise of its own."""
    draw = np.random.default_rng(seed)
    names = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"]
    group = draw.choice(names, size=rows, p=[0.4, 0.2, 0.1, 0.1, 0.2])
    label = np.char.startswith(group, "spam").astype(np.int8)
    truth = np.where(label == 1, 3.0, -3.0) + np.where(group == "hard-ham-1", 2.0, 0.0)
    table = pd.DataFrame(
        {
            "id": [f"mail-{row}" for row in range(rows)],
            "label": label,
            "group": group,
            "campaign": [f"campaign-{unit}" for unit in draw.integers(0, rows // 2, rows)],
            "has_html": draw.random(rows) < 0.3,
            "characters": draw.lognormal(7, 1, rows).astype(int),
        }
    )
    for model, spread in ({"ngram": 1.8, "encoder": 2.4, "voting": 1.4} | noise).items():
        logit = truth + draw.normal(0, spread, rows)
        table[model] = 1 / (1 + np.exp(-logit))
    return table


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """400 messages; do not write into it."""
    return predictions()


@pytest.fixture(scope="session")
def evaluation(table: pd.DataFrame) -> Evaluation:
    """What was measured on the table."""
    return evaluate(table, THRESHOLDS, resamples=200)
