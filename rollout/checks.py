"""What a candidate has to show: the bundle's own verdicts, no worse than the stable ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rollout.asking import Answer, Transport, ask
from rollout.examples import Example
from rollout.plan import Checks
from rollout.target import Address

_PAUSE = 0.05


@dataclass(frozen=True)
class Golden:
    """What the bundle says of the examples where it is computed here.

    Attributes:
        bundle: its id.
        examples: texts, and whether each is a threat.
        labels: of each text.
        logits: of each text.
        threat: the label that means one.
    """

    bundle: str
    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    logits: tuple[float, ...]
    threat: str

    def wrong(self, labels: Sequence[str]) -> int:
        """How many examples have another label than they should."""
        pairs = zip(self.examples, labels, strict=True)
        return sum((label == self.threat) != example.threat for example, label in pairs)


def golden(bundle: Path, examples: Sequence[Example]) -> Golden:
    """Ask the bundle itself, as its server would.

    Raises:
        BundleError: it is broken.
    """
    from rampart.inference.engine import Engine

    engine = Engine.load(bundle, threads=1, device="cpu")
    verdicts = engine.score([example.text for example in examples], explain="none")
    return Golden(
        engine.manifest.id,
        tuple(examples),
        tuple(verdict.label for verdict in verdicts),
        tuple(verdict.logit for verdict in verdicts),
        engine.manifest.labels[1],
    )


def smoke(way: Transport, address: Address, expected: Golden, tolerance: float) -> str | None:
    """Why a revision's verdicts are not the bundle's; None where they are."""
    answer = ask(way, address, [example.text for example in expected.examples])
    if answer.problem:
        return f"it answers {answer.status or 'nothing'}: {answer.problem}"
    if answer.bundle != expected.bundle:
        return f"it serves the bundle {answer.bundle[:12]}, not {expected.bundle[:12]}"
    for place, (label, logit) in enumerate(zip(expected.labels, expected.logits, strict=True)):
        off = abs(answer.logits[place] - logit)
        if answer.labels[place] != label or off > tolerance:
            return (
                f"example {place} is {answer.labels[place]} with logit {answer.logits[place]:.4f} "
                f"there, and {label} with {logit:.4f} here"
            )
    return None


@dataclass
class Seen:
    """What one revision did while it was watched."""

    answers: list[Answer] = field(default_factory=list)
    wrong: int = 0

    @property
    def failures(self) -> list[Answer]:
        """Requests without a verdict."""
        return [answer for answer in self.answers if answer.problem]

    @property
    def slow(self) -> float:
        """The 95th percentile of the time that a verdict took, in ms."""
        times = [answer.milliseconds for answer in self.answers if not answer.problem]
        return float(np.percentile(times, 95)) if times else float("inf")


def watch(
    way: Transport,
    candidate: Address,
    stable: Address | None,
    public: Address,
    expected: Golden,
    checks: Checks,
    *,
    broken: Callable[[], str | None],
) -> str | None:
    """Why a candidate is worse than the stable revision; None where it is not.

    Both are asked in turns, every text once as it is and then with a line that nobody has sent, so
    that no answer comes from a memory of answers; and so is the name that clients ask under, where
    it can be reached from here.

    Args:
        way: to them.
        candidate: its own address.
        stable: likewise; None where there is none to compare with.
        public: that clients ask, which splits the traffic.
        expected: the bundle's verdicts.
        checks: how much worse it may be.
        broken: why its pods, or what splits the traffic, no longer work; None where they do.
    """
    seen, beside, split = Seen(), Seen(), Seen()
    texts = [example.text for example in expected.examples]
    parties = [(candidate, seen)] + ([(stable, beside)] if stable is not None else [])
    for address, one in parties:
        answer = ask(way, address, texts)
        one.wrong = len(texts) if answer.problem else expected.wrong(answer.labels)
    if (found := _wrong(seen, beside if stable else None, checks)) is not None:
        return found
    if way.reaches(public):
        parties.append((public, split))
    until = time.monotonic() + checks.watch_seconds
    number = 0
    while True:
        text = f"{texts[number % len(texts)]}\n\n{number}-{until:.3f}"
        for address, one in parties:
            one.answers.append(ask(way, address, [text]))
        if len(seen.failures) > checks.failures:
            worst = seen.failures[-1]
            return f"{len(seen.failures)} of its {number + 1} requests failed: {worst.problem}"
        if len(split.failures) > checks.failures:
            worst = split.failures[-1]
            return (
                f"{len(split.failures)} of {number + 1} clients' requests failed: {worst.problem}"
            )
        if number % len(texts) == 0 and (why := broken()) is not None:
            return why
        number += 1
        if time.monotonic() >= until and number >= len(texts):
            break
        time.sleep(_PAUSE)
    return _slow(seen, beside, checks) if stable is not None else None


def _wrong(seen: Seen, beside: Seen | None, checks: Checks) -> str | None:
    allowed = checks.more_errors + (beside.wrong if beside is not None else 0)
    if beside is None or seen.wrong <= allowed:
        return None
    return (
        f"it gets {seen.wrong} of the examples wrong, the stable revision {beside.wrong}; "
        f"{checks.more_errors} more are allowed"
    )


def _slow(seen: Seen, beside: Seen, checks: Checks) -> str | None:
    limit = max(beside.slow * checks.slower, beside.slow + checks.slower_by)
    if seen.slow <= limit:
        return None
    return (
        f"its 95th percentile is {seen.slow:.0f} ms, the stable revision's {beside.slow:.0f}; "
        f"{limit:.0f} are allowed"
    )
