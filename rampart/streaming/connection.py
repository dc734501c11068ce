"""How the broker is reached, and which topics there are."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from rampart.errors import StreamError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_SECONDS = 10.0
_DAY = 24 * 3_600_000
# A dead letter holds a record in base 64.
_LETTER = 1.5


class Connection(BaseModel):
    """A Kafka cluster, and who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = Field(default="127.0.0.1:9092", min_length=1)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"

    @model_validator(mode="after")
    def _whole(self) -> Connection:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("a certificate and its key come together")
        if (self.username is None) != (self.password is None):
            raise ValueError("a user's name and password come together")
        if self.username is not None and self.ca_file is None:
            raise ValueError("a password is only sent over TLS: name the authority's certificate")
        return self

    def client(self, **settings: Any) -> dict[str, Any]:
        """Settings of librdkafka's for a client; keywords are its own names, `_` for `.`."""
        found: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "client.id": "rampart",
            "logger": logging.getLogger("rampart.kafka"),
        }
        if self.ca_file is not None:
            found |= {"security.protocol": "SSL", "ssl.ca.location": str(self.ca_file)}
        if self.certificate_file is not None and self.key_file is not None:
            found |= {
                "security.protocol": "SSL",
                "ssl.certificate.location": str(self.certificate_file),
                "ssl.key.location": str(self.key_file),
            }
        if self.username is not None and self.password is not None:
            found |= {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password.get_secret_value(),
            }
        return found | {name.replace("_", "."): value for name, value in settings.items()}


class Topics(BaseModel):
    """The topics' names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    received: str = "mail-received"
    verdicts: str = "mail-verdicts"
    dead_letters: str = "mail-dead-letters"
    retries: tuple[str, ...] = ("mail-retry-1", "mail-retry-2", "mail-retry-3")
    windows: str = "mail-windows"
    campaigns: str = "mail-campaigns"

    @classmethod
    def of(cls, prefix: str, retries: int) -> Topics:
        """Topics of one prefix, such as `mail`, with so many for retries."""
        return cls(
            received=f"{prefix}-received",
            verdicts=f"{prefix}-verdicts",
            dead_letters=f"{prefix}-dead-letters",
            retries=tuple(f"{prefix}-retry-{number}" for number in range(1, retries + 1)),
            windows=f"{prefix}-windows",
            campaigns=f"{prefix}-campaigns",
        )

    @property
    def read(self) -> list[str]:
        """Those that a scorer reads."""
        return [self.received, *self.retries]

    @property
    def scoring(self) -> list[str]:
        """Those that a scorer reads or writes."""
        return [*self.read, self.verdicts, self.dead_letters]

    @property
    def every(self) -> list[str]:
        """All of them."""
        return [*self.scoring, self.windows, self.campaigns]


def create_topics(
    connection: Connection,
    topics: Topics,
    *,
    partitions: int = 12,
    replicas: int = 1,
    days: int = 7,
    max_bytes: int = 2_000_000,
) -> list[str]:
    """Make the topics that are not there; those that are stay as they are.

    Args:
        connection: to the cluster, as somebody who may.
        topics: their names.
        partitions: of each but those of retries, of dead letters and of figures, which have one.
        replicas: of each partition.
        days: that records are kept.
        max_bytes: of a received record.

    Returns:
        The names of those that were made.

    Raises:
        StreamError: the broker does not answer, or refuses.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient(connection.client())
    there = existing(connection)
    # Of what comes again one partition each: a group shares out partitions by their number alone,
    # and a member that has those of retries has so many fewer of what is received.
    few = {topics.dead_letters, topics.windows, topics.campaigns, *topics.retries}
    # What comes again has a few headers more, and a letter is in base 64.
    limit = dict.fromkeys(topics.retries, str(max_bytes + 100_000))
    limit[topics.dead_letters] = str(int(max_bytes * _LETTER) + 100_000)
    wanted = [
        NewTopic(
            name,
            num_partitions=1 if name in few else partitions,
            replication_factor=replicas,
            config={
                "retention.ms": str(days * _DAY),
                "max.message.bytes": limit.get(name, str(max_bytes)),
                # Of a campaign only what was said last is of use.
                "cleanup.policy": "compact,delete" if name == topics.campaigns else "delete",
            },
        )
        for name in topics.every
        if name not in there
    ]
    made = []
    for name, future in admin.create_topics(wanted).items() if wanted else ():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            # Somebody else may have made it meanwhile.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise refused(f"The topic {name} cannot be made", error.args[0]) from None
        else:
            made.append(name)
    return made


def existing(connection: Connection) -> Mapping[str, int]:
    """Partitions of each topic that there is.

    Raises:
        StreamError: the broker does not answer.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        found = AdminClient(connection.client()).list_topics(timeout=_SECONDS)
    except KafkaException as error:
        raise unreachable(connection, error.args[0]) from None
    return {name: len(topic.partitions) for name, topic in found.topics.items()}


def require(connection: Connection, names: Sequence[str]) -> None:
    """Say so at once where a topic is not there: a consumer would wait for it in silence.

    Raises:
        StreamError: the broker does not answer, or has no such topic.
    """
    there = existing(connection)
    missing = [name for name in names if name not in there]
    if missing:
        raise StreamError(
            f"{connection.bootstrap} has no topic {' and no '.join(missing)}.",
            "Make them by `rampart stream topics`, or apply manifests/kafka.",
        )


def unreachable(connection: Connection, error: KafkaError) -> StreamError:
    """The broker does not answer."""
    return StreamError(
        f"The broker at {connection.bootstrap} does not answer: {error.str()}.",
        "Start one by `make kafka`, or name another with --broker.",
    )


def refused(problem: str, error: KafkaError) -> StreamError:
    """The broker says no."""
    return StreamError(f"{problem}: {error.str()}.")
