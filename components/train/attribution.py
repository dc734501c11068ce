"""Fit the encoder's second head, which says which words a verdict rests on."""

from kfp import dsl

from components.definition import component


@component
def train_attribution(
    table: dsl.Input[dsl.Dataset],
    column: str,
    network: dsl.Input[dsl.Model],
    texts: int,
    seed: int,
    attributed: dsl.Output[dsl.Model],
    faithfulness: dsl.Output[dsl.Metrics],
) -> None:
    """Learn what deleting words does to the logit; kept where that is more faithful than the sum.

    Args:
        table: split messages.
        column: the split that the encoder was trained on.
        network: folder of the trained encoder; where it is empty, so is the result's.
        texts: of the training part, that are taken apart; 0 for no second head.
        seed: of the draws and the head's first weights.
        attributed: the network's folder, with the head where it is kept.
        faithfulness: what the logit loses with the words that each explanation names first.
    """
    import json
    import shutil
    from pathlib import Path

    folder = Path(attributed.path)
    shutil.copytree(network.path, folder, dirs_exist_ok=True)
    # A step whose metrics have no file is never found in the cache of a local run.
    drops = Path(faithfulness.path)
    drops.parent.mkdir(parents=True, exist_ok=True)
    drops.write_text("{}", encoding="utf-8")
    if not texts or not any(folder.iterdir()):
        return

    from components.progress import tell
    from rampart.data.labelled import Labelled
    from rampart.data.tables import read_table
    from rampart.training.attribution import AttributionTraining, fit_attribution

    messages = read_table(table.path)
    train, validation = (Labelled.part(messages, column, part) for part in ("train", "validation"))
    settings = AttributionTraining(texts=texts, seed=seed)
    report = fit_attribution(folder, train, validation, settings, on_progress=tell)
    figures = {
        f"{by}_drop_at_{share}_percent": round(drop, 4)
        for by, found in (("plain", report.plain), ("learned", report.learned))
        for share, drop in zip((10, 20), found, strict=True)
    }
    for name, value in figures.items():
        faithfulness.log_metric(name, value)
    drops.write_text(json.dumps(figures), encoding="utf-8")
    attributed.metadata.update(report.model_dump(include={"texts", "judged", "kept"}))
