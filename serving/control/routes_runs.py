"""Runs and ensembles over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse

from serving.control.desk import Desk
from serving.control.ensembles import Composition
from serving.control.events import Streams, run_events
from serving.control.runs.base import Run
from serving.control.shapes import (
    After,
    Key,
    Limit,
    Offset,
    Page,
    RunId,
    RunOrder,
    VersionShown,
    page,
    refusals,
)

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events until it ends; the last one is named end.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def run_routes(desk: Desk, streams: Streams) -> APIRouter:
    """Routes of runs and of the ensembles that runs make."""
    routes = APIRouter(prefix="/v1")

    @routes.post(
        "/runs",
        status_code=202,
        tags=["runs"],
        summary="Start a pipeline",
        responses=refusals(409, 413, 502, 503),
    )
    def start_run(order: RunOrder, request: Request, key: Key = None) -> Run:
        """Answers at once; the run goes on whatever becomes of the API."""
        return desk.start_pipeline(
            order.pipeline,
            order.arguments,
            request.state.caller,
            key,
            promoted=order.defaults == "promoted",
        )

    @routes.get("/runs", tags=["runs"], summary="List runs", responses=refusals(502))
    def list_runs(limit: Limit = 50, offset: Offset = 0) -> Page[Run]:
        """The newest first: pipelines, workers of studies, ensembles."""
        return page(desk.runs(), limit, offset)

    @routes.get("/runs/{run_id}", tags=["runs"], summary="Show a run", responses=refusals(404, 502))
    def get_run(run_id: RunId) -> Run:
        """Its state, its steps, and what it left or why it failed."""
        return desk.home_of(run_id).get(run_id)

    @routes.get(
        "/runs/{run_id}/events",
        tags=["runs"],
        summary="Follow a run",
        response_class=EventSourceResponse,
        responses=EVENTS | refusals(404, 502, 503),
    )
    def follow_run(run_id: RunId, after: After = None) -> EventSourceResponse:
        """Events `step` and `log` as they come, and `end` with the run.

        The last one is `error` with a problem where the run can no longer be looked at.
        """
        home = desk.home_of(run_id)
        # What is wrong is said before the stream begins.
        home.happenings(run_id, after or "")
        return streams.response(run_events(home, run_id, after or ""))

    @routes.post(
        "/runs/{run_id}/stop",
        status_code=202,
        tags=["runs"],
        summary="Stop a run",
        responses=refusals(404, 502),
    )
    def stop_run(run_id: RunId) -> Run:
        """Ends its process and its steps; a run that has ended stays as it is."""
        return desk.home_of(run_id).stop(run_id)

    @routes.get(
        "/ensembles/versions",
        tags=["ensembles"],
        summary="List versions",
        responses=refusals(502),
    )
    def list_versions(limit: Limit = 50, offset: Offset = 0) -> Page[VersionShown]:
        """The registry's versions, the newest first, whose models an ensemble may take."""
        return page([VersionShown.of(version) for version in desk.versions()], limit, offset)

    @routes.post(
        "/ensembles",
        status_code=202,
        tags=["ensembles"],
        summary="Compose an ensemble",
        responses=refusals(404, 409, 413, 502, 503),
    )
    def compose(order: Composition, request: Request, key: Key = None) -> Run:
        """Starts a run whose outputs are the bundle, its metrics and perhaps its version."""
        return desk.compose(order, request.state.caller, key)

    return routes
