"""The pipelines by name, and what they compile to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart import __version__
from rampart.errors import PipelineError

NAMES = ("training", "distributed", "tuning", "deployment")
_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "Integer": (int, "a whole number"),
    "Float": (float, "a number"),
    "Boolean": ({"true": True, "false": False}.__getitem__, "true or false"),
}


def pipeline(name: str) -> Callable[..., Any]:
    """A pipeline by its name.

    Raises:
        PipelineError: there is none of that name.
    """
    if name not in NAMES:
        raise PipelineError(f"There is no pipeline {name!r}.", f"Choose from {', '.join(NAMES)}.")
    from pipelines.deployment import deployment
    from pipelines.distributed import distributed
    from pipelines.training import training
    from pipelines.tuning import tuning

    found: dict[str, Callable[..., Any]] = {
        "training": training,
        "distributed": distributed,
        "tuning": tuning,
        "deployment": deployment,
    }
    return found[name]


@dataclass(frozen=True)
class Parameter:
    """One of a pipeline's parameters, as KFP's UI shows it."""

    name: str
    type: str
    default: Any
    description: str


def parameters(name: str) -> list[Parameter]:
    """A pipeline's parameters with their defaults, in order.

    Raises:
        PipelineError: there is no pipeline of that name.
    """
    inputs = getattr(pipeline(name), "component_spec").inputs  # noqa: B009 - KFP has no types
    return [
        Parameter(key, spec.type, spec.default, spec.description or "")
        for key, spec in inputs.items()
    ]


def arguments(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """A pipeline's arguments from text, each as its type; those not given keep their default.

    Raises:
        PipelineError: there is no such pipeline or parameter, or a value is not of its type.
    """
    known = {parameter.name: parameter for parameter in parameters(name)}
    result = {}
    for key, value in given.items():
        if key not in known:
            raise PipelineError(
                f"The pipeline {name} has no parameter {key!r}.", f"It has {', '.join(known)}."
            )
        read, wanted = _READERS.get(known[key].type, (str, "text"))
        try:
            result[key] = read(value)
        except (ValueError, KeyError):
            raise PipelineError(
                f"{key} is {value!r}, not {wanted}.", "Correct the value."
            ) from None
    return result


def compile_pipeline(
    name: str,
    path: Path,
    *,
    kubernetes: bool = False,
    node_selector: Mapping[str, str] | None = None,
    caching: bool = True,
) -> Path:
    """Write a pipeline as the YAML that Kubeflow Pipelines takes; see `pipelines.cluster`.

    Args:
        name: of the pipeline.
        path: of the file.
        kubernetes: whether as its resources Pipeline and PipelineVersion, for `kubectl apply`; the
            version is named by Rampart's, since a version that is there cannot be changed.
        node_selector: labels of the nodes that its steps may run on.
        caching: whether steps that allow it may be answered from former runs.

    Raises:
        PipelineError: there is none of that name, or the file cannot be written.
    """
    from kfp import compiler
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    from pipelines.cluster import in_cluster

    plain = pipeline(name)
    if path.suffix not in {".yaml", ".yml"}:
        raise PipelineError(f"{path} is no YAML file.", "Give a name that ends in .yaml.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        definition = in_cluster(plain, node_selector=node_selector, caching=caching)
        whole = f"rampart-{name}"
        resources = KubernetesManifestOptions(
            pipeline_name=whole,
            pipeline_version_name=f"{whole}-{__version__.replace('.', '-')}",
            include_pipeline_manifest=True,
        )
        compiler.Compiler().compile(
            definition,
            str(path),
            kubernetes_manifest_format=kubernetes,
            kubernetes_manifest_options=resources if kubernetes else None,
        )
    except OSError as error:
        raise PipelineError(
            f"{path} cannot be written: {error.strerror}.", "Name another file."
        ) from error
    return path


def step_count(name: str) -> int:
    """How many steps a pipeline has, those of the pipelines inside it included.

    Raises:
        PipelineError: there is none of that name.
    """
    spec = getattr(pipeline(name), "pipeline_spec")  # noqa: B009 - KFP has no types
    components = dict(spec.components.items())

    def steps(dag: Any) -> int:
        inner = (components[task.component_ref.name] for task in dag.tasks.values())
        return sum(steps(part.dag) if part.HasField("dag") else 1 for part in inner)

    return steps(spec.root.dag)
