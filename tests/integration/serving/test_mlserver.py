"""A bundle exported for MLServer, served by the real MLServer from its own lock.

One of `make test-extras`: it installs requirements/mlserver.txt into an environment of its own.
"""

import pytest

from benchmarks.serving.processes import free_ports
from serving.export import Export, export
from tests.integration.serving.peers import (
    assert_the_same_answers,
    environment,
    running,
)

pytestmark = [pytest.mark.extras, pytest.mark.timeout(900)]


def test_mlserver_gives_the_predictors_answers(bundle, server, tmp_path):
    python = environment("mlserver", tmp_path / "environment")
    model = export(Export(bundle), tmp_path / "model", "mlserver")
    rest, rpc, metrics = map(str, free_ports(3))
    command = [python.with_name("mlserver"), "start", model]
    told = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": rest,
        "MLSERVER_GRPC_PORT": rpc,
        "MLSERVER_METRICS_PORT": metrics,
        "MLSERVER_PARALLEL_WORKERS": "0",
    }
    with running(python, command, tmp_path, f"http://127.0.0.1:{rest}", **told) as url:
        assert_the_same_answers(url, server)
