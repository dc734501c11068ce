"""Wrong gRPC calls: each has the status and the message of its mistake; the server serves on."""

import asyncio
import struct

import pytest


@pytest.fixture
def call(server, kserve):
    """Sends a ModelInferRequest, or bytes in its place, and returns its status and details."""
    import grpc

    async def sent(message, method="ModelInfer"):
        async with grpc.aio.insecure_channel(
            server.grpc, options=[("grpc.max_send_message_length", -1)]
        ) as channel:
            rpc = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            content = message if isinstance(message, bytes) else message.SerializeToString()
            try:
                await rpc(content)
            except grpc.aio.AioRpcError as error:
                return error.code().name, error.details()
            return "OK", ""

    return lambda message, method="ModelInfer": asyncio.run(sent(message, method))


@pytest.mark.usefixtures("serves_on")
def test_a_wrong_call_has_its_status_and_a_message(call):
    from serving.predictor.sdk import pb

    def message(texts=(b"a",), *, raw=None, tensors=1, output=None, **fields):
        shape = fields.pop("shape", [len(texts)])
        request = pb.ModelInferRequest(**{"model_name": "rampart"} | fields)
        for _ in range(tensors):
            tensor = request.inputs.add(name="text", datatype="BYTES", shape=shape)
            if raw is None:
                tensor.contents.bytes_contents.extend(texts)
        request.raw_input_contents.extend(raw or [])
        if output:
            request.outputs.add(name=output)
        return request

    def parameter(name, **value):
        return message(parameters={name: pb.InferParameter(**value)})

    wrong_type = message()
    wrong_type.inputs[0].datatype = "FP32"
    nonsense = message()
    nonsense.inputs[0].datatype = "nonsense"
    renamed = message()
    renamed.inputs[0].name = "txt"
    numbers = message()
    numbers.inputs[0].contents.int64_contents.append(1)
    foreign = pb.InferParameter.FromString(b"\x21" + struct.pack("<d", 0.5))
    calls = [
        *(
            ("INVALID_ARGUMENT", wrong)
            for wrong in (
                message(tensors=0), message(tensors=2), message(texts=()), message(shape=[2]),
                message(shape=[-1]), message(shape=[]), message(shape=[1, 2]), message([b"\xff"]),
                message(raw=[b""]), message(raw=[b"\xff\xff\xff\xff"]),
                message(raw=[b"\x01\0\0\0\xff"]), message(raw=[b"\x02\0\0\0a"]),
                message(raw=[b"", b""]), message(output="labels"), message(output="id"),
                wrong_type, nonsense, renamed, numbers,
                parameter("top_k", int64_param=-1), parameter("top_k", string_param="x"),
                parameter("top_k", bool_param=True), parameter("threshold", string_param="2"),
                parameter("explain", string_param="shap"), parameter("other", int64_param=1),
                message(parameters={"threshold": foreign}),
                b"\xff\xff\xff", b"\x0a\x02\xff\xfe",
            )
        ),
        *(
            ("RESOURCE_EXHAUSTED", large)
            for large in (
                message([b"a"] * 257), message([b"a"] * 10_000), message([b"a" * 1_000_001]),
                message([b"a" * 16_000_001]),
            )
        ),
        *(
            ("NOT_FOUND", unknown)
            for unknown in (
                message(model_name="other"), message(model_name=""), message(model_version="1"),
            )
        ),
    ]  # fmt: skip
    for status, wrong in calls:
        code, details = call(wrong)
        assert code == status, (code, details, str(wrong)[:300])
        assert 15 < len(details) < 600
    assert (
        call(pb.RepositoryModelUnloadRequest(model_name="rampart"), "RepositoryModelUnload")[0]
        == "INVALID_ARGUMENT"
    )
    assert call(pb.ModelMetadataRequest(name="other"), "ModelMetadata")[0] == "NOT_FOUND"
    assert call(pb.ModelReadyRequest(name="other"), "ModelReady")[0] == "NOT_FOUND"
