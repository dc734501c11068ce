"""What a cluster gets: the compiled training pipeline, held to the golden file beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.definition import BASE_IMAGE
from pipelines.catalogue import step_count
from tests.unit.pipelines.shape import compiled, shape

GOLDEN = Path(__file__).with_name("training.golden.yaml")


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return compiled("training")


def _leaves(steps: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, step in steps.items():
        if "steps" in step:
            found |= {f"{name}/{inner}": leaf for inner, leaf in _leaves(step["steps"]).items()}
        else:
            found[name] = step
    return found


def test_the_shape_is_the_golden_one(spec: dict[str, Any]) -> None:
    assert shape(spec) == yaml.safe_load(GOLDEN.read_text(encoding="utf-8")), (
        "The pipeline's shape has changed. If it was meant to, write the golden file anew; "
        "shape.py says how."
    )


def test_the_models_are_fitted_twice_by_the_same_steps(spec: dict[str, Any]) -> None:
    steps = shape(spec)["steps"]
    campaign, past = steps["fit"], steps["fit-2"]
    assert campaign["parameters"].pop("column") == "split"
    assert past["parameters"].pop("column") == "time_split"
    # Nobody reads explanations of the second, or serves it.
    assert past["parameters"].pop("attribution_texts") == 0
    assert past["parameters"].pop("encoder_variants") == "float"
    assert past["parameters"].pop("encoder_for_gpu") is False
    for name in ("attribution_texts", "encoder_variants", "encoder_for_gpu"):
        campaign["parameters"].pop(name)
    assert campaign["parameters"] == past["parameters"]
    assert set(campaign["steps"]) == set(past["steps"])
    assert steps["evaluate"]["data"]["candidate"] == "fit.Output"
    assert steps["evaluate"]["data"]["from_the_past"] == "fit-2.Output"


def test_data_passes_as_artifacts_and_never_as_parameters(spec: dict[str, Any]) -> None:
    for name, step in _leaves(shape(spec)["steps"]).items():
        sources = [str(source) for source in step["parameters"].values()]
        assert all(source.startswith("the pipeline's ") for source in sources), name
        if name != "ingest":
            assert step["data"], name


def test_the_gate_and_the_registration_are_never_taken_from_the_cache(
    spec: dict[str, Any],
) -> None:
    steps = _leaves(shape(spec)["steps"])
    assert {name for name, step in steps.items() if not step["cached"]} == {"gate", "register"}


def test_there_are_twenty_one_steps(spec: dict[str, Any]) -> None:
    assert len(_leaves(shape(spec)["steps"])) == step_count("training") == 21


def test_nothing_is_installed_and_every_step_runs_in_one_image(spec: dict[str, Any]) -> None:
    assert "pip install" not in yaml.safe_dump(spec)
    executors = spec["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {BASE_IMAGE}
