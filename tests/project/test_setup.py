"""Setting up says in one line what is missing, and does nothing where nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project.places import ROOT

TOOLS = ("cat", "cksum", "dirname", "grep", "ln", "mkdir", "pwd", "rm", "sed", "sh", "touch")
# Stands in for uv: notes what it is asked, and makes of an environment its interpreter alone.
UV = """#!/bin/sh
echo "$*" >>"$UV_LOG"
case "$1 $2" in
"pip sync") echo "  --require-hashes"; [ ! -e "$UV_LOG.fail" ] || exit 3 ;;
"venv "*)
    mkdir -p .venv/bin
    printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$INTERPRETER" >.venv/bin/python
    chmod +x .venv/bin/python ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A checkout, and all that there is on PATH."""

    checkout: Path
    path: Path

    def offer(self, name: str, script: str) -> None:
        program = self.path / name
        program.write_text(script)
        program.chmod(0o755)

    def python(self, name: str, version: tuple[int, int], *, venv: bool = True) -> None:
        """An interpreter that says it is of some version: this one, with the version changed."""
        self.offer(
            name,
            "#!/bin/sh\n"
            f'[ "$1" != --version ] || {{ echo "Python {version[0]}.{version[1]}.0"; exit; }}\n'
            f'case "$2" in *ensurepip*) exit {0 if venv else 1} ;; esac\n'
            f'exec "{sys.executable}" -c "import sys; sys.version_info = ({version[0]}, '
            f'{version[1]}, 0, \'final\', 0); exec(sys.argv[1])" "$2"\n',
        )

    def setup(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.path),
            "UV_LOG": str(self.log),
            "INTERPRETER": variables.pop("INTERPRETER", str(self.path / "python3.11")),
        }
        return subprocess.run(
            [self.path / "sh", self.checkout / "requirements" / "setup.sh"],
            env=environment | variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def complaint(self, **variables: str) -> str:
        done = self.setup(**variables)
        assert done.returncode == 1
        assert not done.stdout
        [line] = done.stderr.splitlines()
        return line.removeprefix("setup: ")

    @property
    def log(self) -> Path:
        return self.checkout.parent / "uv.log"

    def asked(self) -> list[str]:
        """What uv was asked since the last time, but for the question whether it is usable."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line != "pip sync --help"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with git and uv, without any Python, and a checkout in a folder with a space."""
    checkout = tmp_path / "my checkout"
    (checkout / "requirements").mkdir(parents=True)
    for name in ("requirements/setup.sh", "requirements/uv.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout / name)
    (checkout / "requirements" / "all.txt").write_text("numpy==1\n")
    path = tmp_path / "bin"
    path.mkdir()
    for tool in (*TOOLS, "chmod", "git"):
        found = shutil.which(tool)
        assert found
        (path / tool).symlink_to(found)
    machine = Machine(checkout, path)
    machine.offer("uv", UV)
    return machine


def test_the_first_setup_installs_and_the_second_does_nothing(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    first = machine.setup()
    assert first.returncode == 0, first.stderr
    venv, sync, project = machine.asked()
    assert venv.startswith("venv ")
    assert sync.startswith("pip sync ")
    assert sync.endswith(" --require-hashes requirements/all.txt")
    assert project.endswith(" --no-deps --no-build-isolation --editable .")
    second = machine.setup()
    assert second.returncode == 0
    assert not second.stdout + second.stderr
    assert not machine.asked()


def test_a_changed_lock_is_installed_into_the_same_environment(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    machine.setup()
    machine.asked()
    (machine.checkout / "requirements" / "all.txt").write_text("numpy==2\n")
    assert machine.setup().returncode == 0
    assert [words.split()[:2] for words in machine.asked()] == [["pip", "sync"], ["pip", "install"]]


def test_a_setup_that_broke_off_is_done_again(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    marker = Path(f"{machine.log}.fail")
    marker.touch()
    assert machine.setup().returncode != 0
    marker.unlink()
    machine.asked()
    assert machine.setup().returncode == 0
    assert machine.asked()


def test_a_moved_checkout_is_set_up_anew(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    machine.setup()
    machine.asked()
    moved = Machine(machine.checkout.rename(machine.checkout.with_name("moved")), machine.path)
    assert moved.setup().returncode == 0
    assert moved.asked()


def test_another_python_that_is_asked_for_replaces_the_environment(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    machine.python("python3.12", (3, 12))
    machine.setup()
    machine.asked()
    chosen = {"PYTHON": "python3.12", "INTERPRETER": str(machine.path / "python3.12")}
    assert machine.setup(**chosen).returncode == 0
    assert machine.asked()[0].startswith("venv ")
    assert machine.setup(**chosen).returncode == 0
    assert not machine.asked(), "the environment is of the Python asked for"
    assert machine.setup().returncode == 0
    assert not machine.asked(), "without PYTHON the environment stays as it is"


def test_python_3_12_will_do(machine: Machine) -> None:
    machine.python("python3", (3, 12))
    assert machine.setup(INTERPRETER=str(machine.path / "python3")).returncode == 0


@pytest.mark.parametrize("version", [(3, 10), (3, 13)])
def test_only_another_python_is_told(machine: Machine, version: tuple[int, int]) -> None:
    machine.python("python3", version)
    told = machine.complaint()
    assert "needs Python 3.11 or 3.12" in told
    assert f"Python {version[0]}.{version[1]}.0" in told


def test_no_python_at_all_is_told(machine: Machine) -> None:
    assert "here is no Python" in machine.complaint()


def test_a_wrong_choice_of_python_is_told(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    machine.python("python3.9", (3, 9))
    assert "PYTHON=python3.9 is Python 3.9.0" in machine.complaint(PYTHON="python3.9")
    assert "PYTHON=nothing is not a program" in machine.complaint(PYTHON="nothing")


def test_missing_git_is_told(machine: Machine) -> None:
    machine.python("python3.11", (3, 11))
    (machine.path / "git").unlink()
    assert "git is not installed" in machine.complaint()


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 2\n"], ids=["no uv", "useless uv"])
def test_a_python_that_cannot_make_environments_is_told(
    machine: Machine, script: str | None
) -> None:
    machine.python("python3.11", (3, 11), venv=False)
    (machine.path / "uv").unlink()
    if script:
        machine.offer("uv", script)
    assert "has no venv module" in machine.complaint()


def test_make_passes_the_choice_of_python_on() -> None:
    done = subprocess.run(
        ["make", "setup", "PYTHON=there is no such python"],
        cwd=ROOT, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "PYTHON=there is no such python is not a program here" in done.stderr
