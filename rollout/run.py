"""A rollout from beginning to end; broken off at any point, the next run goes on from the cluster.

    held by one run -> what is there? -> pods without traffic -> verdicts as computed here
    -> a share of the traffic, watched -> ... -> all of it -> older revisions let go

At the first failure all traffic goes to the revision that had it before, and the reason is left as
an event. Nothing is remembered but in the cluster: annotations say which revision is stable and
which is on its way, and weights who gets what.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from rampart.errors import RolloutError
from rollout.asking import Transport
from rollout.checks import Golden, smoke, watch
from rollout.cluster import Cluster, ConflictError
from rollout.knative import KnativeTarget
from rollout.lease import held
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
    target = _TARGETS[plan.mode](plan, cluster)
    with held(cluster, plan.name, run) as lost:
        state = target.state()
        if state.stable == plan.revision and state.candidate is None:
            tell(f"{plan.name} serves {plan.revision} already")
            return Outcome(plan.revision, None, time.monotonic() - started, changed=False)
        left_over = state.candidate
        if left_over not in (None, plan.revision, state.stable):
            tell(f"a rollout of {left_over} was broken off; its traffic goes back")
            target.restore(str(left_over))
        walk = _Walk(target, expected, way, tell, lost.is_set)
        try:
            walk.whole(begun=state.percent if left_over == plan.revision else 0)
        except _Failed as failure:
            raise walk.back(str(failure)) from None
        except ConflictError:
            raise  # somebody is at it; what they wrote is not undone
        except RolloutError as error:
            with suppress(RolloutError):
                walk.back(str(error))
            raise
    return Outcome(plan.revision, state.stable, time.monotonic() - started)


def roll_back(target: Target, reason: str, *, run: str) -> State:
    """Give all traffic to the stable revision, whatever is on its way; returns what is then.

    Raises:
        RolloutError: a rollout of the name is under way.
    """
    with held(target.cluster, target.plan.name, run):
        state = target.state()
        if state.candidate is not None:
            _event(target, "RolledBack", reason, warning=True)
            target.restore(state.candidate)
        return target.state()


def target_of(name: str, mode: str, cluster: Cluster) -> Target:
    """What a rollout of that name moves, to be looked at or taken back."""
    nothing = {"storage_uri": "none://none", "bundle_id": "0" * 64}
    plan = planned(name=name, namespace=cluster.namespace, mode=mode, **nothing)
    return _TARGETS[plan.mode](plan, cluster)


@dataclass(frozen=True)
class _Walk:
    """One candidate's way through the steps."""

    target: Target
    expected: Golden
    way: Transport
    tell: Tell
    lost: Callable[[], bool]

    @property
    def plan(self) -> Plan:
        return self.target.plan

    def whole(self, *, begun: int) -> None:
        plan, target = self.plan, self.target
        stable = target.state().stable
        self._event("RolloutStarted", f"{plan.revision} from {plan.storage_uri}")
        self.tell(f"{plan.revision} gets pods, and no traffic")
        target.prepare()
        self._until(target.condition, "to be ready")
        self._smoke()
        own = target.address(plan.revision)
        other = target.address(stable) if stable is not None else None
        for percent in plan.steps if stable is not None else (100,):
            if percent < begun:
                continue
            self.tell(f"{percent} % of the traffic go to {plan.revision}")
            target.shift(percent)
            self._until(target.settled, f"for {percent} % to be in force")
            why = watch(self.way, own, other, self.expected, plan.checks, broken=self._broken)
            if why is not None:
                raise _Failed(f"at {percent} % {why}")
        target.promote()
        self._until(target.settled, "for all traffic to go there")
        target.tidy()
        self._event("RolledOut", f"{plan.revision} has all traffic; before it {stable or 'none'}")
        self.tell(f"{plan.name} serves {plan.revision}")

    def back(self, why: str) -> RolloutError:
        """Everything as it was; the error that says why."""
        plan = self.plan
        stable = self.target.state().stable
        kept = f"{stable} has all traffic" if stable else "nothing serves, as before"
        self.tell(f"back: {why}")
        self._event("RolledBack", f"{plan.revision}: {why}", warning=True)
        self.target.restore(plan.revision)
        if stable:
            deadline = time.monotonic() + plan.checks.ready_seconds
            while not self.target.settled().ready and time.monotonic() < deadline:
                time.sleep(_POLL)
        return RolloutError(f"{plan.revision} was not rolled out: {why}.", f"Now {kept}.")

    def _smoke(self) -> None:
        plan = self.plan
        address = self.target.address(plan.revision)
        deadline = time.monotonic() + plan.checks.ready_seconds
        while True:
            why = smoke(self.way, address, self.expected, plan.checks.logit_tolerance)
            if why is None:
                self.tell(f"{plan.revision} gives the bundle's own verdicts")
                return
            # An endpoint comes a moment after its pod; a wrong verdict is no matter of time.
            if "answers" not in why or time.monotonic() > deadline:
                raise _Failed(why)
            if (broken := self._broken()) is not None:
                raise _Failed(broken)
            time.sleep(_POLL)

    def _until(self, look: Callable[[], Condition], what: str) -> None:
        plan = self.plan
        deadline = time.monotonic() + plan.checks.ready_seconds
        said = ""
        while True:
            if self.lost():
                raise _Failed("the lease was lost to another rollout")
            now = look()
            if now.ready:
                return
            if now.failed is not None:
                raise _Failed(now.failed)
            if time.monotonic() > deadline:
                seconds = plan.checks.ready_seconds
                raise _Failed(f"{seconds:.0f} s were not enough {what}: {now.waiting}")
            if now.waiting != said:
                said = now.waiting
                self.tell(f"waiting {what}: {said}")
            time.sleep(_POLL)

    def _broken(self) -> str | None:
        if self.lost():
            return "the lease was lost to another rollout"
        return self.target.condition().failed

    def _event(self, reason: str, note: str, *, warning: bool = False) -> None:
        _event(self.target, reason, note, warning=warning)


def _event(target: Target, reason: str, note: str, *, warning: bool) -> None:
    kind, name = target.subject
    target.cluster.tell(kind, name, reason=reason, note=note, warning=warning)
