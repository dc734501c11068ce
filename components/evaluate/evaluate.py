"""Measure the bundle on both splits and write its documents."""

from kfp import dsl

from components.definition import component


@component
def evaluate(
    table: dsl.Input[dsl.Dataset],
    candidate: dsl.Input[dsl.Model],
    from_the_past: dsl.Input[dsl.Model],
    uri: str,
    bundle: dsl.Output[dsl.Model],
    predictions: dsl.Output[dsl.Dataset],
    evaluation: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    card: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    roc: dsl.Output[dsl.ClassificationMetrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Score the test parts, measure with intervals, and seal what was measured into the bundle.

    Args:
        table: split messages.
        candidate: the bundle of the campaign split.
        from_the_past: the bundle of the time split; an empty folder where there is none.
        uri: of the source, for the documents.
        bundle: the candidate with its metrics, its card and the reference for drift.
        predictions: probabilities of every model on the test part of the campaign split.
        evaluation: all figures, as JSON.
        report: for reading.
        card: the model card.
        metrics: the ensemble's figures on the campaign split.
        roc: its ROC curve.
        confusion: its verdicts against the labels.
    """
    import json
    from pathlib import Path

    from components.progress import tell
    from rampart import assessment
    from rampart.bundle.build import finish
    from rampart.bundle.manifest import CARD_FILE, REFERENCE_FILE
    from rampart.bundle.store import read_cascade
    from rampart.data.tables import read_table, write_table
    from rampart.evaluation.evaluation import scored
    from rampart.evaluation.operating_points import confusion as confusion_of
    from rampart.evaluation.operating_points import roc_curve
    from rampart.inference.engine import Engine

    messages = read_table(table.path)
    engine = Engine.load(Path(candidate.path))
    sections = [
        assessment.assess(
            engine,
            messages[messages["split"] == "test"],
            assessment.CAMPAIGN_SPLIT,
            on_progress=tell,
        )
    ]
    past = assessment.load_if_there(Path(from_the_past.path))
    if past is not None:
        later = messages[messages["time_split"] == "test"]
        sections.append(assessment.assess(past, later, assessment.TIME_SPLIT, on_progress=tell))
    main = sections[0]
    html = assessment.report(engine.manifest, sections, uri, read_cascade(Path(candidate.path)))
    markdown = assessment.card(engine.manifest, sections, uri)
    Path(report.path).write_text(html, encoding="utf-8")
    Path(card.path).write_text(markdown, encoding="utf-8")
    write_table(main.table, predictions.path)
    reference = Path(card.path).with_name(REFERENCE_FILE)
    write_table(assessment.drift_reference(main), reference)
    finish(
        Path(candidate.path),
        Path(bundle.path),
        metrics=main.evaluation.manifest_metrics(),
        documents={CARD_FILE: markdown.encode(), REFERENCE_FILE: reference.read_bytes()},
    )
    figures = {section.name: section.evaluation.model_dump(mode="json") for section in sections}
    Path(evaluation.path).write_text(json.dumps(figures), encoding="utf-8")
    headline = {
        name: round(figure.value, 4)
        for name, figure in main.evaluation.headline().items()
        if figure is not None
    }
    for name, value in headline.items():
        metrics.log_metric(name, value)
    ranking = scored(main.table, main.evaluation.thresholds)[main.evaluation.ensemble]
    curve = roc_curve(ranking)
    roc.log_roc_curve(curve.false_positive_rate, curve.true_positive_rate, curve.threshold)
    matrix = confusion_of(ranking).matrix()
    confusion.log_confusion_matrix(list(engine.manifest.labels), matrix)
    # A step whose metrics have no file is never found in the cache of a local run.
    for artifact, content in ((metrics, headline), (roc, curve.model_dump()), (confusion, matrix)):
        Path(artifact.path).write_text(json.dumps(content), encoding="utf-8")
