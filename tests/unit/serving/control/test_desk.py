"""What a study found becomes what training is started with."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError

from rampart.errors import InputError, OverloadedError, UnknownModelError
from rampart.tuning.settings import StudySettings
from rampart.tuning.studies import open_study
from serving.control.desk import Desk
from serving.control.events import Streams, run_events
from serving.control.refusal import ConflictError, refuse
from serving.control.runs.local import LocalRuns
from serving.control.settings import ControlSettings
from serving.control.studies import StudyOrder, trials
from tests.unit.serving.control.conftest import TOKEN, Calls


@pytest.fixture(autouse=True)
def _nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are taken here, and their processes are others' tests."""
    monkeypatch.setattr(LocalRuns, "_begin", lambda *_: None)


@pytest.fixture
def mails(tmp_path: Path) -> str:
    file = tmp_path / "mails.csv"
    file.write_text("text,label\nhello,ham\nwin,spam\n")
    return str(file)


def found(desk: Desk, name: str = "words", **parameters: float) -> None:
    """A study of one complete trial."""
    study = open_study(desk.storage, StudySettings(name=name, target="ngram", trials=9))
    given = parameters or {"ngram_words": 2, "ngram_regularisation": 7.5}
    study.add_trial(
        optuna.trial.create_trial(
            params=given,
            distributions={
                key: IntDistribution(0, 99) if isinstance(it, int) else FloatDistribution(0, 99)
                for key, it in given.items()
            },
            value=0.9,
        )
    )


def test_what_was_promoted_is_what_training_is_started_with(desk: Desk, mails: str) -> None:
    given = {"uri": mails}
    with pytest.raises(ConflictError, match="No defaults were promoted"):
        desk.start_pipeline("training", given, "ann", None, promoted=True)
    found(desk)
    promoted = desk.promote("words", "ann")
    assert promoted.parameters == {"ngram_words": 2, "ngram_regularisation": 7.5}
    assert promoted.promoted_by == "ann"
    run = desk.start_pipeline("training", given, "ann", None, promoted=True)
    assert run.arguments["ngram_words"] == 2
    assert run.arguments["ngram_regularisation"] == 7.5
    # What is asked for goes before what was promoted, and what is not asked for is left alone.
    asked = given | {"ngram_words": 1}
    assert (
        desk.start_pipeline("training", asked, "a", None, promoted=True).arguments["ngram_words"]
        == 1
    )
    assert (
        "ngram_words"
        not in desk.start_pipeline("training", given, "a", None, promoted=False).arguments
    )


def test_without_a_complete_trial_nothing_is_promoted(client: Calls, desk: Desk) -> None:
    calls = client()
    open_study(desk.storage, StudySettings(name="new", target="ngram", trials=9))
    for answer in (calls.post("/v1/studies/new/promote"), calls.get("/v1/studies/new/best")):
        assert answer.status_code == 409
        assert "No trial of the study 'new' is complete" in answer.json()["detail"]
    assert calls.get("/v1/defaults").status_code == 404
    found(desk)
    assert calls.post("/v1/studies/words/promote").json()["source"] == "study words"
    assert calls.get("/v1/defaults").json()["promoted_by"] == "token"


def test_a_parameter_that_training_lacks_is_not_promoted(desk: Desk) -> None:
    found(desk, ngram_colour=3)
    with pytest.raises(ConflictError, match="no parameter ngram_colour"):
        desk.promote("words", "ann")


def test_a_trial_is_shown_with_its_values_by_name(desk: Desk) -> None:
    found(desk)
    shown = trials(desk.storage, "words")
    assert shown[-1].values == {"recall": 0.9}
    assert shown[-1].state == "complete"
    assert shown[-1].started is not None
    assert shown[-1].started.tzinfo is not None


def study(table: str, **more: object) -> StudyOrder:
    asked = {"name": "words", "target": "ngram", "trials": 3, "table": table, **more}
    return StudyOrder.model_validate(asked)


