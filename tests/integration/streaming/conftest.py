"""A real broker on a port, and topics for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.streaming.harness import Stream, stream
from broker.local import Broker, running
from tests.conftest import mails

_number = itertools.count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One for all tests that leave it running."""
    with running(tmp_path_factory.mktemp("kafka")) as found:
        yield found


@pytest.fixture
def trial(
    broker: Broker, other_bundle: Path, tmp_path: Path
) -> Callable[..., AbstractContextManager[Stream]]:
    """Opens topics of its own; scorers that it starts have the quick bundle."""

    def opened(
        *arguments: str, address: str = "", partitions: int = 4, retries: int = 3
    ) -> AbstractContextManager[Stream]:
        usual = () if "--predictor" in arguments else ("--bundle", str(other_bundle))
        prefix = f"test-{os.getpid()}-{next(_number)}"
        return stream(
            address or broker.address,
            prefix,
            tmp_path / prefix,
            [*usual, "--threads", "1", *arguments],
            partitions=partitions,
            retries=retries,
        )

    return opened


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return mails(300, seed=11)[0]
