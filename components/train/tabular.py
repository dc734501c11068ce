"""Fit boosted trees over named features."""

from kfp import dsl

from components.definition import component


@component
def train_tabular(
    table: dsl.Input[dsl.Dataset],
    column: str,
    learning_rate: float,
    leaves: int,
    leaf_texts: int,
    seed: int,
    model: dsl.Output[dsl.Model],
) -> None:
    """Fit boosted trees over the security features, stopping early on the validation part.

    Args:
        table: split messages.
        column: the split to train on; where it cannot be used, the model's folder stays empty.
        learning_rate: of boosting.
        leaves: of a tree at the most.
        leaf_texts: texts in a leaf at the least.
        seed: of the draws of texts and features.
        model: folder with model.txt and features.json.
    """
    from pathlib import Path

    from rampart.data.labelled import Labelled
    from rampart.data.splits import has_both
    from rampart.data.tables import read_table
    from rampart.training.tabular import TabularTraining, fit_tabular

    folder = Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    messages = read_table(table.path)
    if has_both(messages, column):
        train, validation = (Labelled.part(messages, column, p) for p in ("train", "validation"))
        settings = TabularTraining(
            learning_rate=learning_rate, leaves=leaves, leaf_texts=leaf_texts, seed=seed
        )
        fitted = fit_tabular(train, validation, settings)
        fitted.save(folder)
        model.metadata.update(
            texts=len(train.texts),
            column=column,
            trees=fitted.booster.num_trees(),
            tabular_learning_rate=str(learning_rate),
            tabular_leaves=str(leaves),
            tabular_leaf_texts=str(leaf_texts),
        )
