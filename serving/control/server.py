"""The API's process: listen, answer, and leave in good order; runs go on without it."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import ExitStack, suppress

import uvicorn

from rampart.errors import InputError
from serving.control.app import control_app
from serving.control.desk import Desk
from serving.control.settings import ControlSettings, secret

_GRACE_SECONDS = 5


def serve(settings: ControlSettings) -> None:
    """Answer until the process is told to stop.

    Prints one line when requests are answered. SIGTERM or SIGINT ends it; whatever runs goes on.

    Raises:
        InputError: the port cannot be listened on, or a token's file cannot be read.
        PipelineError: the folder of runs cannot be made.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    desk = Desk(settings)
    app = control_app(desk, _token(settings))
    with _listening(settings) as listener:
        desk.local.adopt()
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            # A mesh's proxy is not believed what it says of addresses.
            proxy_headers=False,
            server_header=False,
            # Streams of events have no end of their own.
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"Control API at http://{shown}:{port}; its pages: /docs\n")
        sys.stdout.flush()
        # It raises again what it was told to end by.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _token(settings: ControlSettings) -> str | None:
    if settings.token is not None:
        return settings.token.get_secret_value()
    if settings.token_file is not None:
        return secret(settings.token_file, "The API's token")
    return None


def _listening(settings: ControlSettings) -> socket.socket:
    try:
        family, kind, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as held:
            listener = held.enter_context(socket.socket(family, kind))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
            held.pop_all()
    except OSError as error:
        raise InputError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.",
            "Give another port, or end what listens there.",
        ) from error
    return listener
