"""bundle.json: what it may say, and an id that follows from all of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rampart.bundle.manifest import FileEntry, Manifest

ENTRY = {"sha256": "0" * 64, "size": 1}


def _document(**changed: object) -> dict[str, object]:
    document: dict[str, object] = {
        "threshold": 0.5,
        "models": [{"name": "ngram", "kind": "ngram", "folder": "ngram", "cost": 0.2}],
        "ensemble": {
            "kind": "voting",
            "stages": [{"name": "voting", "weights": {"ngram": 1.0}}],
        },
        "files": {"ngram/weights.npz": ENTRY},
    }
    return document | changed


def _read(**changed: object) -> Manifest:
    return Manifest.model_validate_json(json.dumps(_document(**changed)))


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = _read(metrics={"all": {"f1": 0.97, "brier": None}}).sealed({})
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\b",
        "",
        ".",
        "./a",
        "a//b",
        "a/",
        "a/./b",
        "a\0b",
        "a\nb",
    ],
)
def test_a_file_has_one_plain_name_inside_the_bundle(name: str) -> None:
    with pytest.raises(ValidationError, match=r"points outside|is not a plain relative path"):
        _read(files={name: ENTRY})


@pytest.mark.parametrize("folder", ["../ngram", "/ngram", "ngram/../..", "", "."])
def test_a_models_folder_lies_inside_the_bundle(folder: str) -> None:
    model = {"name": "ngram", "kind": "ngram", "folder": folder, "cost": 0.2}
    with pytest.raises(ValidationError, match=r"points outside|is not a plain relative path"):
        _read(models=[model])


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema_version": 2},
        {"schema_version": None},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"metrics": {"all": {"f1": float("nan")}}},
        {"models": []},
        {"labels": ["ham"]},
        {"files": {"a": {"sha256": "0" * 63, "size": 1}}},
        {"files": {"a": {"sha256": "0" * 64, "size": -1}}},
        {"run": "os.system"},
    ],
)
def test_what_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _read(**wrong)


def test_models_that_share_a_name_are_refused() -> None:
    models = _document()["models"]
    assert isinstance(models, list)
    with pytest.raises(ValidationError, match="models share a name"):
        _read(models=models * 2)


def test_a_weight_for_a_model_that_is_not_here_is_refused() -> None:
    stage = {"name": "voting", "weights": {"ngram": 1.0, "tabular": 1.0}}
    with pytest.raises(ValidationError, match=r"not here: \['tabular'\]"):
        _read(ensemble={"kind": "voting", "stages": [stage]})


def test_a_kind_that_nobody_can_read_is_refused() -> None:
    model = {"name": "ngram", "kind": "pickle", "folder": "ngram", "cost": 0.2}
    with pytest.raises(ValidationError, match="'ngram', 'tabular' or 'encoder'"):
        _read(models=[model])


@given(st.permutations(["b", "a/c", "a"]))
def test_the_id_does_not_depend_on_the_order_of_files(names: list[str]) -> None:
    files = {name: FileEntry(sha256=f"{ord(name[0]):064x}", size=1) for name in names}
    assert _read().sealed(files).id == _read().sealed(dict(sorted(files.items()))).id


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 0.6},
        {"labels": ["spam", "ham"]},
        {"parameters": {"seed": "1"}},
        {"metrics": {"all": {"f1": 0.5}}},
        {"files": {"ngram/weights.npz": ENTRY | {"size": 2}}},
    ],
)
def test_the_id_changes_with_what_the_bundle_is(changed: dict[str, object]) -> None:
    assert _read(**changed).computed_id() != _read().computed_id()


def test_the_id_does_not_change_with_the_time() -> None:
    earlier = _read(created="2001-01-01T00:00:00Z")
    assert earlier.created != _read().created
    assert earlier.computed_id() == _read().computed_id()


def test_the_id_does_not_change_with_the_speed_of_the_machine() -> None:
    model = {"name": "ngram", "kind": "ngram", "folder": "ngram"}
    slow, fast = (_read(models=[model | {"cost": cost}]) for cost in (9.0, 0.2))
    assert slow.models != fast.models
    assert slow.computed_id() == fast.computed_id()
