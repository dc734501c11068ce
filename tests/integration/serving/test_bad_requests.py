"""Over 200 wrong requests: each is refused for its own reason, and the server serves on."""

import http.client
import json
import struct

import httpx
import pytest

INFER, PREDICT = "/v2/models/rampart/infer", "/v1/models/rampart:predict"
LENGTH = "Inference-Header-Content-Length"
OCTETS = {"content-type": "application/octet-stream"}


def text(data=("a",), **changes):
    entry = {"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": list(data)}
    return {name: value for name, value in (entry | changes).items() if value is not ...}


def v2(*inputs, **fields):
    return INFER, {}, json.dumps({"inputs": inputs} | fields).encode()


def v1(document):
    return PREDICT, {}, json.dumps(document).encode()


def prefixed(*texts):
    return b"".join(struct.pack("<I", len(one)) + one for one in texts)


def binary(raw, *, size=..., shape=(1,), length=..., datatype="BYTES"):
    size = len(raw) if size is ... else size
    entry = {"name": "text", "shape": list(shape), "datatype": datatype}
    entry["parameters"] = {"binary_data_size": size}
    header = json.dumps({"inputs": [entry]}).encode()
    length = str(len(header)) if length is ... else length
    headers = OCTETS | ({} if length is None else {LENGTH: length})
    return INFER, headers, header + raw


