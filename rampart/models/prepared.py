"""An ONNX graph as this machine computes it: optimised, its weights laid out and memory-mapped.

ONNX Runtime rewrites a graph when it is loaded and lays the weights of its products out as the
processor likes them: most of the time that loading takes, and a second copy of the weights in
memory that no other process can use. It can write both down, the weights into a file of their own
that is mapped into memory when it is read again: loaded in a tenth of the time, and shared by all
processes that serve the same graph (docs/serving.md has the figures). What is written holds for one
version of the runtime and one kind of processor, so it is made where it is used and never shipped.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Any

from rampart.models.base import Keep

_GRAPH, _WEIGHTS = "graph.onnx", "graph.weights"
# Below this many bytes a tensor stays in the graph.
_SMALL = "1024"
_ERRORS_ONLY = 3


def open_graph(path: Path, *, threads: int, keep: Keep | None = None) -> Any:
    """A session of ONNX Runtime on the CPU.

    Args:
        path: of the graph.
        threads: within one operator.
        keep: for the graph as this machine computes it; where it keeps nothing, the graph is read
            as it is.
    """
    import onnxruntime as ort

    options = session_options(threads)
    kept = keep(_key(path), lambda folder: _write(path, folder)) if keep else None
    if kept is not None:
        path = kept / _GRAPH
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def session_options(threads: int) -> Any:
    """What every session here is opened with."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    # Threads that wait by spinning take the cores from whatever else has work to do.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _write(path: Path, folder: Path) -> None:
    import onnxruntime as ort

    options = session_options(1)
    options.optimized_model_filepath = str(folder / _GRAPH)
    for name, value in {
        "optimized_model_external_initializers_file_name": _WEIGHTS,
        "optimized_model_external_initializers_min_size_in_bytes": _SMALL,
        "save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(f"session.{name}", value)
    try:
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own
        raise OSError(f"the graph cannot be written: {error}") from error


def _key(path: Path) -> str:
    """Digest of the graph, the runtime's version and the processor."""
    import onnxruntime as ort

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"\0{ort.__version__}\0{_processor()}".encode())
    return digest.hexdigest()


@cache
def _processor() -> str:
    """What tells processors apart that want weights laid out differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(told)])
