"""The registry: bundles as numbered versions in MLflow, and the aliases that say which serves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from rampart.bundle.store import staged, verify
from rampart.errors import BundleError, RegistryError
from rampart.registry.connection import alone, answers, connect, default_artifact_root
from rampart.registry.records import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    Decision,
    Registered,
    Version,
)
from rampart.registry.runs import BUNDLE_FOLDER, check_artifacts, experiment_id, finite, log_run
from rampart.registry.versions import Versions


class Registry:
    """The versions of one registered model; nothing is opened before the first call.

    Every method raises RegistryError where MLflow, its database, the network or a disk fails.

    Args:
        tracking_uri: of MLflow: `default_tracking_uri(folder)`, or a server's address.
        name: the registered model's.
        experiment: the one whose runs hold the bundles; made if it is not there.
        artifact_root: folder or URI for the files of a new experiment; by default beside the
            sqlite file, or where the server keeps them.

    Raises:
        RegistryError: the name holds other than letters, digits, spaces and `_`, `-`, `.`.
    """

    def __init__(
        self,
        tracking_uri: str,
        *,
        name: str = "rampart",
        experiment: str = "rampart",
        artifact_root: str | None = None,
    ) -> None:
        # The name becomes part of MLflow's search expressions.
        if not re.fullmatch(r"\w[\w .\-]*", name):
            raise RegistryError(
                f"A registered model cannot be named {name!r}.",
                "Use letters, digits, spaces, dots, dashes and underscores.",
            )
        if artifact_root is None:
            artifact_root = default_artifact_root(tracking_uri)
        elif "://" not in artifact_root:
            artifact_root = Path(artifact_root).absolute().as_uri()
        self.tracking_uri = tracking_uri
        self.name = name
        self.experiment = experiment
        self.artifact_root = artifact_root

    def register(
        self,
        bundle: Path,
        *,
        decision: Decision,
        parameters: Mapping[str, object] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        artifacts: Mapping[str, Path] | None = None,
    ) -> Registered:
        """Log a bundle as one run, make it a version, and point the decided alias to it last.

        A bundle that is a version already gets no second one: only its alias is set again. A
        champion that is replaced gets the alias `previous`, and the new one's tag `replaces`
        names it.

        Args:
            bundle: a sealed bundle.
            decision: the gate's.
            parameters: how it was trained. What MLflow refuses in names becomes `_`.
            metrics: name to value; those without a finite value are left out.
            artifacts: name in the run to a file or folder: the report, the model card.

        Raises:
            BundleError: the bundle is broken; nothing was logged.
            RegistryError: an artifact is missing, the decision contradicts itself, or the
                registry fails; the champion is the one it was.
        """
        _check(decision)
        check_artifacts(artifacts or {})
        manifest = verify(bundle)
        measured = finite(metrics or {})
        tags = _tags(decision, measured)
        client, versions = self._client, self._versions
        with answers(self.tracking_uri):
            run = None
            if not versions.of_bundle(manifest.id):
                experiment = experiment_id(client, self.experiment, self.artifact_root)
                run = log_run(
                    client,
                    experiment,
                    bundle,
                    manifest,
                    parameters=parameters or {},
                    metrics=measured,
                    artifacts=artifacts or {},
                )
            with alone(self.tracking_uri):
                if run is None:
                    version = versions.of_bundle(manifest.id)[0]
                else:
                    version = versions.add(manifest.id, run, tags)
                return self._place(version, decision, tags)

    def champion(self) -> Version | None:
        """The version that serves; None before the first promotion."""
        versions = self._versions
        with answers(self.tracking_uri):
            aliases = versions.aliases()
            if CHAMPION not in aliases:
                return None
            return versions.describe(versions.get(aliases[CHAMPION]), aliases)

    def version(self, alias_or_number: str | int) -> Version:
        """The version of that alias or number.

        Raises:
            UnknownModelError: there is none; names those that are there.
        """
        versions = self._versions
        with answers(self.tracking_uri):
            return versions.describe(versions.get(alias_or_number), versions.aliases())

    def parameters(self, alias_or_number: str | int) -> dict[str, str]:
        """How a version was trained, by name, as it was registered.

        Raises:
            UnknownModelError: there is no such version.
        """
        version = self.version(alias_or_number)
        with answers(self.tracking_uri):
            return dict(self._client.get_run(version.run_id).data.params)

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        versions = self._versions
        with answers(self.tracking_uri):
            aliases = versions.aliases()
            return [versions.describe(found, aliases) for found in reversed(versions.all())]

    def fetch(self, alias_or_number: str | int, folder: Path) -> Path:
        """Download a version's bundle; the folder is replaced whole or left as it was.

        Raises:
            UnknownModelError: there is no such version.
            BundleError: what came is not the bundle that was registered.
        """
        version = self.version(alias_or_number)
        with answers(self.tracking_uri), staged(folder) as stage:
            # MLflow downloads into a folder of the artifact's own name, one level too deep.
            arrivals = stage / ".arrivals"
            arrivals.mkdir()
            arrived = Path(
                self._client.download_artifacts(version.run_id, BUNDLE_FOLDER, str(arrivals))
            )
            for path in arrived.iterdir():
                path.rename(stage / path.name)
            arrived.rmdir()
            arrivals.rmdir()
            manifest = verify(stage)
            if manifest.id != version.bundle_id:
                raise BundleError(
                    f"Version {version.number} of {self.name} holds the bundle"
                    f" {manifest.id[:12]}, but {version.bundle_id[:12]} was registered.",
                    "Register the bundle again, and ask who writes to the artifact store.",
                )
        return folder

    def promote(self, alias_or_number: str | int, reason: str) -> Registered:
        """Make a version the champion by hand; the former one becomes `previous`.

        Raises:
            UnknownModelError: there is no such version.
        """
        versions = self._versions
        with answers(self.tracking_uri), alone(self.tracking_uri):
            version = versions.get(alias_or_number)
            versions.tag(version, {"reason": reason})
            versions.crown(version)
            return Registered(int(version.version), version.run_id, CHAMPION, reason)

    def roll_back(self, reason: str) -> Registered:
        """Make the previous champion the champion again; the withdrawn one is tagged with why.

        Rolled back again, it goes to the champion before that one.

        Raises:
            RegistryError: there is no previous champion.
        """
        versions = self._versions
        with answers(self.tracking_uri), alone(self.tracking_uri):
            aliases = versions.aliases()
            if PREVIOUS not in aliases or aliases[PREVIOUS] == aliases.get(CHAMPION):
                raise RegistryError(
                    f"{self.name} has no previous champion to go back to.",
                    "Promote a version by its number.",
                )
            version = versions.get(PREVIOUS)
            if CHAMPION in aliases:
                versions.tag(versions.get(CHAMPION), {"withdrawn": reason})
            versions.tag(version, {"reason": reason})
            versions.restore(version)
            return Registered(int(version.version), version.run_id, CHAMPION, reason)

    def note(self, alias_or_number: str | int, tags: Mapping[str, str]) -> None:
        """Write tags on a version, such as what became of its rollout.

        Raises:
            UnknownModelError: there is no such version.
        """
        versions = self._versions
        with answers(self.tracking_uri), alone(self.tracking_uri):
            versions.tag(versions.get(alias_or_number), tags)

    @cached_property
    def _client(self) -> Any:
        return connect(self.tracking_uri)

    @cached_property
    def _versions(self) -> Versions:
        return Versions(self._client, self.name)

    def _place(self, version: Any, decision: Decision, tags: Mapping[str, str]) -> Registered:
        number, versions = int(version.version), self._versions
        if versions.aliases().get(CHAMPION) == number:
            # Compared with itself it is no challenger, and it must not fall for that.
            return Registered(number, version.run_id, CHAMPION, version.tags.get("reason", ""))
        versions.tag(version, tags)
        if decision.promote:
            versions.crown(version)
        else:
            versions.challenge(version)
        return Registered(number, version.run_id, decision.alias, decision.reason)


def _check(decision: Decision) -> None:
    if decision.alias != (CHAMPION if decision.promote else CHALLENGER):
        raise RegistryError(
            f"A decision with promote={decision.promote} cannot give the alias {decision.alias!r}.",
            f"Use {CHAMPION!r} for what is promoted and {CHALLENGER!r} for what is not.",
        )


def _tags(decision: Decision, metrics: Mapping[str, float]) -> dict[str, str]:
    document = {
        "promote": decision.promote,
        "alias": decision.alias,
        "reason": decision.reason,
        "comparisons": decision.comparisons,
    }
    return {
        "reason": decision.reason,
        "decision": to_json(document, inf_nan_mode="null", fallback=_plain).decode(),
        "metrics": json.dumps(metrics),
    }


def _plain(value: Any) -> Any:
    """A numpy number or array as Python's own; whatever else is left, by its name."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
