"""The commands that the documents tell a reader to type, and whether this project knows them."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.project.places import ROOT

FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+-]*)")
SHELLS = {"console", "sh", "bash", "shell", "shell-session"}
# Commands of the reader's own machine. What they do with their arguments is not ours to check.
SYSTEM = {
    "apt-get", "cat", "cd", "cp", "curl", "docker", "echo", "export", "git", "grep", "head",
    "helm", "jq", "kill", "kind", "kubectl", "kustomize", "ls", "mkdir", "mlserver", "mv", "open",
    "pip", "rm", "sed", "sleep", "sort", "source", "tail", "tar", "tee", "torchserve",
    "tritonserver", "uv", "wc", "xdg-open",
}  # fmt: skip
OPERATORS = {"&&", "||", ";", "|", "&", "(", ")", "|&"}
REDIRECTIONS = {">", ">>", "<", "2>", "&>", ">&", "<<<"}
INLINE = re.compile(r"`((?:make|rampart)(?: [\w./=-]+)+)`")


@dataclass(frozen=True)
class Written:
    """A command as a document gives it, and the place to look at when it is wrong."""

    words: tuple[str, ...]
    place: str


def commands(document: Path, name: str) -> Iterator[Written]:
    """Every command in a Markdown file's shell fences, and `make ...` or `rampart ...` in text."""
    lines = document.read_text(encoding="utf-8").splitlines()
    fence, language, start, block = "", "", 0, list[str]()
    for number, line in enumerate(lines, 1):
        opened = FENCE.match(line)
        if not fence and opened:
            fence, language, start, block = opened[1], opened[2].lower(), number, []
        elif fence and opened and opened[1].startswith(fence) and not opened[2]:
            if language in SHELLS:
                for words in block_commands(block):
                    yield Written(tuple(words), f"{name}:{start}")
            fence = ""
        elif fence:
            block.append(line)
        else:
            for text in INLINE.findall(line):
                yield Written(tuple(text.split()), f"{name}:{number}")


def block_commands(block: Sequence[str]) -> Iterator[list[str]]:
    """The simple commands of a shell block; of a session with prompts, those after a prompt."""
    prompts = any(line.lstrip().startswith("$ ") for line in block)
    lines = iter(block)
    for line in lines:
        text = line.strip()
        if prompts:
            if not text.startswith("$ "):
                continue
            text = text.removeprefix("$ ")
        words = _words(text)
        while words is None:
            text = f"{text.removesuffix(chr(92))}\n{next(lines)}"
            words = _words(text)
        yield from _simple(words)
        if here := re.search(r"<<-?\s*['\"]?(\w+)", text):
            for inner in lines:
                if inner.strip() == here[1]:
                    break


def _words(text: str) -> list[str] | None:
    """The words and operators of a line; None when the command goes on in the next line."""
    if text.endswith("\\"):
        return None
    # A comment starts at a number sign after a space; shlex would also see one within a word.
    lexer = shlex.shlex(re.sub(r"(^|\s)#\s.*$", "", text), posix=True, punctuation_chars=True)
    lexer.commenters = ""
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def _simple(words: Sequence[str]) -> Iterator[list[str]]:
    command: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in OPERATORS:
            if command:
                yield command
            command = []
        elif word in REDIRECTIONS or word.startswith("<<"):
            next(rest, None)
        else:
            command.append(word)
    if command:
        yield command


class Known:
    """Says what is wrong with a command, if anything is.

    Args:
        targets: the Makefile's targets.
        application: the command line's Click group.
    """

    def __init__(self, targets: set[str], application: Any) -> None:
        self.targets = targets
        self.application = application

    def problem(self, words: Sequence[str]) -> str | None:
        """None for a command that this project or the reader's machine has."""
        words = list(words)
        while words and (re.match(r"^\w+=", words[0]) or words[0] in {"time", "env", "sudo"}):
            words.pop(0)
        if not words:
            return None
        program, arguments = words[0], words[1:]
        name = Path(program).name
        checks: dict[str, Callable[[list[str]], str | None]] = {
            "make": self._make,
            "rampart": self._rampart,
            "python": self._python,
            "python3": self._python,
            "bash": self._script,
            "sh": self._script,
        }
        if name in checks and program in {name, f".venv/bin/{name}"}:
            return checks[name](arguments)
        if "/" in program:
            return None if (ROOT / program).exists() else f"there is no {program}"
        return None if program in SYSTEM else f"neither the project nor {__name__} knows {program}"

    def _make(self, arguments: list[str]) -> str | None:
        wanted = [word for word in arguments if not word.startswith("-") and "=" not in word]
        unknown = [word for word in wanted if word not in self.targets]
        return f"the Makefile has no target {', '.join(unknown)}" if unknown else None

    def _python(self, arguments: list[str]) -> str | None:
        if arguments[:1] == ["-m"]:
            module = arguments[1]
            return None if importlib.util.find_spec(module) else f"there is no module {module}"
        if arguments and arguments[0].endswith(".py"):
            return self._script(arguments)
        return None

    def _script(self, arguments: list[str]) -> str | None:
        paths = [word for word in arguments if not word.startswith("-")][:1]
        return next((f"there is no {path}" for path in paths if not (ROOT / path).exists()), None)

    def _rampart(self, arguments: list[str]) -> str | None:
        """Walks down to the command and lets its own parser read the options.

        Values are not converted: a document may name a file that is still to be made.
        """
        command, path = self.application, ["rampart"]
        context = command.context_class(command, info_name="rampart")
        words = list(arguments)
        while hasattr(command, "commands"):
            if not words or words[0] in {"--help", "--version"}:
                return None
            path.append(words.pop(0))
            if path[-1] not in command.commands:
                return f"there is no command {' '.join(path)}"
            command = command.commands[path[-1]]
            context = command.context_class(command, info_name=path[-1], parent=context)
        if "--help" in words:
            return None
        try:
            values, rest, _ = command.make_parser(context).parse_args(words)
        except Exception as error:  # noqa: BLE001 (Typer carries a Click of its own, under no public name)
            return f"{' '.join(path)}: {getattr(error, 'message', error)}"
        if rest:
            return f"{' '.join(path)} takes no {' '.join(rest)}"
        missing = [
            item.name for item in command.params if item.required and not values.get(item.name)
        ]
        return f"{' '.join(path)} also needs {', '.join(missing)}" if missing else None
