"""A new bundle takes the old one's place while requests come in; several serve side by side."""

import asyncio
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rampart.bundle.staging import staged
from rampart.bundle.store import read_manifest
from rampart.inference.engine import Engine
from tests.integration.serving.conftest import until

TEXT = "Win a free prize today\n\nClick here to claim your money."


@pytest.fixture
def place(bundle, tmp_path):
    """A folder with a bundle in it that is the test's own."""
    return shutil.copytree(bundle, tmp_path / "bundles" / "rampart")


def put(bundle, place):
    """Another bundle in the place of the old one, whole at every instant."""
    with staged(place) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)


def answered(server, ask, model="rampart"):
    """The logit of one text, and the bundle that it is of."""
    document = ask([TEXT], outputs=[{"name": "logit"}])
    reply = httpx.post(f"{server.url}/v2/models/{model}/infer", json=document, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()["parameters"]["bundle"], reply.json()["outputs"][0]["data"][0]


def load(server, model="rampart", verb="load"):
    return httpx.post(f"{server.url}/v2/repository/models/{model}/{verb}", timeout=60)


def index(server, **body):
    found = httpx.post(f"{server.url}/v2/repository/index", json=body).json()
    return {entry["name"]: (entry["state"], entry["reason"]) for entry in found}


def test_no_request_is_lost_and_each_is_answered_by_one_bundle(
    launch, ask, place, bundle, other_bundle
):
    expected = {
        read_manifest(folder).id: Engine.load(folder, threads=1).score([TEXT])[0].logit
        for folder in (bundle, other_bundle)
    }
    assert len(expected) == 2
    seen, done = [], threading.Event()

    def client():
        document = ask([TEXT] * 3, outputs=[{"name": "logit"}])
        with httpx.Client(timeout=60) as http:
            while not done.is_set():
                reply = http.post(f"{server.url}/v2/models/rampart/infer", json=document)
                assert reply.status_code == 200, reply.text
                answer = reply.json()
                name = answer["parameters"]["bundle"]
                assert answer["outputs"][0]["data"] == pytest.approx([expected[name]] * 3, abs=1e-4)
                seen.append(name)

    with (
        launch("--bundle", str(place), "--model_control", "1", "--cache_bytes", "0") as server,
        ThreadPoolExecutor() as pool,
    ):
        clients = [pool.submit(client) for _ in range(4)]
        for other in (other_bundle, bundle) * 2:
            before = len(seen)
            until(lambda before=before: len(seen) > before + 20)
            put(other, place)
            assert load(server).json() == {"name": "rampart", "load": True}
            assert answered(server, ask)[0] == read_manifest(other).id
        done.set()
        for one in clients:
            one.result()
        shown = httpx.get(f"{server.url}/metrics").text
    assert set(seen) == set(expected)
    assert 'rampart_bundle_swaps_total{model="rampart"} 4.0' in shown
    lines = [line for line in shown.splitlines() if line.startswith("rampart_bundle{")]
    assert lines == [f'rampart_bundle{{bundle="{read_manifest(bundle).id}",model="rampart"}} 1.0']


def test_a_broken_bundle_is_refused_and_the_old_one_serves_on(
    launch, ask, place, bundle, other_bundle
):
    with launch("--bundle", str(place), "--model_control", "1") as server:
        put(other_bundle, place)
        (place / "ngram" / "weights.npz").write_bytes(b"altered")
        reply = load(server)
        assert reply.status_code == 400
        assert "weights.npz" in reply.json()["error"]
        assert answered(server, ask)[0] == read_manifest(bundle).id
        state, reason = index(server)["rampart"]
        assert state == "READY"
        assert "weights.npz" in reason
        put(other_bundle, place)
        assert load(server).status_code == 200
        assert index(server) == {"rampart": ("READY", "")}


@pytest.mark.parametrize("way", ["hangup", "watch"])
def test_it_looks_for_a_new_bundle_when_told_to_and_by_itself(
    launch, ask, place, other_bundle, way
):
    seconds = "0.2" if way == "watch" else "0"
    with launch("--bundle", str(place), "--reload_seconds", seconds) as server:
        assert load(server).status_code == 400  # over the network it has to be allowed first
        put(other_bundle, place)
        if way == "hangup":
            server.process.send_signal(signal.SIGHUP)
        until(lambda: answered(server, ask)[0] == read_manifest(other_bundle).id)
        (place / "bundle.json").write_text("{}")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "keeps its bundle" in server.log.read_text())
        assert answered(server, ask)[0] == read_manifest(other_bundle).id
        assert server.log.read_text().count("keeps its bundle") == 1


def test_several_models_are_served_and_loaded_and_unloaded_each_by_itself(
    launch, ask, place, bundle, other_bundle
):
    with launch("--bundle", str(place.parent), "--model_control", "1") as server:
        assert index(server) == {"rampart": ("READY", "")}
        shutil.copytree(other_bundle, place.parent / "quick")
        assert index(server)["quick"] == ("UNAVAILABLE", "not loaded")
        assert index(server, ready=True) == {"rampart": ("READY", "")}
        assert load(server, "quick").status_code == 200
        assert answered(server, ask, "quick")[0] == read_manifest(other_bundle).id
        assert answered(server, ask)[0] == read_manifest(bundle).id
        models = httpx.get(f"{server.url}/v2/models").json()["models"]
        assert sorted(models) == ["quick", "rampart"]
        assert load(server, "quick", "unload").json() == {"name": "quick", "unload": True}
        reply = httpx.post(f"{server.url}/v2/models/quick/infer", json=ask([TEXT]))
        assert reply.status_code == 404
        assert index(server)["quick"] == ("UNAVAILABLE", "unloaded")
        assert load(server, "quick").status_code == 200
        assert load(server, "none").status_code == 404
        assert load(server, "../rampart").status_code == 404


def test_over_grpc_too(launch, place, other_bundle, ask):
    import grpc

    from serving.predictor.sdk import pb, pb_grpc

    async def call():
        async with grpc.aio.insecure_channel(server.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            loaded = await stub.RepositoryModelLoad(
                pb.RepositoryModelLoadRequest(model_name="rampart")
            )
            answers = answered(server, ask)[0]
            unloaded = await stub.RepositoryModelUnload(
                pb.RepositoryModelUnloadRequest(model_name="rampart")
            )
            ready = await stub.ServerReady(pb.ServerReadyRequest())
            return loaded.isLoaded, answers, unloaded.isUnloaded, ready.ready

    with launch("--bundle", str(place), "--model_control", "1") as server:
        put(other_bundle, place)
        expected = (True, read_manifest(other_bundle).id, True, False)
        assert asyncio.run(call()) == expected


def test_a_bundle_is_fetched_from_an_address_and_kept(launch, ask, place, tmp_path):
    cache = tmp_path / "cache"
    arguments = ("--bundle", f"file://{place}", "--model_cache", str(cache))
    with launch(*arguments) as server:
        before = answered(server, ask)
    kept = cache / "bundles" / read_manifest(place).id
    assert read_manifest(kept) == read_manifest(place)
    for path in place.iterdir():
        if path.name != "bundle.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with launch(*arguments) as server:
        assert answered(server, ask) == before


def test_what_is_in_the_way_of_the_index_is_told(server):
    reply = httpx.post(f"{server.url}/v2/repository/index", content=b"[1")
    assert reply.status_code == 400
    assert "JSON" in reply.json()["error"]
