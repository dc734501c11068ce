"""From a served encoder to one with smaller weights.

Dynamic: weights are 8-bit integers, activations become so on the way, and nothing is calibrated.
Static: the ranges of activations are fixed beforehand, from texts that stand for all; tables whose
effect on the logit is largest may stay in float. 4 bits: weights alone, in blocks. By channel, for
by tensor it costs quality. Products of two activations (attention, and the second head's own) stay
in float, and so does the last one, which has a single column.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rampart.compression.calibration import Reader, feeds
from rampart.errors import TrainingError
from rampart.models.encoder import CONFIG_FILE, ONNX_FILE, TOKENIZER_FILE, EncoderModel

Method = Literal["minmax", "entropy", "percentile"]
# The embeddings of words; those of positions and of segments are too small to matter.
_LARGE_TABLE = 1_000_000
_CALIBRATIONS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_BLOCK = 32
# Products are accumulated in 8 bits, as the processor does them quickest.
_ACCURACY = 4


def quantise_encoder(served: Path, folder: Path, *, but: Collection[str] = ()) -> int:
    """Write the encoder in `served` once more with 8-bit weights, nothing calibrated.

    Args:
        served: model.onnx, tokenizer.json and config.json, as `export_encoder` writes them.
        folder: gets files of the same names; made where it is not there.
        but: names of tables that stay in float.

    Returns:
        How many tables of weights became integers.

    Raises:
        TrainingError: the graph cannot be read, or has nothing to make smaller.
    """

    def write(prepared: Path, chosen: list[str]) -> None:
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(str(prepared), str(folder / ONNX_FILE), **_settings(chosen))

    return _quantised(served, folder, but, write)


def quantise_static(
    served: Path,
    folder: Path,
    texts: Sequence[str],
    method: Method = "minmax",
    *,
    but: Collection[str] = (),
) -> int:
    """As `quantise_encoder`, with the ranges of activations fixed by what texts give.

    Args:
        served: as there.
        folder: as there.
        texts: cleaned, to calibrate with; a hundred or so that stand for all.
        method: how a range is found: from the least to the greatest value, by the least loss of
            information, or without the outermost of them.
        but: as there.

    Returns:
        As there.

    Raises:
        TrainingError: as there.
    """
    given = feeds(EncoderModel.load(served, threads=1), texts)

    def write(prepared: Path, chosen: list[str]) -> None:
        from onnxruntime.quantization import (
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )

        quantize_static(
            str(prepared),
            str(folder / ONNX_FILE),
            Reader(given),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod[_CALIBRATIONS[method]],
            **_settings(chosen),
        )

    return _quantised(served, folder, but, write)


def quantise_to_4_bits(served: Path, folder: Path) -> int:
    """As `quantise_encoder`, with 4-bit weights in blocks; embeddings stay in float.

    Raises:
        TrainingError: as there.
    """

    def write(prepared: Path, chosen: list[str]) -> None:
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        graph = onnx.load(str(prepared))
        left = [node.name for node in graph.graph.node if node.name not in chosen]
        quantizer = MatMulNBitsQuantizer(
            graph, bits=4, block_size=_BLOCK, is_symmetric=True, accuracy_level=_ACCURACY,
            nodes_to_exclude=left,
        )  # fmt: skip
        quantizer.process()
        quantizer.model.save_model_to_file(str(folder / ONNX_FILE))

    return _quantised(served, folder, (), write)


def fuse(served: Path, folder: Path) -> int:
    """Write the encoder with whole blocks of the transformer fused into single operators.

    Returns:
        How many fused operators there are.

    Raises:
        TrainingError: the graph cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _quietly(served):
        from onnxruntime.transformers import optimizer

        # By model type alone: heads and width are read off the graph.
        optimised = optimizer.optimize_model(
            str(served / ONNX_FILE), model_type="bert", num_heads=0, hidden_size=0, opt_level=0
        )
        optimised.save_model_to_file(str(folder / ONNX_FILE))
        counts = optimised.get_fused_operator_statistics()
    _copy_rest(served, folder)
    return int(sum(counts.values()))


