"""`rampart bundle` shows what a bundle holds and finds what is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rampart.bundle.manifest import CASCADE_FILE
from rampart.bundle.store import read_manifest, seal
from rampart.ensembles.base import Ensemble, Stage
from rampart.ensembles.cascade import CascadeReport, CascadeSettings
from tests.unit.cli.conftest import Command


@pytest.fixture
def broken(bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(bundle, folder)
    with (folder / "ngram" / "weights.npz").open("ab") as file:
        file.write(b"more")
    return folder


def test_show_names_models_thresholds_and_weights(rampart: Command, bundle: Path) -> None:
    manifest = read_manifest(bundle)
    said = rampart("bundle", "show", bundle)
    assert said.code == 0
    assert said.err == ""
    assert manifest.id in said.out
    weights = manifest.ensemble.stages[-1].weights
    for model in manifest.models:
        [row] = [line.split() for line in said.out.splitlines() if line.startswith(model.name)]
        assert row[1] == model.kind
        assert f"{model.threshold:.4f}" in row
        assert f"{weights[model.name]:.3f}" in row


def test_show_prints_figures_by_slice_and_n_a_where_there_is_none(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    from rampart.bundle.build import finish

    finish(
        bundle,
        tmp_path / "measured",
        metrics={"all": {"f1": 0.91234}, "HTML": {"f1": None}},
        documents={},
    )
    said = rampart("bundle", "show", tmp_path / "measured")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line.strip()}
    assert rows["all"][0] == "0.912"
    assert rows["HTML"][0] == "n/a"


def test_show_says_what_is_settled_early_and_why(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cascade"
    shutil.copytree(bundle, folder)
    manifest = read_manifest(folder)
    first = Stage(name="ngram", weights={"ngram": 1.0}, unsure=(0.05, 0.95))
    ensemble = Ensemble(kind="cascade", stages=(first, *manifest.ensemble.stages))
    report = CascadeReport(settings=CascadeSettings(), rows=9, campaigns=7, reason="It is safe.")
    (folder / CASCADE_FILE).write_text(report.model_dump_json())
    seal(folder, manifest.model_copy(update={"ensemble": ensemble}))
    said = rampart("bundle", "show", folder)
    assert said.code == 0
    assert "ngram settles what it gives less than 0.05 or more than 0.95" in said.out
    assert "It is safe." in said.out


def test_show_as_json_is_the_manifest(rampart: Command, bundle: Path) -> None:
    assert rampart("bundle", "show", bundle, "--json").document == read_manifest(bundle).model_dump(
        mode="json"
    )


def test_verify_says_that_a_bundle_is_whole(rampart: Command, bundle: Path) -> None:
    said = rampart("bundle", "verify", bundle)
    assert said.code == 0
    assert "is whole" in said.out
    document = rampart("bundle", "verify", bundle, "--json").document
    manifest = read_manifest(bundle)
    assert document == {"id": manifest.id, "files": len(manifest.files), "whole": True}


def test_verify_names_the_file_that_was_altered(rampart: Command, broken: Path) -> None:
    said = rampart("bundle", "verify", broken)
    assert said.code == 7
    assert said.out == ""
    assert said.err.startswith("error: ngram/weights.npz in ")
    assert said.err.count("\n") == 1


def test_square_brackets_in_a_path_are_no_markup(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "[red]x[/blue]"
    shutil.copytree(bundle, folder)
    assert f"{folder} is whole" in rampart("bundle", "verify", folder).out


def test_fetch_says_where_the_bundle_is_and_cache_shows_it(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    said = rampart("bundle", "fetch", f"file://{bundle}", "--folder", cache)
    assert said.code == 0, said.err
    folder = Path(said.out.strip())
    assert read_manifest(folder) == read_manifest(bundle)
    shown = rampart("bundle", "cache", "--folder", cache)
    assert read_manifest(bundle).id[:16] in shown.out
    [entry] = json.loads(rampart("bundle", "cache", "--folder", cache, "--json").out)["entries"]
    assert entry["name"] == read_manifest(bundle).id
    cleared = rampart("bundle", "cache", "--folder", cache, "--clear")
    assert cleared.out.startswith("Removed 1,")
    assert not folder.exists()


def test_fetch_names_an_address_that_holds_none(rampart: Command, tmp_path: Path) -> None:
    said = rampart("bundle", "fetch", f"file://{tmp_path}/none", "--folder", tmp_path / "cache")
    assert said.code == 6
    assert f"file://{tmp_path}/none" in said.err
