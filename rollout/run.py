"""A rollout from beginning to end; broken off at any point, the next run goes on from the cluster.

    held by one run -> what is there? -> pods without traffic -> verdicts as computed here
    -> a share of the traffic, watched -> ... -> all of it -> older revisions let go

At the first failure all traffic goes to the revision that had it before, and the reason is left as
an event. Nothing is remembered but in the cluster: a Lease says which revision is stable and which
is on its way, and weights who gets what. A run that has lost the Lease touches nothing any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rampart.errors import RolloutError
from rollout.asking import Transport
from rollout.checks import Golden, smoke, watch
from rollout.cluster import Cluster, ConflictError
from rollout.knative import KnativeTarget
from rollout.lease import Holding, held
from rollout.plan import Plan, planned
from rollout.standard import GraphTarget, RouteTarget
from rollout.target import Condition, State, Target

_POLL = 0.5
_TARGETS: dict[str, Callable[[Plan, Cluster], Target]] = {
    "graph": GraphTarget,
    "gateway": RouteTarget,
    "knative": KnativeTarget,
}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended.

    Attributes:
        revision: that has all of the traffic now.
        replaced: that had it before; None for the first.
        seconds: that it took.
        changed: whether there was anything to do.
    """

    revision: str
    replaced: str | None
    seconds: float
    changed: bool = True


class _Failed(Exception):  # noqa: N818 - never seen outside
    """The candidate is not good enough, and why."""


class _LostError(RolloutError):
    """Another run has the lease: nothing is touched any more."""


def roll_out(
    plan: Plan,
    expected: Golden,
    cluster: Cluster,
    way: Transport,
    *,
    run: str,
    tell: Tell = lambda _: None,
) -> Outcome:
    """Put a bundle behind KServe, step by step.

    Args:
        plan: which, and what it has to stand.
        expected: its verdicts on the examples.
        cluster: the namespace.
        way: to its servers.
        run: that the lease is held by, such as the pipeline run's id.
        tell: is told each step, in a line.

    Raises:
        RolloutError: it was not good enough, and the revision before it has all of the traffic; or
            another rollout runs; or the cluster refuses.
    """
    if expected.bundle != plan.bundle_id:
        raise RolloutError(
            f"The bundle here is {expected.bundle[:12]}, not {plan.bundle_id[:12]}.",
            "Give the bundle that lies at the storage URI.",
        )
    started = time.monotonic()
    with held(cluster, plan.name, run) as holding:
        target = _TARGETS[plan.mode](plan, cluster.guarded(partial(_own, holding)))
        walk = _Walk(target, expected, way, tell, holding)
        state = target.state()
        begun = 0
        if state.candidate == plan.revision != state.stable:
            begun = state.percent
        elif state.candidate is not None:
            tell(f"a rollout of {state.candidate} was broken off; its traffic goes back")
            walk.take_back(state.candidate)
        if state.stable == plan.revision:
            tell(f"{plan.name} serves {plan.revision} already")
            changed = state.candidate is not None
            return Outcome(plan.revision, None, time.monotonic() - started, changed=changed)
        try:
            walk.whole(begun)
        except _Failed as failure:
            raise walk.back(str(failure)) from None
        except (_LostError, ConflictError):
            raise  # somebody else is at it; what they wrote is not undone
        except Exception as error:
            # Whatever it was, the candidate has not stood all checks.
            with suppress(RolloutError):
                walk.back(str(error) or repr(error))
            raise
    return Outcome(plan.revision, state.stable, time.monotonic() - started)


def roll_back(target: Target, reason: str, *, run: str) -> State:
    """Give all traffic to the stable revision, whatever is on its way; returns what is then.

    Raises:
        RolloutError: a rollout of the name is under way.
    """
    with held(target.cluster, target.plan.name, run) as holding:
        target.cluster = target.cluster.guarded(partial(_own, holding))
        candidate = target.state().candidate
        if candidate is not None:
            walk = _Walk(target, None, None, lambda _: None, holding)
            walk.take_back(candidate)
            walk.event("RolledBack", f"{candidate}: {reason}", warning=True)
        return target.state()


def target_of(name: str, mode: str, cluster: Cluster) -> Target:
    """What a rollout of that name moves, to be looked at or taken back, as it is in the cluster."""
    nothing = {"storage_uri": "none://none", "bundle_id": "0" * 64}
    plan = planned(name=name, namespace=cluster.namespace, mode=mode, **nothing)
    target = _TARGETS[plan.mode](plan, cluster)
    target.plan = plan.model_copy(update=target.written())
    return target


