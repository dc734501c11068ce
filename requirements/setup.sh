#!/bin/sh
# Makes .venv from the locks. `make setup` and every target that needs the environment call this.
#
# It does nothing when the environment is already what the locks, the project file and the place
# of the checkout ask for. PYTHON chooses the interpreter; without it an existing .venv keeps its own.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.rampart-setup
python=

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# What the environment depends on. The place counts because scripts in .venv/bin name it.
wanted() {
    pwd -P
    cksum requirements/all.txt requirements/uv.txt requirements/setup.sh pyproject.toml
}

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; }

minor() { "$1" -c 'import sys; print(sys.version_info[1])'; }

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not a program here: name a Python 3.11 or 3.12."
        supported "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1): Rampart needs Python 3.11 or 3.12."
        python=$PYTHON
        return
    fi
    for candidate in python3.11 python3.12 python3 python; do
        if supported "$candidate"; then
            python=$candidate
            return
        fi
    done
    found=$(python3 --version 2>/dev/null || echo "no Python")
    fail "Rampart needs Python 3.11 or 3.12, and here is $found: install one, or name it with 'make PYTHON=/path/to/python3.11'."
}

# An environment that runs, of a Python that Rampart supports and, if PYTHON names one, of that one.
environment_fits() {
    supported .venv/bin/python || return 1
    [ -z "${PYTHON:-}" ] || [ "$(minor .venv/bin/python)" = "$(minor "$python")" ]
}

# uv from PATH if it can do what is asked of it below, else the pinned one in an environment of its own.
find_uv() {
    if uv pip sync --help 2>/dev/null | grep -q -e --require-hashes; then
        uv=uv
        return
    fi
    uv=.uv/bin/uv
    pinned=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements/uv.txt)
    case "$($uv --version 2>/dev/null || true)" in
    "uv $pinned" | "uv $pinned "*) return ;;
    esac
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module, and uv is not installed: install the venv package of your system (Debian: python3-venv), or uv."
    say "installing uv $pinned into .uv"
    rm -rf .uv
    "$python" -m venv .uv
    .uv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
        --only-binary :all: --require-hashes --requirement requirements/uv.txt
}

command -v git >/dev/null || fail "git is not installed: Rampart records the revision that it is built from, and its tests list the files under version control."
[ -z "${PYTHON:-}" ] || choose_python
fits=no
if environment_fits; then
    fits=yes
    [ "$(cat "$stamp" 2>/dev/null)" != "$(wanted)" ] || exit 0
fi

[ -n "$python" ] || choose_python
find_uv
if [ "$fits" = no ]; then
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --prompt rampart --python "$("$python" -c 'import sys; print(sys.executable)')" .venv
fi
rm -f "$stamp"
say "installing what requirements/all.txt pins (2 to 3 GB the first time on this machine)"
# On a terminal uv shows its progress; in a log its list of two hundred names would only be noise.
quiet=--quiet
[ ! -t 2 ] || quiet=
"$uv" pip sync $quiet --python .venv/bin/python --require-hashes requirements/all.txt
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
wanted >"$stamp"
