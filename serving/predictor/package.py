"""KServe's package without its client of Kubernetes and without pandas: servers that start sooner.

`kserve/__init__.py` imports that client and the classes of every resource, which cost a server more
than all else that it imports of KServe, and of which it uses nothing. So the package is entered
into `sys.modules` without being executed; its modules are imported as always. Whoever asks the
package itself for a name, as in `from kserve import KServeClient`, executes it then, and has what
everybody has. A module's `__getattr__` upstream would do the same for all.

Two of its modules import pandas for one method that makes a table of a request, and for a type by
which they tell tables from arrays. They are given a type of that name which nothing is an instance
of; everybody else imports pandas itself. Upstream could import it where the table is made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

NAME = "kserve"
_TABLES = "pandas"


class _Package(ModuleType):
    """A package that is executed when it is asked for a name that is none of its modules'."""

    __spec__: ModuleSpec

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or find_spec(f"{self.__name__}.{name}") is not None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__.loader is not None  # noqa: S101 - for types; _enter has seen to it
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def lean() -> Iterator[None]:
    """Within it KServe's modules are imported, by themselves and without pandas.

    Raises:
        ImportError: KServe is not installed.
    """
    _enter()
    if _TABLES in sys.modules:
        yield
        return
    stub = ModuleType(_TABLES, "Stands in for pandas, which no server of ours is asked for.")
    stub.DataFrame = type("DataFrame", (), {})  # type: ignore[attr-defined]
    sys.modules[_TABLES] = stub
    try:
        yield
    finally:
        del sys.modules[_TABLES]


def _enter() -> None:
    if NAME in sys.modules:
        return
    spec = find_spec(NAME)
    if spec is None or spec.loader is None:
        raise ImportError("KServe is not installed: pip install 'rampart[serve]'", name=NAME)
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[NAME] = package
