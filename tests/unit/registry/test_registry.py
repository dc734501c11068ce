"""Versions and aliases on a real sqlite file."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rampart.bundle.store import read_manifest, verify
from rampart.errors import BundleError, RegistryError, UnknownModelError
from rampart.registry.registry import Registry


def run_of(registry, version):
    return registry._client.get_run(version.run_id)


def all_runs(registry):
    client = registry._client
    experiment = client.get_experiment_by_name("rampart")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def test_a_promoted_bundle_is_the_champion_with_all_that_belongs_to_it(
    registry, bundle, decided, tmp_path
):
    report = tmp_path / "report"
    report.write_text("<html>", encoding="utf-8")
    card = tmp_path / "card.md"
    card.write_text("# Card", encoding="utf-8")
    figures = {"f1": {"difference": np.float64(0.02), "low": float("nan")}}
    registered = registry.register(
        bundle,
        decision=decided(True, "It misses less.", figures),
        parameters={"epochs": 3, "learning rate, top": 2e-4},
        metrics={"whole/f1": 0.97, "recall at 1 % FPR": 0.96, "undefined": None, "nan": np.nan},
        artifacts={"documents/report.html": report, "card.md": card},
    )
    manifest = read_manifest(bundle)
    assert (registered.version, registered.alias) == (1, "champion")
    assert registered.reason == "It misses less."

    champion = registry.champion()
    assert champion == registry.version("champion") == registry.version(1)
    assert champion.bundle_id == manifest.id
    assert champion.aliases == ("champion",)
    assert champion.reason == "It misses less."
    assert champion.replaces is None
    assert champion.metrics == {"whole/f1": 0.97, "recall at 1 _ FPR": 0.96}
    assert timedelta(0) <= datetime.now(UTC) - champion.created < timedelta(minutes=5)

    [run] = all_runs(registry)
    assert run.info.run_id == champion.run_id == registered.run_id
    assert run.info.status == "FINISHED"
    assert run.data.metrics == champion.metrics
    assert run.data.params == {"epochs": "3", "learning rate_ top": "0.0002"}
    assert registry.parameters("champion") == run.data.params
    tags = {"bundle_id": manifest.id, "source_revision": "unknown", "data_fingerprint": "unknown"}
    assert tags.items() <= run.data.tags.items()

    client = registry._client
    assert {item.path for item in client.list_artifacts(champion.run_id)} == {
        "bundle",
        "card.md",
        "documents",
    }
    fetched = client.download_artifacts(champion.run_id, "documents/report.html", str(tmp_path))
    assert Path(fetched).read_text(encoding="utf-8") == "<html>"
    [version] = registry._versions.all()
    assert json.loads(version.tags["decision"]) == {
        "promote": True,
        "alias": "champion",
        "reason": "It misses less.",
        "comparisons": {"f1": {"difference": 0.02, "low": None}},
    }


def test_the_bundle_that_is_fetched_is_the_one_that_was_registered(
    registry, bundle, another, promoted, tmp_path
):
    registry.register(bundle, decision=promoted)
    folder = tmp_path / "ser ving" / "bündle"
    shutil.copytree(another("earlier"), folder)
    assert registry.fetch("champion", folder) == folder
    assert verify(folder) == read_manifest(bundle)
    assert {path.name for path in folder.iterdir()} == {path.name for path in bundle.iterdir()}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_holds_something_else_is_not_overwritten(
    registry, bundle, promoted, tmp_path
):
    registry.register(bundle, decision=promoted)
    letters = tmp_path / "letters" / "to-a-friend.txt"
    letters.parent.mkdir()
    letters.touch()
    with pytest.raises(BundleError, match="is not a bundle"):
        registry.fetch("champion", letters.parent)
    assert letters.exists()


def test_artifacts_lie_beside_the_database_unless_told_otherwise(
    tracking_uri, registry, bundle, another, promoted, tmp_path
):
    registry.register(bundle, decision=promoted)
    [database] = tmp_path.glob("*/mlflow.db")
    assert (database.parent / "artifacts").is_dir()
    elsewhere = Registry(
        tracking_uri,
        experiment="elsewhere",
        name="Another model-1.0",
        artifact_root=str(tmp_path / "elsewhere"),
    )
    elsewhere.register(another("one"), decision=promoted)
    assert list((tmp_path / "elsewhere").glob("*/artifacts/bundle/bundle.json"))
    assert elsewhere.champion().number == registry.champion().number == 1
    assert verify(elsewhere.fetch("champion", tmp_path / "fetched"))


def test_a_challenger_leaves_the_champion_alone(registry, bundle, another, promoted, refused):
    registry.register(bundle, decision=promoted)
    registered = registry.register(another("one"), decision=refused)
    assert (registered.version, registered.alias) == (2, "challenger")
    assert registry.champion().number == 1
    assert registry.version("challenger").reason == "It is no better."
    assert [version.number for version in registry.versions()] == [2, 1]


def test_a_new_champion_names_the_one_it_replaces_which_stays_as_previous(
    registry, bundle, another, promoted
):
    registry.register(bundle, decision=promoted)
    registry.register(another("one"), decision=promoted)
    assert registry.champion().number == 2
    assert registry.champion().replaces == 1
    assert registry.version("previous").number == 1


def test_a_bundle_registered_again_gets_no_second_version_or_run(
    registry, bundle, another, promoted, refused
):
    first = registry.register(bundle, decision=refused, metrics={"f1": 0.9})
    assert registry.champion() is None
    second = registry.register(bundle, decision=promoted, metrics={"f1": 0.9})
    assert (second.version, second.run_id) == (first.version, first.run_id)
    assert len(all_runs(registry)) == 1
    [version] = registry.versions()
    assert version.aliases == ("champion",)
    assert version.reason == "It is better."
    assert registry.register(bundle, decision=promoted) == second


def test_the_champion_compared_with_itself_stays_the_champion(registry, bundle, promoted, refused):
    registry.register(bundle, decision=promoted)
    again = registry.register(bundle, decision=refused)
    assert (again.alias, again.reason) == ("champion", "It is better.")
    [version] = registry.versions()
    assert version.aliases == ("champion",)
    assert version.reason == "It is better."


def test_a_run_that_a_killed_process_left_is_neither_used_nor_in_the_way(
    registry, bundle, promoted, tmp_path
):
    client = registry._client
    experiment = client.create_experiment("rampart", registry.artifact_root)
    left = client.create_run(experiment, tags={"bundle_id": read_manifest(bundle).id})
    client.log_artifact(left.info.run_id, str(bundle / "bundle.json"), "bundle")
    registered = registry.register(bundle, decision=promoted)
    assert registered.run_id != left.info.run_id
    assert client.get_run(left.info.run_id).info.status == "RUNNING"
    assert verify(registry.fetch("champion", tmp_path / "fetched"))


@pytest.mark.parametrize("fails_at", [1, 3])
def test_an_upload_that_breaks_off_leaves_the_champion_as_it_was(
    registry, bundle, another, promoted, monkeypatch, fails_at
):
    registry.register(bundle, decision=promoted)
    before = registry.versions()
    upload, calls = type(registry._client).log_artifact, []

    def break_off(*arguments):
        calls.append(arguments)
        if len(calls) >= fails_at:
            raise OSError(28, "No space left on device")
        return upload(*arguments)

    better = another("one")
    with monkeypatch.context() as broken:
        broken.setattr(type(registry._client), "log_artifact", break_off)
        with pytest.raises(RegistryError, match="No space left on device"):
            registry.register(better, decision=promoted)
    assert registry.versions() == before
    assert sorted(run.info.status for run in all_runs(registry)) == ["FAILED", "FINISHED"]
    assert registry.register(better, decision=promoted).version == 2
    assert registry.champion().number == 2


def test_a_kill_before_the_alias_leaves_the_champion_and_the_next_try_finishes(
    registry, bundle, another, promoted, monkeypatch
):
    registry.register(bundle, decision=promoted)
    better = another("one")

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(type(registry._client), "set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            registry.register(better, decision=promoted)
    assert registry.champion().number == 1
    assert registry.register(better, decision=promoted).version == 2
    assert [version.aliases for version in registry.versions()] == [("champion",), ("previous",)]
    assert len(all_runs(registry)) == 2


def test_a_tampered_bundle_is_refused_and_nothing_is_logged(registry, another, promoted):
    bundle = another("one")
    (bundle / "card.md").write_text("# Better than it is\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"card\.md"):
        registry.register(bundle, decision=promoted)
    assert registry.versions() == []
    assert all_runs(registry) == []


def test_a_store_that_was_written_to_is_found_out_and_the_folder_stays(
    registry, bundle, another, promoted, tmp_path
):
    registry.register(bundle, decision=promoted)
    registry.register(another("one"), decision=promoted)
    folder = registry.fetch(1, tmp_path / "serving")
    [card] = tmp_path.glob("*/artifacts/*/artifacts/bundle/card.md")
    card.write_text("# Altered\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"card\.md"):
        registry.fetch(2, folder)
    # A whole bundle in the other's place is well-formed, and still not what was registered.
    shutil.rmtree(card.parent)
    shutil.copytree(another("two"), card.parent)
    with pytest.raises(BundleError, match="was registered"):
        registry.fetch(2, folder)
    assert verify(folder) == read_manifest(bundle)
    assert not list(tmp_path.glob(".serving*"))


def test_what_is_not_there_is_named_with_what_is(registry, bundle, refused, tmp_path):
    assert registry.champion() is None
    assert registry.versions() == []
    with pytest.raises(UnknownModelError, match="Register a bundle first"):
        registry.version(1)
    registry.register(bundle, decision=refused)
    for unknown in ("champion", 2, "99999999999999999999999", "no' OR 1=1", ""):
        with pytest.raises(UnknownModelError, match="Ask for one of 1, challenger"):
            registry.fetch(unknown, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
    assert registry.champion() is None


def test_a_deleted_version_is_made_anew(registry, bundle, promoted):
    registry.register(bundle, decision=promoted)
    registry._client.delete_model_version("rampart", "1")
    assert registry.champion() is None
    assert registry.register(bundle, decision=promoted).version == 2


def test_a_version_can_be_promoted_by_hand(registry, bundle, another, promoted, refused):
    registry.register(bundle, decision=promoted)
    registry.register(another("one"), decision=refused)
    promoted_by_hand = registry.promote("challenger", "The slices are better.")
    assert (promoted_by_hand.version, promoted_by_hand.alias) == (2, "champion")
    assert registry.champion().reason == "The slices are better."
    assert registry.champion().replaces == 1
    assert [version.aliases for version in registry.versions()] == [("champion",), ("previous",)]
    with pytest.raises(UnknownModelError):
        registry.promote(7, "It is not there.")


def test_rolling_back_goes_from_champion_to_champion_and_then_no_further(
    registry, bundle, another, promoted
):
    registry.register(bundle, decision=promoted)
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.roll_back("Too early.")
    registry.register(another("one"), decision=promoted)
    registry.register(another("two"), decision=promoted)
    assert registry.roll_back("False alarms.").version == 2
    assert registry.champion().reason == "False alarms."
    assert registry.version("previous").number == 1
    assert registry._versions.get(3).tags["withdrawn"] == "False alarms."
    assert registry.roll_back("Still.").version == 1
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.roll_back("Once more.")
    assert registry.champion().number == 1


def test_a_version_that_came_second_without_a_lock_gives_way(registry, bundle, promoted):
    registered = registry.register(bundle, decision=promoted)
    client, versions = registry._client, registry._versions
    bundle_id = registry.champion().bundle_id
    late = client.create_run(run_of(registry, registry.champion()).info.experiment_id)
    look, looks = versions.of_bundle, []

    def blind_at_first(wanted):
        looks.append(wanted)
        return look(wanted) if len(looks) > 1 else []

    versions.of_bundle = blind_at_first
    assert versions.add(bundle_id, late, {}).run_id == registered.run_id
    assert [version.number for version in registry.versions()] == [1]
    assert client.get_run(late.info.run_id).info.lifecycle_stage == "deleted"


def test_what_contradicts_itself_is_refused_before_anything_is_written(
    registry, bundle, promoted, tmp_path
):
    class Contradictory:
        promote, alias, reason, comparisons = False, "champion", "", ()

    with pytest.raises(RegistryError, match="cannot give the alias 'champion'"):
        registry.register(bundle, decision=Contradictory())
    for name, problem in {
        "gone.html": "does not exist",
        "../card.md": "cannot be named",
        "/card.md": "cannot be named",
        "bundle/card.md": "cannot be named",
        "": "cannot be named",
    }.items():
        with pytest.raises(RegistryError, match=problem):
            registry.register(bundle, decision=promoted, artifacts={name: tmp_path / "gone"})
    with pytest.raises(RegistryError, match="cannot be named"):
        Registry("sqlite:///x.db", name="a' or name='b")
    assert all_runs(registry) == []


def test_a_deleted_experiment_is_said_to_be_deleted(registry, bundle, promoted):
    client = registry._client
    client.delete_experiment(client.create_experiment("rampart", registry.artifact_root))
    with pytest.raises(RegistryError, match="mlflow experiments restore"):
        registry.register(bundle, decision=promoted)


def test_what_became_of_a_rollout_is_noted_on_the_version(registry, bundle, promoted):
    version = registry.register(bundle, decision=promoted).version
    registry.note(version, {"rollout": "serves as mail in team"})
    registry.note("champion", {"rollout": "failed: it was slow"})
    tags = registry._client.get_model_version("rampart", str(version)).tags
    assert tags["rollout"] == "failed: it was slow"
    with pytest.raises(UnknownModelError, match="no version 7"):
        registry.note(7, {"rollout": "x"})
