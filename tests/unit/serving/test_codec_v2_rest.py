"""V2 over REST: what is decoded, what is refused, and the form of what goes back."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InputError, TooLargeError
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import Limits
from serving.predictor.codec.v2_rest import V2Body, decode

LIMITS = Limits(texts=8, text_bytes=100, top_k=3, max_top_k=20)
# Everything that UTF-8 can carry.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(TEXT, min_size=1, max_size=8)


def length_prefixed(texts):
    return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)


def as_json(document):
    return V2Body(json.dumps(document).encode())


def text_input(texts, **changes):
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts} | changes


def as_binary(texts, *, parameters=None, trailing=b"", size=None, shape=None):
    raw = length_prefixed(texts)
    entry = {
        "name": "text",
        "shape": shape or [len(texts)],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(raw) if size is None else size},
    }
    header = json.dumps({"inputs": [entry], "parameters": parameters or {}}).encode()
    return V2Body(header + raw + trailing, str(len(header)))


def verdict(logit=1.5, spans=((0, 3, 1.25), (4, 6, -0.5))):
    start, end, value = (np.array(column) for column in zip(*spans, strict=True))
    parts = Contributions(start, end, value.astype(float), logit - float(value.sum()))
    return Verdict("spam", 1 / (1 + np.exp(-logit)), logit, "voting", parts)


def answered(call, verdicts):
    return call.encode(Answer(call.request, verdicts, "b1", 0.5, ("ham", "spam")))


@given(TEXTS)
def test_json_and_binary_give_the_texts_that_were_sent(texts):
    assert decode(as_json({"inputs": [text_input(texts)]}), "m", LIMITS).request.texts == tuple(
        texts
    )
    assert decode(as_binary(texts), "m", LIMITS).request.texts == tuple(texts)


@given(TEXTS)
def test_a_column_is_as_good_as_a_list(texts):
    flat = text_input(texts, shape=[len(texts), 1])
    nested = text_input([[text] for text in texts], shape=[len(texts), 1])
    for entry in (flat, nested):
        assert decode(as_json({"inputs": [entry]}), "m", LIMITS).request.texts == tuple(texts)
    assert decode(as_binary(texts, shape=[len(texts), 1]), "m", LIMITS).request.texts == tuple(
        texts
    )


@given(st.binary(max_size=200), st.one_of(st.none(), st.text(max_size=8), st.integers(0, 250)))
def test_any_bytes_are_decoded_or_refused_and_nothing_else_happens(content, header):
    body = V2Body(content, None if header is None else str(header))
    with pytest.raises(InputError) as refused:
        decode(body, "m", LIMITS)
    assert refused.value.problem
    assert refused.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ["inputs", "outputs", "parameters", "id"]


@given(
    st.sampled_from([*FIELDS, "name", "shape", "datatype", "data"]),
    JSON,
)
def test_a_field_of_any_other_type_is_decoded_or_refused(field, value):
    entry = text_input(["a"])
    document = {"inputs": [entry]}
    (document if field in FIELDS else entry)[field] = value
    try:
        call = decode(as_json(document), "m", LIMITS)
    except InputError as refused:
        assert refused.remedy or refused.problem  # noqa: PT017
    else:
        assert all(isinstance(text, str) for text in call.request.texts)


@given(TEXTS, st.integers(1, 50))
def test_a_binary_tensor_cut_short_is_refused(texts, cut):
    raw = length_prefixed(texts)
    whole = as_binary(texts)
    cut = min(cut, len(raw))
    with pytest.raises(InputError):
        decode(V2Body(whole.content[:-cut], whole.header_length), "m", LIMITS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (V2Body(b""), "empty"),
        (V2Body(b"{"), "not JSON"),
        (V2Body(b'{"inputs": "\xff"}'), "not JSON"),
        (V2Body(b"[" * 5000), "not JSON"),
        (V2Body(b"[]"), "body is []"),
        (V2Body(b"{}", "3"), "Inference-Header-Content-Length is '3'"),
        (V2Body(b"{}", "-1"), "Inference-Header-Content-Length"),
        (as_json({}), "'inputs' is None"),
        (as_json({"inputs": []}), "'text' is missing"),
        (as_json({"inputs": [text_input(["a"], name="txt")]}), "'txt'"),
        (as_json({"inputs": [text_input(["a"]), text_input(["a"])]}), "twice"),
        (as_json({"inputs": [text_input(["a"], datatype="FP32")]}), "'FP32'"),
        (as_json({"inputs": [text_input(["a"], shape=[1, 1, 1])]}), "[1, 1, 1]"),
        (as_json({"inputs": [text_input(["a", "b"], shape=[1, 2])]}), "[1, 2]"),
        (as_json({"inputs": [text_input(["a"], shape=[-1])]}), "[-1]"),
        (as_json({"inputs": [text_input(["a"], shape=[True])]}), "[True]"),
        (as_json({"inputs": [text_input(["a"], shape=[2])]}), "1 elements"),
        (as_json({"inputs": [text_input([1])]}), "is 1"),
        (as_json({"inputs": [text_input([["a", "b"]])]}), "nested"),
        (as_json({"inputs": [text_input([])]}), "no text"),
        (as_json({"inputs": [text_input(["a"])], "outputs": [{"name": "x"}]}), "label"),
        (as_json({"inputs": [text_input(["a"])], "outputs": [{"name": "id"}]}), "'id'"),
        (as_json({"inputs": [text_input(["a"])], "outputs": [{"name": "bias"}] * 2}), "twice"),
        (as_json({"inputs": [text_input(["a"])], "parameters": {"topk": 1}}), "'topk'"),
        (as_json({"inputs": [text_input(["a"]), text_input(["1", "2"], name="id")]}), "'id'"),
        (as_binary(["a"], trailing=b"xx"), "2 bytes"),
        (as_binary(["a"], size=99), "99"),
        (as_binary(["a"], size=-1), "-1"),
        (as_binary(["a"], shape=[2]), "1 elements"),
        (as_binary(["a", "b"], shape=[1]), "more elements"),
        (V2Body(as_binary(["a"]).content), "not JSON"),
    ],
)
def test_a_refusal_names_what_was_wrong(body, said):
    with pytest.raises(InputError, match=r"^.+$") as refused:
        decode(body, "m", LIMITS)
    assert said in str(refused.value)
    assert refused.value.remedy or "not JSON" in said


def test_a_binary_text_that_is_not_utf8_is_named():
    raw = struct.pack("<I", 2) + b"ok" + struct.pack("<I", 1) + b"\xff"
    entry = text_input([], shape=[2]) | {"parameters": {"binary_data_size": len(raw)}}
    del entry["data"]
    header = json.dumps({"inputs": [entry]}).encode()
    with pytest.raises(InputError, match=r"Element 1 .* not UTF-8"):
        decode(V2Body(header + raw, str(len(header))), "m", LIMITS)


@pytest.mark.parametrize("texts", [["a"] * 9, ["a" * 101], ["\N{PILE OF POO}" * 26]])
def test_over_a_limit_is_its_own_refusal(texts):
    with pytest.raises(TooLargeError):
        decode(as_json({"inputs": [text_input(texts)]}), "m", LIMITS)


def test_a_text_of_just_the_allowed_bytes_passes():
    texts = ["\N{PILE OF POO}" * 25, "a" * 100]
    assert decode(as_json({"inputs": [text_input(texts)]}), "m", LIMITS).request.texts == tuple(
        texts
    )


def test_outputs_come_as_asked_and_in_that_order():
    document = {
        "id": "7",
        "inputs": [text_input(["a"])],
        "outputs": [{"name": "logit"}, {"name": "label", "parameters": {"binary_data": True}}],
    }
    reply = answered(decode(as_json(document), "m", LIMITS), [verdict()])
    header = json.loads(reply.content[: reply.header_length])
    assert header["id"] == "7"
    assert [output["name"] for output in header["outputs"]] == ["logit", "label"]
    assert header["outputs"][0]["data"] == [1.5]
    assert header["outputs"][1]["parameters"] == {"binary_data_size": 8}
    assert reply.content[reply.header_length :] == length_prefixed(["spam"])


def test_spans_have_the_room_that_was_asked_for():
    document = {"inputs": [text_input(["a"])], "parameters": {"top_k": 4}}
    reply = json.loads(answered(decode(as_json(document), "m", LIMITS), [verdict()]).content)
    outputs = {output["name"]: output for output in reply["outputs"]}
    assert outputs["span"]["shape"] == [1, 4, 2]
    assert outputs["span"]["data"] == [0, 3, 4, 6, -1, -1, -1, -1]
    assert outputs["contribution"]["data"] == [1.25, -0.5, 0, 0]
    assert "id" not in outputs


def test_without_an_id_there_is_one_and_it_is_a_string():
    reply = answered(decode(as_json({"inputs": [text_input(["a"])]}), "m", LIMITS), [verdict()])
    assert isinstance(json.loads(reply.content)["id"], str)


@given(
    st.lists(
        st.lists(st.floats(-50, 50, allow_subnormal=False), min_size=1, max_size=20),
        min_size=1,
        max_size=4,
    ),
    st.floats(-20, 20),
)
def test_in_single_precision_the_parts_still_add_up_to_the_logit(values, bias):
    verdicts = [
        verdict(bias + sum(row), [(i, i + 1, value) for i, value in enumerate(row)])
        for row in values
    ]
    document = {
        "inputs": [text_input(["a"] * len(values))],
        "parameters": {"top_k": 20, "binary_data_output": True},
        "outputs": [{"name": name} for name in ("logit", "bias", "contribution")],
    }
    reply = answered(decode(as_json(document), "m", LIMITS), verdicts)
    numbers = np.frombuffer(reply.content[reply.header_length :], dtype="<f4")
    count = len(values)
    logit, base, parts = np.split(numbers, [count, 2 * count])
    total = base.astype(float) + parts.reshape(count, -1).sum(axis=1, dtype=float)
    assert np.abs(total - logit).max() < 1e-4
    assert np.abs(logit - [one.logit for one in verdicts]).max() < 1e-4
