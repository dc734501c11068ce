"""A decoded request together with the way its answer goes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import ScoreRequest


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, and how an answer is written for the one who asked."""

    request: ScoreRequest
    encode: Callable[[Answer], Any]
