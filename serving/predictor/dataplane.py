"""KServe's data plane, told the truth about readiness, and a repository that stays as it is."""

from __future__ import annotations

from rampart.errors import InputError
from serving.predictor.sdk import DataPlane, ModelNotFound, ModelRepositoryExtension


class PredictorDataPlane(DataPlane):  # type: ignore[misc]
    """KServe's own says that a server is ready whatever its models say."""

    async def ready(self) -> bool:
        """Whether every model is ready."""
        names = list(self.model_registry.get_models())
        return bool(names) and all([await self.model_ready(name) for name in names])


class FixedRepository(ModelRepositoryExtension):  # type: ignore[misc]
    """KServe's own lets whoever reaches the port unload the model and so end the service."""

    async def load(self, model_name: str) -> None:
        """Do nothing: the model is loaded.

        Raises:
            ModelNotFound: there is no such model.
        """
        if self._model_registry.get_model(model_name) is None:
            raise ModelNotFound(model_name)

    async def unload(self, model_name: str) -> None:
        """Refuse.

        Raises:
            ModelNotFound: there is no such model.
            InputError: there is.
        """
        await self.load(model_name)
        raise InputError(
            f"Model {model_name} cannot be unloaded over the network.", "Stop the server instead."
        )
