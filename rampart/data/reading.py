"""One kind of error for whatever a file system raises: there are as many as there are protocols."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rampart.errors import MissingExtraError, RampartError, SourceError


@contextmanager
def reading(
    uri: str,
    what: str = "source",
    *,
    missing: str = "no such file",
    install: str = "`pip install 'fsspec[http]'` for web addresses",
    remedy: str = "Give the path of a readable file or folder, or an address such as "
    "s3://bucket/file.",
) -> Iterator[None]:
    """Turn whatever a file system or a decompressor raises into a SourceError that names the URI.

    Args:
        uri: that is read.
        what: it is.
        missing: what is said where there is nothing.
        install: an example of what a protocol may need.
        remedy: what to do where it cannot be read.

    Raises:
        SourceError: the URI cannot be read.
        MissingExtraError: its protocol needs a package that is not installed.
    """
    try:
        yield
    except RampartError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"Reading {uri!r} needs a package that is not installed: {error}.",
            f"Install it, for instance by {install}.",
        ) from error
    # Each file system raises what its client raises, each decompressor errors of its own.
    except Exception as error:
        why = missing if isinstance(error, FileNotFoundError) else str(error)
        kind = type(error).__name__
        raise SourceError(f"The {what} {uri!r} cannot be read: {why or kind}.", remedy) from error
