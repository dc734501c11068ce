"""A bundle says which code wrote it: as it was told, else the commit, else the version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rampart import __version__
from rampart.bundle import revision
from rampart.bundle.revision import code_digest, source_revision


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a folder that is no checkout yet, in the library's place."""
    folder = tmp_path / "house" / "package"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(revision, "_PACKAGE", folder)
    monkeypatch.delenv("RAMPART_REVISION", raising=False)
    return folder


def _git(folder: Path, *arguments: str) -> str:
    git = shutil.which("git")
    assert git is not None
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    call = [git, *who, *arguments]
    return subprocess.run(
        call, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_what_an_image_was_told_comes_first(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPART_REVISION", "abc123")
    assert source_revision() == "abc123"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_gives_its_commit_and_says_when_it_was_changed(package: Path) -> None:
    house = package.parent
    _git(house, "init", "--quiet")
    _git(house, "add", ".")
    _git(house, "commit", "--quiet", "-m", "One")
    commit = _git(house, "rev-parse", "HEAD")
    assert source_revision() == commit[:12]
    (package / "code.py").write_text("x = 2\n", encoding="utf-8")
    assert source_revision() == f"{commit[:12]}-dirty"


def test_without_a_checkout_or_git_the_version_is_told(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source_revision() == __version__
    (package.parent / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert source_revision() == __version__


def test_the_digest_changes_with_the_code_and_with_nothing_else(package: Path) -> None:
    first = code_digest([package])
    (package / "notes.txt").write_text("no code", encoding="utf-8")
    assert code_digest([package]) == first
    (package / "code.py").rename(package / "named.py")
    renamed = code_digest([package])
    (package / "named.py").write_text("x = 2\n", encoding="utf-8")
    assert len({first, renamed, code_digest([package])}) == 3
    assert len(first) == 12


def test_the_digest_can_leave_out_folders_that_change_no_result(package: Path) -> None:
    command_line = package / "cli"
    command_line.mkdir()
    (command_line / "shown.py").write_text("x = 1\n", encoding="utf-8")
    (package / "client.py").write_text("x = 1\n", encoding="utf-8")
    whole, part = code_digest([package]), code_digest([package], without=[command_line])
    (command_line / "shown.py").write_text("x = 2\n", encoding="utf-8")
    assert code_digest([package]) != whole
    assert code_digest([package], without=[command_line]) == part
    (package / "client.py").write_text("x = 2\n", encoding="utf-8")
    assert code_digest([package], without=[command_line]) != part
