"""From a served encoder to one with 8-bit weights: a quarter of the size, and quicker.

Dynamic quantisation: weights are 8-bit integers, activations become so on the way, and nothing is
calibrated. By channel, for by tensor it costs quality. Products of two activations (attention, and
the second head's own) stay in float, and so does the last one, which has a single column.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from rampart.errors import TrainingError
from rampart.models.encoder import CONFIG_FILE, ONNX_FILE, TOKENIZER_FILE

# The embeddings of words; those of positions and of segments are too small to matter.
_LARGE_TABLE = 1_000_000


def quantise_encoder(served: Path, folder: Path) -> int:
    """Write the encoder in `served` once more with 8-bit weights.

    Args:
        served: model.onnx, tokenizer.json and config.json, as `export_encoder` writes them.
        folder: gets files of the same names; made where it is not there.

    Returns:
        How many tables of weights became integers.

    Raises:
        TrainingError: the graph cannot be read, or has nothing to make smaller.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = Path(scratch) / ONNX_FILE
        before = logging.root.level
        # It recommends, on each call, what has just been done.
        logging.root.setLevel(logging.ERROR)
        try:
            # Its symbolic shapes do not know the operators of newer exporters.
            quant_pre_process(str(served / ONNX_FILE), str(prepared), skip_symbolic_shape=True)
            chosen = _tables(onnx.load(str(prepared)).graph)
            if chosen:
                quantize_dynamic(
                    str(prepared),
                    str(folder / ONNX_FILE),
                    op_types_to_quantize=["MatMul", "Gather"],
                    nodes_to_quantize=chosen,
                    per_channel=True,
                    weight_type=QuantType.QInt8,
                    extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
                )
        except Exception as error:  # onnx and onnxruntime raise bare Exception
            raise TrainingError(
                f"The encoder in {served} cannot be made smaller: {error}.",
                "Give the folder that the exporter wrote.",
            ) from error
        finally:
            logging.root.setLevel(before)
    if not chosen:
        raise TrainingError(
            f"The encoder in {served} has no table of float weights.", "Is it quantised already?"
        )
    for name in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(served / name, folder / name)
    return len(chosen)


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
