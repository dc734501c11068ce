"""A bundle is loaded only as it was written; what is off is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rampart.bundle.store import copy, read_manifest, seal, verify
from rampart.errors import BundleError


@pytest.fixture
def own(bundle: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def _change(folder: Path, change: Callable[[dict[str, Any]], object], *, reseal: bool) -> None:
    """Alter bundle.json; with `reseal`, as one would who can compute its id anew."""
    file = folder / "bundle.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    change(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    if reseal:
        document["id"] = read_manifest(folder).computed_id()
        file.write_text(json.dumps(document), encoding="utf-8")


def test_a_bundle_is_accepted_as_it_was_written_and_where_it_was_copied_to(
    bundle: Path, own: Path
) -> None:
    assert verify(own) == verify(bundle)
    (own.parent / "link").symlink_to(own)
    assert verify(own.parent / "link").id == verify(bundle).id


def test_every_file_but_the_manifest_is_listed(bundle: Path) -> None:
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files - {"bundle.json"} == set(verify(bundle).files)


def test_any_changed_byte_is_found(own: Path) -> None:
    for name in verify(own).files:
        file = own / name
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match=f"{name} in .* is not the file that was written"):
            verify(own)
        file.write_bytes(content)
    verify(own)


def test_a_missing_file_is_named(own: Path) -> None:
    (own / "encoder" / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"encoder/tokenizer\.json is missing"):
        verify(own)


def test_a_missing_model_folder_is_named_by_its_first_file(own: Path) -> None:
    shutil.rmtree(own / "ngram")
    with pytest.raises(BundleError, match=r"ngram/.* is missing"):
        verify(own)


@pytest.mark.parametrize(
    "name",
    ["extra.txt", "encoder/model.onnx.data", "ngram/bundle.json", ".hidden", "new/deep/file"],
)
def test_a_file_that_is_not_listed_is_refused(own: Path, name: str) -> None:
    (own / name).parent.mkdir(parents=True, exist_ok=True)
    (own / name).write_bytes(b"x")
    with pytest.raises(BundleError, match=f"{name} in .* is not a file of this bundle"):
        verify(own)


def test_an_empty_folder_is_no_file(own: Path) -> None:
    (own / "lost+found").mkdir()
    verify(own)


def test_a_link_that_leads_outside_is_refused_even_to_the_same_content(own: Path) -> None:
    outside = own.parent / "outside"
    (own / "ngram" / "weights.npz").rename(outside)
    (own / "ngram" / "weights.npz").symlink_to(outside)
    with pytest.raises(BundleError, match=r"ngram/weights\.npz in .* a link that leads outside"):
        verify(own)


def test_a_folder_that_is_a_link_is_refused(own: Path) -> None:
    (own / "ngram").rename(own.parent / "elsewhere")
    (own / "ngram").symlink_to(own.parent / "elsewhere")
    with pytest.raises(BundleError, match=r"ngram in .* is not a file of this bundle"):
        verify(own)


def test_links_in_a_circle_are_refused(own: Path) -> None:
    file = own / "ngram" / "weights.npz"
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(BundleError, match=r"ngram/weights\.npz"):
        verify(own)


def test_a_pipe_for_a_file_is_refused_and_not_waited_on(own: Path) -> None:
    (own / "ngram" / "weights.npz").unlink()
    os.mkfifo(own / "ngram" / "weights.npz")
    with pytest.raises(BundleError, match=r"ngram/weights\.npz is missing"):
        verify(own)


def test_a_name_too_long_for_a_file_is_refused(own: Path) -> None:
    name = "ngram/" + "x" * 300
    entry = {"sha256": "0" * 64, "size": 1}
    _change(own, lambda document: document["files"].update({name: entry}), reseal=True)
    with pytest.raises(BundleError, match="ngram/xxx"):
        verify(own)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(threshold=0.123),
        lambda document: document.update(labels=["spam", "ham"]),
        lambda document: document["models"][0].update(threshold=0.9),
        lambda document: document["ensemble"]["stages"][0].update(intercept=9),
        lambda document: document.update(id=""),
        lambda document: document.update(id="0" * 64),
    ],
)
def test_an_altered_manifest_is_refused(
    own: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    _change(own, change, reseal=False)
    with pytest.raises(BundleError, match=r"bundle\.json in .* was altered"):
        verify(own)


def test_a_model_without_files_is_refused(own: Path) -> None:
    _change(own, lambda document: document["models"][0].update(folder="ngra"), reseal=True)
    with pytest.raises(BundleError, match=r"The model ngram in .* has no files"):
        verify(own)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(schema_version=2), "schema_version"),
        (lambda document: document.update(code="x"), "code"),
        (lambda document: document["models"][0].update(folder="../ngram"), "points outside"),
        (lambda document: document["models"][1].update(kind="pickle"), r"models\.1\.kind"),
        (lambda document: document["files"].update({"../x": {}}), "files"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(
    own: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    _change(own, change, reseal=False)
    with pytest.raises(BundleError, match=rf"bundle\.json cannot be used: .*{message}"):
        verify(own)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}", b"null", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object_is_refused(own: Path, content: bytes) -> None:
    (own / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json cannot be used"):
        read_manifest(own)


def test_a_manifest_cut_short_is_refused_wherever_it_ends(own: Path) -> None:
    content = (own / "bundle.json").read_bytes().rstrip()
    for size in range(0, len(content), 97):
        (own / "bundle.json").write_bytes(content[:size])
        with pytest.raises(BundleError, match=r"bundle\.json cannot be used"):
            verify(own)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=r"is not a bundle: it holds no bundle\.json"):
            verify(folder)


def test_a_file_or_a_folder_in_the_wrong_place_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").mkdir()
    with pytest.raises(BundleError, match="cannot be read: Is a directory"):
        verify(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="cannot be read: Not a directory"):
        verify(tmp_path / "file")


def test_sealing_again_gives_the_same_id(own: Path) -> None:
    before = verify(own)
    assert seal(own, before).id == before.id
    (own / "card.md").write_text("# A card", encoding="utf-8")
    after = seal(own, before)
    assert after.id != before.id
    assert "card.md" in verify(own).files


def test_a_copy_is_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    assert copy(bundle, tmp_path / "copy") == verify(bundle) == verify(tmp_path / "copy")


def test_a_broken_bundle_is_not_copied_over_a_whole_one(
    bundle: Path, own: Path, tmp_path: Path
) -> None:
    copy(bundle, tmp_path / "copy")
    (own / "ngram" / "weights.npz").unlink()
    with pytest.raises(BundleError, match="is missing"):
        copy(own, tmp_path / "copy")
    verify(tmp_path / "copy")
