"""The versions and aliases of one registered model, in MLflow's terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rampart.errors import UnknownModelError
from rampart.registry.connection import is_code
from rampart.registry.records import CHALLENGER, CHAMPION, PREVIOUS, Version
from rampart.registry.runs import BUNDLE_FOLDER

_PAGE = 1000


class Versions:
    """Reads and writes one registered model; what it raises is MLflow's own.

    A "model version" here is MLflow's entity; `describe` makes a `Version` of it.

    Args:
        client: an MlflowClient.
        name: the registered model's.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def aliases(self) -> dict[str, int]:
        """Alias to version number; empty where the model is not there yet."""
        from mlflow.exceptions import MlflowException

        try:
            model = self._client.get_registered_model(self._name)
        except MlflowException as error:
            if is_code(error, "RESOURCE_DOES_NOT_EXIST"):
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def all(self) -> list[Any]:
        """All model versions, the oldest first."""
        return self._search(f"name='{self._name}'")

    def of_bundle(self, bundle_id: str) -> list[Any]:
        """The model versions that hold a bundle, the oldest first: one, or none."""
        return self._search(f"name='{self._name}' and tags.bundle_id='{bundle_id}'")

    def get(self, alias_or_number: str | int) -> Any:
        """The model version of an alias or a number.

        Raises:
            UnknownModelError: there is none; names those that are there.
        """
        wanted = str(alias_or_number)
        aliases, versions = self.aliases(), self.all()
        number = int(wanted) if wanted.isdecimal() else aliases.get(wanted)
        for version in versions:
            if int(version.version) == number:
                return version
        what = f"version {wanted}" if wanted.isdecimal() else f"version called {wanted!r}"
        there = [*(str(version.version) for version in versions), *sorted(aliases)]
        raise UnknownModelError(
            f"The registered model {self._name!r} has no {what}.",
            f"Ask for one of {', '.join(there)}." if there else "Register a bundle first.",
        )

    def add(self, bundle_id: str, run: Any, tags: Mapping[str, str]) -> Any:
        """Make a model version of a run's bundle, unless one of that bundle is there by now.

        Without a lock two processes may both make one; then the lower number stays, whoever
        looks, and the other goes with its run.
        """
        self._make_model()
        run_id = run.info.run_id
        if not self.of_bundle(bundle_id):
            source = f"{run.info.artifact_uri}/{BUNDLE_FOLDER}"
            self._client.create_model_version(
                self._name, source, run_id, tags={"bundle_id": bundle_id, **tags}
            )
        first, *others = self.of_bundle(bundle_id)
        for other in others:
            if other.run_id == run_id:
                self._client.delete_model_version(self._name, str(other.version))
        if first.run_id != run_id:
            self._client.delete_run(run_id)
        return first

    def tag(self, version: Any, tags: Mapping[str, str]) -> None:
        """Set what differs of the tags of a model version."""
        for key, value in tags.items():
            if version.tags.get(key) != value:
                self._client.set_model_version_tag(self._name, str(version.version), key, value)

    def challenge(self, version: Any) -> None:
        """Point `challenger` to a model version."""
        self._point(CHALLENGER, int(version.version))

    def crown(self, version: Any) -> None:
        """Point `champion` to a model version, and `previous` to the one that it replaces."""
        number, aliases = int(version.version), self.aliases()
        former = aliases.get(CHAMPION)
        if former == number:
            return
        if former is not None:
            self.tag(version, {"replaces": str(former)})
            self._point(PREVIOUS, former)
        if aliases.get(CHALLENGER) == number:
            self._client.delete_registered_model_alias(self._name, CHALLENGER)
        self._point(CHAMPION, number)

    def restore(self, version: Any) -> None:
        """Point `champion` back to a model version, and `previous` to what it once replaced."""
        self._point(CHAMPION, int(version.version))
        before = version.tags.get("replaces", "")
        if before in {str(other.version) for other in self.all()}:
            self._point(PREVIOUS, int(before))
        else:
            self._client.delete_registered_model_alias(self._name, PREVIOUS)

    def describe(self, version: Any, aliases: Mapping[str, int]) -> Version:
        """A model version as the registry's callers see it."""
        number, tags = int(version.version), version.tags
        return Version(
            number=number,
            bundle_id=tags.get("bundle_id", ""),
            aliases=tuple(sorted(alias for alias, to in aliases.items() if to == number)),
            created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            reason=tags.get("reason", ""),
            metrics=json.loads(tags.get("metrics", "{}")),
            replaces=int(tags["replaces"]) if "replaces" in tags else None,
            run_id=version.run_id,
            source=version.source,
        )

    def _point(self, alias: str, number: int) -> None:
        self._client.set_registered_model_alias(self._name, alias, str(number))

    def _search(self, expression: str) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_model_versions(
                expression, max_results=_PAGE, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))

    def _make_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if not is_code(error, "RESOURCE_ALREADY_EXISTS"):
                raise
