"""A network that can be cut: a relay in front of the broker that drops what it is told to drop."""

from __future__ import annotations

import contextlib
import socket
import threading

_AT_ONCE = 65_536
HOST = "127.0.0.1"


class Relay:
    """Passes connections on to a port; `cut` ends them and lets none in."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._target = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def to(self, port: int) -> None:
        """Pass on to this port from now on."""
        self._target = port

    def cut(self) -> None:
        """Nobody gets through, and who was through is not any more."""
        self._cut.set()
        with self._lock:
            held, self._open = self._open, set()
        for one in held:
            _close(one)

    def mend(self) -> None:
        """Let connections in again."""
        self._cut.clear()

    def close(self) -> None:
        """End it."""
        self.cut()
        _close(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._cut.is_set():
                _close(client)
                continue
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                _close(client)
                continue
            with self._lock:
                self._open |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_AT_ONCE):
                target.sendall(piece)
        for one in (source, target):
            _close(one)
        with self._lock:
            self._open -= {source, target}


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
