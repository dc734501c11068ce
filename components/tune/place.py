"""Where the steps of a tuning run keep studies, and what trials share."""

from __future__ import annotations

import os
from pathlib import Path

from rampart.errors import InputError
from rampart.settings import settings
from rampart.tuning import kept

STORAGE = "RAMPART_TUNING_STORAGE"


def storage_address(given: str) -> str:
    """The storage that was given, else the environment's, else a file of this user.

    Raises:
        InputError: there is none in a cluster, where pods have no file in common.
    """
    if address := given or os.environ.get(STORAGE, ""):
        return address
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        raise InputError(
            "There is no storage that the pods of a study share.",
            f"Give the pipeline's storage, or put a PostgreSQL URL into {STORAGE}.",
        )
    return f"sqlite:///{cache_folder() / 'studies.db'}"


def cache_folder() -> Path:
    """Folder where what trials share is kept."""
    return kept.cache_folder(settings().cache_dir)
