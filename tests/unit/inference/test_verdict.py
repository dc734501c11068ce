"""A verdict as JSON holds it."""

from __future__ import annotations

import json

import numpy as np

from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict


def test_a_verdict_becomes_plain_json_with_its_spans() -> None:
    parts = Contributions(np.array([4, 0]), np.array([9, 3]), np.array([1.5, -0.25]), -0.5)
    verdict = Verdict("spam", 0.68, 0.75, "voting", parts, {"ngram": 0.75})
    document = json.loads(json.dumps(verdict.as_document()))
    assert document == {
        "label": "spam",
        "probability": 0.68,
        "logit": 0.75,
        "stage": "voting",
        "models": {"ngram": 0.75},
        "bias": -0.5,
        "contributions": [
            {"start": 4, "end": 9, "value": 1.5},
            {"start": 0, "end": 3, "value": -0.25},
        ],
    }
    assert document["bias"] + sum(p["value"] for p in document["contributions"]) == 0.75
