"""A folder that is looked through for mails, such as what a mail server's filter writes into.

A mail that was taken goes to `taken`, one that cannot be to `refused`, so that nothing is taken
twice and nothing is lost; each look takes those that nobody has written to for a moment.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from rampart.errors import InputError, StreamError, TooLargeError
from rampart.streaming.sending import Sender
from serving.mail.intake import Intake
from serving.mail.settings import FolderSettings
from serving.stream.server import say, stop_signal

TAKEN, REFUSED = "taken", "refused"
_log = logging.getLogger("rampart.folder")
_STILL_SECONDS = 1.0


def serve(settings: FolderSettings) -> None:
    """Take mails until the process is told to stop; prints one line when it begins.

    Raises:
        InputError: the folder is not there, or cannot be written to.
        StreamError: the broker does not answer, or has no such topic.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stopped = stop_signal()
    folder = settings.folder
    try:
        for name in (TAKEN, REFUSED):
            (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be used: {error.strerror}.", "Name a folder that can be written to."
        ) from error
    names = settings.names()
    sender = Sender(settings.connection(), names.received, "/rampart/folder")
    intake = Intake(
        sender,
        category=settings.category,
        max_bytes=settings.max_mail_bytes,
        seconds=settings.deliver_seconds,
    )
    say(f"Taking mails from {folder}, for {names.received}")
    while not stopped.is_set():
        look(folder, intake, stopped.is_set)
        stopped.wait(settings.every_seconds)


def look(folder: Path, intake: Intake, stopped: Callable[[], bool] = lambda: False) -> int:
    """Take the mails that are there; how many were.

    Args:
        folder: of mails, with its folders for those that were taken and refused.
        intake: that they are handed to.
        stopped: whether to end before the next.
    """
    taken = 0
    for path in sorted(folder.glob("*.eml")):
        if stopped():
            break
        try:
            mail = _read(path, intake.max_bytes)
            if mail is None:
                continue
            intake.take(mail)
        except TooLargeError as error:
            _log.warning("%s is refused: %s", path.name, error)
            _put_away(path, folder / REFUSED)
        except StreamError as error:
            _log.warning("%s is tried again: %s", path.name, error)
            break
        except OSError as error:
            _log.warning("%s cannot be read: %s", path.name, error.strerror)
        else:
            taken += 1
            _put_away(path, folder / TAKEN)
    return taken


def _read(path: Path, most: int) -> bytes | None:
    """A mail that nobody writes to any more; a byte more than it may have is enough of one.

    A link is no mail: it could name a file of somebody else's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOENT}:
            return None
        raise
    with os.fdopen(descriptor, "rb") as file:
        known = os.fstat(file.fileno())
        still = time.time() - known.st_mtime >= _STILL_SECONDS
        return file.read(most + 1) if stat.S_ISREG(known.st_mode) and still else None


def _put_away(path: Path, folder: Path) -> None:
    """Move a mail; one of its name that is there already stays."""
    target = folder / path.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    try:
        path.replace(target)
    except OSError as error:
        # It is taken again at the next look: it has the same id, and is the same message.
        _log.warning("%s cannot be moved: %s", path.name, error.strerror)
