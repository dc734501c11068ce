"""ONNX Runtime's CUDA provider, where the installed package and the machine have it.

`onnxruntime-gpu` takes the place of `onnxruntime` in an environment; nothing else differs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rampart.errors import InputError
from rampart.models.base import Device

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY, _FATAL_ONLY = 3, 4
_log = logging.getLogger("rampart.models")


def has_gpu(device: Device) -> bool:
    """Whether a GPU is to be tried: it is wanted or welcome, and the runtime can use one.

    Raises:
        InputError: it is wanted, and the runtime cannot.
    """
    if device == "cpu":
        return False
    import onnxruntime as ort

    can = _CUDA in ort.get_available_providers()
    if device == "cuda" and not can:
        raise InputError(
            "This ONNX Runtime has no CUDA.",
            "Install onnxruntime-gpu in place of onnxruntime, or set the device to cpu.",
        )
    return can


def open_on_gpu(path: Path, device: Device) -> Any:
    """A session on the GPU; None where a GPU was merely welcome and cannot be used.

    Raises:
        InputError: it was wanted, and cannot.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    # The runtime speaks of a GPU that is not there as of an error, and goes on without it.
    options.log_severity_level = _ERRORS_ONLY if device == "cuda" else _FATAL_ONLY
    session = ort.InferenceSession(str(path), options, providers=[_CUDA, _CPU])
    if _CUDA in session.get_providers():
        _log.info("The encoder runs on the GPU, from %s.", path.name)
        return session
    if device == "cuda":
        raise InputError(
            "The GPU cannot be used.",
            "See what ONNX Runtime says of the driver, or set the device to cpu.",
        )
    return None
