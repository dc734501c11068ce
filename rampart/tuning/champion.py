"""A study that starts from the version that serves, or any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rampart.errors import InputError
from rampart.tuning.settings import StudySettings
from rampart.tuning.spaces import of_champion
from rampart.tuning.studies import summary


def with_champion(
    storage: str, settings: StudySettings, read: Callable[[], Mapping[str, str]]
) -> StudySettings:
    """Settings with the champion's parameters, which are tried after the defaults.

    A study that has begun keeps those that it began with, whoever is champion by now. What the
    settings say themselves goes before.

    Args:
        storage: where the study lies, or will.
        settings: of the study.
        read: gives how the champion was trained, by the training pipeline's names.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such version.
        RegistryError: the registry does not answer.
    """
    try:
        known = summary(storage, settings.name).settings.parameters
    except InputError:
        known = of_champion(settings, read())
    return settings.model_copy(update={"parameters": {**known, **settings.parameters}})
