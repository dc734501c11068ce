"""One rollout of a name at a time, by a Lease that is renewed while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rampart.errors import RolloutError
from rollout.cluster import LEASE, Cluster, ConflictError

SECONDS = 30
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextmanager
def held(cluster: Cluster, name: str, holder: str) -> Iterator[threading.Event]:
    """Hold the lease of a name; the event is set where it was lost on the way.

    Raises:
        RolloutError: another holds it.
    """
    lease = f"rampart-rollout-{name}"
    _take(cluster, lease, holder)
    lost, done = threading.Event(), threading.Event()

    def renew() -> None:
        last = time.monotonic()
        while not done.wait(SECONDS / 3):
            try:
                _take(cluster, lease, holder)
                last = time.monotonic()
            except RolloutError:
                # Away for a while is no loss yet: nobody can take it before it has run out.
                if time.monotonic() - last > SECONDS:
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
            _give(cluster, lease, holder)


def _take(cluster: Cluster, lease: str, holder: str) -> None:
    now = datetime.now(UTC)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": SECONDS,
        "renewTime": now.strftime(_FORMAT),
    }
    known = cluster.get(LEASE, lease)
    try:
        if known is None:
            cluster.create(LEASE, {"metadata": {"name": lease}, "spec": spec})
            return
        if known["spec"].get("holderIdentity") not in (None, "", holder) and _alive(known, now):
            raise _taken(known)
        cluster.replace(LEASE, known | {"spec": known["spec"] | spec})
    except ConflictError:
        current = cluster.get(LEASE, lease)
        if current is not None and current["spec"].get("holderIdentity") == holder:
            return
        raise _taken(current or known or {}) from None


def _give(cluster: Cluster, lease: str, holder: str) -> None:
    known = cluster.get(LEASE, lease)
    if known is not None and known["spec"].get("holderIdentity") == holder:
        cluster.replace(LEASE, known | {"spec": known["spec"] | {"holderIdentity": ""}})


def _alive(lease: dict[str, Any], now: datetime) -> bool:
    renewed = datetime.strptime(lease["spec"]["renewTime"], _FORMAT).replace(tzinfo=UTC)
    return (now - renewed).total_seconds() < int(lease["spec"].get("leaseDurationSeconds", SECONDS))


def _taken(lease: dict[str, Any]) -> RolloutError:
    holder = lease.get("spec", {}).get("holderIdentity", "another")
    return RolloutError(
        f"Another rollout of the same name is under way: {holder}.",
        f"Wait until it is done, or {SECONDS} s after it was ended.",
    )
