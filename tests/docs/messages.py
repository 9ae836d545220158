"""What the source says to people, read from its syntax trees: the texts of log calls, of errors, and every other text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.docs.pages import REPOSITORY

SOURCE = REPOSITORY / "src" / "holdfast"

#: Shorter than this, a text would be found anywhere.
TELLING = 10

LOUD = ("log.warning", "log.error", "log.exception", "log.critical")

_DIRECTIVE = re.compile(r"%(?:\.\d+)?[srdfg]|%%")


@dataclass(frozen=True)
class Text:
    """One text of the source.

    Args:
        where: File and line, from the package.
        fragments: What is always the same in it, in order; between two of them stands what varies.
    """

    where: str
    fragments: tuple[str, ...]

    @property
    def telling(self) -> str:
        """The longest fragment."""
        return max(self.fragments, key=len, default="")


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Path and tree of every module in folders of the package, or of one module."""
    for folder in folders:
        above = SOURCE / folder
        for place in [above] if above.is_file() else sorted(above.rglob("*.py")):
            yield place.relative_to(SOURCE).as_posix(), ast.parse(place.read_text(encoding="utf-8"))


def fragments(node: ast.expr) -> tuple[str, ...]:
    """The constant parts of a text: of a plain one, of one for `%`, of an f-string, of two that are added."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return tuple(part for part in _DIRECTIVE.split(node.value) if part)
    if isinstance(node, ast.JoinedStr):
        return tuple(v.value for v in node.values if isinstance(v, ast.Constant) and isinstance(v.value, str))
    if isinstance(node, ast.BinOp):
        return fragments(node.left) + fragments(node.right)
    if isinstance(node, ast.Call) and node.args:  # printable(f"...")
        return fragments(node.args[0])
    return ()


def every_text() -> list[Text]:
    """Every text in the package but docstrings."""
    found = []
    for path, tree in modules("."):
        docs = {
            id(n.body[0].value)
            for n in ast.walk(tree)
            if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef) and n.body and isinstance(n.body[0], ast.Expr)
        }
        inside = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docs | inside:
                parts = fragments(node)
                if parts:
                    found.append(Text(f"{path}:{node.lineno}", parts))
    return found


def logged(*folders: str) -> list[tuple[str, ast.Call, ast.AST]]:
    """Where, call and function of every `log.warning` and `log.error`, and of their kin."""
    found = []
    for path, tree in modules(*folders):
        owner = {id(n): f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) in LOUD]
        found += [(f"{path}:{call.lineno}", call, owner[id(call)]) for call in calls]
    return found


def texts_of(where: str, call: ast.Call, function: ast.AST) -> list[Text]:
    """What a log call may say. Where it is given a ready text, whatever the function builds under that name."""
    own = fragments(call.args[0])
    if any(re.search(r"\w", p) for p in own):
        return [Text(where, own)]
    given = {n.id for a in call.args[1:] for n in ast.walk(a) if isinstance(n, ast.Name)}
    built = [value for name, value in _named(function) if name in given and isinstance(value, ast.JoinedStr | ast.Constant)]
    return [Text(where, fragments(value)) for value in built if fragments(value)]


def _named(function: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What a function assigns to a name, or appends to a list of that name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
            yield ast.unparse(node.func.value), node.args[0]


def raised(*folders: str) -> list[Text]:
    """The text of every error that is raised with one."""
    found = []
    for path, tree in modules(*folders):
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                said = [parts for parts in map(fragments, node.exc.args) if any(re.search(r"[a-z]", p) for p in parts)]
                found += [Text(f"{path}:{node.lineno}", parts) for parts in said[:1]]
    return found
