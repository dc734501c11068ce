"""Each extra installs alone from its own lock, and the part that it is for works there.

`make test-extras` runs these: they install real packages, from uv's cache where it has them.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from tests.project.places import LOCKS, ROOT, extras, project_files, pyproject

pytestmark = [pytest.mark.extras, pytest.mark.timeout(900)]

UV = uv.find_uv_bin()
PACKAGES = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# What each extra is for: modules, and packages with all of theirs, that have to find there what
# they import.
PARTS = {
    "inference": [
        "rampart.inference",
        "rampart.models",
        "rampart.explain.contributions",
        "rampart.ensembles",
        "rampart.features.security",
        "rampart.features.families",
    ],
    "serve": ["rampart.inference", "serving.predictor"],
    "data": ["rampart.data"],
    "evaluate": ["rampart.evaluation", "rampart.bundle", "rampart.inference"],
    "train": [
        "rampart.explain.gradients",
        "rampart.training",
        "rampart.compression",
        "rampart.data",
        "rampart.bundle",
    ],
    "language": ["rampart.features.linguistic"],
    "semantic": ["rampart.features.semantic"],
    "privacy": ["rampart.features.privacy", "rampart.features.disclosure"],
    "explain": ["rampart.explain", "serving"],
    "registry": ["rampart.registry"],
    "tuning": ["rampart.tuning"],
    "pipelines": ["pipelines", "components", "rollout", "rampart"],
    "control": ["serving.control"],
    "stream": ["rampart.streaming", "serving.stream", "serving.mail"],
    "analytics": ["rampart.streaming"],
}
FEATURES_OF_EXTRAS = [
    f"rampart.features.{name}" for name in ("linguistic", "semantic", "privacy", "disclosure")
]
# Modules of such a part that belong to another extra.
ELSEWHERE = {
    "inference": ["rampart.inference.predictions"],
    "explain": [
        "rampart.explain.gradients",
        "serving.alibi_explainer",
        "serving.control",
        "serving.mail",
        "serving.stream",
        # What other servers load, each from a lock of its own.
        "serving.mlserver_runtime",
        "serving.torchserve_handler",
        "serving.triton_model",
    ],
    "stream": ["rampart.streaming.analytics", "serving.stream.analytics"],
    "pipelines": ["rampart.cli", "rampart.explain", "rampart.streaming", *FEATURES_OF_EXTRAS],
}
ABSENT = {
    "inference": ["torch", "transformers", "pandas", "sklearn", "mlflow", "kserve", "kfp"],
    "serve": ["torch", "transformers", "sklearn", "mlflow", "kfp", "onnx"],
    "data": ["torch", "transformers", "onnxruntime", "kserve", "kfp", "mlflow"],
    "evaluate": ["torch", "transformers", "kserve", "kfp", "mlflow"],
    "train": ["kserve", "kfp", "mlflow"],
    "language": ["torch", "transformers", "kserve", "kfp", "mlflow", "presidio_analyzer"],
    "semantic": ["kserve", "kfp", "mlflow", "spacy"],
    "privacy": ["torch", "transformers", "kserve", "kfp", "mlflow"],
    "explain": ["torch", "transformers", "kfp", "mlflow"],
    "registry": ["torch", "transformers", "kserve", "kfp"],
    "tuning": ["kserve", "kfp"],
    "pipelines": ["kserve"],
    "control": ["kserve"],
    "stream": ["torch", "transformers", "sklearn", "mlflow", "kfp", "quixstreams"],
    "analytics": ["torch", "transformers", "sklearn", "mlflow", "kfp"],
}
# Imports every module given and says which of the names given cannot be found, all as JSON.
LOOK = """
import importlib, importlib.util, json, sys
modules, names = json.load(sys.stdin)
sys.argv = sys.argv[:1]
broken, missing = {}, []
for module in modules:
    try:
        importlib.import_module(module)
    except Exception as error:
        broken[module] = f"{type(error).__name__}: {error}"
for name in names:
    try:
        found = importlib.util.find_spec(name)
    except ImportError:
        found = None
    if found is None:
        missing.append(name)
json.dump([broken, missing, importlib.import_module("rampart").__file__], sys.stdout)
"""


def run(*command: object, cwd: Path = ROOT, stdin: str = "") -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A fresh environment outside the checkout, so that nothing but the wheel is imported."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def look(
        self, modules: Iterable[str], names: Iterable[str]
    ) -> tuple[dict[str, str], list[str]]:
        """Which modules fail to import, and which top-level names are not installed."""
        question = json.dumps([sorted(modules), sorted(names)])
        answer = run(self.python, "-I", "-c", LOOK, cwd=self.folder, stdin=question)
        broken, missing, place = json.loads(answer.splitlines()[-1])
        assert Path(place).is_relative_to(self.folder)
        return broken, missing


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable,
        "--out-dir", folder)  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=[extra for extra in extras() if extra != "all"])
def extra(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def installed(
    extra: str, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    environment = Environment(tmp_path_factory.mktemp(extra) / "venv")
    run(UV, "venv", "--quiet", "--python", sys.executable, environment.folder)
    lock = LOCKS / f"{extra}.txt"
    run(UV, "pip", "sync", "--quiet", "--python", environment.python, "--require-hashes", lock)
    run(UV, "pip", "install", "--quiet", "--python", environment.python, "--no-deps", wheel)
    yield environment
    shutil.rmtree(environment.folder)


def sources(extra: str) -> dict[str, Path]:
    """The modules that an extra is for."""
    found = {}
    for part in PARTS[extra]:
        place = ROOT.joinpath(*part.split("."))
        module = place.with_suffix(".py")
        for path in [module] if module.exists() else place.rglob("*.py"):
            words = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(words).removesuffix(".__init__")
            if not any(f"{name}.".startswith(f"{other}.") for other in ELSEWHERE.get(extra, ())):
                found[name] = path
    assert found, f"nothing to look at for {extra}"
    return found


def imported(paths: Iterable[Path]) -> set[str]:
    """Top-level names that modules import from elsewhere, also within functions."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def test_an_extra_holds_all_that_its_own_packages_ask_for(installed: Environment) -> None:
    # Of Rampart itself only this extra's requirements have to be there: metadata alone would pass.
    run(UV, "pip", "check", "--python", installed.python)


def test_an_extra_is_enough_for_its_part(extra: str, installed: Environment) -> None:
    modules = sources(extra)
    runnable = [name for name in modules if not name.endswith("__main__")]
    broken, missing = installed.look(runnable, imported(modules.values()))
    assert not broken
    assert not missing


def test_an_extra_brings_nothing_that_its_part_can_do_without(
    extra: str, installed: Environment
) -> None:
    _, missing = installed.look([], ABSENT[extra])
    assert set(ABSENT[extra]) == set(missing)


def test_the_command_line_starts_with_any_extra(installed: Environment) -> None:
    told = run(installed.folder / "bin" / "rampart", "--help", cwd=installed.folder)
    assert "serve" in told


def test_the_wheel_holds_every_file_of_its_packages(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for path in project_files()
        if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert wanted <= held
    assert "rampart/py.typed" in held
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == set(PACKAGES)


def test_the_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [licence] = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert b"Apache License" in archive.read(licence)
    [points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert b"rampart = " in archive.read(points)
    assert sysconfig.get_python_version() in ("3.11", "3.12")
