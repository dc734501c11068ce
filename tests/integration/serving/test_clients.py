"""Every client gets the engine's own numbers, and spans into the text as it was sent."""

import asyncio
import json
import subprocess
import sys

import httpx
import numpy as np
import pytest

TOP_K = 6
# Beside kserve in one process it would not load: both register the protocol's messages.
TRITON_GRPC = """
import json, sys
import numpy as np
import tritonclient.grpc as client
texts = json.loads(sys.stdin.read())
with client.InferenceServerClient(sys.argv[1]) as server:
    tensor = client.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object))
    result = server.infer("rampart", [tensor], parameters={"top_k": int(sys.argv[2])})
    names = ["label", "probability", "logit", "stage", "span", "contribution", "bias"]
    columns = {name: result.as_numpy(name) for name in names}
    metadata = server.get_model_metadata("rampart", as_json=True)
    assert server.is_model_ready("rampart") and server.is_server_live()
print(json.dumps([
    {k: [x.decode() for x in v] if v.dtype == object else v.tolist() for k, v in columns.items()},
    metadata,
]))
"""


@pytest.fixture(scope="module")
def expected(engine, texts):
    return engine.score(texts, top_k=TOP_K)


@pytest.fixture
def check(expected):
    """Compares a client's columns with the engine's verdicts."""

    def checked(columns):
        columns = {name: np.asarray(column) for name, column in columns.items()}
        assert columns["label"].tolist() == [one.label for one in expected]
        assert columns["stage"].tolist() == [one.stage for one in expected]
        for name in ("probability", "logit"):
            assert columns[name] == pytest.approx(
                [getattr(one, name) for one in expected], abs=1e-5
            )
        span = columns["span"].reshape(len(expected), TOP_K, 2)
        contribution = columns["contribution"].reshape(len(expected), TOP_K)
        total = columns["bias"] + contribution.sum(axis=1)
        assert total == pytest.approx(columns["logit"], abs=1e-4)
        for row, one in enumerate(expected):
            parts = one.explanation
            count = len(parts.value)
            assert span[row, :count].tolist() == np.stack([parts.start, parts.end], 1).tolist()
            assert contribution[row, :count] == pytest.approx(parts.value, abs=1e-5)
            assert (span[row, count:] == -1).all()
            assert (contribution[row, count:] == 0).all()

    return checked


def from_outputs(outputs):
    return {output["name"]: output["data"] for output in outputs}


def test_httpx_over_json(server, ask, texts, check):
    reply = server.infer(ask(texts, parameters={"top_k": TOP_K})).json()
    check(from_outputs(reply["outputs"]))


def test_curl(server, ask, texts, check, tmp_path):
    (tmp_path / "body").write_text(json.dumps(ask(texts, parameters={"top_k": TOP_K})))
    url = f"{server.url}/v2/models/rampart/infer"
    command = ["curl", "-sS", "--fail-with-body", url, "--data-binary", f"@{tmp_path / 'body'}"]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    check(from_outputs(json.loads(answer)["outputs"]))


