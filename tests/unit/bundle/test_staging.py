"""A folder takes its place whole, whatever becomes of its writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rampart.bundle.staging import staged
from rampart.data import staging
from rampart.errors import BundleError

FILES = 40


def _write(folder: Path, content: str) -> None:
    """What stands for a bundle here: files that all say the same."""
    for number in range(FILES):
        (folder / f"{number}").write_text(content, encoding="utf-8")
    (folder / "bundle.json").write_text(content, encoding="utf-8")


def _content(folder: Path) -> set[str]:
    assert len(list(folder.iterdir())) == FILES + 1
    return {path.read_text(encoding="utf-8") for path in folder.iterdir()}


def _leftovers(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.name.startswith("."))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "some where" / "bund[le]*"


@pytest.fixture
def old(target: Path) -> Path:
    with staged(target) as folder:
        _write(folder, "old")
    return target


def test_nothing_is_seen_before_the_end_and_all_of_it_then(target: Path) -> None:
    with staged(target) as folder:
        _write(folder, "new")
        assert folder.parent == target.parent
        assert not target.exists()
    assert _content(target) == {"new"}
    assert not _leftovers(target.parent)


def test_an_earlier_one_is_replaced_whole(old: Path) -> None:
    with staged(old) as folder:
        (folder / "bundle.json").write_text("new", encoding="utf-8")
        assert _content(old) == {"old"}
    assert [path.name for path in old.iterdir()] == ["bundle.json"]
    assert not _leftovers(old.parent)


def test_where_folders_cannot_swap_the_earlier_one_is_replaced_all_the_same(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    with staged(old) as folder:
        _write(folder, "new")
    assert _content(old) == {"new"}
    assert not _leftovers(old.parent)


def test_only_linux_is_asked_to_swap(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not staging._exchange(old, old)


def test_a_writer_that_fails_leaves_the_earlier_one(old: Path) -> None:
    def fail() -> None:
        with staged(old) as folder:
            _write(folder, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _content(old) == {"old"}
    assert not _leftovers(old.parent)


def test_others_may_read_what_was_written(target: Path) -> None:
    with staged(target) as folder:
        _write(folder, "new")
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("empty", [True, False])
def test_only_a_bundle_or_an_empty_folder_is_replaced(target: Path, empty: bool) -> None:
    target.mkdir(parents=True)
    if empty:
        with staged(target) as folder:
            _write(folder, "new")
        assert _content(target) == {"new"}
        return
    (target / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BundleError, match="is not a bundle: it would be lost"), staged(target):
        pass
    assert (target / "thesis.txt").exists()


def test_a_file_is_not_replaced(target: Path) -> None:
    target.parent.mkdir()
    target.write_text("a report", encoding="utf-8")
    with pytest.raises(BundleError, match="is not a bundle"), staged(target):
        pass
    assert target.read_text(encoding="utf-8") == "a report"


def test_a_link_to_a_bundle_gives_way_and_the_bundle_stays(old: Path) -> None:
    link = old.parent / "current"
    link.symlink_to(old)
    with staged(link) as folder:
        _write(folder, "new")
    assert _content(link) == {"new"}
    assert not link.is_symlink()
    assert _content(old) == {"old"}
    assert not _leftovers(old.parent)


def test_two_writers_do_not_disturb_each_other(target: Path) -> None:
    with staged(target) as first:
        _write(first, "first")
        with staged(target) as second:
            assert first.is_dir()
            _write(second, "second")
        assert _content(target) == {"second"}
    assert _content(target) == {"first"}
    assert not _leftovers(target.parent)


def test_what_another_name_left_is_not_touched(target: Path) -> None:
    target.parent.mkdir()
    other = target.parent / ".other.abc.part"
    other.mkdir()
    with staged(target) as folder:
        _write(folder, "new")
    assert other.is_dir()


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from rampart.data import staging

    target, stop = Path(sys.argv[1]), sys.argv[2]

    def wait():
        print("here", flush=True)
        sys.stdin.read()

    if stop == "before the swap":
        place = staging._into_place
        staging._into_place = lambda folder, target: (wait(), place(folder, target))
    if stop == "after the swap":
        place = staging._into_place
        staging._into_place = lambda folder, target: (place(folder, target), wait())
    with staging.staged(target) as folder:
        for number in range(40):
            (folder / str(number)).write_text("new")
            if number == 20 and stop == "half-way":
                wait()
        (folder / "bundle.json").write_text("new")
    """
)


@pytest.mark.parametrize(
    ("stop", "content"),
    [("half-way", "old"), ("before the swap", "old"), ("after the swap", "new")],
)
@pytest.mark.parametrize("replaces", [True, False])
def test_a_writer_that_is_killed_leaves_the_old_or_the_new_and_what_it_left_is_cleared_away(
    target: Path, stop: str, content: str, replaces: bool
) -> None:
    target.parent.mkdir()
    if replaces:
        with staged(target) as folder:
            _write(folder, "old")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target), stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"here\n"
        os.kill(writer.pid, signal.SIGKILL)
    if content == "new" or replaces:
        assert _content(target) == {content}
    else:
        assert not target.exists()
    # What is left has a name that nobody asks for, and the next writer clears it away.
    left = _leftovers(target.parent)
    assert len(left) == (0 if content == "new" and not replaces else 1)
    with staged(target) as folder:
        _write(folder, "newer")
    assert _content(target) == {"newer"}
    assert not _leftovers(target.parent)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders cannot swap here")
def test_a_reader_finds_a_whole_one_at_every_instant(old: Path) -> None:
    swapping = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from rampart.bundle.staging import staged

        for number in range(60):
            with staged(Path(sys.argv[1])) as folder:
                for name in ("bundle.json", "model"):
                    (folder / name).write_text(str(number))
        """
    )
    with subprocess.Popen([sys.executable, "-c", swapping, str(old)]) as writer:
        while writer.poll() is None:
            # A folder once opened is one bundle, whatever its name means a moment later.
            opened = os.open(old, os.O_RDONLY | os.O_DIRECTORY)
            os.close(opened)
    assert writer.returncode == 0
    assert (old / "model").read_text(encoding="utf-8") == "59"
