"""Pipelines are found by name, and their parameters become what KFP takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.catalogue import arguments, compile_pipeline, parameters, pipeline, step_count
from rampart.errors import PipelineError


def test_an_unknown_name_is_answered_with_the_known() -> None:
    for call in (pipeline, parameters, step_count):
        with pytest.raises(PipelineError, match=r"no pipeline 'forecast'.*training"):
            call("forecast")


def test_each_parameter_has_a_type_a_default_and_a_sentence() -> None:
    known = {parameter.name: parameter for parameter in parameters("training")}
    assert known["uri"].default == "spam-assassin"
    assert (known["seed"].type, known["seed"].default) == ("Integer", 0)
    assert known["encoder_learning_rate"].type == "Float"
    assert all(parameter.description for parameter in known.values())


def test_texts_become_values_of_their_type() -> None:
    given = {"seed": "7", "encoder_learning_rate": "2e-4", "uri": "7"}
    assert arguments("training", given) == {"seed": 7, "encoder_learning_rate": 2e-4, "uri": "7"}


@pytest.mark.parametrize("given", [{"seed": "1.5"}, {"seed": ""}, {"false_positive_rate": "1 %"}])
def test_a_value_of_another_type_is_named(given: dict[str, str]) -> None:
    [(name, value)] = given.items()
    with pytest.raises(PipelineError, match=f"{name} is {value!r}"):
        arguments("training", given)


def test_an_unknown_parameter_is_answered_with_the_known() -> None:
    with pytest.raises(PipelineError, match=r"no parameter 'epochs'.*encoder_epochs"):
        arguments("training", {"epochs": "1"})


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target in (tmp_path / "file" / "a.yaml", tmp_path / "a.zip"):
        with pytest.raises(PipelineError, match=str(target)):
            compile_pipeline("training", target)
