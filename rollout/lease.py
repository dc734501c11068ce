"""One rollout of a name at a time, by a Lease that is renewed while it runs.

Who wants a lease that another holds watches it for as long as it is good for, by the own clock
alone: two machines' clocks need not agree. Whoever renews and finds another's name there has
lost it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rampart.errors import RolloutError
from rollout.cluster import LEASE, Cluster, ConflictError
from rollout.record import lease_of

SECONDS = 30
_RENEWALS = 3
_POLL = 1.0
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextmanager
def held(cluster: Cluster, name: str, holder: str) -> Iterator[threading.Event]:
    """Hold the lease of a name; the event is set as soon as it is lost.

    A lease that its holder no longer renews is taken over after half a minute.

    Raises:
        RolloutError: another holds it, and renews it.
    """
    lease = lease_of(name)
    _take(cluster, lease, holder)
    lost, done = threading.Event(), threading.Event()
    # A renewal that is not through soon is as good as none.
    brief = cluster.with_patience(SECONDS / _RENEWALS / 2)

    def renew() -> None:
        last = time.monotonic()
        while not done.wait(SECONDS / _RENEWALS):
            try:
                if not _renewed(brief, lease, holder):
                    lost.set()
                    return
                last = time.monotonic()
            except RolloutError:
                # Nobody takes it over before it has run out.
                if time.monotonic() - last > SECONDS * (_RENEWALS - 1) / _RENEWALS:
                    lost.set()
                    return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
        if not lost.is_set():
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
