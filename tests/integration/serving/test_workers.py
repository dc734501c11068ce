"""Several workers behind one address are, from outside, one server."""

import asyncio
import os
import shutil
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from rampart.bundle.staging import staged
from rampart.bundle.store import read_manifest
from tests.integration.serving.conftest import until
from tests.integration.serving.test_start_and_stop import predictor

TEXT = "Win a free prize today"


def children(server):
    return psutil.Process(server.process.pid).children()


@pytest.fixture(scope="module")
def pair(launch):
    with launch("--workers", "2") as running:
        yield running
        noise = running.log.read_text()
    assert noise == "", noise


def counted(server, name):
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_connections_are_shared_out_evenly_and_every_worker_counts(pair, ask, engine):
    [verdict] = engine.score([TEXT])
    before = counted(pair, "rampart_texts_total")
    workers = {child.pid: child for child in children(pair)}
    assert len(workers) == 2
    clients = [httpx.Client(timeout=60) for _ in range(10)]
    url = f"{pair.url}/v2/models/rampart/infer"
    for client in clients:
        reply = client.post(url, json=ask([TEXT], outputs=[{"name": "logit"}]))
        assert reply.json()["outputs"][0]["data"] == pytest.approx([verdict.logit], abs=1e-5)
    port = int(pair.url.rpartition(":")[2])
    owners = Counter(
        pid
        for pid, child in workers.items()
        for connection in child.connections("tcp")
        if connection.laddr.port == port and connection.status == "ESTABLISHED"
    )
    for client in clients:
        client.close()
    assert sorted(owners.values()) == [5, 5]
    assert counted(pair, "rampart_texts_total") - before == 10
    until(lambda: counted(pair, "rampart_cache_misses") >= 2)
    assert counted(pair, "rampart_bundle{") == 1


def test_grpc_is_answered_on_one_port_too(pair, kserve):
    import grpc

    from serving.predictor.sdk import pb, pb_grpc

    async def ready():
        async with grpc.aio.insecure_channel(pair.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            return (await stub.ModelReady(pb.ModelReadyRequest(name="rampart"))).ready

    assert asyncio.run(ready())


def test_the_weights_are_mapped_by_all_of_them(pair):
    for child in children(pair):
        assert any(one.path.endswith("graph.weights") for one in child.memory_maps())


def test_told_to_stop_all_answer_what_they_took(launch, ask):
    batch = [f"{n}. " + "The kernel panics when the disk is full. " * 250 for n in range(60)]
    with launch("--workers", "2") as server, ThreadPoolExecutor() as pool:
        replies = [pool.submit(server.infer, ask(batch), timeout=120) for _ in range(2)]
        until(lambda: counted(server, "request_preprocess_seconds_count") == 2)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: all(reply.done() for reply in replies))
        assert [reply.result().status_code for reply in replies] == [200, 200]
        assert server.process.wait(30) == 0
        assert server.log.read_text() == ""


def test_a_new_bundle_reaches_all_of_them(launch, ask, bundle, other_bundle, tmp_path):
    place = shutil.copytree(bundle, tmp_path / "bundle")
    with launch("--bundle", str(place), "--workers", "2") as server:
        with staged(place) as folder:
            shutil.copytree(other_bundle, folder, dirs_exist_ok=True)
        server.process.send_signal(signal.SIGHUP)

        def bundles():
            # Connections of their own, which go to one worker after the other.
            return {server.infer(ask([TEXT])).json()["parameters"]["bundle"] for _ in range(4)}

        until(lambda: bundles() == {read_manifest(other_bundle).id})


def test_where_one_dies_the_server_ends(launch):
    with launch("--workers", "2") as server:
        first, other = children(server)
        os.kill(first.pid, signal.SIGKILL)
        assert server.process.wait(30) == 3
        until(lambda: not psutil.pid_exists(other.pid))
        assert "worker ended" in server.log.read_text()


def test_where_the_parent_dies_so_do_they(launch):
    with launch("--workers", "2") as server:
        workers = children(server)
        server.process.kill()
        server.process.wait()
        until(lambda: not any(psutil.pid_exists(child.pid) for child in workers))


def test_what_keeps_a_worker_from_starting_is_said_once_each(tmp_path, bundle):
    broken = shutil.copytree(bundle, tmp_path / "broken")
    (broken / "ngram" / "weights.npz").write_bytes(b"x")
    ports = ("--http_port", "0", "--grpc_port", "0", "--host", "127.0.0.1")
    run = predictor("--bundle", str(broken), "--workers", "2", *ports)
    assert run.returncode == 3
    assert "weights.npz" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_clients_do_not_load_models_of_one_worker_alone():
    run = predictor("--bundle", "x", "--workers", "2", "--model_control", "1")
    assert run.returncode == 2
    assert "SIGHUP" in run.stderr
