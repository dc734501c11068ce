"""The shape of a compiled pipeline: what runs, on what, after what; never the code's text.

`python -m tests.unit.pipelines.shape > tests/unit/pipelines/training.golden.yaml` writes the golden
file anew; read the difference before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from kfp.compiler import Compiler

from pipelines.catalogue import pipeline


def compiled(name: str) -> dict[str, Any]:
    """The pipeline's own YAML, read, without what a cluster adds."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.yaml"
        Compiler().compile(pipeline(name), str(path))
        return next(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def shape(spec: dict[str, Any]) -> dict[str, Any]:
    """Parameters, steps and outputs; a pipeline inside is a step with steps of its own."""
    given = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return {
        "parameters": {name: about["parameterType"] for name, about in given.items()},
        "steps": _steps(spec, spec["root"]["dag"]),
        "outputs": _outputs(spec["root"]["dag"]),
    }


def _steps(spec: dict[str, Any], dag: dict[str, Any]) -> dict[str, Any]:
    return {name: _step(spec, task) for name, task in sorted(dag["tasks"].items())}


def _step(spec: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    component = spec["components"][task["componentRef"]["name"]]
    inputs = task.get("inputs", {})
    made = component.get("outputDefinitions", {})
    step = {
        "data": {name: _from(source) for name, source in inputs.get("artifacts", {}).items()},
        "parameters": {
            name: _from(source) for name, source in inputs.get("parameters", {}).items()
        },
        "gives": {
            name: about["artifactType"]["schemaTitle"].removeprefix("system.")
            for name, about in made.get("artifacts", {}).items()
        }
        | {name: about["parameterType"] for name, about in made.get("parameters", {}).items()},
        "after": sorted(task.get("dependentTasks", [])),
        "cached": task.get("cachingOptions", {}).get("enableCache", False),
    }
    if "dag" in component:
        step["steps"] = _steps(spec, component["dag"])
    return step


def _from(source: dict[str, Any]) -> Any:
    if "runtimeValue" in source:
        return source["runtimeValue"]["constant"]
    for kind in ("componentInputParameter", "componentInputArtifact"):
        if kind in source:
            return f"the pipeline's {source[kind]}"
    [found] = source.values()
    key = found.get("outputArtifactKey") or found["outputParameterKey"]
    return f"{found['producerTask']}.{key}"


def _outputs(dag: dict[str, Any]) -> dict[str, str]:
    found = {}
    for kind in ("artifacts", "parameters"):
        for name, about in dag.get("outputs", {}).get(kind, {}).items():
            [selector] = about.get("artifactSelectors") or [about["valueFromParameter"]]
            key = selector.get("outputArtifactKey") or selector.get("outputParameterKey")
            found[name] = f"{selector.get('producerSubtask')}.{key}"
    return found


if __name__ == "__main__":
    yaml.safe_dump(shape(compiled(sys.argv[1] if sys.argv[1:] else "training")), sys.stdout)
