"""Export the trained encoder to the graph that is served."""

from kfp import dsl

from components.definition import component


@component
def export_onnx(network: dsl.Input[dsl.Model], model: dsl.Output[dsl.Model]) -> None:
    """Write the encoder as an ONNX graph that gives the terms of its logit, checked against torch.

    Args:
        network: folder of the trained encoder; where it is empty, so is the model's.
        model: folder with model.onnx, tokenizer.json and config.json.
    """
    from pathlib import Path

    folder = Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    if any(Path(network.path).iterdir()):
        from rampart.compression.onnx import export_encoder

        model.metadata["largest_difference"] = export_encoder(Path(network.path), folder)
