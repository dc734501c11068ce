"""The model card holds every figure with its interval, and text stays text."""

from __future__ import annotations

from typing import Any

from rampart.evaluation.card import model_card
from rampart.evaluation.evaluation import Evaluation


def _card(**changed: Any) -> str:
    given: dict[str, Any] = {
        "name": "Rampart",
        "summary": "Tells spam from ham.",
        "intended_use": ["Mail filtering.", "Not for verdicts on people."],
        "data": {"Corpus": "5,486 mails of 2001-02"},
        "training": {"Learning rate": "2e-4"},
        "evaluations": {},
        "explanation": ["The logit is a sum of contributions."],
        "limits": ["Nothing is known of mail today."],
    }
    return model_card(**(given | changed))


def test_every_part_of_the_card_is_there_in_order() -> None:
    card = _card()
    parts = ["Intended use", "Data", "Training", "Figures", "Explanation", "Limits"]
    places = [card.index(f"## {part}\n") for part in parts]
    assert places == sorted(places)
    for said in ("# Rampart\n", "- Not for verdicts on people.", "- Learning rate: 2e-4"):
        assert said in card


def test_each_split_shows_models_differences_and_slices(evaluation: Evaluation) -> None:
    card = _card(evaluations={"Campaign split": evaluation, "Time split": evaluation})
    assert card.count("### ") == 2
    f1 = next(line for line in card.splitlines() if line.startswith("| F1 |"))
    assert f1.split(" | ")[1] == str(evaluation.headline()["f1"])
    over = evaluation.differences["encoder"]["f1"]
    assert over is not None
    assert over.signed() in card
    hard = next(line for line in card.splitlines() if line.startswith("| hard ham |"))
    assert "n/a" in hard
    assert str(evaluation.models["voting"]["hard ham"]["false_positive_rate"]) in hard


def test_rows_of_a_table_have_as_many_cells_as_its_head(evaluation: Evaluation) -> None:
    lines = _card(evaluations={"a | b": evaluation}).splitlines()
    width = 0
    for line in lines:
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace("\\|", "").count("|")
        width = width or cells
        assert cells == width, line


def test_given_text_is_no_markup() -> None:
    card = _card(
        name="a *b* <b>",
        summary="1. first\n\n# not a heading",
        limits=["- not a list", "[link](x) `code`"],
        data={"x | y": "<img src=x>"},
    )
    assert "# a \\*b\\* \\<b\\>" in card
    assert "1\\. first \\# not a heading" in card
    assert "- \\- not a list" in card
    assert "\\[link\\](x) \\`code\\`" in card
    assert "- x \\| y: \\<img src=x\\>" in card


def test_an_empty_part_says_so() -> None:
    assert "## Limits\n\nNone given.\n" in _card(limits=[])
    assert "## Data\n\nNone given.\n" in _card(data={})
