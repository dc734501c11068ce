"""How a step in a process of its own tells how far it is: a line for whoever runs it."""

import json
import time

PREFIX = "rampart-progress "
_SECONDS = 0.2
_last_told = 0.0


def tell(done: int, total: int) -> None:
    """Print what is done and the whole, at most five times a second and always at the end."""
    global _last_told  # noqa: PLW0603 - one process runs one step
    now = time.monotonic()
    if done < total and now - _last_told < _SECONDS:
        return
    _last_told = now
    print(PREFIX + json.dumps({"done": done, "total": total}), flush=True)  # noqa: T201


def heard(line: str) -> tuple[int, int] | None:
    """What a line tells, or None where it is not such a line."""
    _, found, said = line.partition(PREFIX)
    if not found:
        return None
    try:
        told = json.loads(said)
        return int(told["done"]), int(told["total"])
    except (ValueError, KeyError, TypeError):
        return None