NOT_JSON = [
    (path, {}, body)
    for path in (INFER, PREDICT)
    for body in (
        b"", b" ", b"{", b"}", b"hello", b"\x00", b"\xff\xfe", b"null", b"[]", b"1", b'"text"',
        b"NaN", b"[" * 100_000, b'{"a":' * 5000, b"<xml/>", b"inputs=1",
        b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["\xff"]}]}',
        b'{"instances": ["\xc3\x28"]}', b'{"instances": ["\\ud800"]}', b'{"instances": ["a"]',
    )
]  # fmt: skip
STRUCTURE = [
    v2(),
    (INFER, {}, b"{}"),
    *(v2(inputs=value) for value in (None, {}, "x", 1, [1], [[]])),
    *(v2(text(name=name)) for name in ("txt", "TEXT", "", None, 1, ["text"], "x" * 10_000)),
    *(v2(text(datatype=kind)) for kind in ("FP32", "INT64", "bytes", "STRING", "", None, 1, ...)),
    *(
        v2(text(shape=shape))
        for shape in (
            [], [0], [2], [-1], [1, 1, 1], [1, 2], [2, 1], [-1, -1], [1.0], ["1"], [True], [None],
            [[1]], "1", 1, None, {}, ..., [2**63], [2**64], [-(2**63)],
        )
    ),
    *(
        v2(text(data=data, shape=[1]))
        for data in (
            [], [1], [1.5], [None], [True], [{}], [[1]], [["a", "b"]], [[["a"]]], ["a", "b"], [[]],
        )
    ),
    *(v2(text() | {"data": data}) for data in ("a", None, {}, 1)),
    v2({"name": "text", "shape": [1], "datatype": "BYTES"}),
    v2(text(), text()),
    v2(text(), text(name="extra")),
    v2(text(name="id")),
    v2(text(), text(["1", "2"], name="id")),
    v2(text(), text([1], name="id")),
    v2(text(), id=7),
    v2(text(), id=["7"]),
    v2(text() | {"parameters": []}),
    v2(text() | {"parameters": {"binary_data_size": 1}}),
]  # fmt: skip
OUTPUTS = [
    *(v2(text(), outputs=[{"name": name}]) for name in ("labels", "", None, 1, "id", "text")),
    *(v2(text(), outputs=value) for value in ("label", 1, {}, ["label"], [{}], [[]])),
    v2(text(), outputs=[{"name": "label"}, {"name": "label"}]),
    v2(text(), outputs=[{"name": "label", "parameters": {"binary_data": "yes"}}]),
    v2(text(), outputs=[{"name": "label", "parameters": 1}]),
]
WRONG_PARAMETERS = [
    *({"top_k": value} for value in (-1, 1.5, "x", 1e9, 101, None, True, [], {}, "", 2**70)),
    *({"threshold": value} for value in (2, -0.1, "a", "nan", None, True, [], "", 1e300)),
    *({"explain": value} for value in ("shap", "lime", "all", "", None, 1, True, [], {})),
    *({name: 1} for name in ("topk", "Top_k", "temperature", "")),
]
PARAMETERS = [
    *(v2(text(), parameters=parameters) for parameters in WRONG_PARAMETERS),
    *(v2(text(), parameters=value) for value in ([], "x", 1, True)),
    v2(text(), parameters={"binary_data_output": "yes"}),
    (INFER, {}, b'{"inputs": [], "parameters": {"threshold": NaN}}'),
    *(v1({"instances": ["a"], "parameters": parameters}) for parameters in WRONG_PARAMETERS),
]
V1 = [
    v1({}),
    v1({"inputs": ["a"]}),
    *(v1({"instances": value}) for value in (None, "a", 1, {}, [], True)),
    *(v1({"instances": [value]}) for value in (None, 1, True, [], ["a"], {}, {"txt": "a"})),
    v1({"instances": [{"text": None}]}),
    v1({"instances": [{"text": "a", "extra": 1}]}),
    v1({"instances": [{"text": "a", "id": 1}]}),
    v1({"instances": ["a"], "parameters": 1}),
    v1({"instances": ["a"], "top_k": 1, "parameters": {"top_k": 1}}),
    (PREDICT, {"content-type": "application/xml"}, b"<a/>"),
    (PREDICT, {"content-type": "application/cloudevents+json"}, b'{"specversion": "1.0"}'),
    ("/v1/models/rampart:explain", {}, b'{"instances": ["a"]}'),
]
BINARY = [
    binary(prefixed(b"\xff\xfe")),
    binary(prefixed(b"ok", b"\xc3"), shape=(2,)),
    binary(b""),
    binary(b"\x01"),
    binary(b"\xff\xff\xff\xff"),
    binary(b"\xff\xff\xff\x7fabc"),
    binary(prefixed(b"abc")[:-1]),
    binary(prefixed(b"a", b"b")),
    binary(prefixed(b"a"), shape=(2,)),
    binary(prefixed(b"a"), shape=(-1,)),
    binary(prefixed(b"a"), datatype="FP32"),
    *(
        binary(prefixed(b"a"), size=size)
        for size in (0, 4, 6, -1, 10**12, "5", 5.0, None, True, [])
    ),
    *(
        binary(prefixed(b"a"), length=length)
        for length in (None, "", "0", "1", "-1", "1e3", "x", "99999", "9" * 50, "\u00b2")
    ),
    (INFER, {LENGTH: "5"}, json.dumps({"inputs": [text()]}).encode()),
]  # fmt: skip
TOO_LARGE = [
    v2(text(["a"] * 257)),
    v2(text(["a"] * 10_000)),
    v2(text(["a"], shape=[10_000])),
    v2(text(["a" * 1_000_001])),
    v2(text(["\N{PILE OF POO}" * 250_001])),
    v1({"instances": ["a"] * 10_000}),
    v1({"instances": ["a" * 1_000_001]}),
    binary(prefixed(*[b"a"] * 10_000), shape=(10_000,)),
    binary(prefixed(b"a" * 1_000_001)),
    (INFER, {}, b" " * 16_000_001),
    (INFER, {}, b"x" * 50_000_000),
    (PREDICT, {}, b"x" * 50_000_000),
]
NOWHERE = [
    ("/v2/models/other/infer", {}, v2(text())[2]),
    ("/v2/models//infer", {}, v2(text())[2]),
    ("/v2/models/RAMPART/infer", {}, v2(text())[2]),
    ("/v2/models/..%2Frampart/infer", {}, v2(text())[2]),
    ("/v2/models/rampart/versions/1/infer", {}, v2(text())[2]),
    ("/v1/models/other:predict", {}, v1({"instances": ["a"]})[2]),
    ("/v1/models/rampart/predict", {}, v1({"instances": ["a"]})[2]),
    ("/v2/repository/models/other/load", {}, b""),
    ("/v2/repository/models/other/unload", {}, b""),
    ("/v3/models/rampart/infer", {}, v2(text())[2]),
    ("/", {"x": "y"}, b""),
]
GROUPS = {
    "not JSON": (NOT_JSON, {400}),
    "structure": (STRUCTURE, {400, 413}),
    "outputs": (OUTPUTS, {400}),
    "parameters": (PARAMETERS, {400}),
    "V1": (V1, {400}),
    "binary": (BINARY, {400}),
    "too large": (TOO_LARGE, {413}),
    "nowhere": (NOWHERE, {404, 405}),
}