def test_v1(server, texts, expected):
    body = {"instances": texts, "top_k": TOP_K}
    reply = httpx.post(f"{server.url}/v1/models/rampart:predict", json=body).json()
    documents = [one.as_document() for one in expected]
    assert len(reply["predictions"]) == len(texts)
    for got, want in zip(reply["predictions"], documents, strict=True):
        assert got["label"] == want["label"]
        assert got["stage"] == want["stage"]
        for name in ("probability", "logit", "bias"):
            assert got[name] == pytest.approx(want[name], abs=1e-6)
        assert [(one["start"], one["end"]) for one in got["contributions"]] == [
            (one["start"], one["end"]) for one in want["contributions"]
        ]
        total = got["bias"] + sum(one["value"] for one in got["contributions"])
        assert total == pytest.approx(got["logit"], abs=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_kserve_rest_client(kserve, server, texts, check, binary):
    tensor = kserve.InferInput("text", [len(texts)], "BYTES")
    data = [text.encode() for text in texts] if binary else texts
    tensor.set_data_from_numpy(np.array(data, dtype=object), binary_data=binary)
    request = kserve.InferRequest(
        "rampart", [tensor], parameters={"top_k": TOP_K, "binary_data_output": binary}
    )

    async def ask():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        try:
            assert await client.is_model_ready(server.url, "rampart")
            return await client.infer(server.url, request, model_name="rampart")
        finally:
            await client.close()

    reply = asyncio.run(ask())
    check({output.name: output.data for output in reply.outputs})


@pytest.mark.parametrize("raw", [True, False])
def test_kserve_grpc_client(kserve, server, texts, check, raw):
    tensor = kserve.InferInput("text", [len(texts)], "BYTES")
    data = np.array([text.encode() for text in texts], dtype=object)
    tensor.set_data_from_numpy(data, binary_data=raw)
    request = kserve.InferRequest("rampart", [tensor], parameters={"top_k": TOP_K})

    async def ask():
        async with kserve.InferenceGRPCClient(server.grpc) as client:
            assert await client.is_model_ready("rampart")
            return await client.infer(request)

    reply = asyncio.run(ask())
    columns = {output.name: output.as_numpy() for output in reply.outputs}
    check(
        {
            name: [value.decode() for value in column] if column.dtype == object else column
            for name, column in columns.items()
        }
    )


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_http(server, texts, check, binary):
    import tritonclient.http as triton

    names = ["label", "probability", "logit", "stage", "span", "contribution", "bias"]
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        tensor = triton.InferInput("text", [len(texts)], "BYTES")
        data = np.array(texts, dtype=object)
        tensor.set_data_from_numpy(data, binary_data=binary)
        outputs = (
            None
            if binary
            else [triton.InferRequestedOutput(name, binary_data=False) for name in names]
        )
        parameters = {"top_k": TOP_K}
        reply = client.infer("rampart", [tensor], outputs=outputs, parameters=parameters)
        columns = {name: reply.as_numpy(name) for name in names}
    for name in ("label", "stage"):
        column = columns[name].tolist()
        columns[name] = [x.decode() if isinstance(x, bytes) else x for x in column]
    check(columns)


def test_tritonclient_grpc(server, texts, check):
    answer = subprocess.run(
        [sys.executable, "-c", TRITON_GRPC, server.grpc, str(TOP_K)],
        input=json.dumps(texts),
        capture_output=True,
        check=True,
        text=True,
    )
    columns, metadata = json.loads(answer.stdout)
    check(columns)
    rest = httpx.get(f"{server.url}/v2/models/rampart").json()
    for side in ("inputs", "outputs"):
        over_grpc = [
            (one["name"], one["datatype"], [int(length) for length in one["shape"]])
            for one in metadata[side]
        ]
        assert over_grpc == [(one["name"], one["datatype"], one["shape"]) for one in rest[side]]


def test_what_the_metadata_says_is_what_comes(server, ask, texts):
    ids = {"name": "id", "shape": [len(texts)], "datatype": "BYTES", "data": list("x" * len(texts))}
    document = ask(texts)
    document["inputs"].append(ids)
    reply = {output["name"]: output for output in server.infer(document).json()["outputs"]}
    described = httpx.get(f"{server.url}/v2/models/rampart").json()["outputs"]
    assert [one["name"] for one in described] == list(reply)
    for one in described:
        got = reply[one["name"]]
        assert got["datatype"] == one["datatype"]
        assert len(got["shape"]) == len(one["shape"])
        pairs = zip(got["shape"], one["shape"], strict=True)
        assert all(said in (-1, length) for length, said in pairs)
        assert got["shape"][0] == len(texts)
        assert len(got["data"]) == np.prod(got["shape"])
    assert reply["id"]["data"] == ids["data"]


def test_spans_point_at_words_of_the_text_as_it_was_sent(server, ask):
    text = "\N{PARTY POPPER} <b>Hello</b>\r\n\r\n<p>a free pri\N{ZERO WIDTH SPACE}ze today</p>"
    reply = server.infer(ask([text], outputs=[{"name": "span"}])).json()
    flat = reply["outputs"][0]["data"]
    words = {text[start:end] for start, end in zip(flat[::2], flat[1::2], strict=True) if end > 0}
    assert {"free", "pri\N{ZERO WIDTH SPACE}ze", "today"} <= words


def test_parameters_are_of_their_request_alone(server, ask, engine):
    texts = ["Win a free prize today", "The meeting moved to Thursday"]
    strict = server.infer(ask(texts, parameters={"threshold": 1.0, "explain": "none"})).json()
    usual = server.infer(ask(texts)).json()
    columns = from_outputs(strict["outputs"])
    assert columns["label"] == ["ham", "ham"]
    assert columns["bias"] == columns["logit"]
    assert columns["span"] == []
    assert strict["parameters"]["threshold"] == 1.0
    assert usual["parameters"] == {
        "bundle": engine.manifest.id,
        "method": "terms",
        "threshold": engine.manifest.threshold,
        "labels": "ham,spam",
        "models": ",".join(entry.name for entry in engine.manifest.models),
    }
    assert from_outputs(usual["outputs"])["label"] == [one.label for one in engine.score(texts)]


def test_a_cloudevent_is_answered_with_one(server):
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "test",
        "ce-type": "test",
        "content-type": "application/json",
    }
    reply = httpx.post(
        f"{server.url}/v1/models/rampart:predict",
        json={"instances": ["Win a free prize"]},
        headers=headers,
    )
    assert reply.status_code == 200
    assert reply.headers["ce-type"] == "io.kserve.inference.response"
    assert reply.json()["predictions"][0]["label"] in {"ham", "spam"}


def test_the_models_of_the_bundle_are_listed_with_what_they_weigh(server, engine):
    listed = httpx.get(f"{server.url}/v2/models/rampart/members").json()
    assert [one["name"] for one in listed["models"]] == list(engine.models)
    assert listed["bundle"] == engine.manifest.id
    assert (
        listed["ensemble"]["stages"][-1]["weights"] == engine.manifest.ensemble.stages[-1].weights
    )
    missing = httpx.get(f"{server.url}/v2/models/other/members")
    assert missing.status_code == 404
    assert "other" in missing.json()["error"]


def test_one_model_some_or_all_may_be_asked_and_each_says_its_probability(server, ask, engine):
    texts = ["Win a free prize today", "The meeting moved to Thursday"]
    for models in ("ngram", "ngram,encoder", "all"):
        reply = server.infer(ask(texts, parameters={"models": models})).json()
        columns = from_outputs(reply["outputs"])
        expected = engine.score(texts, models=models.split(","))
        assert columns["stage"] == [one.stage for one in expected]
        assert columns["probability"] == pytest.approx([one.probability for one in expected])
        names = reply["parameters"]["models"].split(",")
        each = [one.models.get(name, -1.0) for one in expected for name in names]
        assert columns["model_probability"] == pytest.approx(each)
    refused = server.infer(ask(texts, parameters={"models": "oracle"}))
    assert refused.status_code == 400
    assert "ngram" in refused.json()["error"]
