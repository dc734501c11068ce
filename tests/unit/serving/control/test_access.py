"""Who is answered, and what a refusal looks like."""

from __future__ import annotations

import logging

import pytest

from tests.unit.serving.control.conftest import TOKEN, Calls

RUNS = "/v1/runs"


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \N{SNOWMAN}".encode(),
    ],
)
def test_without_the_token_nobody_is_answered(client: Calls, said: str | bytes | None) -> None:
    calls = client(sent=False)
    for method, path in (("GET", RUNS), ("POST", RUNS), ("GET", "/nowhere"), ("GET", "/metrics")):
        headers = {} if said is None else {"Authorization": said}
        answer = calls.request(method, path, headers=headers, content=b"{}")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["remedy"] == "Send the header Authorization: Bearer TOKEN."


def test_with_the_token_everything_is_answered(client: Calls) -> None:
    for path in (RUNS, "/v1/studies", "/metrics", "/openapi.json", "/docs"):
        assert client().get(path).status_code == 200


def test_health_asks_nobody(client: Calls) -> None:
    calls = client(sent=False)
    assert calls.get("/healthz").json() == {"status": "ok"}
    assert calls.get("/readyz").json() == {"status": "ready"}


def test_the_mesh_is_believed_where_it_is_said_so_alone(client: Calls) -> None:
    named = {"kubeflow-userid": "ann@example.org"}
    assert client(sent=False).get(RUNS, headers=named).status_code == 401
    calls = client(token=None, mesh_header="kubeflow-userid")
    assert calls.get(RUNS, headers=named).status_code == 200
    assert calls.get(RUNS).status_code == 401
    for wrong in ("", " ", "a" * 201, "ann\x7f"):
        assert calls.get(RUNS, headers={"kubeflow-userid": wrong}).status_code == 401
    # One of two may be what the client itself sent.
    twice = [("kubeflow-userid", "ann"), ("kubeflow-userid", "bob")]
    assert calls.get(RUNS, headers=twice).status_code == 401


def test_on_loopback_a_page_or_a_name_of_another_site_is_refused(client: Calls) -> None:
    calls = client(token=None)
    assert calls.get(RUNS).status_code == 200
    assert calls.get(RUNS, headers={"Origin": "http://127.0.0.1:8100"}).status_code == 200
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
    ):
        answer = calls.post("/v1/studies/x/stop", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["remedy"]


def test_the_token_is_in_no_log_and_no_answer(
    client: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [client().get(path).text for path in (RUNS, "/openapi.json", "/docs", "/nope")]
    assert TOKEN not in caplog.text + "".join(answers)


def test_a_large_body_is_refused_however_it_is_sent(client: Calls) -> None:
    calls = client(max_body_bytes=100)
    json = {"Content-Type": "application/json"}
    for content in (b" " * 101, iter([b" " * 60, b" " * 60])):
        answer = calls.post(RUNS, content=content, headers=json)
        assert answer.status_code == 413
        assert answer.json()["detail"] == "The body is over 100 bytes."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b"[]", "cannot be used"),
        (b"{}", "pipeline cannot be used"),
        (b'{"pipeline": "training", "colour": 1}', "colour"),
        (b'{"pipeline": "Training"}', "pipeline"),
        (b'{"pipeline": "training", "arguments": {"seed": [1]}}', "arguments.seed"),
        (b'{"pipeline": "training", "defaults": "best"}', "defaults"),
    ],
)
def test_a_body_of_another_form_is_told_what_is_wrong(
    client: Calls, body: bytes, said: str
) -> None:
    answer = client().post(RUNS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pipeline": "cooking"}, "There is no pipeline 'cooking'"),
        ({"pipeline": "training", "arguments": {"colour": 1}}, "no parameter 'colour'"),
        ({"pipeline": "training", "arguments": {"seed": "x"}}, "seed is 'x', not a whole number"),
        ({"pipeline": "training", "arguments": {"uri": "/nowhere"}}, "'/nowhere'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_started(
    client: Calls, arguments: dict[str, object], said: str
) -> None:
    calls = client()
    answer = calls.post(RUNS, json=arguments)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert calls.get(RUNS).json()["total"] == 0


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%00", "A", "a" * 65, ".."])
def test_no_id_leads_out_of_the_folder(client: Calls, name: str) -> None:
    assert client().get(f"/v1/runs/{name}").status_code in (404, 422)


def test_what_is_not_there_is_named(client: Calls) -> None:
    for path, method, said in (
        ("/v1/runs/r000000000000000000000000", "GET", "There is no run"),
        ("/v1/runs/r000000000000000000000000/stop", "POST", "There is no run"),
        ("/v1/runs/r000000000000000000000000/events", "GET", "There is no run"),
        ("/v1/studies/none", "GET", "There is no study 'none'"),
        ("/v1/studies/none/events", "GET", "There is no study 'none'"),
        ("/v1/studies/none/stop", "POST", "There is no study 'none'"),
        ("/v1/studies/none/promote", "POST", "There is no study 'none'"),
        ("/v1/other", "GET", "Not Found"),
    ):
        answer = client().request(method, path)
        assert answer.status_code == 404, answer.text
        assert said in answer.json()["detail"]


def test_another_method_is_told_which_there_are(client: Calls) -> None:
    answer = client().delete(RUNS)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "POST"}


def test_the_page_of_documentation_needs_no_other_site(client: Calls) -> None:
    answer = client().get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http-equiv", "")
    assert "<script" not in answer.text
    for path in client().get("/openapi.json").json()["paths"]:
        assert path in answer.text


def test_every_operation_says_what_it_does_and_how_it_refuses(client: Calls) -> None:
    document = client().get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            if path not in ("/healthz", "/readyz"):
                refusal = operation["responses"]["401"]["content"]["application/problem+json"]
                assert refusal["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert operation["security"]


def test_requests_are_counted_by_their_route(client: Calls) -> None:
    calls = client()
    calls.get("/v1/studies/one")
    calls.get("/v1/studies/two")
    said = calls.get("/metrics").text
    line = (
        'rampart_control_requests_total{method="GET",route="/v1/studies/{name}",status="404"} 2.0'
    )
    assert line in said
    # Whoever is refused at the door is counted too.
    assert calls.get(RUNS, headers={"Authorization": "Bearer x"}).status_code == 401
    assert 'method="GET",route="none",status="401"} 1.0' in calls.get("/metrics").text