def halve(served: Path, path: Path) -> None:
    """Write the float encoder's graph in 16-bit floats, for a GPU; what it takes and gives stays.

    Raises:
        TrainingError: the graph cannot be read.
    """
    with _quietly(served):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        graph = convert_float_to_float16(onnx.load(str(served / ONNX_FILE)), keep_io_types=True)
        onnx.save(graph, str(path))


def sensitivities(served: Path, texts: Sequence[str]) -> dict[str, float]:
    """What making each table alone smaller does to the logit: mean absolute change, by its name.

    Args:
        served: the encoder in float.
        texts: cleaned, to measure on.

    Raises:
        TrainingError: the graph cannot be read, or has nothing to make smaller.
    """
    model = EncoderModel.load(served, threads=1)
    given = feeds(model, texts)
    before = _logits(model, given)
    with tempfile.TemporaryDirectory() as scratch:
        names = tables(served)
        found = {}
        for name in names:
            folder = Path(scratch) / "one"
            quantise_encoder(served, folder, but=[other for other in names if other != name])
            after = _logits(EncoderModel.load(folder, threads=1), given)
            found[name] = float(np.abs(after - before).mean())
    return found


def tables(served: Path) -> list[str]:
    """Names of the tables of weights that can be made smaller."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:

        def note(_: Path, chosen: list[str]) -> None:
            found.extend(chosen)

        _quantised(served, Path(scratch), (), note)
    return found


def _logits(model: EncoderModel, given: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    return np.array([model.session.run(["terms"], feed)[0].sum() for feed in given])


def _settings(chosen: list[str]) -> dict[str, Any]:
    """What static and dynamic quantisation have in common."""
    import onnx
    from onnxruntime.quantization import QuantType

    return {
        "op_types_to_quantize": ["MatMul", "Gather"],
        "nodes_to_quantize": chosen,
        "per_channel": True,
        "weight_type": QuantType.QInt8,
        "extra_options": {"DefaultTensorType": onnx.TensorProto.FLOAT},
    }


def _quantised(
    served: Path, folder: Path, but: Collection[str], write: Callable[[Path, list[str]], None]
) -> int:
    """Prepare the graph, let `write` make its tables smaller, and copy what goes with it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, _quietly(served):
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = Path(scratch) / ONNX_FILE
        # Its symbolic shapes do not know the operators of newer exporters.
        quant_pre_process(str(served / ONNX_FILE), str(prepared), skip_symbolic_shape=True)
        chosen = [name for name in _tables(onnx.load(str(prepared)).graph) if name not in but]
        if chosen:
            write(prepared, chosen)
    if not chosen:
        raise TrainingError(
            f"The encoder in {served} has no table of float weights.", "Is it quantised already?"
        )
    _copy_rest(served, folder)
    return len(chosen)


def _copy_rest(served: Path, folder: Path) -> None:
    for name in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(served / name, folder / name)


@contextmanager
def _quietly(served: Path) -> Iterator[None]:
    """No word of what these tools recommend, and their errors as ours."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ImportError:
        raise
    except Exception as error:  # onnx and onnxruntime raise bare Exception
        raise TrainingError(
            f"The encoder in {served} cannot be made smaller: {error}.",
            "Give the folder that the exporter wrote.",
        ) from error
    finally:
        logging.root.setLevel(before)


def _tables(graph: Any) -> list[str]:
    """Names of the nodes that read a large table of float weights."""
    import onnx

    tables = {
        table.name: tuple(table.dims)
        for table in graph.initializer
        if table.data_type == onnx.TensorProto.FLOAT and len(table.dims) == 2
    }
    found = []
    for node in graph.node:
        if node.op_type == "MatMul" and min(tables.get(node.input[1], (0,))) > 1:
            found.append(node.name)
        elif node.op_type == "Gather" and node.input[0] in tables:
            rows, columns = tables[node.input[0]]
            if rows * columns >= _LARGE_TABLE:
                found.append(node.name)
    return found
