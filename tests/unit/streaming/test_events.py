"""What events say is published, and says what it should."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rampart.streaming.events import MODELS, Received, schemas
from tests.project.places import ROOT

FOLDER = ROOT / "docs" / "events"


def test_the_published_schemas_are_those_of_the_models() -> None:
    found = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    assert found == schemas(), "run `rampart stream schemas`"


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_says_what_each_member_is(name: str) -> None:
    document = schemas()[name]
    assert document["description"]
    assert document["$id"] == f"urn:{name.replace('.', ':')}"
    assert name.endswith(".v1")


@pytest.mark.parametrize("given", [{}, {"text": "a", "mail": "YQ=="}, {"text": 1}, {"mail": "?"}])
def test_a_message_is_a_text_or_a_mail(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Received.model_validate_json(json.dumps(given))
