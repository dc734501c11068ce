"""A real transformer process before a real predictor process: raw mail in, a verdict on it out."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import grpc
import httpx
import numpy as np
import pytest

from serving.predictor.sdk import pb, pb_grpc
from tests.integration.serving.conftest import running

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _mail(subject, text, html=None, attached=None):
    message = EmailMessage()
    message["From"] = "a@example.com"
    message["Subject"] = subject
    message.set_content(text, cte="7bit")
    if html:
        message.add_alternative(html, subtype="html", cte="base64")
    if attached:
        message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename=attached)
    return message.as_bytes()


SPAM = _mail("Win a free prize", "Click here to claim your money.\n", attached="prize.pdf")
HAM = _mail("Lunch", "The meeting moved to Thursday.\n").replace(b"\n", b"\r\n")
LATIN = (
    b"Subject: prix\nContent-Type: text/plain; charset=iso-8859-1\n\nUn prix \xe0 gagner, money\n"
)
ENCODED = _mail("Offer", " \n", html="<p>You have been selected as a winner</p>\n" * 3)
MAILS = [SPAM, HAM, LATIN, ENCODED]


@pytest.fixture(scope="module")
def transformer(server, tmp_path_factory):
    log = tmp_path_factory.mktemp("transformer") / "stderr.txt"
    with running("serving.transformer", log, "--predictor_host", server.grpc) as process:
        yield process
    assert log.read_text() == ""


def _binary(mails, **parameters):
    """V2 over gRPC, raw contents: the bytes of mails as they are."""
    data = b"".join(len(mail).to_bytes(4, "little") + mail for mail in mails)
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="mail", datatype="BYTES", shape=[len(mails)]
    )
    given = {name: pb.InferParameter(string_param=value) for name, value in parameters.items()}
    return pb.ModelInferRequest(
        model_name="rampart", inputs=[tensor], raw_input_contents=[data], parameters=given
    )


def _infer(server, mails, **parameters):
    """Outputs as JSON has them, the mails as V1's base64 so that any bytes can be sent."""
    instances = [{"b64": base64.b64encode(mail).decode()} for mail in mails]
    return httpx.post(
        f"{server.url}/v1/models/rampart:predict",
        json={"instances": instances, "parameters": parameters},
        timeout=60,
    )


def _columns(reply):
    assert reply.status_code == 200, reply.text
    return {one["name"]: one for one in reply.json()["outputs"]}


def test_the_verdicts_are_the_predictors_on_the_texts_of_the_mails(transformer, server, ask):
    from rampart.data.mail import parse

    expected = _columns(server.infer(ask([parse(mail).text for mail in MAILS])))
    predictions = _infer(transformer, MAILS).json()["predictions"]
    assert [one["label"] for one in predictions] == expected["label"]["data"]
    logits = [one["logit"] for one in predictions]
    assert logits == pytest.approx(expected["logit"]["data"], abs=1e-4)
    assert [one["subject"] for one in predictions] == ["Win a free prize", "Lunch", "prix", "Offer"]
    assert [one["attachments"] for one in predictions] == [1, 0, 0, 0]
    assert [one["has_html"] for one in predictions] == [False, False, False, True]


def test_every_span_points_into_the_mail_as_it_came(transformer):
    from rampart.data.mail import parse

    placed = 0
    for mail, prediction in zip(
        MAILS, _infer(transformer, MAILS).json()["predictions"], strict=True
    ):
        text = parse(mail).text
        for place, span in enumerate(prediction["contributions"]):
            words = text[span["start"] : span["end"]]
            start, end = prediction["raw_span"][place]
            if prediction["raw_exact"][place]:
                charset = "latin-1" if mail is LATIN else "utf-8"
                assert mail[start:end].decode(charset) == words
            else:
                assert prediction["part"][place] == "2"
                assert b"PHA" in mail[start:end]  # "<p" in base64
            placed += 1
    assert placed > 4


