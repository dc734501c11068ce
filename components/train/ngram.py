"""Fit the n-gram model."""

from kfp import dsl

from components.definition import component


@component
def train_ngram(
    table: dsl.Input[dsl.Dataset],
    column: str,
    words: int,
    regularisation: float,
    model: dsl.Output[dsl.Model],
) -> None:
    """Fit word and character n-grams with a linear head.

    Args:
        table: split messages.
        column: the split to train on; where it cannot be used, the model's folder stays empty.
        words: the longest run of words that is a feature.
        regularisation: scikit-learn's C; larger fits closer.
        model: folder with vocabulary.json and weights.npz.
    """
    from pathlib import Path

    from rampart.data.labelled import Labelled
    from rampart.data.splits import has_both
    from rampart.data.tables import read_table
    from rampart.models.ngram import NgramSettings
    from rampart.training.ngram import NgramTraining, fit_ngram

    folder = Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    messages = read_table(table.path)
    if has_both(messages, column):
        train = Labelled.part(messages, column, "train")
        settings = NgramTraining(ngrams=NgramSettings(words=words), regularisation=regularisation)
        fit_ngram(train.texts, train.labels, settings).save(folder)
        model.metadata.update(texts=len(train.texts), column=column)