def test_there_are_two_hundred_of_them():
    requests = [request for group, _ in GROUPS.values() for request in group]
    assert len({(path, str(headers), body) for path, headers, body in requests}) >= 200


def assert_refused(reply, allowed, shown):
    assert reply.status_code in allowed, (shown, reply.status_code, reply.text[:300])
    message = reply.json()["error"]
    assert 15 < len(message) < 600, (shown, message)
    assert " " in message
    assert "Traceback" not in message
    assert "Exception" not in message


@pytest.mark.usefixtures("serves_on")
@pytest.mark.parametrize("group", GROUPS)
def test_a_wrong_request_is_refused_with_a_message(server, group):
    requests, allowed = GROUPS[group]
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for path, headers, body in requests:
            raw = {name: value.encode("utf-8") for name, value in headers.items()}
            reply = client.post(path, headers=raw, content=body)
            assert_refused(reply, allowed, (path, headers, body[:200]))


@pytest.mark.usefixtures("serves_on")
@pytest.mark.parametrize("path", [INFER, PREDICT, "/v2/health/ready", "/v2/models/rampart"])
def test_the_wrong_method_is_refused_and_the_right_one_named(server, path):
    right = "POST" if path in (INFER, PREDICT) else "GET"
    for method in {"POST", "PUT", "DELETE", "PATCH"} - {right}:
        reply = httpx.request(method, server.url + path)
        assert_refused(reply, {405}, (method, path))
        assert right in reply.json()["error"]
        assert reply.headers["allow"] == right


@pytest.mark.usefixtures("serves_on")
@pytest.mark.parametrize(("path", "status"), [(INFER, 405), (PREDICT, 404)])
def test_texts_are_not_scored_by_get(server, path, status):
    assert_refused(httpx.get(server.url + path), {status}, path)


@pytest.mark.usefixtures("serves_on")
def test_a_body_without_a_length_is_cut_off_where_it_is_too_long(server):
    sent = 0

    def endless():
        nonlocal sent
        for _ in range(600):
            sent += 100_000
            yield b"x" * 100_000

    reply = httpx.post(server.url + INFER, content=endless(), timeout=30)
    assert_refused(reply, {413}, "chunked")
    assert sent > 16_000_000


@pytest.mark.usefixtures("serves_on")
def test_a_body_announced_too_long_is_refused_before_it_is_sent(server):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", INFER)
    connection.putheader("Content-Length", "50000000")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert b"16000000" in response.read()
    connection.close()


@pytest.mark.usefixtures("serves_on")
def test_a_compressed_body_is_refused(server):
    reply = httpx.post(server.url + INFER, content=b"x", headers={"content-encoding": "gzip"})
    assert_refused(reply, {415}, "gzip")


@pytest.mark.usefixtures("serves_on")
def test_a_client_that_leaves_in_the_middle_harms_nobody(server):
    for path in (INFER, PREDICT):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"inst')
        connection.close()


@pytest.mark.usefixtures("serves_on")
def test_the_model_cannot_be_taken_down_over_the_network(server):
    reply = httpx.post(f"{server.url}/v2/repository/models/rampart/unload")
    assert_refused(reply, {400}, "unload")
    assert server.probe("/v2/models/rampart/ready") == 200
