"""Export the trained encoder to the graph that is served."""

from kfp import dsl

from components.definition import component


@component
def export_onnx(network: dsl.Input[dsl.Model], weights: str, model: dsl.Output[dsl.Model]) -> None:
    """Write the encoder as an ONNX graph that gives the terms of its logit, checked against torch.

    Args:
        network: folder of the trained encoder; where it is empty, so is the model's.
        weights: float, or int8 for a quarter of the size.
        model: folder with model.onnx, tokenizer.json and config.json.
    """
    from pathlib import Path

    from rampart.errors import InputError

    if weights not in {"float", "int8"}:
        raise InputError(f"The encoder's weights cannot be {weights!r}.", "Choose float or int8.")
    folder = Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    if any(Path(network.path).iterdir()):
        from tempfile import TemporaryDirectory

        from rampart.compression.onnx import export_encoder
        from rampart.compression.quantisation import quantise_encoder

        with TemporaryDirectory() as scratch:
            exported = Path(scratch) if weights == "int8" else folder
            model.metadata["largest_difference"] = export_encoder(Path(network.path), exported)
            if weights == "int8":
                quantise_encoder(exported, folder)
        model.metadata["weights"] = weights
