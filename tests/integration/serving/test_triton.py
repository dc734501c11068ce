"""A bundle exported for Triton, served by the real Triton that nvidia-pytriton brings.

That server has the Python backend and not ONNX Runtime's, so a model of the Python backend takes
the encoder's place under the same configuration: all else, the calls between the two models among
it, is the real thing. One of `make test-extras`: it installs requirements/triton.txt into an
environment of its own.
"""

import platform
import shutil
import sys

import pytest

from benchmarks.serving.processes import free_ports
from serving.export import Export, export
from tests.integration.serving.peers import (
    assert_the_same_answers,
    environment,
    running,
)

pytestmark = [
    pytest.mark.extras,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        platform.machine() != "x86_64" or not sys.platform.startswith("linux"),
        reason="nvidia-pytriton brings Triton for Linux on x86-64",
    ),
]
INSTEAD = """
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, told):
        path = f"{told['model_repository']}/{told['model_version']}/model.onnx"
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = ("input_ids", "attention_mask")
        fed = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in inputs}
        names = list(request.requested_output_names())
        values = self.session.run(names, fed)
        return triton.InferenceResponse([triton.Tensor(*one) for one in zip(names, values)])
"""


def test_triton_gives_the_predictors_answers(bundle, server, tmp_path):
    python = environment("triton", tmp_path / "environment")
    [packages] = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    triton = packages / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    backends = shutil.copytree(triton / "backends", tmp_path / "backends")
    for path in (triton / "python_backend_stubs" / version).iterdir():
        shutil.copy(path, backends / "python")

    models = export(Export(bundle), tmp_path / "models", "triton")
    encoder = models / "rampart_encoder"
    (encoder / "1" / "model.py").write_text(INSTEAD)
    config = (encoder / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in config
    config = config.replace("onnxruntime", "python").replace("KIND_AUTO", "KIND_CPU")
    (encoder / "config.pbtxt").write_text(config)

    rest, rpc, metrics = free_ports(3)
    command = [triton / "bin" / "tritonserver", "--model-repository", models,
               "--backend-directory", backends, "--exit-timeout-secs", "1",
               "--http-address", "127.0.0.1", "--http-port", rest,
               "--grpc-address", "127.0.0.1", "--grpc-port", rpc,
               "--metrics-address", "127.0.0.1", "--metrics-port", metrics]  # fmt: skip
    told = {
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "VIRTUAL_ENV": str(tmp_path / "environment"),
    }
    with running(python, command, tmp_path, f"http://127.0.0.1:{rest}", **told) as url:
        assert_the_same_answers(url, server)
