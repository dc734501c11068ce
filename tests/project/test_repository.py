"""What holds for every file: no path of one machine, no registry's name, no code loaded as data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import rampart
from tests.project.places import ROOT, project_files, pyproject

# Written in two halves, so that this file does not hold what it forbids.
HOSTS = re.compile(
    "|".join(
        re.escape(name) + r"\." + end
        for name, end in [
            ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "(?:org|com)"), ("crates", "io"),
            ("maven", "org"), ("maven.apache", "org"), ("proxy.golang", "org"), ("debian", "org"),
            ("download.pytorch", "org"), ("pypi.nvidia", "com"),
        ]
    )
)  # fmt: skip
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|://[^\s\"']*/simple/?\b")
PLACES = re.compile(r"(?<![\w.:])/(?:home|root|work|Users)/[\w.-]+")
SERVING_PATH = [
    *(
        ROOT / "rampart" / part
        for part in ("bundle", "models", "inference", "explain", "ensembles")
    ),
    ROOT / "serving",
]
# Reading any of these may run code that the file carries.
CODE_AS_DATA = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "skops"}


def text_files() -> list[tuple[str, str]]:
    found = []
    for path in project_files():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (HOSTS, "names a package registry"),
        (INDEX, "says where packages come from"),
        (PLACES, "holds a path of one machine"),
    ],
    ids=["registry", "index", "path"],
)
def test_no_file_depends_on_one_machine(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{name}:{number}: {what}: {hit[0]}"
        for name, text in text_files()
        if name != str(Path(__file__).relative_to(ROOT))
        for number, line in enumerate(text.splitlines(), 1)
        if (hit := pattern.search(line))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (HOSTS, "see files.python" + "hosted.org/x"), (HOSTS, "https://registry.npm" + "js.org/a"),
        (INDEX, "--index" + "-url https://x"), (INDEX, "https://mirror.example/sim" + "ple/"),
        (PLACES, "open('/home" + "/me/x')"), (PLACES, "cd /ro" + "ot/.cache"),
    ],
)  # fmt: skip
def test_what_is_forbidden_is_recognised(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def serving_modules() -> list[Path]:
    return [path for folder in SERVING_PATH for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize("module", serving_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_serving_path_loads_no_code_as_data(module: Path) -> None:
    assert not code_as_data(module.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import joblib as j", "from pickle import load",
        "def f():\n    from dill import loads", "import os, marshal",
        "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=setting)",
        "importlib.import_module('pickle')", "__import__('joblib.numpy_pickle')",
    ],
)  # fmt: skip
def test_code_loaded_as_data_is_recognised(source: str) -> None:
    assert code_as_data(source)


def code_as_data(source: str) -> list[str]:
    """The imports and calls of a module that could run code out of a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.endswith(("import_module", "__import__")):
                names = [str(item.value) for item in node.args if isinstance(item, ast.Constant)]
            found += [
                f"line {node.lineno}: {called} may unpickle"
                for keyword in node.keywords
                if keyword.arg == "allow_pickle"
                and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            ]
        found += [name for name in names if name.split(".")[0] in CODE_AS_DATA]
    return found


def test_the_contract_on_what_the_library_imports_covers_every_part_but_the_command_line() -> None:
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    [contract] = [item for item in contracts if item["name"].startswith("The library knows no")]
    parts = {
        f"rampart.{path.stem}"
        for path in (ROOT / "rampart").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert set(contract["source_modules"]) == parts - {"rampart.__init__", "rampart.cli"}


def test_the_changelog_starts_with_the_version_that_is_being_made() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings
    assert rampart.__version__ in headings[0]
