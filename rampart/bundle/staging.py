"""Writing a bundle in its place whole, and nowhere where something else would be lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rampart.bundle.manifest import MANIFEST_FILE
from rampart.data import staging
from rampart.errors import BundleError


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder to write a bundle in; see `rampart.data.staging.staged`.

    Raises:
        BundleError: `target` holds something that is not a bundle, and would be lost.
    """
    refuse_other_things(target)
    with staging.staged(target) as folder:
        yield folder


def refuse_other_things(target: Path) -> None:
    """Refuse to write a bundle where something else is; before long work, say so early.

    Raises:
        BundleError: `target` holds something that is not a bundle, and would be lost.
    """
    if not target.exists():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST_FILE).is_file()):
        raise BundleError(
            f"{target} exists and is not a bundle: it would be lost.",
            "Name a folder that does not exist, an empty one, or a bundle to replace.",
        )
