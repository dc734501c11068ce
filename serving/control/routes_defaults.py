"""Defaults that come of studies, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request

from rampart.errors import UnknownModelError
from rampart.registry import defaults
from serving.control.desk import Desk
from serving.control.shapes import Promoted, StudyName, refusals


def default_routes(desk: Desk) -> APIRouter:
    """Routes of the promoted defaults."""
    routes = APIRouter(prefix="/v1", tags=["defaults"])

    @routes.post(
        "/studies/{name}/promote",
        summary="Promote the best parameters",
        responses=refusals(404, 409, 502, 503),
    )
    def promote(name: StudyName, request: Request) -> Promoted:
        """They become the defaults of runs that ask for promoted ones."""
        return Promoted(**desk.promote(name, request.state.caller).model_dump())

    @routes.get("/defaults", summary="The promoted defaults", responses=refusals(404, 502))
    def promoted() -> Promoted:
        """What was promoted last."""
        settings = desk.settings
        standing = defaults.promoted(desk.tracking_uri, name=settings.model_name)
        if standing is None:
            raise UnknownModelError(
                "No defaults were promoted yet.", "POST /v1/studies/NAME/promote does so."
            )
        return Promoted(**standing.model_dump())

    return routes
