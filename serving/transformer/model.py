"""The transformer as a KServe model: mails in, verdicts out that point into them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from rampart.data.locating import Location, locate
from rampart.data.mail import Mail, parse
from rampart.errors import OverloadedError
from rampart.inference.verdict import Verdict
from serving.predictor import metrics
from serving.predictor.codec.answer import OUTPUTS, Answer, Signature, Values
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits
from serving.predictor.model import ProtocolModel
from serving.transformer.client import PredictorClient

INPUT = "mail"
# What the mail says beside the verdict, and where in it the verdict's spans are.
ADDED = (
    Signature("part", "BYTES", (-1, -1)),
    Signature("raw_span", "INT64", (-1, -1, 2)),
    Signature("raw_exact", "BOOL", (-1, -1)),
    Signature("subject", "BYTES", (-1,)),
    Signature("has_html", "BOOL", (-1,)),
    Signature("attachments", "INT64", (-1,)),
    Signature("text", "BYTES", (-1,)),
)
# As long as the mail itself: only for those who ask for it.
BY_NAME = frozenset({"text"})


class InFlight:
    """Requests that wait for the predictor; so many at the most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.unfinished = 0

    @property
    def depth(self) -> int:
        """Requests that have not been answered: they wait elsewhere, not here."""
        return self.unfinished

    @property
    def alive(self) -> bool:
        """There is no thread that could have died."""
        return True

    def refuses(self) -> bool:
        """Whether as many wait already as may."""
        return self.unfinished >= self._most

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request while it waits.

        Raises:
            OverloadedError: as many wait already as may.
        """
        if self.refuses():
            raise OverloadedError(
                f"{self._most} requests are waiting already.", "Try again in a second."
            )
        self.unfinished += 1
        try:
            yield
        finally:
            self.unfinished -= 1


class TransformerModel(ProtocolModel):
    """Reads mails, asks the predictor about their texts, and says where in them its spans are."""

    inputs: ClassVar[tuple[Signature, ...]] = (
        Signature(INPUT, "BYTES", (-1,)),
        Signature("id", "BYTES", (-1,)),
    )
    outputs: ClassVar[tuple[Signature, ...]] = (*OUTPUTS, *ADDED)

    def __init__(self, name: str, predictor: PredictorClient, limits: Limits, waiting: int) -> None:
        self.in_flight = InFlight(waiting)
        super().__init__(name, self.in_flight, limits)
        self.predictor_client = predictor

    def members(self) -> dict[str, Any]:
        """What it adds to the predictor's outputs."""
        return {"input": INPUT, "added": [signature.name for signature in ADDED]}

    async def predict(
        self,
        payload: Call,
        headers: dict[str, str] | None = None,
    ) -> tuple[Call, Answer]:
        """Read the mails, ask the predictor, and place its spans.

        Raises:
            OverloadedError: as many requests wait as may, or the predictor does not answer.
            InputError: the predictor refuses the request.
        """
        request = payload.request
        with self.in_flight.one():
            raws = [text.encode("utf-8", "surrogateescape") for text in request.texts]
            mails = await asyncio.to_thread(_read, raws)
            texts = [mail.text for mail in mails]
            answer = await self.predictor_client.answer(request, texts, headers or {})
            added = await asyncio.to_thread(
                _added, mails, raws, answer.verdicts, request.options.spans
            )
        metrics.count_verdicts(answer.verdicts)
        return payload, replace(answer, extra=added)


def _read(raws: Sequence[bytes]) -> list[Mail]:
    return [parse(raw) for raw in raws]


def _added(
    mails: Sequence[Mail], raws: Sequence[bytes], verdicts: Sequence[Verdict], spans: int
) -> dict[str, Values]:
    """The outputs that come of the mails, n of them, with room for `spans` spans each."""
    raw_span = np.full((len(mails), spans, 2), -1, dtype=np.int64)
    exact = np.zeros((len(mails), spans), dtype=bool)
    part = np.full((len(mails), spans), "", dtype=object)
    for row, (mail, raw, verdict) in enumerate(zip(mails, raws, verdicts, strict=True)):
        for place, found in enumerate(_located(mail, raw, verdict)):
            raw_span[row, place] = found.start, found.end
            exact[row, place] = found.exact
            part[row, place] = found.part
    return {
        "part": part,
        "raw_span": raw_span,
        "raw_exact": exact,
        "subject": [mail.subject for mail in mails],
        "has_html": np.array([mail.has_html for mail in mails], dtype=bool),
        "attachments": np.array([len(mail.attachments) for mail in mails], dtype=np.int64),
        "text": [mail.text for mail in mails],
    }


def _located(mail: Mail, raw: bytes, verdict: Verdict) -> Iterator[Location]:
    parts = verdict.explanation
    return locate(mail, raw, zip(parts.start.tolist(), parts.end.tolist(), strict=True))
