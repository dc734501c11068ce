from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from rampart.errors import DataError, UnknownModelError
from rampart.tuning.final import measure
from rampart.tuning.report import write_pictures, write_report
from rampart.tuning.studies import best_parameters, summary
from tests.unit.tuning.conftest import Run, asked


def test_the_page_shows_every_trial_and_loads_nothing(
    run: Run, storage: str, tmp_path: Path
) -> None:
    run(asked(trials=5, rounds=40, sampler="random"))
    page = tmp_path / "page.html"
    write_report(storage, "s", page)
    text = page.read_text(encoding="utf-8")
    rows = text[text.index("All trials</h2>") :]
    assert len(re.findall(r'<th scope="row">\d+</th>', rows)) == 5
    assert not re.search(r"https?:", re.sub(r'xmlns(:\w+)?="[^"]*"', "", text))
    assert "<script" not in text
    for name, value in best_parameters(storage, "s").items():
        assert f"{name}={value:.4g}" in text


def test_the_page_of_a_study_without_a_trial_says_so(storage: str, tmp_path: Path) -> None:
    from rampart.tuning.studies import open_study

    open_study(storage, asked())
    write_report(storage, "s", tmp_path / "page.html")
    assert "No trial is complete yet" in (tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(UnknownModelError):
        write_report(storage, "nope", tmp_path / "page.html")


@pytest.mark.parametrize(
    ("objectives", "drawn"),
    [
        (("recall", "cost"), {"history", "parallel", "pareto"}),
        (("cost",), {"history", "steps", "parallel", "importance"}),
    ],
)
def test_pictures_are_whole_svg_files(
    run: Run, storage: str, tmp_path: Path, objectives: tuple[str, ...], drawn: set[str]
) -> None:
    run(asked(trials=5, rounds=20, objectives=objectives, pruner="none"))
    files = write_pictures(storage, "s", tmp_path)
    assert drawn - {"steps"} <= {path.stem for path in files}
    for path in files:
        assert ET.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize("target", ["ngram", "tabular", "ensemble", "cascade"])
def test_the_final_figure_compares_the_tuned_with_the_default_on_the_test_part(
    table: pd.DataFrame, cache: Path, target: str
) -> None:
    tuned = {
        "ngram": {"ngram_words": 1, "ngram_regularisation": 0.3},
        "tabular": {"tabular_leaves": 3},
        "ensemble": {"ensemble": "ngram=0.1,tabular=0.9"},
        "cascade": {"cascade_tolerance": 0.5},
    }[target]
    final = measure(table, asked(target=target), tuned, cache=cache, resamples=50)
    assert final.rows == int((table["split"] == "test").sum())
    for metric in ("recall_at_1_fpr", "f1", "pr_auc"):
        gained = final.figures["tuned"][metric].value - final.figures["default"][metric].value
        assert final.difference[metric].value == pytest.approx(gained)


def test_the_same_parameters_differ_by_nothing(table: pd.DataFrame, cache: Path) -> None:
    final = measure(table, asked(), {}, cache=cache, resamples=50)
    assert {gain.value for gain in final.difference.values()} == {0.0}
    assert final.flat()["gain_f1"] == 0.0


def test_another_test_part_is_measured_anew_with_the_same_cache(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    measure(table, asked(), {}, cache=tmp_path / "kept", resamples=5)
    other = table.copy()
    tested = np.flatnonzero((other["split"] == "test").to_numpy())
    turned = other.iloc[tested[::-1]]
    for name in ("text", "clean", "label", "campaign"):
        other.loc[other.index[tested], name] = turned[name].to_numpy()
    again = measure(other, asked(), {}, cache=tmp_path / "kept", resamples=5)
    assert again == measure(other, asked(), {}, cache=tmp_path / "empty", resamples=5)


def test_a_table_without_a_test_part_cannot_be_measured_on(
    table: pd.DataFrame, cache: Path
) -> None:
    with pytest.raises(DataError, match="test part of split lacks a class"):
        measure(table[table["split"] != "test"], asked(), {}, cache=cache)


def test_a_report_shows_the_final_figure_where_it_was_measured(
    run: Run, storage: str, table: pd.DataFrame, cache: Path, tmp_path: Path
) -> None:
    run(asked())
    found = best_parameters(storage, "s")
    final = measure(table, summary(storage, "s").settings, found, cache=cache, resamples=50)
    write_report(storage, "s", tmp_path / "page.html", final)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "tuned less default" in text
    assert str(final.figures["tuned"]["f1"]) in text
