"""While a batch runs: probes are answered, the queue is bounded, nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

# Takes seconds to score, so that there is time to look at the server meanwhile.
BATCH = [f"{n}. " + "The kernel panics when the disk is full. " * 250 for n in range(256)]


@pytest.fixture(scope="module")
def narrow(launch):
    """A predictor in which one request may wait."""
    with launch("--queue", "1", "--cache_bytes", "0") as running:
        yield running


def test_probes_are_answered_while_a_batch_runs(narrow, ask):
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/rampart/ready", "/metrics")
    answered = dict.fromkeys(paths, 0)
    with ThreadPoolExecutor() as pool:
        batch = pool.submit(narrow.infer, ask(BATCH), timeout=60)
        while not batch.done():
            for path in paths:
                status = narrow.probe(path)
                assert status == 200
                answered[path] += not batch.done()
        assert batch.result().status_code == 200
    assert all(answered.values()), answered


def test_a_full_queue_refuses_at_once_and_the_rest_is_answered(narrow, ask, engine):
    expected = [verdict.logit for verdict in engine.score(BATCH[:2])]
    with ThreadPoolExecutor(6) as pool:
        document = ask(BATCH, outputs=[{"name": "logit"}])
        replies = list(pool.map(lambda _: narrow.infer(document, timeout=60), range(6)))
    statuses = sorted(reply.status_code for reply in replies)
    assert set(statuses) == {200, 503}, statuses
    # One runs and one waits.
    assert statuses.count(200) >= 2
    for reply in replies:
        if reply.status_code == 200:
            logits = reply.json()["outputs"][0]["data"]
            assert len(logits) == len(BATCH)
            assert logits[:2] == pytest.approx(expected, abs=1e-5)
        else:
            assert reply.headers["retry-after"] == "1"
            assert "waiting" in reply.json()["error"]


@pytest.mark.parametrize("path", ["/v2/models/rampart/infer", "/v1/models/rampart:predict"])
def test_a_full_queue_refuses_what_it_has_not_read_and_the_connection_stays(narrow, ask, path):
    with ThreadPoolExecutor(2) as pool, httpx.Client(base_url=narrow.url) as client:
        batches = [pool.submit(narrow.infer, ask(BATCH), timeout=60) for _ in range(2)]
        # Read, it would be a bad request.
        broken = b"{" * 1_000_000
        statuses = set()
        while not any(batch.done() for batch in batches):
            reply = client.post(path, content=broken)
            statuses.add(reply.status_code)
            if reply.status_code == 503:
                assert reply.headers["retry-after"] == "1"
                assert "waiting" in reply.json()["error"]
                assert "connection" not in reply.headers
                assert client.get("/v2/health/ready").status_code == 200
        assert 503 in statuses
        assert all(batch.result().status_code == 200 for batch in batches)
        assert client.post(path, content=broken).status_code == 400


def test_a_full_queue_is_unavailable_over_grpc(narrow, ask, kserve):
    import asyncio

    import grpc
    import numpy as np

    async def ask_often():
        tensor = kserve.InferInput("text", [len(BATCH)], "BYTES")
        tensor.set_data_from_numpy(np.array([text.encode() for text in BATCH], dtype=object))
        stub = grpc.aio.insecure_channel(narrow.grpc)
        async with stub as channel:
            infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            message = kserve.InferRequest("rampart", [tensor]).to_grpc().SerializeToString()
            calls = [infer(message) for _ in range(5)]
            return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(ask_often())
    codes = [one.code() for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    assert 1 <= len(codes) <= 3
    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


def test_metrics_count_what_happened(server, ask):
    def metrics():
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    before = metrics()
    label = server.infer(ask(["Win a free prize"] * 3)).json()["outputs"][0]["data"][0]
    server.infer({})
    server.infer(ask(["a"] * 300))
    after = metrics()
    texts = [name for name in after if name.startswith("rampart_texts_total") and grown(name)]
    assert [grown(name) for name in texts] == [3]
    assert f'label="{label}"' in texts[0]
    assert grown('rampart_rejected_requests_total{reason="bad_request"}') == 1
    assert grown('rampart_rejected_requests_total{reason="too_large"}') == 1
    assert grown("rampart_inference_seconds_count") == 1
    assert grown('request_predict_seconds_count{model_name="rampart"}') == 1
    assert after["rampart_queue_depth"] == 0


def test_texts_that_come_again_are_answered_from_the_cache(launch, ask):
    texts = [f"{number}. Win a free prize today" for number in range(5)]

    def counted(running):
        lines = httpx.get(f"{running.url}/metrics").text.splitlines()
        shown = dict(line.rsplit(" ", 1) for line in lines if line.startswith("rampart_cache"))
        return [float(shown[f"rampart_cache_{name}"]) for name in ("hits", "misses")]

    with launch() as on, launch("--cache_bytes", "0") as off:
        for running in (on, off):
            first, again = (running.infer(ask(texts)).json()["outputs"] for _ in range(2))
            assert first == again
        assert counted(on) == [5, 5]
        assert counted(off) == [0, 0]


def test_requests_that_wait_are_answered_together_and_each_with_its_own(server, ask, engine):
    texts = [f"{number}. Could you look at the build log?" for number in range(40)]
    with ThreadPoolExecutor(16) as pool:
        asked = [ask([text], outputs=[{"name": "logit"}]) for text in texts]
        replies = list(pool.map(lambda one: server.infer(one, timeout=60), asked))
    expected = [verdict.logit for verdict in engine.score(texts)]
    assert [reply.json()["outputs"][0]["data"][0] for reply in replies] == pytest.approx(
        expected, abs=1e-5
    )
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    shown = dict(line.rsplit(" ", 1) for line in lines if line.startswith("rampart_batch_texts"))
    assert float(shown["rampart_batch_texts_count"]) < float(shown["rampart_batch_texts_sum"])
