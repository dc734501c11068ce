"""Fit the n-gram model."""

from kfp import dsl

from components.definition import component


@component
def train_ngram(
    table: dsl.Input[dsl.Dataset],
    column: str,
    words: int,
    regularisation: float,
    min_documents: int,
    max_features: int,
    model: dsl.Output[dsl.Model],
) -> None:
    """Fit word and character n-grams with a linear head, on a table that may exceed memory.

    Args:
        table: split messages.
        column: the split to train on; where it cannot be used, the model's folder stays empty.
        words: the longest run of words that is a feature.
        regularisation: scikit-learn's C; larger fits closer.
        min_documents: texts that an n-gram must occur in.
        max_features: most frequent n-grams kept, of words and of characters each.
        model: folder with vocabulary.json and weights.npz.
    """
    from pathlib import Path

    from components.progress import tell
    from rampart.data.shards import small_columns
    from rampart.data.splits import has_both
    from rampart.models.cores import cores
    from rampart.models.ngram import NgramSettings
    from rampart.training.ngram import NgramTraining
    from rampart.training.ngram_stream import fit_ngram_stream

    folder = Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    parts = small_columns(table.path, ("label", column))
    if has_both(parts, column):
        fitted = fit_ngram_stream(
            table.path,
            column=column,
            settings=NgramTraining(
                ngrams=NgramSettings(words=words),
                regularisation=regularisation,
                min_documents=min_documents,
                max_features=max_features,
            ),
            processes=cores(),
            work=folder.parent,
            stage=lambda _: tell,
        )
        fitted.save(folder)
        # As texts: numbers would come back from a pipeline's metadata as floats.
        model.metadata.update(
            texts=int((parts[column] == "train").sum()),
            column=column,
            ngram_words=str(words),
            ngram_regularisation=str(regularisation),
            ngram_min_documents=str(min_documents),
            ngram_max_features=str(max_features),
        )
