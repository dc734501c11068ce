from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from rampart.errors import InputError, StorageError, UnknownModelError, outcome
from rampart.tuning import studies
from rampart.tuning.champion import with_champion
from rampart.tuning.spaces import suggested
from rampart.tuning.storage import open_storage
from tests.unit.tuning.conftest import Run, asked


def test_a_study_keeps_its_settings_whole(storage: str) -> None:
    settings = asked(parameters={"tabular_leaves": 5}, seconds=9.5)
    studies.open_study(storage, settings)
    assert studies.summary(storage, "s").settings == settings


def test_the_same_study_is_gone_on_with(storage: str, run: Run) -> None:
    run(asked(trials=2))
    assert studies.summary(storage, "s").state == "ended"
    run(asked(trials=4))
    found = studies.summary(storage, "s")
    assert sum(found.trials.values()) == 4
    assert found.settings.trials == 4


def test_other_settings_under_a_known_name_are_refused_and_named(storage: str) -> None:
    studies.open_study(storage, asked())
    with pytest.raises(InputError, match="seed is 0, not 7"):
        studies.open_study(storage, asked(seed=7))


def test_what_others_made_is_neither_listed_nor_taken_over(storage: str) -> None:
    opened = open_storage(storage)
    optuna.create_study(study_name="s", storage=opened)
    assert studies.summaries(storage) == []
    with pytest.raises(InputError, match="not made by Rampart"):
        studies.open_study(storage, asked())


