"""Studies over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse

from rampart.tuning import studies as tuning
from rampart.tuning.studies import StudySummary
from serving.control.desk import Desk
from serving.control.events import Streams, study_events
from serving.control.routes_runs import EVENTS
from serving.control.shapes import (
    After,
    Key,
    Limit,
    Offset,
    Page,
    StudyName,
    page,
    refusals,
)
from serving.control.studies import StudyOrder, StudyStarted, TrialShown, trials


def study_routes(desk: Desk, streams: Streams) -> APIRouter:
    """Routes of studies."""
    routes = APIRouter(prefix="/v1", tags=["studies"])
    storage = desk.storage

    @routes.post(
        "/studies",
        status_code=202,
        summary="Start a study, or go on with it",
        responses=refusals(404, 409, 413, 502, 503),
    )
    def start_study(order: StudyOrder, request: Request, key: Key = None) -> StudyStarted:
        """The name is the study's identity: sent again with the same settings, it goes on."""
        return desk.start_study(order, request.state.caller, key)

    @routes.get("/studies", summary="List studies", responses=refusals(503))
    def list_studies(limit: Limit = 50, offset: Offset = 0) -> Page[StudySummary]:
        """The newest first."""
        return page(tuning.summaries(storage), limit, offset)

    @routes.get("/studies/{name}", summary="Show a study", responses=refusals(404, 503))
    def get_study(name: StudyName) -> StudySummary:
        """Its settings, its state, its trials by state, and the best of them."""
        return tuning.summary(storage, name)

    @routes.get("/studies/{name}/trials", summary="List trials", responses=refusals(404, 503))
    def list_trials(name: StudyName, limit: Limit = 50, offset: Offset = 0) -> Page[TrialShown]:
        """In their order; a trial that had to be tried again is one."""
        return page(trials(storage, name), limit, offset)

    @routes.get(
        "/studies/{name}/events",
        summary="Follow a study",
        response_class=EventSourceResponse,
        responses=EVENTS | refusals(404, 503),
    )
    def follow_study(name: StudyName, after: After = None) -> EventSourceResponse:
        """The event `study` whenever it has changed, and `end` when nothing works at it."""
        tuning.summary(storage, name)
        events = study_events(
            lambda: tuning.summary(storage, name),
            lambda: desk.workers_of(name) is not None,
            desk.away.patience,
            after or "",
        )
        return streams.response(events)

    @routes.post(
        "/studies/{name}/stop",
        status_code=202,
        summary="Stop a study",
        responses=refusals(404, 502, 503),
    )
    def stop_study(name: StudyName) -> StudySummary:
        """Its workers stop at their next step; what they were at is queued again."""
        return desk.stop_study(name)

    @routes.get(
        "/studies/{name}/best", summary="The best parameters", responses=refusals(404, 409, 503)
    )
    def best(name: StudyName) -> dict[str, str | int | float]:
        """As the training pipeline takes them."""
        return desk.best(name)

    return routes
