"""Make the encoder cheaper, and serve the cheapest that loses next to nothing."""

from kfp import dsl

from components.definition import component


@component
def choose_encoder(
    table: dsl.Input[dsl.Dataset],
    column: str,
    network: dsl.Input[dsl.Model],
    exported: dsl.Input[dsl.Model],
    ngram: dsl.Input[dsl.Model],
    tabular: dsl.Input[dsl.Model],
    variants: str,
    tolerance: float,
    for_gpu: bool,
    seed: int,
    model: dsl.Output[dsl.Model],
    comparison: dsl.Output[dsl.HTML],
) -> None:
    """Make variants of the encoder, measure each, and keep the one that is to be served.

    Args:
        table: split messages; variants are calibrated on the training and judged on the validation
            part.
        column: the split.
        network: folder of the trained encoder, for students and TorchScript.
        exported: folder of its graph; where it is empty, so is the model's.
        ngram: folder of the n-gram model, which students learn from besides.
        tabular: folder of the trees, likewise.
        variants: names with commas between them; float alone is taken as it is.
        tolerance: F1 on the validation part that the served variant may lose.
        for_gpu: whether the graph in 16-bit floats goes with it, which servers with a GPU run.
        seed: of the draw of texts to calibrate with.
        model: folder with model.onnx, tokenizer.json and config.json.
        comparison: for reading: what each variant costs and loses.
    """
    from pathlib import Path
    from shutil import copytree

    from rampart.compression.quantisation import halve
    from rampart.compression.variants import named
    from rampart.compression.ways import FLOAT
    from rampart.models.encoder import HALF_FILE

    names = named(variants)
    folder, served = Path(model.path), Path(exported.path)
    folder.mkdir(parents=True, exist_ok=True)
    if for_gpu and any(served.iterdir()):
        halve(served, folder / HALF_FILE)
    if names == (FLOAT,) or not any(served.iterdir()):
        copytree(served, folder, dirs_exist_ok=True)
        if any(folder.iterdir()):
            model.metadata["variant"] = FLOAT
        Path(comparison.path).write_text("<p>No variant but float was asked for.</p>\n", "utf-8")
        return

    from tempfile import TemporaryDirectory

    from components.progress import tell
    from rampart.compression.report import page
    from rampart.compression.variants import compare
    from rampart.compression.ways import Source
    from rampart.data.labelled import Labelled
    from rampart.data.tables import read_table

    messages = read_table(table.path)
    train, validation = (Labelled.part(messages, column, part) for part in ("train", "validation"))
    others = {"ngram": Path(ngram.path), "tabular": Path(tabular.path)}
    present = {name: place for name, place in others.items() if any(place.iterdir())}
    source = Source(served, Path(network.path), train, seed, present, validation)
    with TemporaryDirectory() as scratch:
        found = compare(
            source, names, validation, Path(scratch), tolerance=tolerance, on_progress=tell
        )
        copytree(Path(scratch) / found.chosen, folder, dirs_exist_ok=True)
    model.metadata.update(variant=found.chosen, reason=found.reason)
    Path(comparison.path).write_text(page(found), encoding="utf-8")
