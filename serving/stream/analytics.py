"""The analytics' process: windows, campaigns and the table, until it is told to stop."""

from __future__ import annotations

import logging
from datetime import timedelta

from rampart.streaming.analytics.figures import AnalyticsFigures
from rampart.streaming.analytics.topology import Windows, application, run
from rampart.streaming.connection import require
from serving.stream.app import application as over_http
from serving.stream.server import answering, say, stop_signal
from serving.stream.settings import AnalyticsSettings


def serve(settings: AnalyticsSettings) -> None:
    """Follow the verdicts until the process is told to stop.

    Prints one line when it begins. What it has counted survives its end.

    Raises:
        InputError: the port cannot be listened on.
        StreamError: the broker does not answer, or has no such topics.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    names = settings.names()
    require(settings.connection(), [names.verdicts, names.windows, names.campaigns])
    figures = AnalyticsFigures()
    app = application(
        settings.connection(),
        names,
        group=settings.analytics_group,
        state=settings.state,
        table=settings.table,
        cut=Windows(
            timedelta(seconds=settings.tumbling_seconds),
            timedelta(seconds=settings.sliding_seconds),
            timedelta(seconds=settings.step_seconds),
            timedelta(seconds=settings.lateness_seconds),
        ),
        figures=figures,
        commit_seconds=settings.commit_seconds,
    )
    http = over_http(figures.registry, ready=lambda: "", alive=lambda: "")
    with answering(settings.host, settings.http_port, http) as address:
        say(f"Following {names.verdicts} of {settings.broker}; metrics at {address}")
        run(app, stop_signal())
