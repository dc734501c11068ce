"""Components run in one image, which holds the library: nothing is installed at run time."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from kfp.dsl.base_component import BaseComponent

import components
from components.definition import BASE_IMAGE


def _all() -> dict[str, BaseComponent]:
    modules = pkgutil.walk_packages(components.__path__, "components.")
    return {
        name: value
        for module in modules
        for name, value in vars(importlib.import_module(module.name)).items()
        if isinstance(value, BaseComponent)
    }


COMPONENTS = _all()


def test_the_components_are_those_of_the_pipelines() -> None:
    assert set(COMPONENTS) == {
        "ingest", "clean", "split", "train_ngram", "train_tabular", "train_encoder", "export_onnx",
        "train_together",
        "choose_encoder",
        "train_attribution", "combine", "evaluate", "explain", "gate", "register",
        "publish", "deploy", "report", "open_study", "tune", "conclude",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_runs_in_our_image_and_installs_nothing(name: str) -> None:
    spec = COMPONENTS[name].component_spec
    container = spec.implementation.container
    assert container.image == BASE_IMAGE
    assert "pip install" not in " ".join(container.command)
    assert spec.description


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_input_and_output_is_described(name: str) -> None:
    spec = COMPONENTS[name].component_spec
    about = COMPONENTS[name].python_func.__doc__
    for key in (*(spec.inputs or {}), *(spec.outputs or {})):
        assert f"{key}: " in about or name in {"register", "publish", "deploy"}
