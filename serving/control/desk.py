"""What the API does, free of HTTP: orders become runs, studies become defaults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import catalogue
from rampart.errors import InputError, OverloadedError
from rampart.registry import defaults
from rampart.registry.connection import default_tracking_uri, shown
from rampart.registry.records import Version
from rampart.registry.registry import Registry
from rampart.tuning import studies as tuning
from rampart.tuning.studies import StudySummary
from serving.control.ensembles import Composition
from serving.control.orders import data_fingerprint, pipeline_arguments, tuning_arguments
from serving.control.places import Places
from serving.control.refusal import ConflictError
from serving.control.runs.base import Kind, Order, Run, Runs, digest, run_id
from serving.control.runs.local import LocalRuns
from serving.control.runs.process import STORAGE
from serving.control.settings import ControlSettings, secret
from serving.control.studies import StudyOrder, StudyStarted, begin

PROMOTED = "promoted"
OPENING = "open-study"
"""The tuning pipeline's step that opens the study."""


class Desk:
    """Takes orders, and finds what became of them.

    It holds nothing but where things are: studies are Optuna's, versions and defaults MLflow's,
    runs those of Kubeflow Pipelines or of their folders.

    Args:
        settings: of the API.

    Raises:
        PipelineError: the folder of runs cannot be made.
        InputError: a token's file cannot be read.
    """

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        root = settings.root.absolute()
        self.storage = settings.storage or f"sqlite:///{root / 'studies.db'}"
        self.tracking_uri = settings.tracking_uri or default_tracking_uri(root)
        addresses = {STORAGE: self.storage, "RAMPART_TRACKING_URI": self.tracking_uri}
        self.local = LocalRuns(root, addresses)
        self.remote = _remote(settings)
        self.registry = Registry(self.tracking_uri, name=settings.model_name)
        self.places = Places(settings.data, settings.addresses)
        # Whether there is room, and what is at work already, is looked up before it is acted on.
        self._one_at_a_time = threading.Lock()
        self._promoting = threading.Lock()

    @property
    def away(self) -> Runs:
        """Where pipelines and studies run."""
        return self.remote or self.local

    def start_pipeline(
        self, name: str, given: Mapping[str, Any], caller: str, key: str | None, *, promoted: bool
    ) -> Run:
        """Start a pipeline; with promoted defaults, where these were asked for.

        Raises:
            InputError: there is no such pipeline or parameter, or a value is not of its type.
            ConflictError: the key belongs to another order, or no defaults were promoted.
            PipelineError: it cannot be started.
            RegistryError: MLflow does not answer.
        """
        asked = {"pipeline": name, "arguments": dict(given), "promoted": promoted}
        order = self._order("pipeline", name, caller, key, asked)
        if known := self.away.known(order):
            return known
        self.places.check(given, away=self.remote is not None)
        ours = self.settings.operator.get(name, {})
        if theirs := sorted(set(given) & set(ours)):
            raise InputError(f"{theirs[0]} is not the caller's to give.", "Leave it out.")
        values = {"model_name": self.settings.model_name}
        if self.remote is not None:
            values["tracking_uri"] = shown(self.tracking_uri)
        if promoted:
            values |= {key: str(value) for key, value in self._defaults().items()}
        checked = pipeline_arguments(name, values | ours, given)
        if "uri" in checked and "fingerprint" not in given and self.remote is None:
            checked["fingerprint"] = data_fingerprint(checked["uri"])
        return self._start(self.away, order, checked)

    def start_study(self, asked: StudyOrder, caller: str, key: str | None) -> StudyStarted:
        """Open a study, or go on with it, and start its workers.

        Raises:
            InputError: the table is not there.
            StorageError: the database of studies cannot be opened.
            ConflictError: the key or the name belongs to something else, or workers are at it.
            UnknownModelError: there is no study that it shall start from.
            PipelineError: the workers cannot be started.
        """
        order = self._order("study", asked.name, caller, key, asked.model_dump(mode="json"))
        if known := self.away.known(order):
            return StudyStarted(study=tuning.summary(self.storage, asked.name), run=known)
        away = self.remote is not None
        self.places.check({"base": asked.base, **asked.parameters}, away=away)
        if away:
            self.places.check({"table": asked.table}, away=True)
            arguments = tuning_arguments(asked, shown(self.tracking_uri))
            ours = {"model_name": self.settings.model_name}
            ours |= self.settings.operator.get("tuning", {})
            arguments |= pipeline_arguments("tuning", ours, {})
        else:
            arguments = asked.model_dump(include={"name", "column", "workers"}) | {
                "table": self.places.table(asked.table)
            }
        run = self._start(self.away, order, arguments, lambda: self._begin(asked))
        return StudyStarted(study=tuning.summary(self.storage, asked.name), run=run)

    def _begin(self, asked: StudyOrder) -> None:
        if (run := self.workers_of(asked.name)) is not None:
            raise ConflictError(
                f"The run {run.id} works at the study {asked.name!r}.",
                f"Follow it, or stop it first: POST /v1/studies/{asked.name}/stop.",
            )
        begin(self.storage, asked, self.registry.parameters)

    def stop_study(self, name: str) -> StudySummary:
        """Ask a study's workers to stop at their next step.

        Raises:
            UnknownModelError: there is no such study.
            StorageError: the database of studies cannot be opened.
            PipelineError: Kubeflow Pipelines does not answer.
        """
        tuning.stop(self.storage, name)
        run = self.workers_of(name) if self.remote is not None else None
        # A list of runs need not say how far their steps are.
        if run is not None and not self.away.get(run.id).has_done(OPENING):
            # That step would open the study again, and forget that it was stopped.
            self.away.stop(run.id)
        return tuning.summary(self.storage, name)

    def workers_of(self, name: str) -> Run | None:
        """The run that works at a study, if one does."""
        same = (run for run in self.away.going() if (run.kind, run.name) == ("study", name))
        return next(same, None)

    def promote(self, name: str, caller: str) -> defaults.Defaults:
        """Make what a study found best the defaults of training.

        Raises:
            UnknownModelError: there is no such study.
            ConflictError: no trial is complete, or training has no such parameter.
            RegistryError: MLflow does not answer.
        """
        best = self.best(name)
        taken = {parameter.name for parameter in catalogue.parameters("training")}
        if unknown := set(best) - taken:
            raise ConflictError(
                f"Training has no parameter {', '.join(sorted(unknown))}.",
                "Use the version of Rampart that ran the study.",
            )
        # What one promotes is added to what the one before did.
        with self._promoting:
            return defaults.promote(
                self.tracking_uri,
                best,
                source=f"study {name}",
                promoted_by=caller,
                name=self.settings.model_name,
            )

    def best(self, name: str) -> dict[str, Any]:
        """What a study found best, as training's parameters.

        Raises:
            UnknownModelError: there is no such study.
            ConflictError: no trial is complete.
        """
        if not tuning.summary(self.storage, name).best:
            raise ConflictError(
                f"No trial of the study {name!r} is complete.", "Wait for one, or go on with it."
            )
        return dict(tuning.best_parameters(self.storage, name))

    def compose(self, asked: Composition, caller: str, key: str | None) -> Run:
        """Start to make, measure and perhaps register an ensemble.

        Raises:
            InputError: the table is not there.
            UnknownModelError: there is no such version.
            ConflictError: the key belongs to another order.
            RegistryError: MLflow does not answer.
        """
        body = asked.model_dump(mode="json")
        order = self._order("ensemble", "ensemble", caller, key, body)
        if known := self.local.known(order):
            return known
        table = self.places.table(asked.table, addresses=True)
        # An alias may move before the run comes to it: what was meant is what stands there now.
        members = {
            kind: str(self.registry.version(version).number)
            for kind, version in asked.members.items()
        }
        told = {"table": table, "members": members, "model_name": self.settings.model_name}
        return self._start(self.local, order, body | told)

    def versions(self) -> list[Version]:
        """The registry's versions, the newest first."""
        return self.registry.versions()

    def runs(self) -> list[Run]:
        """All runs, here and in the cluster, the newest first."""
        remote = self.remote.listed() if self.remote is not None else []
        return sorted(
            [*self.local.listed(), *remote], key=lambda run: (run.created, run.id), reverse=True
        )

    def home_of(self, run: str) -> Runs:
        """The backend that has a run of that id."""
        return self.local if self.remote is None or LocalRuns.owns(run) else self.remote

    def _order(
        self,
        kind: Kind,
        name: str,
        caller: str,
        key: str | None,
        body: Mapping[str, Any],
    ) -> Order:
        return Order(
            id=run_id(caller, kind, key),
            kind=kind,
            name=name,
            arguments={},
            caller=caller,
            digest=digest(body),
            created=datetime.now(UTC),
        )

    def _start(
        self,
        home: Runs,
        order: Order,
        arguments: Mapping[str, Any],
        first: Callable[[], None] = lambda: None,
    ) -> Run:
        """Start a run where there is room for it, once `first` has gone well."""
        with self._one_at_a_time:
            if known := home.known(order):
                return known
            going = len(self.local.going()) + (len(self.remote.going()) if self.remote else 0)
            if going >= self.settings.max_runs:
                raise OverloadedError(
                    f"{going} runs have not ended, as many as may be at once.",
                    "Wait for one, or stop one.",
                )
            first()
            return home.start(order.model_copy(update={"arguments": dict(arguments)}))

    def _defaults(self) -> dict[str, Any]:
        standing = defaults.promoted(self.tracking_uri, name=self.settings.model_name)
        if standing is None:
            raise ConflictError(
                "No defaults were promoted yet.",
                "POST /v1/studies/NAME/promote does so; or leave out defaults.",
            )
        return dict(standing.parameters)


def _remote(settings: ControlSettings) -> Runs | None:
    if settings.kfp_endpoint is None:
        return None
    from pipelines.runs import RemoteRuns
    from serving.control.runs.kfp import KfpRuns

    file = settings.kfp_token_file

    def token() -> str | None:
        return None if file is None else secret(file, "The token for Kubeflow Pipelines")

    token()
    runs = RemoteRuns(settings.kfp_endpoint, settings.kfp_namespace, token)
    return KfpRuns(runs, settings.kfp_service_account)


def readable_root(path: Path) -> bool:
    """Whether runs can be written there."""
    probe = path / ".ready"
    try:
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError:
        return False
    return True
