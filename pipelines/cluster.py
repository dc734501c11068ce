"""What a pipeline has in a cluster beside its steps: room to run in, and a word on how it ended.

On a laptop the steps run as they are. Compiled for a cluster, every step asks for CPU and memory
and is tried again where its pod was lost; those that speak to MLflow are told its credentials by a
Secret, if there is one; and a last step reports a failure. What an exit handler is around gives no
outputs to anybody, so that the whole is a pipeline around the pipeline.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from kfp import dsl, kubernetes

from components.deploy.report import report
from components.tune.place import STORAGE
from jobs.job import CLAIM, DATA

SECRET = "rampart-mlflow-client"  # noqa: S105 - the name of one
_KEYS = {"username": "MLFLOW_TRACKING_USERNAME", "password": "MLFLOW_TRACKING_PASSWORD"}


# What mails may lie in and bundles are put into, for the steps that read and write there.
STORE = "rampart-store"
_STORE_KEYS = {
    "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
    "AWS_ENDPOINT_URL": "AWS_ENDPOINT_URL",
}
# Where studies lie, for the steps that work on them.
STUDIES = "rampart-studies"
# Of each its keys, the variables they become, and the steps that have these.
_SECRETS: Mapping[str, tuple[Mapping[str, str], frozenset[str]]] = {
    SECRET: (_KEYS, frozenset({"gate", "register", "publish", "deploy", "open-study", "tune"})),
    STORE: (_STORE_KEYS, frozenset({"ingest", "publish"})),
    STUDIES: ({"storage": STORAGE}, frozenset({"open-study", "tune", "conclude"})),
}


@dataclass(frozen=True)
class Room:
    """What a step asks for.

    Attributes:
        cpu: cores.
        memory: that it may take at the most, and asks for.
        retries: where its pod was lost or it failed.
    """

    cpu: str = "500m"
    memory: str = "1G"
    retries: int = 2


SMALL, MIDDLE, LARGE = Room(), Room("1", "4G"), Room("2", "8G")
_ROOMS: Mapping[str, Room] = {
    "ingest": MIDDLE,
    "clean": MIDDLE,
    "train-encoder": LARGE,
    # Follows the job that trains; tried again, it finds it.
    "train-together": MIDDLE,
    "open-study": MIDDLE,
    "tune": LARGE,
    "conclude": LARGE,
    "train-attribution": LARGE,
    "choose-encoder": LARGE,
    "train-ngram": MIDDLE,
    "train-tabular": MIDDLE,
    "combine": MIDDLE,
    "evaluate": MIDDLE,
    "explain": MIDDLE,
    "gate": MIDDLE,
    "publish": MIDDLE,
    # A rollout that failed has taken itself back; to try it again is a person's decision.
    "deploy": Room("250m", "2G", retries=0),
}


def placed(definition: Any, node_selector: Mapping[str, str], *, caching: bool) -> Any:
    """Give every step of a pipeline, and of those inside it, its room; returns the pipeline."""
    spec = definition.pipeline_spec
    steps = {}
    for dag in (spec.root.dag, *(part.dag for part in spec.components.values())):
        for task in dag.tasks.values():
            component = spec.components[task.component_ref.name]
            # The client's own switch reaches the outermost steps alone.
            task.caching_options.enable_cache &= caching
            if not component.executor_label:
                continue
            # The second of a component's name has a number behind it.
            name = re.sub(r"-\d+$", "", task.component_ref.name.removeprefix("comp-"))
            room = _ROOMS.get(name, SMALL)
            steps[component.executor_label] = name, room
            if room.retries:
                task.retry_policy.max_retry_count = room.retries
                task.retry_policy.backoff_duration.FromSeconds(30)
                task.retry_policy.backoff_factor = 2.0
                task.retry_policy.backoff_max_duration.FromSeconds(600)
    executors = spec.deployment_spec["executors"]
    own = definition.platform_spec.platforms["kubernetes"].deployment_spec.executors
    for label, (name, room) in steps.items():
        executors[label]["container"]["resources"] = {
            "resourceCpuRequest": room.cpu,
            "resourceMemoryRequest": room.memory,
            "resourceMemoryLimit": room.memory,
        }
        step = SimpleNamespace(platform_config={"kubernetes": {}})
        for secret, (keys, told) in _SECRETS.items():
            if name in told:
                kubernetes.use_secret_as_env(step, secret, dict(keys), optional=True)
        if name == "train-together":
            kubernetes.mount_pvc(step, pvc_name=CLAIM, mount_path=DATA)
        for key, value in node_selector.items():
            kubernetes.add_node_selector(step, key, value)
        own[label].update(step.platform_config["kubernetes"])
    return definition


def in_cluster(
    definition: Any, *, node_selector: Mapping[str, str] | None = None, caching: bool = True
) -> Any:
    """A pipeline around a pipeline, placed, whose last step says how it ended.

    It has one parameter more, the address of an Alertmanager, and no outputs.

    Args:
        definition: as a laptop runs it.
        node_selector: labels of the nodes that its steps may run on.
        caching: whether steps that allow it may be answered from former runs.
    """
    own = inspect.signature(definition.pipeline_func)
    alerts = inspect.Parameter(
        "alerts", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="", annotation=str
    )
    names = [*own.parameters, "alerts"]

    def whole(*given: Any) -> None:
        named = dict(zip(names, given, strict=True))
        last = report(alerts=named.pop("alerts")).set_caching_options(enable_caching=False)
        with dsl.ExitHandler(last, name="whole"):
            definition(**named)

    whole.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*own.parameters.values(), alerts]
    )
    whole.__annotations__ = {name: p.annotation for name, p in own.parameters.items()}
    whole.__annotations__["alerts"] = str
    told = inspect.getdoc(definition.pipeline_func) or ""
    whole.__doc__ = f"{told}\n    alerts: address of an Alertmanager; empty for none.\n"
    name = definition.pipeline_spec.pipeline_info.name
    around = dsl.pipeline(name=name, description=definition.component_spec.description)(whole)
    return placed(around, node_selector or {}, caching=caching)
