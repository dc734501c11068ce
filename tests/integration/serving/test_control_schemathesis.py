"""Whatever a client sends, the API answers as its OpenAPI document says, and never with a 500."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from schemathesis.specs.openapi.checks import positive_data_acceptance

from rampart.tuning.settings import StudySettings
from rampart.tuning.studies import open_study
from tests.integration.serving.control_api import TOKEN, Api, serving

pytestmark = pytest.mark.slow
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MODES = tuple(schemathesis.GenerationMode)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with a study that has ended; it takes two runs at once."""
    root = tmp_path_factory.mktemp("schemathesis")
    asked = StudySettings(name="words", target="ngram", trials=1)
    study = open_study(f"sqlite:///{root}/studies.db", asked)
    words = {"ngram_words": IntDistribution(1, 3)}
    study.add_trial(create_trial(params={"ngram_words": 2}, distributions=words, value=0.9))
    with serving(root, "--max-runs", "2") as running:
        yield running


@pytest.mark.parametrize("mode", MODES, ids=[mode.value for mode in MODES])
def test_every_answer_is_as_documented(api: Api, mode: schemathesis.GenerationMode) -> None:
    document = schemathesis.openapi.from_url(f"{api.client.base_url}/openapi.json", headers=HEADERS)
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            # Of form alone it cannot be told whether a name is a pipeline's, or a table is there.
            case.call_and_validate(
                headers=HEADERS, excluded_checks=[positive_data_acceptance], timeout=60
            )

        # Where there is nothing to send, nothing wrong can be sent.
        with suppress(Unsatisfiable):
            ask()
    assert asked > 80
