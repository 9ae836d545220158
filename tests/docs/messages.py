"""What the source says to people, read from its syntax trees: the texts of log calls, of errors, and every other text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
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
        makers = {f.name: f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)}
        for node in ast.walk(tree):
            for error in _chosen(node.exc, makers) if isinstance(node, ast.Raise) and node.exc else ():
                if isinstance(error, ast.Call):
                    said = [_telling(argument, makers) for argument in error.args[:2]]  # of an OSError the third is a path
                    found += [Text(f"{path}:{node.lineno}", parts) for parts in next(filter(None, said), [])]
    return found


def _telling(argument: ast.expr, makers: Mapping[str, ast.FunctionDef]) -> list[tuple[str, ...]]:
    """The texts that an argument of an error may be, where they have words."""
    texts = map(fragments, _chosen(argument, makers))
    return [parts for parts in texts if any(re.search(r"[a-z]", p) for p in parts)]


def _chosen(node: ast.expr, makers: Mapping[str, ast.FunctionDef]) -> list[ast.expr]:
    """What an expression may come to: each side of a choice; of a call also what a function of the same module returns for it."""
    found, branches = [node], []
    if isinstance(node, ast.IfExp):
        branches = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        branches = node.values
    elif isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in makers:
        branches = [n.value for n in ast.walk(makers[name]) if isinstance(n, ast.Return) and n.value]
        makers = {n: f for n, f in makers.items() if n != name}
    return found + [inner for branch in branches for inner in _chosen(branch, makers)]