def _own(holding: Holding) -> None:
    if holding.lost():
        raise _LostError(
            "The lease was lost: another rollout has it, or the API server was away for too long.",
            "Nothing was changed since; look at what the other has done.",
        )


@dataclass(frozen=True)
class _Walk:
    """One candidate's way through the steps."""

    target: Target
    expected: Golden | None
    way: Transport | None
    tell: Tell
    holding: Holding

    @property
    def plan(self) -> Plan:
        return self.target.plan

    def whole(self, begun: int) -> None:
        plan, target = self.plan, self.target
        stable = target.state().stable
        self.event("RolloutStarted", f"{plan.revision} from {plan.storage_uri}")
        self.tell(f"{plan.revision} gets pods, and no traffic")
        self._own()
        target.begin()
        self._until(target.condition, "to be ready")
        self._smoke()
        for percent in plan.steps if stable is not None else (100,):
            if percent < begun:
                continue
            self.tell(f"{percent} % of the traffic go to {plan.revision}")
            self._own()
            target.shift(percent)
            self._until(target.settled, f"for {percent} % to be in force")
            self._watch(percent, stable)
        self._own()
        target.promote()
        self.tell(f"{plan.name} serves {plan.revision}")
        self.event("RolledOut", f"{plan.revision} has all traffic; before it {stable or 'none'}")
        # It serves: what is left to do is no reason to go back.
        with suppress(_Failed, RolloutError):
            self._until(target.settled, "for all traffic to go there")
            target.tidy()

    def back(self, why: str) -> RolloutError:
        """Everything as it was; the error that says why."""
        plan = self.plan
        stable = self.target.record.stable
        self.tell(f"back: {why}")
        self.take_back(plan.revision)
        self.event("RolledBack", f"{plan.revision}: {why}", warning=True)
        kept = f"{stable} has all traffic" if stable else "nothing serves, as before"
        return RolloutError(f"{plan.revision} was not rolled out: {why}.", f"Now {kept}.")

    def take_back(self, candidate: str) -> None:
        """Traffic first; the candidate goes only when it gets none any more."""
        self._own()
        self.target.withdraw()
        deadline = time.monotonic() + self.plan.checks.ready_seconds
        while not self.target.settled().ready and time.monotonic() < deadline:
            self._own()
            time.sleep(_POLL)
        self._own()
        self.target.drop(candidate)
        self.target.forget()

    def event(self, reason: str, note: str, *, warning: bool = False) -> None:
        """Leave an event, as far as that can be done."""
        with suppress(RolloutError):
            target = self.target
            name = self.plan.name
            target.cluster.tell(target.kind, name, reason=reason, note=note, warning=warning)

    def _own(self) -> None:
        _own(self.holding)

    def _smoke(self) -> None:
        assert self.way is not None  # noqa: S101 - a walk through the steps has both
        assert self.expected is not None  # noqa: S101
        checks = self.plan.checks
        deadline = time.monotonic() + checks.ready_seconds
        while True:
            self._own()
            address = self.target.address(self.plan.revision)
            why = smoke(self.way, address, self.expected, checks.logit_tolerance)
            if why is None:
                self.tell(f"{self.plan.revision} gives the bundle's own verdicts")
                return
            # An endpoint comes a moment after its pod; a wrong verdict is no matter of time.
            if "answers" not in why or time.monotonic() > deadline:
                raise _Failed(why)
            if (broken := self.target.condition().failed) is not None:
                raise _Failed(broken)
            time.sleep(_POLL)

    def _watch(self, percent: int, stable: str | None) -> None:
        assert self.way is not None  # noqa: S101 - a walk through the steps has both
        assert self.expected is not None  # noqa: S101
        target = self.target

        def broken() -> str | None:
            self._own()
            return target.condition().failed

        why = watch(
            self.way,
            target.address(self.plan.revision),
            target.address(stable) if stable is not None else None,
            target.address(None),
            self.expected,
            self.plan.checks,
            broken=broken,
        )
        if why is not None:
            raise _Failed(f"at {percent} % {why}")

    def _until(self, look: Callable[[], Condition], what: str) -> None:
        seconds = self.plan.checks.ready_seconds
        deadline = time.monotonic() + seconds
        said = ""
        while True:
            self._own()
            now = look()
            if now.ready:
                return
            if now.failed is not None:
                raise _Failed(now.failed)
            if time.monotonic() > deadline:
                raise _Failed(f"{seconds:.0f} s were not enough {what}: {now.waiting}")
            if now.waiting != said:
                said = now.waiting
                self.tell(f"waiting {what}: {said}")
            time.sleep(_POLL)
