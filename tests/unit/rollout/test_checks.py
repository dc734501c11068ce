"""What a candidate has to show, with servers that answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import urllib3

from rollout.asking import ask
from rollout.checks import Golden, smoke, watch
from rollout.examples import Example
from rollout.plan import Checks
from rollout.target import Address

EXAMPLES = (Example("bad", threat=True), Example("good", threat=False))
EXPECTED = Golden("b" * 64, EXAMPLES, ("spam", "ham"), (2.0, -2.0), "spam")
CANDIDATE, STABLE, PUBLIC = (Address(name, "/infer") for name in ("new", "old", "split"))
QUICK = Checks(watch_seconds=0.1, slower_by=5)
Answering = Callable[[list[str]], tuple[int, object]]


def _verdicts(
    texts: list[str], *, bundle: str = EXPECTED.bundle, logit: float = 2.0, blind: bool = False
) -> tuple[int, object]:
    bad = [text.startswith("bad") and not blind for text in texts]
    document = {
        "parameters": {"bundle": bundle},
        "outputs": [
            {"name": "label", "data": ["spam" if one else "ham" for one in bad]},
            {"name": "logit", "data": [logit if one else -2.0 for one in bad]},
        ],
    }
    return 200, document


class Way:
    """Two servers; every text that either was asked is kept."""

    def __init__(self, new: Answering = _verdicts, old: Answering = _verdicts) -> None:
        self.servers = {"new": new, "old": old}
        self.asked: dict[str, list[str]] = {"new": [], "old": []}

    def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
        texts = json.loads(body)["inputs"][0]["data"]
        self.asked[address.service] += texts
        status, document = self.servers[address.service](texts)
        said = document if isinstance(document, bytes) else json.dumps(document).encode()
        return status, said

    def reaches(self, address: Address) -> bool:
        return address.service in self.servers


def _watched(way: Way, checks: Checks = QUICK, *, beside: bool = True) -> str | None:
    stable = STABLE if beside else None
    return watch(way, CANDIDATE, stable, PUBLIC, EXPECTED, checks, broken=lambda: None)


def test_the_bundles_own_verdicts_pass() -> None:
    assert smoke(Way(), CANDIDATE, EXPECTED, 1e-3) is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda texts: _verdicts(texts, bundle="c" * 64), "serves the bundle cccccccccccc"),
        (lambda texts: _verdicts(texts, logit=2.5), "logit 2.5000 there"),
        (lambda texts: _verdicts(texts, blind=True), "is ham"),
        (lambda _: (503, b"full"), "answers 503: full"),
        (lambda _: (200, {"outputs": []}), "no answer of a Rampart predictor"),
        (lambda _: (200, b"<html>"), "no answer of a Rampart predictor"),
        (lambda texts: _verdicts(texts[:1]), "1 labels for 2 texts"),
    ],
)
def test_other_verdicts_do_not(answer: Answering, why: str) -> None:
    assert why in str(smoke(Way(new=answer), CANDIDATE, EXPECTED, 1e-3))


def test_a_server_that_cannot_be_reached_is_an_answer_too() -> None:
    class Nobody:
        def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
            raise urllib3.exceptions.MaxRetryError(None, "/", OSError("refused"))  # type: ignore[arg-type]

        def reaches(self, address: Address) -> bool:
            return True

    answer = ask(Nobody(), CANDIDATE, ["a"])
    assert answer.status == 0
    assert "refused" in answer.problem


def test_a_candidate_as_good_as_the_stable_one_passes_and_no_text_is_asked_twice() -> None:
    way = Way()
    assert _watched(way) is None
    for asked in way.asked.values():
        assert len(asked) > len(EXAMPLES)
        assert len(set(asked)) == len(asked)


def test_a_candidate_that_errs_more_than_the_stable_one_does_not() -> None:
    way = Way(new=lambda texts: _verdicts(texts, blind=True))
    assert "gets 1 of the examples wrong, the stable revision 0" in str(_watched(way))
    assert _watched(way, QUICK.model_copy(update={"more_errors": 1})) is None


def test_both_may_err_alike() -> None:
    def blind(texts: list[str]) -> tuple[int, object]:
        return _verdicts(texts, blind=True)

    assert _watched(Way(new=blind, old=blind)) is None


def test_without_a_stable_revision_there_is_nothing_to_be_worse_than() -> None:
    assert _watched(Way(new=lambda texts: _verdicts(texts, blind=True)), beside=False) is None


def test_one_failure_is_enough_where_none_is_allowed() -> None:
    count = iter(range(1000))

    def sometimes(texts: list[str]) -> tuple[int, object]:
        return _verdicts(texts) if next(count) != 2 else (500, b"oh")

    assert "requests failed: oh" in str(_watched(Way(new=sometimes)))


def test_pods_that_break_while_it_is_watched_end_it() -> None:
    def broken() -> str | None:
        return "server in pod: CrashLoopBackOff"

    why = watch(Way(), CANDIDATE, STABLE, PUBLIC, EXPECTED, QUICK, broken=broken)
    assert why == "server in pod: CrashLoopBackOff"


def test_what_clients_ask_is_asked_too_and_a_split_that_fails_ends_it() -> None:
    way = Way()
    way.servers["split"], way.asked["split"] = _verdicts, []
    assert _watched(way) is None
    assert way.asked["split"]
    way.servers["split"] = lambda _: (503, b"no revision")
    assert "clients' requests failed: no revision" in str(_watched(way))