def test_a_study_has_one_group_of_workers_at_a_time(desk: Desk, mails: str) -> None:
    begun = desk.start_study(study(mails), "ann", "k")
    assert begun.study.state == "idle"
    assert desk.start_study(study(mails), "ann", "k").run.id == begun.run.id
    with pytest.raises(ConflictError, match="works at the study 'words'"):
        desk.start_study(study(mails), "ann", "other")
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        desk.start_study(study(mails, trials=4), "ann", "k")
    # What was refused has changed nothing.
    after = desk.start_study(study(mails), "ann", "k").study
    assert after.settings.trials == 3
    desk.local.stop(begun.run.id)
    with pytest.raises(ConflictError, match="seed differ"):
        desk.start_study(study(mails, seed=4), "ann", None)
    assert desk.start_study(study(mails, trials=5), "ann", None).run.id != begun.run.id


def test_a_study_starts_from_a_version_that_there_is(
    desk: Desk, mails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownModelError, match="called 'champion'"):
        desk.start_study(study(mails, champion="champion"), "ann", None)
    assert desk.runs() == []
    monkeypatch.setattr(desk.registry, "parameters", lambda name: {"ngram_words": name})
    begun = desk.start_study(study(mails, champion="3"), "ann", "k")
    assert begun.study.settings.parameters == {"ngram_words": 3}
    desk.local.stop(begun.run.id)
    again = desk.start_study(study(mails, champion="1"), "ann", None)
    assert again.study.settings.parameters == {"ngram_words": 3}


def test_a_study_whose_opening_was_broken_off_is_opened_by_the_next_order(
    desk: Desk, mails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(optuna.Study, "set_metric_names", kill)
        with pytest.raises(KeyboardInterrupt):
            desk.start_study(study(mails), "ann", None)
    assert desk.start_study(study(mails), "ann", None).study.settings.trials == 3


def test_tables_lie_where_they_are_to(root: Path, tmp_path: Path, mails: str) -> None:
    inside = tmp_path / "tables"
    inside.mkdir()
    (inside / "link").symlink_to(mails)
    (inside / "own").write_text("x")
    desk = Desk(ControlSettings(root=root, token=TOKEN, data=inside))
    for path in (mails, f"{inside}/../mails.csv", f"{inside}/link"):
        with pytest.raises(InputError, match="does not lie in"):
            desk.start_study(study(path), "ann", None)
    assert desk.start_study(study(f"{inside}/own"), "ann", None).run.kind == "study"


def test_what_the_operator_gives_reaches_the_run_and_no_caller_changes_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"deployment": {"hostname": "mail.example.org", "replicas": "3"}}
    monkeypatch.setenv("RAMPART_CONTROL_OPERATOR", json.dumps(given))
    desk = Desk(ControlSettings(root=root, token=TOKEN))
    run = desk.start_pipeline("deployment", {"version": "3"}, "a", None, promoted=False)
    assert run.arguments["hostname"] == "mail.example.org"
    assert run.arguments["replicas"] == 3
    for name in ("hostname", "replicas"):
        with pytest.raises(InputError, match=f"{name} is not the caller's"):
            desk.start_pipeline("deployment", {name: "1"}, "a", None, promoted=False)
    monkeypatch.setenv("RAMPART_CONTROL_OPERATOR", "hostname=x")
    with pytest.raises(ValueError, match="operator"):
        ControlSettings(root=root, token=TOKEN)


def test_a_database_that_does_not_answer_is_said_so(client: Calls) -> None:
    calls = client(storage="postgresql://me:secret@127.0.0.1:1/studies")
    for answer in (
        calls.get("/v1/studies"),
        calls.get("/v1/studies/a"),
        calls.post("/v1/studies/a/stop"),
        calls.post("/v1/studies/a/promote"),
    ):
        assert answer.status_code == 503
        assert "cannot be opened" in answer.json()["detail"]
        assert "secret" not in answer.text
    assert refuse(StorageInternalError("the server closed the connection"))["status"] == 503


def test_runs_are_bounded(root: Path, mails: str) -> None:
    desk = Desk(ControlSettings(root=root, token=TOKEN, max_runs=2))
    for _ in range(2):
        desk.start_pipeline("training", {"uri": mails}, "a", None, promoted=False)
    with pytest.raises(OverloadedError, match="2 runs have not ended"):
        desk.start_pipeline("training", {"uri": mails}, "a", None, promoted=False)
    assert len(desk.runs()) == 2


def test_streams_are_bounded(desk: Desk) -> None:
    home, run = desk.local, "r" + "0" * 24
    with pytest.raises(OverloadedError, match="0 streams of events are open"):
        Streams(0, 15).response(run_events(home, run, ""))
