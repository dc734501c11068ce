"""A request, whatever it came by, and the parameters that every protocol shares."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rampart.errors import InputError, TooLargeError

_KNOWN = ("top_k", "explain", "threshold", "models")
# What a request may say of the effort behind an explanation, where it is computed on request.
_EFFORT = ("evaluations", "seconds", "seed")
# Clients of the protocol send these with any request, and `domain` is what an InferenceGraph may
# choose the model by; none changes a verdict.
_PROTOCOL = frozenset(
    {
        "binary_data_output",
        "content_type",
        "domain",
        "headers",
        "priority",
        "timeout",
        "sequence_id",
        "sequence_start",
        "sequence_end",
    }
)
_ON_REQUEST = ("shap", "lime", "occlusion")
_SEEDS = 2**32

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = _shown.maxlong = 60


def shown(value: object) -> str:
    """A value for an error message: short, however long or deep it is."""
    return _shown.repr(value)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for.

    Attributes:
        texts: the most texts.
        text_bytes: the most bytes of one text in UTF-8.
        top_k: spans in an explanation when the request does not say.
        max_top_k: the most spans that a request may ask for.
        explanations: that there are; the first is given when the request does not say.
        evaluations: the most texts that may be scored for one explanation.
        seconds: the longest that one explanation may take.
        input: name of the input with the texts.
        raw: whether they may be any bytes; what is not UTF-8 of them is then escaped by surrogates.
        extra: outputs beside the predictor's.
        by_name: those of them that are sent to whom names them only.
    """

    texts: int = 256
    text_bytes: int = 1_000_000
    top_k: int = 10
    max_top_k: int = 100
    explanations: tuple[str, ...] = ("contributions", "none")
    evaluations: int = 0
    seconds: float = 0.0
    input: str = "text"
    raw: bool = False
    extra: tuple[str, ...] = ()
    by_name: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effort:
    """What an explanation that is computed on request may cost, and the seed of its draws."""

    evaluations: int
    seconds: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of one request; None means what the bundle has for it."""

    top_k: int
    explain: str = "contributions"
    threshold: float | None = None
    models: tuple[str, ...] | None = None
    effort: Effort | None = None

    @property
    def spans(self) -> int:
        """Spans that each answer has room for, so that a client knows its shapes beforehand."""
        return 0 if self.explain == "none" else self.top_k


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Texts to score, in order; `ids` are the client's own names for them, each optional."""

    texts: tuple[str, ...]
    options: Options
    ids: tuple[str | None, ...] | None = None


def options(parameters: Mapping[str, Any], limits: Limits) -> Options:
    """Read the request parameters.

    Raises:
        InputError: one is unknown, of the wrong type or out of range.
    """
    known = _KNOWN + (_EFFORT if limits.evaluations else ())
    unknown = [name for name in parameters if name not in known and name not in _PROTOCOL]
    if unknown:
        raise InputError(
            f"Parameter {shown(unknown[0])} is not known here.",
            f"The parameters are {', '.join(known)}.",
        )
    return Options(
        top_k=_top_k(parameters.get("top_k", limits.top_k), limits.max_top_k),
        explain=_explain(parameters.get("explain", limits.explanations[0]), limits.explanations),
        threshold=_threshold(parameters["threshold"]) if "threshold" in parameters else None,
        models=_models(parameters["models"]) if "models" in parameters else None,
        effort=_effort(parameters, limits) if limits.evaluations else None,
    )


def _top_k(value: object, most: int) -> int:
    return _whole("top_k", value, 0, most)


def _effort(parameters: Mapping[str, Any], limits: Limits) -> Effort:
    seconds = _fraction(parameters.get("seconds", limits.seconds))
    if not 0.0 < seconds <= limits.seconds:
        raise InputError(
            f"Parameter seconds is {shown(parameters['seconds'])}.",
            f"Send a time over 0 and up to {limits.seconds:g}.",
        )
    return Effort(
        _whole(
            "evaluations", parameters.get("evaluations", limits.evaluations), 2, limits.evaluations
        ),
        seconds,
        _whole("seed", parameters.get("seed", 0), 0, _SEEDS - 1),
    )


def _whole(name: str, value: object, least: int, most: int) -> int:
    number: object = value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise InputError(
            f"Parameter {name} is {shown(value)}.", f"Send a whole number from {least} to {most}."
        )
    return number


def _explain(value: object, known: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in known:
        return value
    choice = " or ".join(repr(name) for name in known)
    if isinstance(value, str) and value in _ON_REQUEST:
        raise InputError(
            f"Parameter explain is {value!r}, which this server does not compute.",
            f"The explainer computes it; send {choice} here.",
        )
    raise InputError(f"Parameter explain is {shown(value)}.", f"Send {choice}.")


def _fraction(value: object) -> float:
    """A number, or NaN: gRPC's parameters hold no fractions, so a string may spell one."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return math.nan
    return math.nan


def _threshold(value: object) -> float:
    number = _fraction(value)
    if not 0.0 <= number <= 1.0:
        raise InputError(
            f"Parameter threshold is {shown(value)}.",
            "Send a probability from 0 to 1; over gRPC as a string, such as '0.7'.",
        )
    return number


def _models(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"Parameter models is {shown(value)}.",
            "Send names with commas between them, such as 'ngram,tabular', or 'all'.",
        )
    return tuple(name.strip() for name in names)


def check_count(count: int, limits: Limits) -> None:
    """Refuse a request with too many texts or none, before any of them is looked at.

    Raises:
        TooLargeError: there are more than `limits.texts`.
        InputError: there are none.
    """
    if count > limits.texts:
        raise TooLargeError(
            f"The request holds {count} texts, and at most {limits.texts} are answered at once.",
            "Send them in several requests.",
        )
    if count < 1:
        raise InputError("The request holds no text.", "Send at least one.")


def check_sizes(texts: Sequence[str], limits: Limits) -> None:
    """Refuse a request with a text that is too long.

    Raises:
        TooLargeError: a text takes more than `limits.text_bytes` in UTF-8; its place is named.
    """
    for index, text in enumerate(texts):
        # A code point takes at most four bytes, so most texts need not be encoded to be measured.
        if len(text) * 4 <= limits.text_bytes:
            continue
        size = len(text.encode("utf-8", "surrogateescape"))
        if size > limits.text_bytes:
            raise TooLargeError(
                f"Text {index} takes {size} bytes, and at most {limits.text_bytes} are read.",
                "Send its beginning, or split it.",
            )
