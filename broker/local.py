"""One broker in KRaft mode on loopback: started, stopped, killed, and started again on its data."""

from __future__ import annotations

import base64
import contextlib
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from broker.artefacts import artefacts, java
from rampart.errors import InputError, StreamError

HOST = "127.0.0.1"
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,RELAYED:PLAINTEXT,"
    "SECURED:SSL",
    "inter.broker.listener.name": "PLAINTEXT",
    # There is one broker.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Nobody waits for others to join, and a topic is made by whoever knows how.
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "message.max.bytes": "16000000",
    "log.segment.bytes": "67108864",
    "num.network.threads": "2",
    "num.io.threads": "2",
}
_JAVA = (
    "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)  # fmt: skip


class Broker:
    """A broker's process and its folder; belongs to one thread."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        relay: int = 0,
        certificates: Path | None = None,
        settings: Mapping[str, str] | None = None,
        cache: Path | None = None,
    ) -> None:
        """Say where it will be; `start` starts it.

        Args:
            folder: for its data and its log; what is there already is kept.
            port: on loopback; a free one by default.
            relay: a port that passes on to the listener for those who come by it.
            certificates: folder of those of a listener with TLS beside the first, whose clients
                may do what they are granted; see `secured`.
            settings: of the broker, beside those here.
            cache: for Kafka's artefacts; the user's cache folder by default.
        """
        self.folder = folder.resolve()
        self.port = port or _free_port()
        self.relayed = _free_port() if relay else 0
        self._relay = relay
        self.secured = _free_port() if certificates else 0
        self._certificates = certificates
        self._settings = dict(settings or {})
        self._cache = cache
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def address(self) -> str:
        """What clients are told."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker says."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int | None:
        """The process' id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            SourceError: Kafka's artefacts or Java are not there.
            InputError: the port is taken.
            StreamError: the broker does not come up; its log is named.
        """
        jars = artefacts(self._cache)
        program = java()
        if _answers(self.port):
            raise InputError(
                f"{self.address} is taken.", "End what listens there, or name another port."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self._written()
        run = [program, *_JAVA, "-cp", f"{jars}/*"]
        if not (self.folder / "data" / "meta.properties").exists():
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # An id that begins with a dash would be read as an option.
            arguments = ["format", f"--cluster-id={identity}", f"--config={settings}"]
            self._ran([*run, "kafka.tools.StorageTool", *arguments])
        self._log = self.log.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - a fixed program with fixed arguments
            [*run, "kafka.Kafka", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for whoever started it, who then ends it in good order.
            start_new_session=True,
        )
        self._wait()

    def stop(self) -> None:
        """End it in good order; what it holds stays in the folder."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait till the process ends; its exit code."""
        return 0 if self._process is None else self._process.wait()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _written(self) -> Path:
        listeners = {
            "PLAINTEXT": (self.address, self.address),
            "CONTROLLER": (f"{HOST}:{_free_port()}", ""),
        }
        if self._relay:
            # Clients go on to where the listener that they came by says that the broker is.
            listeners["RELAYED"] = f"{HOST}:{self.relayed}", f"{HOST}:{self._relay}"
        if self.secured:
            listeners["SECURED"] = (f"{HOST}:{self.secured}",) * 2
        settings = properties(str(self.folder / "data"), listeners)
        if self._certificates is not None:
            settings |= secured(str(self._certificates.resolve()))
        path = self.folder / "server.properties"
        path.write_text(lines(settings | self._settings), encoding="utf-8")
        return path

    def _ran(self, command: list[str]) -> None:
        done = subprocess.run(  # noqa: S603 - as above
            command, capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise StreamError(f"Kafka's storage cannot be made: {' '.join(said[-1:])}.")

    def _wait(self) -> None:
        process = self._process
        deadline = time.monotonic() + _START_SECONDS
        while process is not None and not _ready(self.address):
            ended = process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.kill()
                what = "does not answer" if ended is None else f"ended with {ended}"
                raise StreamError(f"The broker {what}.", f"See {self.log}.")


def properties(data: str, listeners: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Settings of a broker that is its own controller.

    Args:
        data: folder of what it holds.
        listeners: by name, CONTROLLER among them: the address that it listens at, and the one that
            clients are told.
    """
    return _SETTINGS | {
        "listeners": ",".join(f"{name}://{at}" for name, (at, _) in listeners.items()),
        "advertised.listeners": ",".join(
            f"{name}://{told}" for name, (_, told) in listeners.items() if told
        ),
        "controller.quorum.voters": f"1@{listeners['CONTROLLER'][0]}",
        "log.dirs": data,
    }


def secured(folder: str) -> dict[str, str]:
    """Settings of a listener SECURED, whose clients may do what they are granted.

    Who comes by another listener may do all. A client is known by its certificate's common name.

    Args:
        folder: that has the authority's certificate as ca.crt, and the broker's key and certificate
            in one file, broker.pem, the key as PKCS 8.
    """
    of = "listener.name.secured.ssl."
    return {
        f"{of}keystore.type": "PEM",
        f"{of}keystore.location": f"{folder}/broker.pem",
        f"{of}truststore.type": "PEM",
        f"{of}truststore.location": f"{folder}/ca.crt",
        f"{of}client.auth": "required",
        f"{of}principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }


def lines(settings: Mapping[str, str]) -> str:
    """Settings as the text of server.properties."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Broker]:
    """A broker for as long as the block runs; keywords are `Broker`'s."""
    broker = Broker(folder, **settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _ready(address: str) -> bool:
    """Whether it answers as a broker does; waits a moment where it does not."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if not _answers(int(address.rpartition(":")[2])):
        time.sleep(0.1)
        return False
    # What it has to say while it waits is that nobody answers.
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port