def test_rest_and_grpc_in_json_and_in_binary_say_the_same(transformer, ask):
    async def over_grpc():
        async with grpc.aio.insecure_channel(transformer.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            return await stub.ModelInfer(_binary([SPAM, HAM], top_k="3"))

    reply = asyncio.run(over_grpc())
    raw = dict(zip((one.name for one in reply.outputs), reply.raw_output_contents, strict=True))
    document = ask([SPAM.decode(), HAM.decode()], parameters={"top_k": 3})
    document["inputs"][0]["name"] = "mail"
    columns = _columns(transformer.infer(document))
    assert set(raw) == set(columns)
    assert "text" not in columns
    flat = np.frombuffer(raw["raw_span"], dtype="<i8").tolist()
    assert columns["raw_span"]["data"] == flat
    assert columns["raw_span"]["shape"] == [2, 3, 2]
    assert columns["part"]["shape"] == [2, 3]
    assert columns["raw_exact"]["datatype"] == "BOOL"
    document["outputs"] = [{"name": "text"}, {"name": "label"}]
    named = _columns(transformer.infer(document))
    assert named["text"]["data"][0].startswith("Win a free prize\n\nClick here")


def test_its_metadata_name_its_own_input_and_outputs(transformer):
    found = httpx.get(f"{transformer.url}/v2/models/rampart").json()
    assert [one["name"] for one in found["inputs"]] == ["mail", "id"]
    assert {"label", "raw_span", "part"} <= {one["name"] for one in found["outputs"]}


@pytest.mark.parametrize(
    ("parameters", "status", "words"),
    [
        ({"threshold": 2}, 400, "threshold"),
        ({"models": "nobody"}, 400, "nobody"),
        ({"explain": "shap"}, 400, "explainer"),
    ],
)
def test_what_is_refused_stays_what_it_was(transformer, parameters, status, words):
    reply = _infer(transformer, [SPAM], **parameters)
    assert reply.status_code == status
    assert words in reply.json()["error"]


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ({"b64": "!"}, "b64"),
        ({"text": "x"}, "'text'"),
        (3, "mail"),
    ],
)
def test_what_is_no_mail_is_refused(transformer, instance, words):
    reply = httpx.post(
        f"{transformer.url}/v1/models/rampart:predict", json={"instances": [instance]}
    )
    assert reply.status_code == 400
    assert words in reply.json()["error"]


def test_without_a_predictor_it_asks_to_try_again(tmp_path):
    log = tmp_path / "stderr.txt"
    with running("serving.transformer", log, "--predictor_host", "127.0.0.1:9") as alone:
        reply = _infer(alone, [SPAM])
        assert reply.status_code == 503
        assert reply.headers["retry-after"]
        assert alone.probe() == 200


class _Recorder(pb_grpc.GRPCInferenceServiceServicer):
    """In the predictor's place, for no predictor tells what it was sent beside the texts."""

    def __init__(self):
        self.seen = []

    def ModelInfer(self, request, context):  # noqa: N802
        self.seen.append((dict(context.invocation_metadata()), context.time_remaining()))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too long for me")


def test_traces_and_deadlines_are_passed_on_and_nothing_else(tmp_path):
    recorder = _Recorder()
    recording = grpc.server(ThreadPoolExecutor())
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(recorder, recording)
    port = recording.add_insecure_port("127.0.0.1:0")
    recording.start()

    async def over_grpc():
        async with grpc.aio.insecure_channel(transformer.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.ModelInfer(_binary([SPAM]), timeout=5, metadata=[("traceparent", TRACE)])
            return raised.value.code()

    arguments = ("--predictor_host", f"127.0.0.1:{port}", "--deadline", "20")
    try:
        with running("serving.transformer", tmp_path / "stderr.txt", *arguments) as transformer:
            document = {"instances": [{"mail": SPAM.decode()}]}
            for headers in (
                {"traceparent": TRACE, "tracestate": "a=b", "cookie": "secret"},
                {"x-envoy-expected-rq-timeout-ms": "3000"},
            ):
                url = f"{transformer.url}/v1/models/rampart:predict"
                reply = httpx.post(url, json=document, headers=headers)
                assert reply.status_code == 413
                assert "too long for me" in reply.json()["error"]
            assert asyncio.run(over_grpc()) == grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        recording.stop(None)
    (first, usual), (second, envoys), (third, clients) = recorder.seen
    assert (first["traceparent"], first["tracestate"]) == (TRACE, "a=b")
    assert "cookie" not in first
    assert "traceparent" not in second
    assert third["traceparent"] == TRACE
    assert 15 < usual < 21
    assert envoys < 4
    assert clients < 6
