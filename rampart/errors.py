"""Every error that Rampart raises on purpose, and what each becomes outside.

```
RampartError
├── InputError            what the caller sent cannot be used
│   ├── EventError        ... because it is no event that is known here
│   ├── TooLargeError     ... because it is over a limit
│   └── UnknownModelError ... because it names a model that is not here
├── OverloadedError       the queue is full: try again
├── DataError             a table breaks its schema, or no row is left
├── SourceError           a source cannot be read or fetched
├── BundleError           a bundle is broken, tampered with or of another version
├── TrainingError         a model cannot be fitted
├── PipelineError         a pipeline step failed
├── RegistryError         the registry does not answer or refuses
├── StorageError          the database of studies does not answer
├── JobError              a training job failed, or cannot be run
├── StreamError           the broker does not answer or refuses, or gave the partitions to another
├── RolloutError          a bundle cannot be put behind KServe; the last one serves on
└── MissingExtraError     a part of Rampart is not installed
```

`OUTCOMES` is the one table from errors to HTTP statuses and exit codes.
"""

from __future__ import annotations

from typing import NamedTuple


class RampartError(Exception):
    """What is wrong, with the value, and what to do about it.

    Attributes:
        problem: one sentence that names the value at fault.
        remedy: one sentence that says what to do; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".strip())

    def __reduce__(self) -> tuple[type[RampartError], tuple[str, ...]]:
        return type(self), (self.problem, self.remedy)


class InputError(RampartError):
    """What the caller sent cannot be used."""


class TooLargeError(InputError):
    """What the caller sent is over a limit."""


class UnknownModelError(InputError):
    """The caller names a model or a version that is not here."""


class EventError(InputError):
    """What came is no event that is known here.

    Attributes:
        reason: in one word, as dead letters have it.
    """

    def __init__(self, problem: str, remedy: str = "", reason: str = "") -> None:
        self.reason = reason
        super().__init__(problem, remedy)

    def __reduce__(self) -> tuple[type[RampartError], tuple[str, ...]]:
        return type(self), (self.problem, self.remedy, self.reason)


class OverloadedError(RampartError):
    """The queue is full; the same request may succeed later."""


class DataError(RampartError):
    """A table breaks its schema, or holds no usable row."""


class SourceError(RampartError):
    """A source cannot be read or fetched."""


class BundleError(RampartError):
    """A bundle is incomplete, altered, or written for another schema version."""


class TrainingError(RampartError):
    """A model cannot be fitted on the data that it was given."""


class PipelineError(RampartError):
    """A pipeline step failed, or the pipeline cannot be run here."""


class RegistryError(RampartError):
    """The model registry does not answer, or refuses."""


class StorageError(RampartError):
    """The database that studies lie in does not answer; what it holds is left as it is."""


class RolloutError(RampartError):
    """A bundle cannot be put behind KServe; what served before serves on."""


class JobError(RampartError):
    """A training job failed, or cannot be run; its checkpoints are left."""


class StreamError(RampartError):
    """The broker does not answer or refuses; nothing that was not answered is marked as read."""


class MissingExtraError(RampartError):
    """A part of Rampart that is needed here is not installed."""


class Outcome(NamedTuple):
    """What an error becomes at the edges."""

    http_status: int
    exit_code: int


# Exit code 1 is Python's own for an unforeseen error, 2 the command line's for wrong usage.
OUTCOMES: dict[type[RampartError], Outcome] = {
    EventError: Outcome(400, 3),
    TooLargeError: Outcome(413, 3),
    UnknownModelError: Outcome(404, 3),
    InputError: Outcome(400, 3),
    OverloadedError: Outcome(503, 4),
    DataError: Outcome(422, 5),
    SourceError: Outcome(502, 6),
    BundleError: Outcome(503, 7),
    TrainingError: Outcome(500, 8),
    PipelineError: Outcome(500, 9),
    RegistryError: Outcome(502, 10),
    MissingExtraError: Outcome(501, 11),
    RolloutError: Outcome(502, 13),
    JobError: Outcome(502, 14),
    StorageError: Outcome(503, 15),
    StreamError: Outcome(502, 16),
    RampartError: Outcome(500, 12),
}


def outcome(error: RampartError) -> Outcome:
    """The HTTP status and exit code of an error: those of its nearest class in `OUTCOMES`."""
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)
