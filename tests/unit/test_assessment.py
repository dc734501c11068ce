"""A bundle is measured, and the documents say what came out and where it ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from rampart.assessment import (
    CAMPAIGN_SPLIT,
    assess,
    card,
    drift_reference,
    load_if_there,
    notes,
    report,
)
from rampart.data.messages import to_messages
from rampart.data.sources import SPAM_ASSASSIN
from rampart.errors import BundleError, DataError
from rampart.evaluation.report import Section
from rampart.inference.engine import Engine
from tests.conftest import mails

ELSEWHERE = "s3://mails/of-a-user.jsonl"


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle)


@pytest.fixture(scope="module")
def messages() -> pd.DataFrame:
    texts, labels = mails(60, seed=7)
    raw = pd.DataFrame({
        "id": [f"number-{number}-id" for number in range(60)], "group": "a-group",
        "label": labels, "raw": None, "text": texts,
    })  # fmt: skip
    return to_messages(raw).rows


@pytest.fixture(scope="module")
def section(engine: Engine, messages: pd.DataFrame) -> Section:
    return assess(engine, messages, CAMPAIGN_SPLIT, resamples=50)


def test_every_row_is_measured_by_every_model_and_the_ensemble(
    engine: Engine, messages: pd.DataFrame, section: Section
) -> None:
    assert (section.name, section.description) == CAMPAIGN_SPLIT
    assert section.table["id"].tolist() == messages["id"].tolist()
    assert section.evaluation.rows == 60
    assert section.evaluation.positives == messages["label"].sum()
    assert section.evaluation.resamples == 50
    ensemble = engine.manifest.ensemble.stages[-1].name
    assert section.evaluation.ensemble == ensemble
    assert list(section.evaluation.models) == ["ngram", "encoder", ensemble]
    assert section.evaluation.thresholds[ensemble] == engine.manifest.threshold


def test_progress_ends_with_the_whole(engine: Engine, messages: pd.DataFrame) -> None:
    told: list[tuple[int, int]] = []
    assess(engine, messages, CAMPAIGN_SPLIT, resamples=10,
           on_progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert told[-1] == (60, 60)


def test_nothing_to_measure_is_an_error(engine: Engine, messages: pd.DataFrame) -> None:
    with pytest.raises(DataError):
        assess(engine, messages.iloc[:0], CAMPAIGN_SPLIT, resamples=10)


def test_the_drift_reference_holds_scores_and_shapes_and_nothing_of_a_message(
    section: Section, messages: pd.DataFrame
) -> None:
    reference = drift_reference(section)
    assert set(reference) == {
        "label", "group", "has_html", "characters", *section.evaluation.models,
    }  # fmt: skip
    held = {str(value) for column in reference for value in reference[column]}
    assert not held & {*messages["id"], *messages["text"], *messages["clean"], *messages["subject"]}
    assert "id" in section.table


def test_the_card_has_the_figures_and_no_message(
    engine: Engine, section: Section, messages: pd.DataFrame
) -> None:
    text = card(engine.manifest, [section], ELSEWHERE)
    assert f"### {CAMPAIGN_SPLIT[0]}" in text
    assert "60 rows" in text
    assert engine.manifest.data_fingerprint[:12] in text
    for heading in ("Intended use", "Data", "Training", "Figures", "Explanation", "Limits"):
        assert f"## {heading}\n" in text
    assert "number-" not in text
    assert not any(sent in text for sent in messages["clean"])


def test_the_report_has_both_splits_beside_each_other(engine: Engine, section: Section) -> None:
    later = Section("Time split", "Later mail.", section.table, section.evaluation)
    html = report(engine.manifest, [section, later], ELSEWHERE)
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert CAMPAIGN_SPLIT[0] in html
    assert "Time split" in html
    assert ELSEWHERE in html
    assert f"{engine.manifest.threshold:.4f}" in html


def test_the_corpus_has_limits_of_its_own_and_other_data_has_not(
    engine: Engine, section: Section
) -> None:
    own = set(notes(SPAM_ASSASSIN)) - set(notes(ELSEWHERE))
    assert any("2001 and 2002" in note for note in own)
    assert set(notes(ELSEWHERE)) < set(notes(SPAM_ASSASSIN))
    for write in (card, report):
        assert "2001 and 2002" in write(engine.manifest, [section], SPAM_ASSASSIN)
        assert "2001 and 2002" not in write(engine.manifest, [section], ELSEWHERE)


def test_an_empty_folder_holds_no_bundle_and_a_sound_one_is_loaded(
    bundle: Path, engine: Engine, tmp_path: Path
) -> None:
    assert load_if_there(tmp_path) is None
    loaded = load_if_there(bundle)
    assert loaded is not None
    assert loaded.manifest == engine.manifest


def test_a_bundle_that_was_altered_is_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    with (tmp_path / "bundle" / "ngram" / "vocabulary.json").open("a") as file:
        file.write(" ")
    with pytest.raises(BundleError, match="vocabulary"):
        load_if_there(tmp_path / "bundle")
    (tmp_path / "bundle" / "bundle.json").unlink()
    with pytest.raises(BundleError):
        load_if_there(tmp_path / "bundle")
