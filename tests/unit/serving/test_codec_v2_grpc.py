"""V2 over gRPC: contents and raw contents, and parameters that the protocol does not have."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InputError
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import Limits
from serving.predictor.codec.v2_grpc import decode
from serving.predictor.sdk import pb

LIMITS = Limits(texts=8)
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1, max_size=8
)


def message(texts, *, raw=False, **fields):
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="text", datatype="BYTES", shape=[len(texts)]
    )
    request = pb.ModelInferRequest(model_name="m", **fields)
    if raw:
        request.raw_input_contents.append(
            b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
        )
    else:
        tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    request.inputs.append(tensor)
    return request


def answered(call):
    parts = Contributions(np.array([0]), np.array([1]), np.array([0.25]), 0.75)
    verdicts = [Verdict("ham", 0.7, 1.0, "ngram", parts)] * len(call.request.texts)
    return call.encode(Answer(call.request, verdicts, "b1", 0.5, ("ham", "spam")))


@given(TEXTS, st.booleans())
def test_contents_and_raw_contents_give_the_texts_that_were_sent(texts, raw):
    assert decode(message(texts, raw=raw), LIMITS).request.texts == tuple(texts)


def test_the_answer_is_raw_where_the_request_was():
    raw = answered(decode(message(["a", "b"], raw=True), LIMITS))
    plain = answered(decode(message(["a", "b"]), LIMITS))
    names = [output.name for output in raw.outputs]
    logit = names.index("logit")
    assert names == [output.name for output in plain.outputs]
    assert np.frombuffer(raw.raw_output_contents[logit], "<f4").tolist() == [1.0, 1.0]
    assert list(plain.outputs[logit].contents.fp32_contents) == [1.0, 1.0]
    assert not plain.raw_output_contents
    assert list(plain.outputs[names.index("label")].contents.bytes_contents) == [b"ham", b"ham"]
    assert list(plain.outputs[names.index("span")].shape) == [2, 10, 2]


def test_a_request_without_an_id_gets_one():
    assert answered(decode(message(["a"]), LIMITS)).id
    assert answered(decode(message(["a"], id="9"), LIMITS)).id == "9"


def test_parameters_are_read_whatever_type_carries_them():
    parameters = {
        "top_k": pb.InferParameter(int64_param=4),
        "threshold": pb.InferParameter(string_param="0.5"),
    }
    options = decode(message(["a"], parameters=parameters), LIMITS).request.options
    assert (options.top_k, options.threshold) == (4, 0.5)


def test_a_parameter_of_a_type_from_another_server_is_refused_not_ignored():
    # Field 4 of Triton's InferParameter: a double, 0.5.
    foreign = pb.InferParameter.FromString(b"\x21" + struct.pack("<d", 0.5))
    with pytest.raises(InputError, match="as a string"):
        decode(message(["a"], parameters={"threshold": foreign}), LIMITS)


def test_a_tensor_both_ways_or_in_another_type_is_refused():
    both = message(["a"], raw=True)
    both.inputs[0].contents.bytes_contents.append(b"a")
    numbers = message(["a"])
    numbers.inputs[0].contents.fp32_contents.append(1.0)
    unequal = message(["a"], raw=True)
    unequal.raw_input_contents.append(b"")
    for request in (both, numbers, unequal):
        with pytest.raises(InputError):
            decode(request, LIMITS)
