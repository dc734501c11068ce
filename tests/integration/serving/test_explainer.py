"""A real explainer process over a real predictor process."""

import asyncio

import httpx
import numpy as np
import pytest

from tests.integration.serving.conftest import running

TEXT = "Win a free prize today\n\nClick here to claim your money. See you at lunch."
EFFORT = {"evaluations": 60, "seed": 3}


@pytest.fixture(scope="module")
def explainer(server, tmp_path_factory):
    log = tmp_path_factory.mktemp("explainer") / "stderr.txt"
    arguments = ("--predictor_host", server.grpc, "--evaluations", "200", "--max_texts", "3")
    with running("serving.explainer", log, *arguments) as process:
        yield process
    assert log.read_text() == ""


def _columns(reply):
    assert reply.status_code == 200, reply.text
    document = reply.json()
    return {one["name"]: one for one in document["outputs"]}, document["parameters"]


@pytest.mark.parametrize("method", ["shap", "lime", "occlusion"])
def test_the_verdict_is_the_predictors_and_the_contributions_sum_to_its_logit(
    explainer, server, ask, method
):
    effort = {"evaluations": 60, "seed": 5}  # no other test asks so
    asked = ask([TEXT], parameters={"explain": method, "top_k": 100, **effort})
    columns, parameters = _columns(explainer.infer(asked))
    usual, _ = _columns(server.infer(ask([TEXT])))
    for name in ("label", "stage", "logit", "probability", "model_probability"):
        assert columns[name]["data"] == usual[name]["data"]
    value = np.array(columns["contribution"]["data"])
    total = columns["bias"]["data"][0] + value.sum()
    assert total == pytest.approx(columns["logit"]["data"][0], abs=1e-4)
    flat = columns["span"]["data"]
    spans = [TEXT[start:end] for start, end in zip(flat[::2], flat[1::2], strict=True) if end > 0]
    assert {"prize", "money", "lunch"} <= set(spans)
    assert parameters["method"] == method
    assert 2 <= parameters["evaluations"] <= 60
    assert parameters["seconds"] > 0
    assert parameters["complete"] in {"true", "false"}


def test_words_that_speak_for_spam_are_worth_more_than_those_that_speak_against_it(explainer, ask):
    for method in ("shap", "occlusion"):
        asked = ask([TEXT], parameters={"explain": method, "top_k": 100, "evaluations": 200})
        columns, _ = _columns(explainer.infer(asked))
        flat = columns["span"]["data"]
        words = [TEXT[a:b] for a, b in zip(flat[::2], flat[1::2], strict=True) if b > 0]
        worth = dict(zip(words, columns["contribution"]["data"], strict=False))
        assert worth["prize"] > worth["lunch"]


def test_a_seed_gives_the_same_again_and_the_second_time_from_what_was_kept(explainer, ask):
    asked = ask([TEXT], parameters={"explain": "lime", "evaluations": 50, "seed": 11})
    first, before = _columns(explainer.infer(asked))
    second, after = _columns(explainer.infer(asked))
    assert first == second
    assert (before["from_cache"], after["from_cache"]) == (0, 1)
    assert after["evaluations"] == 0
    asked["parameters"]["seed"] = 12
    third, _ = _columns(explainer.infer(asked))
    assert third["contribution"] != first["contribution"]


def test_one_model_alone_is_explained_by_itself(explainer, ask):
    texts = ask([TEXT], parameters={"explain": "occlusion", "models": "ngram", **EFFORT})
    columns, _ = _columns(explainer.infer(texts))
    assert columns["stage"]["data"] == ["ngram"]


def test_v1_explain_gives_explanations_and_predict_predictions(explainer):
    url = f"{explainer.url}/v1/models/rampart"
    body = {"instances": [TEXT], "parameters": {"explain": "shap", **EFFORT}}
    explained = httpx.post(f"{url}:explain", json=body, timeout=60).json()
    [one] = explained["explanations"]
    assert one["bias"] + sum(part["value"] for part in one["contributions"]) == pytest.approx(
        one["logit"], abs=1e-4
    )
    assert explained["parameters"]["method"] == "shap"
    predicted = httpx.post(f"{url}:predict", json=body, timeout=60).json()
    assert predicted["predictions"] == explained["explanations"]


def test_kserves_own_clients_are_answered(explainer, kserve):
    from kserve import InferenceGRPCClient, InferenceRESTClient, RESTConfig

    given = kserve.InferInput("text", [1], "BYTES", [TEXT])
    parameters = {"explain": "occlusion", "evaluations": 40}

    async def ask():
        rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=60))
        request = kserve.InferRequest("rampart", [given], parameters=parameters)
        over_rest = await rest.infer(explainer.url, request, model_name="rampart")
        v1 = InferenceRESTClient(RESTConfig(protocol="v1", timeout=60))
        explained = await v1.explain(
            explainer.url, "rampart", {"instances": [TEXT], "parameters": parameters}
        )
        grpc = InferenceGRPCClient(explainer.grpc, timeout=60)
        over_grpc = await grpc.infer(request)
        await grpc.close()
        await rest.close()
        await v1.close()
        return over_rest, over_grpc, explained

    over_rest, over_grpc, explained = asyncio.run(ask())
    [one] = explained["explanations"]
    for answer in (over_rest, over_grpc):
        columns = {output.name: output for output in answer.outputs}
        assert columns["logit"].data[0] == pytest.approx(one["logit"], abs=1e-4)
        assert columns["contribution"].data[0] == pytest.approx(
            one["contributions"][0]["value"], abs=1e-4
        )


@pytest.mark.parametrize(
    ("parameters", "status", "says"),
    [
        ({"explain": "contributions"}, 400, "'shap' or 'lime' or 'occlusion' or 'none'"),
        ({"evaluations": 201}, 400, "from 2 to 200"),
        ({"evaluations": 1}, 400, "from 2 to 200"),
        ({"seconds": 0}, 400, "up to 30"),
        ({"seconds": "nan"}, 400, "up to 30"),
        ({"seed": -1}, 400, "seed"),
        ({"models": "oracle"}, 400, "oracle"),
        ({"budget": 3}, 400, "evaluations"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(explainer, ask, parameters, status, says):
    reply = explainer.infer(ask([TEXT], parameters=parameters))
    assert reply.status_code == status
    assert says in reply.json()["error"]


def test_too_many_texts_are_refused(explainer, ask):
    assert explainer.infer(ask([TEXT] * 4)).status_code == 413


def test_without_a_predictor_the_answer_is_try_again(tmp_path):
    arguments = ("--predictor_host", "127.0.0.1:9")
    with running("serving.explainer", tmp_path / "stderr.txt", *arguments) as alone:
        body = {"instances": [TEXT]}
        reply = httpx.post(f"{alone.url}/v1/models/rampart:explain", json=body, timeout=60)
    assert reply.status_code == 503
    assert "does not answer" in reply.json()["error"]
    assert reply.headers["Retry-After"]
