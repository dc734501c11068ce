"""A real aggregator process, given real answers of a real predictor, as a graph's router does.

`make test-graph` puts the router itself between them (test_graph.py).
"""

import httpx
import numpy as np
import pytest

from tests.integration.serving.conftest import running

TEXTS = ["Win a free prize today", "Lunch at noon, if the rain stops"]


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory):
    log = tmp_path_factory.mktemp("aggregator") / "stderr.txt"
    with running("serving.aggregator", log, "--method", "weighted") as process:
        yield process
    assert log.read_text() == ""


@pytest.fixture(scope="module")
def answers(server, ask):
    """Of two models of one bundle, as if they were served alone."""
    return {
        name: server.infer(ask(TEXTS, parameters={"models": name})).json()
        for name in ("ngram", "encoder")
    }


def columns(document):
    return {one["name"]: np.array(one["data"]) for one in document["outputs"]}


def test_several_answers_become_one_over_v2(aggregator, answers):
    reply = aggregator.infer(answers)
    assert reply.status_code == 200, reply.text
    found = columns(reply.json())
    each = [columns(answers[name]) for name in ("ngram", "encoder")]
    np.testing.assert_allclose(
        found["logit"], np.mean([one["logit"] for one in each], 0), atol=1e-5
    )
    total = found["bias"] + found["contribution"].reshape(len(TEXTS), -1).sum(axis=1)
    np.testing.assert_allclose(total, found["logit"], atol=1e-4)
    assert reply.json()["parameters"]["models"] == "encoder,ngram"


def test_and_over_v1(aggregator, answers):
    reply = httpx.post(f"{aggregator.url}/v1/models/rampart:predict", json=answers)
    assert [one["label"] for one in reply.json()["predictions"]] == ["spam", "ham"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"a": 1}'])
@pytest.mark.parametrize("path", ["v2/models/rampart/infer", "v1/models/rampart:predict"])
def test_what_is_no_object_of_answers_is_refused(aggregator, content, path):
    reply = httpx.post(f"{aggregator.url}/{path}", content=content)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]


def test_a_failed_step_makes_it_ask_to_try_again(aggregator, answers):
    reply = aggregator.infer(answers | {"tabular": {"error": "no such model"}})
    assert reply.status_code == 503
    assert "'tabular' has failed: no such model" in reply.json()["error"]
    assert reply.headers["retry-after"]


def test_tensors_are_refused(aggregator):
    import grpc

    from serving.predictor.sdk import pb, pb_grpc

    with grpc.insecure_channel(aggregator.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(pb.ModelInferRequest(model_name="rampart"))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "over REST" in raised.value.details()
