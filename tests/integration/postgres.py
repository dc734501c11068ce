"""A PostgreSQL server of a test's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = bool(shutil.which("initdb") and shutil.which("postgres"))


@contextmanager
def server() -> Iterator[str]:
    """A server with an empty database, for as long as the block runs; its URL with a password."""
    # It refuses to run as root, who gives it another user's rights.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="rampart-postgres-"))
    password = folder / "password"
    password.write_text("secret")
    if user:
        shutil.chown(folder, user)
        shutil.chown(password, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    make = ["initdb", "--no-sync", "--auth=scram-sha-256", "--username=studies"]
    make += [f"--pwfile={password}", "--encoding=UTF8", "-D", str(data)]
    call = ["postgres", "-D", str(data), "-p", str(port), "-k", str(folder), "-F"]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(make, check=True, stdout=log, stderr=log, cwd=folder, user=user)
        process = subprocess.Popen(call, stdout=log, stderr=log, cwd=folder, user=user)
    try:
        deadline = time.monotonic() + 60
        while "ready to accept connections" not in (folder / "log.txt").read_text():
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"postgresql://studies:secret@127.0.0.1:{port}/postgres"
    finally:
        # SIGTERM would wait until each client has gone.
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(folder)
