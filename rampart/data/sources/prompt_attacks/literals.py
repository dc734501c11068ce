"""What a Python source says in constants, read without running a line of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Assigned(NamedTuple):
    """A constant.

    Attributes:
        scope: the class or function it is assigned in; empty for the module.
        name: what it is assigned to.
        value: its value.
    """

    scope: str
    name: str
    value: Any


def constants(source: bytes) -> Iterator[Assigned]:
    """Every constant that is assigned, in the order of the source.

    An f-string is read as its text: a name in it is replaced by the string that the same scope or
    the module gave it before, and left in braces where there is none.
    """
    module = ast.parse(source)
    known: dict[str, str] = {}
    yield from _constants(module, "", known)
    for scope in ast.walk(module):
        if isinstance(scope, ast.ClassDef | ast.FunctionDef):
            yield from _constants(scope, scope.name, dict(known))


def docstrings(source: bytes) -> Iterator[tuple[str, str]]:
    """Names and docstrings of the module, named "", and its classes, white space cleaned."""
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", ""), text


def strings(source: bytes) -> Iterator[str]:
    """Every string of the source but docstrings, in order of depth."""
    module = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


def _constants(
    scope: ast.Module | ast.ClassDef | ast.FunctionDef, name: str, known: dict[str, str]
) -> Iterator[Assigned]:
    for statement in scope.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, given = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, given = statement.target, statement.value
        else:
            continue
        if not isinstance(target, ast.Name):
            continue
        try:
            value = ast.literal_eval(_Plain(known).visit(given))
        except (ValueError, TypeError):
            continue
        if isinstance(value, str):
            known[target.id] = value
        yield Assigned(name, target.id, value)


class _Plain(ast.NodeTransformer):
    """Turns f-strings and sums of strings into the strings that they are."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("".join(self._part(part) for part in node.values))

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        name = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
        return self.known.get(name, f"{{{name}}}")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        left, right = self.visit(node.left), self.visit(node.right)
        if (
            isinstance(node.op, ast.Add)
            and isinstance(left, ast.Constant)
            and isinstance(right, ast.Constant)
            and isinstance(left.value, str)
            and isinstance(right.value, str)
        ):
            return ast.Constant(left.value + right.value)
        return node
