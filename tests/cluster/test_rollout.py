"""A rollout on a real API server: what goes wrong leaves the last good revision its traffic.

Predictors are real processes that serve real bundles; KServe and Knative, which cannot run without
a node, are stood in for by what they would write (standin.py). A client asks all the time, by the
weights that are written, and every answer it gets is counted.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3

from rampart.bundle.store import read_manifest
from rampart.errors import RolloutError
from rollout.asking import ask
from rollout.checks import golden
from rollout.cluster import MANAGER, Cluster
from rollout.examples import read_examples
from rollout.kinds import INFERENCE_SERVICE, LEASE, POD
from rollout.lease import held
from rollout.plan import Checks, Plan
from rollout.record import lease_of
from rollout.run import Outcome, _LostError, roll_back, roll_out, target_of
from rollout.standard import told
from rollout.target import ROLLOUT, Address
from tests.cluster.bundles import all_of
from tests.cluster.standin import CRASH, NEVER, READY, StandIn
from tests.integration.serving.conftest import running

pytestmark = pytest.mark.cluster
NAME = "mail"
CHECKS = Checks(ready_seconds=20, watch_seconds=0.5, slower_by=300)


@pytest.fixture(scope="module")
def bundles(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles by the names that their storage URIs end in."""
    return all_of(bundle, tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def servers(
    bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A real predictor for each bundle: its revision to its address."""
    folder = tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        found = {}
        for name, bundle in bundles.items():
            arguments = ("--bundle", str(bundle), "--threads", "1", "--model_name", NAME)
            server = running("serving.predictor", folder / name, *arguments)
            found[read_manifest(bundle).id[:8]] = stack.enter_context(server).url
        yield found


class Way:
    """Sends requests where a cluster's network would, by what the API server says."""

    def __init__(
        self,
        standin: StandIn,
        revision_of: Callable[[str], str],
        servers: dict[str, str],
        mode: str,
    ) -> None:
        self.standin, self.cluster = standin, standin.cluster
        self.revision_of, self.servers, self.mode = revision_of, servers, mode
        self.slow: set[str] = set()
        self.pool = urllib3.PoolManager(retries=False, timeout=10)
        self.draw = random.Random(0)

    def revision(self, address: Address) -> str:
        if self.mode == "graph":
            if address.service != NAME:
                return address.service.removeprefix(f"{NAME}-").removesuffix("-predictor")
            # As the router does it: by what its pod was started with, whatever is written since.
            [pod, *_] = self.cluster.all(POD, f"serving.kserve.io/inferencegraph={NAME}")
            steps = told(pod)["nodes"]["root"]["steps"]
            shares = [step["weight"] for step in steps]
            chosen = str(self.draw.choices([step["name"] for step in steps], shares)[0])
            if self.cluster.get(INFERENCE_SERVICE, f"{NAME}-{chosen}") is None:
                raise OSError(f"{chosen} is gone, and gets traffic")
            return chosen
        if self.mode == "gateway":
            if not address.service.startswith("gate."):
                return address.service.removeprefix(f"{NAME}-").removesuffix("-predictor")
            target = target_of(NAME, "gateway", self.cluster)
            shares = target.shares(target.live() or {})
            return str(self.draw.choices(list(shares), list(shares.values()))[0])
        # As Knative does it: by the traffic in the status, and a tag's host by its revision.
        service = self.cluster.get(INFERENCE_SERVICE, NAME) or {}
        traffic = service["status"]["components"]["predictor"]["traffic"]
        tag = address.host.split("-")[0]
        tagged = [entry for entry in traffic if entry["tag"] == tag]
        percents = [entry["percent"] for entry in traffic]
        [entry] = tagged or self.draw.choices(traffic, percents)
        return self.revision_of(self.standin.created[entry["revisionName"]])

    def reaches(self, address: Address) -> bool:
        return True

    def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
        revision = self.revision(address)
        if revision in self.slow:
            time.sleep(1.0)
        answer = self.pool.request(
            "POST",
            f"{self.servers[revision]}/v2/models/{NAME}/infer",
            body=body,
            headers={"Content-Type": "application/json"},
        )
        return answer.status, answer.data


class Client(threading.Thread):
    """Asks under the name all the time; counts which revision answered, and what failed."""

    def __init__(self, way: Way, address: Callable[[], Address]) -> None:
        super().__init__(daemon=True)
        self.way, self.address = way, address
        self.answers: Counter[str] = Counter()
        self.failed: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            answer = ask(self.way, self.address(), ["Lunch at noon?"])
            if answer.problem:
                self.failed.append(answer.problem)
            else:
                self.answers[answer.bundle[:8]] += 1


class Stage:
    """A namespace with a stand-in, and rollouts in it."""

    def __init__(
        self, namespace: str, mode: str, bundles: dict[str, Path], servers: dict[str, str]
    ) -> None:
        self.mode, self.bundles = mode, bundles
        self.cluster = Cluster.configured(namespace)
        self.ways: dict[str, str] = {}
        self.standin = StandIn(self.cluster, lambda uri: self.ways.get(uri, READY))
        self.way = Way(self.standin, lambda uri: self.revision(uri.rsplit("/")[-1]), servers, mode)
        self.told: list[str] = []

    def revision(self, name: str) -> str:
        return read_manifest(self.bundles[name]).id[:8]

    def plan(self, name: str, **changed: Any) -> Plan:
        given = {
            "name": NAME,
            "namespace": self.cluster.namespace,
            "storage_uri": f"pvc://bundles/{name}",
            "bundle_id": read_manifest(self.bundles[name]).id,
            "mode": self.mode,
            "steps": (10, 50, 100),
            "gateway": "edge/gate",
            "hostname": "mail.example.com",
            "checks": CHECKS,
        }
        return Plan.model_validate(given | changed)

    def roll(self, name: str, *, run: str = "test", **changed: Any) -> Outcome:
        expected = golden(self.bundles[name], read_examples())
        return roll_out(
            self.plan(name, **changed), expected, self.cluster, self.way, run=run,
            tell=self.told.append,
        )  # fmt: skip

    @property
    def state(self) -> tuple[str | None, str | None]:
        found = target_of(NAME, self.mode, self.cluster).state()
        return found.stable, found.candidate

    def client(self) -> Client:
        target = target_of(NAME, self.mode, self.cluster)
        client = Client(self.way, lambda: target.address(None))
        client.start()
        return client


@pytest.fixture(params=["graph", "gateway", "knative"])
def stage(
    request: pytest.FixtureRequest,
    kubectl: object,
    namespace: str,
    bundles: dict[str, Path],
    servers: dict[str, str],
) -> Iterator[Stage]:
    found = Stage(namespace, request.param, bundles, servers)
    found.standin.start()
    yield found
    found.standin.stop()


@pytest.fixture
def serving(stage: Stage) -> Iterator[tuple[Stage, Client]]:
    """The first bundle serves, and a client asks; at the end it has had an answer to everything."""
    done = stage.roll("old")
    assert (done.revision, done.replaced) == (stage.revision("old"), None)
    client = stage.client()
    yield stage, client
    client.ended.set()
    client.join()
    assert client.failed == []
    assert client.answers


def _events(stage: Stage, kubectl: Callable[..., Any]) -> list[str]:
    said = kubectl("get", "events", "--namespace", stage.cluster.namespace, "-o", "json")
    return [f"{one['reason']}: {one['message']}" for one in json.loads(said.stdout)["items"]]


def test_a_good_bundle_gets_all_traffic_step_by_step(
    serving: tuple[Stage, Client], kubectl: Callable[..., Any]
) -> None:
    stage, client = serving
    done = stage.roll("new")
    assert (done.revision, done.replaced) == (stage.revision("new"), stage.revision("old"))
    assert stage.state == (stage.revision("new"), None)
    shares = [line.split()[0] for line in stage.told if "of the traffic go to" in line]
    assert shares[-3:] == ["10", "50", "100"]
    assert client.answers[stage.revision("new")]
    assert any(event.startswith("RolledOut: ") for event in _events(stage, kubectl))


def test_what_serves_already_is_left_alone(serving: tuple[Stage, Client]) -> None:
    stage, _ = serving
    kind, name = target_of(NAME, stage.mode, stage.cluster).kind, NAME
    before = stage.cluster.get(kind, name)
    assert not stage.roll("old").changed
    after = stage.cluster.get(kind, name)
    assert before
    assert after
    assert before["metadata"]["generation"] == after["metadata"]["generation"]


@pytest.mark.parametrize(
    ("way", "why", "checks"),
    [
        (NEVER, "not enough to be ready", CHECKS.model_copy(update={"ready_seconds": 3})),
        (CRASH, "CrashLoopBackOff, exit code 7 after 5 restarts", CHECKS),
    ],
)
def test_pods_that_never_serve_get_no_traffic(
    serving: tuple[Stage, Client], kubectl: Callable[..., Any], way: str, why: str, checks: Checks
) -> None:
    stage, client = serving
    stage.ways["pvc://bundles/new"] = way
    with pytest.raises(RolloutError, match=why):
        stage.roll("new", checks=checks)
    assert stage.state == (stage.revision("old"), None)
    assert set(client.answers) == {stage.revision("old")}
    assert any("RolledBack" in event and why in event for event in _events(stage, kubectl))


def test_another_bundle_at_the_address_than_the_one_here_gets_no_traffic(
    serving: tuple[Stage, Client],
) -> None:
    stage, client = serving
    new, newer = stage.revision("new"), stage.revision("newer")
    stage.way.servers = stage.way.servers | {new: stage.way.servers[newer]}
    with pytest.raises(RolloutError, match="serves the bundle"):
        stage.roll("new")
    assert stage.state == (stage.revision("old"), None)
    assert set(client.answers) == {stage.revision("old")}


def test_a_bundle_that_is_worse_goes_back_at_the_first_share(
    serving: tuple[Stage, Client],
) -> None:
    stage, _ = serving
    with pytest.raises(RolloutError, match="of the examples wrong"):
        stage.roll("blind", steps=(50, 60, 100))
    assert stage.state == (stage.revision("old"), None)
    assert not any("60 %" in line for line in stage.told)


def test_a_bundle_that_is_slow_goes_back(serving: tuple[Stage, Client]) -> None:
    stage, _ = serving
    stage.way.slow.add(stage.revision("new"))
    with pytest.raises(RolloutError, match="95th percentile"):
        stage.roll("new")
    assert stage.state == (stage.revision("old"), None)


def test_only_one_rollout_of_a_name_runs(serving: tuple[Stage, Client]) -> None:
    stage, _ = serving
    with (
        held(stage.cluster, NAME, "the other"),
        pytest.raises(RolloutError, match="under way: the other"),
    ):
        stage.roll("new")
    assert stage.roll("new").revision == stage.revision("new")


def test_a_field_that_somebody_else_owns_is_not_taken_from_them(
    serving: tuple[Stage, Client], kubectl: Callable[..., Any]
) -> None:
    stage, client = serving
    kind = target_of(NAME, stage.mode, stage.cluster).kind
    before = stage.cluster.get(kind, NAME)
    assert before
    own: dict[str, Any] = {"nodes": before["spec"].get("nodes")}
    if stage.mode == "gateway":
        own = {"rules": before["spec"]["rules"]}
    if stage.mode == "knative":
        own = {"predictor": {"canaryTrafficPercent": 100}}
    document = {
        "apiVersion": kind.api,
        "kind": kind.name,
        "metadata": {"name": NAME},
        "spec": own,
    }
    place = ("--namespace", stage.cluster.namespace)
    mine = ("apply", "--server-side", "--force-conflicts", "--field-manager=somebody", *place)
    kubectl(*mine, "-f", "-", input=[document])
    with pytest.raises(RolloutError, match="somebody"):
        stage.roll("new")
    known = stage.cluster.get(kind, NAME)
    assert known
    owners = {entry["manager"] for entry in known["metadata"]["managedFields"]}
    assert {"somebody", MANAGER} <= owners
    for part, value in own.items():
        assert stage.mode == "knative" or known["spec"][part] == value
    assert set(client.answers) == {stage.revision("old")}


def test_what_no_rollout_made_is_neither_changed_nor_deleted(stage: Stage) -> None:
    kind = target_of(NAME, stage.mode, stage.cluster).kind
    spec: dict[str, Any] = {"nodes": {"root": {"routerType": "Splitter", "steps": []}}}
    if stage.mode == "gateway":
        spec = {"hostnames": ["mail.example.com"], "parentRefs": [{"name": "a", "namespace": "b"}]}
    if stage.mode == "knative":
        spec = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
    stage.cluster.create(kind, {"metadata": {"name": NAME}, "spec": spec})
    with pytest.raises(RolloutError, match=rf"made by no rollout.*{ROLLOUT}={NAME}"):
        stage.roll("old")
    known = stage.cluster.get(kind, NAME)
    assert known
    assert ROLLOUT not in known["metadata"].get("labels", {})
    assert known["metadata"]["generation"] == 1


def test_a_run_that_lost_its_lease_touches_nothing_any_more(
    serving: tuple[Stage, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = serving
    seen: list[Any] = []

    def lost(*_: object, **named: Any) -> None:
        # The other has it now, and has begun.
        seen.append(stage.cluster.get(target_of(NAME, stage.mode, stage.cluster).kind, NAME))
        monkeypatch.setattr("rollout.run._Walk._own", _raise_lost)

    monkeypatch.setattr("rollout.run.watch", lost)
    with pytest.raises(RolloutError, match="lease was lost"):
        stage.roll("new")
    after = stage.cluster.get(target_of(NAME, stage.mode, stage.cluster).kind, NAME)
    assert after
    assert after["metadata"]["generation"] == seen[0]["metadata"]["generation"]


def _raise_lost(_: object) -> None:
    raise _LostError("The lease was lost to another rollout.")


class _Killed(BaseException):
    """As when a process is killed: nothing of ours catches it."""


@pytest.mark.parametrize("again", ["new", "newer"])
def test_a_rollout_that_was_killed_goes_on_or_makes_room(
    serving: tuple[Stage, Client], monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    stage, _ = serving
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise _Killed

        patch.setattr("rollout.run.watch", killed)
        with pytest.raises(_Killed):
            stage.roll("new")
    assert stage.state == (stage.revision("old"), stage.revision("new"))
    stage.told.clear()
    assert stage.roll(again, run="the next").revision == stage.revision(again)
    broken_off = any("was broken off" in line for line in stage.told)
    assert broken_off == (again == "newer")
    assert stage.state == (stage.revision(again), None)


class Away:
    """The API server is away for the rollout and its lease, while `gone` is set."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gone = threading.Event()
        self.main, real = threading.main_thread(), stage.cluster.client.call_api

        def call(*words: Any, **named: Any) -> Any:
            ours = threading.current_thread() is self.main
            if self.gone.is_set() and (ours or threading.current_thread().name == "lease"):
                raise urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
            return real(*words, **named)

        monkeypatch.setattr(stage.cluster.client, "call_api", call)
        # A lease that is not sure of itself after two seconds.
        monkeypatch.setattr("rollout.lease.SECONDS", 3)


def test_an_api_server_that_is_away_for_a_while_is_waited_for(
    serving: tuple[Stage, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = serving
    away = Away(stage, monkeypatch)
    back = threading.Timer(6, away.gone.clear)

    def leave(*_: object, **__: object) -> None:
        if not back.ident:
            away.gone.set()
            back.start()

    monkeypatch.setattr("rollout.run.watch", leave)
    assert stage.roll("new").revision == stage.revision("new")
    assert back.ident


def test_a_run_whose_lease_was_taken_while_the_server_was_away_writes_nothing_any_more(
    serving: tuple[Stage, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = serving
    away = Away(stage, monkeypatch)
    kind = target_of(NAME, stage.mode, stage.cluster).kind
    seen: list[Any] = []
    another = Cluster.configured(stage.cluster.namespace)

    def taken() -> None:
        # As another run would have it, from a place that the server is not away from.
        lease = another.get(LEASE, lease_of(NAME))
        assert lease
        another.replace(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": "another"}})
        seen.append(another.get(kind, NAME))
        away.gone.clear()

    def leave(*_: object, **__: object) -> None:
        away.gone.set()
        threading.Timer(5, taken).start()

    monkeypatch.setattr("rollout.run.watch", leave)
    with pytest.raises(RolloutError, match="lease was lost"):
        stage.roll("new")
    after = another.get(kind, NAME)
    assert after
    assert after["metadata"]["generation"] == seen[0]["metadata"]["generation"]
    lease = another.get(LEASE, lease_of(NAME))
    assert lease
    assert lease["spec"]["holderIdentity"] == "another"


def test_what_is_on_its_way_can_be_taken_back(
    serving: tuple[Stage, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = serving
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise _Killed

        patch.setattr("rollout.run.watch", killed)
        with pytest.raises(_Killed):
            stage.roll("new")
    state = roll_back(target_of(NAME, stage.mode, stage.cluster), "by hand", run="somebody")
    assert (state.stable, state.candidate) == (stage.revision("old"), None)
    assert stage.state == (stage.revision("old"), None)
