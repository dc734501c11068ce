"""The one place that KServe's SDK is imported from, because importing it has a side effect.

`kserve.model_server` parses `sys.argv` when it is imported: with arguments that are not its own it
may print its usage and end the process, or take one of ours for its own. So it is imported here,
once, while the command line looks empty. Take its names from here and from nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from serving.predictor import package


@contextmanager
def _empty_command_line() -> Iterator[None]:
    argv = sys.argv
    sys.argv = argv[:1]
    try:
        yield
    finally:
        sys.argv = argv


with _empty_command_line(), package.lean():
    from kserve.errors import (
        InvalidInput,
        ModelNotFound,
        ModelNotReady,
        ServerNotLive,
        ServerNotReady,
    )
    from kserve.model import Model
    from kserve.model_repository import ModelRepository
    from kserve.model_server import ModelServer
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as pb_grpc
    from kserve.protocol.grpc.servicer import InferenceServicer
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer
    from kserve.protocol.rest.v1_endpoints import V1Endpoints

__all__ = [
    "DataPlane",
    "InferenceServicer",
    "InvalidInput",
    "Model",
    "ModelNotFound",
    "ModelNotReady",
    "ModelRepository",
    "ModelRepositoryExtension",
    "ModelServer",
    "RESTServer",
    "ServerNotLive",
    "ServerNotReady",
    "V1Endpoints",
    "pb",
    "pb_grpc",
]