def test_a_study_whose_opening_was_broken_off_is_opened_anew(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked(parameters={"tabular_leaves": 5})

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(optuna.Study, "set_metric_names", kill)
        with pytest.raises(KeyboardInterrupt):
            studies.open_study(storage, settings)
    assert studies.summaries(storage) == []
    study = studies.open_study(storage, settings)
    assert len(study.get_trials()) == 2
    assert studies.summary(storage, "s").settings == settings


def test_signs_of_life_come_as_often_as_when_the_study_began(storage: str) -> None:
    studies.open_study(storage, asked(heartbeat=10))
    with pytest.raises(InputError, match="heartbeat is 10, not 1"):
        studies.open_study(storage, asked(heartbeat=1))


def test_studies_are_listed_the_newest_first(storage: str) -> None:
    assert studies.summaries(storage) == []
    for name in ("first", "second"):
        studies.open_study(storage, asked(name=name))
    assert [study.name for study in studies.summaries(storage)] == ["second", "first"]


def test_an_unknown_study_is_not_found_and_no_file_is_made(storage: str, tmp_path: Path) -> None:
    for ask in (studies.summary, studies.stop, studies.best_parameters):
        with pytest.raises(UnknownModelError, match="no study 'nope'") as caught:
            ask(storage, "nope")
        assert outcome(caught.value).http_status == 404
    assert not list(tmp_path.iterdir())
    studies.open_study(storage, asked())
    with pytest.raises(UnknownModelError, match="The storage holds: s"):
        studies.summary(storage, "nope")


def test_best_parameters_need_a_complete_trial(storage: str) -> None:
    studies.open_study(storage, asked())
    with pytest.raises(InputError, match="No trial of the study 's' is complete"):
        studies.best_parameters(storage, "s")


def test_of_two_objectives_the_best_recall_comes_first(storage: str, run: Run) -> None:
    run(asked(objectives=("recall", "cost"), trials=4, rounds=20))
    best = studies.summary(storage, "s").best
    recalls = [trial.values["recall"] for trial in best]
    costs = [trial.values["cost"] for trial in best]
    assert recalls == sorted(recalls, reverse=True)
    assert costs == sorted(costs, reverse=True)
    assert studies.best_parameters(storage, "s") == best[0].parameters


def test_defaults_are_tried_first_then_the_champion_then_former_bests(
    storage: str, run: Run
) -> None:
    run(asked(name="former", trials=3, seed=3))
    former = studies.best_parameters(storage, "former")
    champion = {"tabular_leaves": 21, "tabular_learning_rate": 0.2}
    study = run(asked(parameters=champion, warm_start_from=("former",), trials=3))
    first, second, *rest = study.get_trials()
    assert first.params["tabular_leaves"] == 8
    assert second.params == {**first.params, **champion}
    if former not in (first.params, second.params):
        assert rest[0].params == former


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_of_former_bests_that_are_alike_one_is_tried(storage: str) -> None:
    former = studies.open_study(storage, asked(name="former"))
    for leaves in (5, 6, 7):
        former.enqueue_trial({"tabular_leaves": leaves})
    for value in (0.1, 0.5, 0.5, 0.5):
        trial = former.ask()
        suggested(trial, asked())
        former.tell(trial, value)
    study = studies.open_study(storage, asked(warm_start_from=("former",)))
    starts = [trial.system_attrs["fixed_params"] for trial in study.get_trials()]
    assert [start["tabular_leaves"] for start in starts] == [8, 5]


def test_a_study_starts_from_the_champion_and_keeps_it_when_another_is_champion(
    storage: str,
) -> None:
    told = {
        "seed": "3",
        "tabular_leaves": "21",
        "tabular_learning_rate": "0.2",
        "tabular_leaf_texts": "1000",
        "ngram_words": "1",
    }
    settings = with_champion(storage, asked(), lambda: told)
    # What no trial could be given is left out, and what is of another model.
    assert settings.parameters == {"tabular_leaves": 21, "tabular_learning_rate": 0.2}
    studies.open_study(storage, settings)
    again = with_champion(storage, asked(), lambda: {"tabular_leaves": "5"})
    assert again == settings
    assert studies.open_study(storage, again).study_name == "s"
    given = with_champion(storage, asked(name="t", parameters={"tabular_leaves": 9}), lambda: told)
    assert given.parameters == {"tabular_leaves": 9, "tabular_learning_rate": 0.2}


@pytest.mark.parametrize(
    ("ensemble", "taken"),
    [
        ("stacking", {"ensemble": "stacking", "ngram_words": 1}),
        ("ngram=0.3,tabular=0.7", {"ensemble": "ngram=0.3,tabular=0.7", "ngram_words": 1}),
        ("ngram=0.3,encoder=0.7", {"ngram_words": 1}),
        ("of another version", {"ngram_words": 1}),
    ],
)
def test_of_the_champions_ensemble_is_taken_what_fits_with_what_its_models_are_fitted(
    storage: str, ensemble: str, taken: dict[str, object]
) -> None:
    settings = asked(target="ensemble", models=("ngram", "tabular"))
    told = {"ensemble": ensemble, "ngram_words": "1", "encoder_layers": "2"}
    settings = with_champion(storage, settings, lambda: told)
    assert settings.parameters == taken
    studies.open_study(storage, settings)


def test_a_start_from_another_target_or_out_of_range_is_refused(storage: str) -> None:
    studies.open_study(storage, asked(name="grams", target="ngram"))
    with pytest.raises(InputError, match="tunes the ngram, and this one the tabular"):
        studies.open_study(storage, asked(warm_start_from=("grams",)))
    with pytest.raises(UnknownModelError, match="no study 'nope'"):
        studies.open_study(storage, asked(warm_start_from=("nope",)))
    with pytest.raises(InputError, match="tabular_leaves cannot be 1"):
        studies.open_study(storage, asked(parameters={"tabular_leaves": 1}))
    with pytest.raises(InputError, match="no parameter 'leaves'"):
        studies.open_study(storage, asked(parameters={"leaves": 4}))
    # What was refused has left nothing that the next one would go on with.
    studies.open_study(storage, asked(parameters={"tabular_leaves": 4}))


def test_an_ensemble_starts_from_the_champions_shares(storage: str) -> None:
    shares = {"ensemble": "ngram=0.3,tabular=0.7"}
    study = studies.open_study(storage, asked(target="ensemble", parameters=shares))
    starts = [trial.system_attrs["fixed_params"] for trial in study.get_trials()]
    assert starts == [
        {"ensemble": "voting"},
        {"ensemble": "weighted", "share_ngram": 0.3, "share_tabular": 0.7},
    ]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("studies.db", "no address of a storage"),
        ("mysql://host/studies", "cannot be kept in mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(address: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        studies.open_study(address, asked())


def test_a_file_that_is_no_database_is_refused(storage: str, tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("no database, " * 100)
    with pytest.raises(StorageError, match="file is not a database") as caught:
        studies.open_study(storage, asked())
    assert outcome(caught.value).http_status == 503


def test_an_address_with_a_password_is_never_told_with_it() -> None:
    with pytest.raises(StorageError) as caught:
        studies.open_study("postgresql://me:secret@127.0.0.1:1/studies", asked())
    assert "secret" not in str(caught.value)
    assert "cannot be opened" in str(caught.value)


def test_readers_do_not_wait_for_a_writer(storage: str, tmp_path: Path) -> None:
    studies.open_study(storage, asked())
    with sqlite3.connect(tmp_path / "studies.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert studies.summary(storage, "s").state == "idle"
