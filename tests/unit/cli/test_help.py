"""`--help` is enough to use a command; errors are one line and an exit code of their kind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from rampart import __version__
from rampart.cli import app
from tests.unit.cli.conftest import Command


def _commands() -> dict[str, Any]:
    """Each command's words, and Click's object of it."""
    found = {}

    def walk(words: str, command: Any) -> None:
        found[words] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk(f"{words} {name}".strip(), inner)

    walk("", typer.main.get_command(app))
    return found


COMMANDS = _commands()


def test_the_commands_are_those_that_are_documented() -> None:
    assert set(COMMANDS) == {
        "", "data", "data fetch", "data describe", "data prepare",
        "pipeline", "pipeline describe", "pipeline run", "pipeline compile", "pipeline submit",
        "bundle", "bundle show", "bundle verify", "bundle fetch", "bundle cache",
        "bundle export",
        "privacy", "privacy report", "privacy redact",
        "rollout", "rollout start", "rollout status", "rollout back", "train",
        "tune", "tune run", "tune list", "tune show", "tune stop", "tune best", "tune measure",
        "tune report",
        "stream", "stream topics", "stream score", "stream sink", "stream analyse", "stream send",
        "stream letters", "stream replay", "stream schemas", "stream watch", "stream demo",
        "stream smtp", "stream folder",
        "serve", "serve-explainer", "serve-transformer", "serve-aggregator",
        "serve-control",
        "score", "explain", "evaluate", "demo",
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_help_says_what_a_command_does_and_names_each_option(rampart: Command, words: str) -> None:
    command = COMMANDS[words]
    said = rampart(*words.split(), "--help")
    assert said.code == 0
    assert said.err == ""
    assert str(command.help).split(".")[0].replace("\n", " ")[:60] in " ".join(said.out.split())
    for parameter in command.params:
        names = [name for name in parameter.opts if name.startswith("--")]
        for name in names or [parameter.name]:
            assert name in said.out
        assert parameter.name == "help" or parameter.help, f"{parameter.name} says nothing"
    for name in getattr(command, "commands", {}):
        assert name in said.out


def test_help_gives_the_exit_codes(rampart: Command) -> None:
    assert "7 a broken bundle" in " ".join(rampart("--help").out.split())


def test_the_version_is_the_packages(rampart: Command) -> None:
    assert rampart("--version").out.strip() == __version__


@pytest.mark.parametrize("words", [(), ("bundle",), ("data",), ("pipeline",)])
def test_a_group_alone_shows_its_help_as_wrong_usage(
    rampart: Command, words: tuple[str, ...]
) -> None:
    said = rampart(*words)
    assert said.code == 2
    assert "Usage:" in said.out + said.err


def test_an_unknown_option_is_wrong_usage(rampart: Command) -> None:
    said = rampart("score", "--colour", "red")
    assert said.code == 2
    assert "--colour" in said.err


def _python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


CALL = "import sys; from rampart.cli import main; sys.argv[0] = 'rampart'; main()"


def test_an_error_is_one_line_on_standard_error_and_no_traceback(tmp_path: Path) -> None:
    said = _python(CALL, "bundle", "show", str(tmp_path / "nowhere"))
    assert said.returncode == 7
    assert said.stdout == ""
    [line] = said.stderr.splitlines()
    assert line.startswith("error: ")
    assert "nowhere is not a bundle" in line


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("onnxruntime", "inference", ("bundle", "verify", "{bundle}")),
        ("kfp", "pipelines", ("pipeline", "describe", "training")),
        ("kserve", "serve", ("serve", "{bundle}", "--http-port", "0", "--grpc-port", "0")),
    ],
)
def test_a_missing_extra_is_named_with_the_way_to_install_it(
    bundle: Path, module: str, extra: str, arguments: tuple[str, ...]
) -> None:
    missing = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {module!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    said = _python(missing + CALL, *(each.format(bundle=bundle) for each in arguments))
    assert said.returncode == 11, said.stderr
    [line] = said.stderr.splitlines()
    assert module in line
    assert f"rampart[{extra}]" in line


def test_a_module_that_belongs_to_no_extra_is_an_unforeseen_error(
    rampart: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rampart.bundle.store", None)
    with pytest.raises(ModuleNotFoundError):
        rampart("bundle", "show", "x")


def test_help_comes_without_importing_anything_heavy() -> None:
    heavy = "torch pandas mlflow kfp kserve sklearn matplotlib transformers"
    said = _python(
        "import sys, rampart.cli\n"
        f"print([name for name in {heavy!r}.split() if name in sys.modules])"
    )
    assert said.stdout.strip() == "[]", said.stderr
