"""Every command that the documents show exists as they show it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from tests.project.documents import Known, block_commands, commands
from tests.project.places import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("components/**/*.md")]
)


@pytest.fixture(scope="module")
def known() -> Known:
    from rampart.cli import app

    return Known(TARGETS, get_command(app))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_is_known(document: Path, known: Known) -> None:
    name = str(document.relative_to(ROOT))
    wrong = [
        f"{written.place}: {' '.join(written.words)}: {problem}"
        for written in commands(document, name)
        if (problem := known.problem(written.words))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_readme_gives_the_two_commands_that_a_new_user_needs() -> None:
    shown = {written.words for written in commands(ROOT / "README.md", "README.md")}
    assert {("make", "demo"), ("make", "test")} <= shown


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    told = dict(re.findall(r"^ {2}(\S+) +(\S.*)$", listed, re.MULTILINE))
    assert set(told) == TARGETS


def test_every_target_runs_even_where_a_file_has_its_name() -> None:
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\", "").split()) == TARGETS


def application() -> Known:
    app, data = typer.Typer(), typer.Typer()

    @app.command()
    def serve(bundle: Path, *, http_port: int = 8080) -> None: ...

    @data.command()
    def fetch(*, force: bool = False) -> None: ...

    @data.command()
    def describe(files: list[Path]) -> None: ...

    app.add_typer(data, name="data")
    return Known({"demo"}, get_command(app))


@pytest.mark.parametrize(
    "line",
    [
        "make demo", "make PYTHON=python3.12 demo -j2", "rampart serve BUNDLE --http-port 8080",
        "rampart --help", "rampart data --help", "rampart data fetch --force --help", "cd rampart",
        "rampart data describe a.csv b.csv", ".venv/bin/rampart serve build/demo/bundle",
        "OMP_NUM_THREADS=1 python -m tests.project.documents", "sh requirements/setup.sh",
    ],
)  # fmt: skip
def test_a_right_command_is_known(line: str) -> None:
    [words] = block_commands([line])
    assert application().problem(words) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("make demos", "the Makefile has no target demos"),
        ("rampart server BUNDLE", "there is no command rampart server"),
        ("rampart data fetsh", "there is no command rampart data fetsh"),
        ("rampart serve BUNDLE --port 1", "rampart serve: No such option: --port"),
        ("rampart serve", "rampart serve also needs bundle"),
        ("rampart serve BUNDLE OTHER", "rampart serve takes no OTHER"),
        ("rampart serve BUNDLE --http-port", "rampart serve: Option '--http-port' requires"),
        ("python -m rampart.nothing", "there is no module rampart.nothing"),
        ("sh requirements/nothing.sh", "there is no requirements/nothing.sh"),
        ("./nothing", "there is no ./nothing"),
        ("rampartctl start", "neither the project nor tests.project.documents knows rampartctl"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_told(line: str, problem: str) -> None:
    [words] = block_commands([line])
    found = application().problem(words)
    assert found is not None
    assert found.startswith(problem)


def test_commands_are_read_as_a_shell_reads_them(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "Run `make demo`, not `make believe it is\n"
        "```console\n$ cd x && make demo  # a comment\nmake: output, no command\n"
        "$ curl -d '{\n  \"inputs\": []\n}' \\\n    http://127.0.0.1/v2 | jq . > out.json\n```\n"
        "```sh\nA=1 make test; rampart serve B &\ncat <<EOF\nmake nothing\nEOF\nls\n```\n"
        "```python\nmake = 1\n```\n~~~~bash\nmake lint\n~~~~\n"
    )
    assert [" ".join(written.words) for written in commands(document, "page.md")] == [
        "make demo", "cd x", "make demo", 'curl -d {\n  "inputs": []\n} http://127.0.0.1/v2',
        "jq .", "A=1 make test", "rampart serve B", "cat", "ls", "make lint",
    ]  # fmt: skip
