"""One rollout of a name at a time, by a Lease that is renewed while it runs.

Who wants a lease that another holds watches it for as long as it is good for, by the own clock
alone: two machines' clocks need not agree. Whoever renews and finds another's name there has
lost it. Whoever could not renew for a while, because the API server was away, does not know, and
touches nothing until the server has said whose it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rampart.errors import RolloutError
from rollout.cluster import PATIENCE_SECONDS, Cluster, ConflictError
from rollout.kinds import LEASE
from rollout.record import lease_of

SECONDS = 30
_RENEWALS = 3
_POLL = 1.0
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Holding:
    """A lease that is held, as far as is known."""

    def __init__(self) -> None:
        self._lost, self._known = threading.Event(), threading.Event()
        self._known.set()

    def lost(self) -> bool:
        """Whether another has it; waits for the API server's word where that is not known."""
        self._known.wait()
        return self._lost.is_set()

    def renewed(self) -> None:
        """It is held still."""
        self._known.set()

    def unsure(self) -> None:
        """Another may have it by now."""
        self._known.clear()

    def lose(self) -> None:
        """Another has it, or may have and nobody says."""
        self._lost.set()
        self._known.set()


@contextmanager
def held(cluster: Cluster, name: str, holder: str) -> Iterator[Holding]:
    """Hold the lease of a name.

    A lease that its holder no longer renews is taken over after half a minute.

    Raises:
        RolloutError: another holds it, and renews it.
    """
    lease = lease_of(name)
    _take(cluster, lease, holder)
    holding, done = Holding(), threading.Event()
    # A renewal that is not through soon is as good as none.
    brief = cluster.with_patience(SECONDS / _RENEWALS / 2)

    def renew() -> None:
        last = time.monotonic()
        wait = SECONDS / _RENEWALS
        while not done.wait(wait):
            try:
                if not _renewed(brief, lease, holder):
                    holding.lose()
                    return
            except RolloutError:
                away = time.monotonic() - last
                # Nobody takes it over before it has run out.
                if away > SECONDS * (_RENEWALS - 1) / _RENEWALS:
                    holding.unsure()
                    wait = _POLL
                if away > PATIENCE_SECONDS:
                    holding.lose()
                    return
            else:
                last, wait = time.monotonic(), SECONDS / _RENEWALS
                holding.renewed()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield holding
    finally:
        done.set()
        thread.join()
        holding.renewed()  # as far as is known: giving it looks whose it is
        if not holding.lost():
            _give(brief, lease, holder)


def _take(cluster: Cluster, lease: str, holder: str) -> None:
    known = cluster.get(LEASE, lease)
    seen = time.monotonic()
    while known is not None and known["spec"].get("holderIdentity") not in (None, "", holder):
        if time.monotonic() - seen > known["spec"].get("leaseDurationSeconds", SECONDS):
            break
        time.sleep(_POLL)
        now = cluster.get(LEASE, lease)
        if now is not None and _version(now) != _version(known):
            raise _taken(now)
        known = now
    try:
        if known is None:
            cluster.create(LEASE, {"metadata": {"name": lease}, "spec": _spec(holder)})
        else:
            cluster.replace(LEASE, known | {"spec": known["spec"] | _spec(holder)})
    except ConflictError:
        # It may be our own, where the answer to the first try was lost.
        known = cluster.get(LEASE, lease) or {}
        if known.get("spec", {}).get("holderIdentity") != holder:
            raise _taken(known) from None


def _renewed(cluster: Cluster, lease: str, holder: str) -> bool:
    known = cluster.get(LEASE, lease)
    if known is None or known["spec"].get("holderIdentity") != holder:
        return False
    try:
        cluster.replace(LEASE, known | {"spec": known["spec"] | _spec(holder)})
    except ConflictError:
        known = cluster.get(LEASE, lease)
        return known is not None and known["spec"].get("holderIdentity") == holder
    return True


def _give(cluster: Cluster, lease: str, holder: str) -> None:
    with suppress(RolloutError):  # else it runs out by itself
        known = cluster.get(LEASE, lease)
        if known is None or known["spec"].get("holderIdentity") != holder:
            return
        cluster.replace(LEASE, known | {"spec": known["spec"] | {"holderIdentity": ""}})


def _version(lease: dict[str, Any]) -> str:
    version: str = lease["metadata"]["resourceVersion"]
    return version


def _spec(holder: str) -> dict[str, Any]:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": SECONDS,
        "renewTime": datetime.now(UTC).strftime(_FORMAT),
    }


def _taken(lease: dict[str, Any]) -> RolloutError:
    holder = lease.get("spec", {}).get("holderIdentity", "another")
    return RolloutError(
        f"Another rollout of the same name is under way: {holder}.",
        f"Wait until it is done, or {SECONDS} s after it was ended.",
    )
