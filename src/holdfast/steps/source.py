"""The syntax trees of functions and classes that are loaded, from the files or the notebook cells that they were written in."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

#: When this was loaded: a file that was written before is what was loaded, or near enough.
_BEGAN = time.time()


class NoSource(Exception):
    """What was written cannot be known. Its text says why."""


def function_tree(function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The tree of a function or a lambda, decorators and all.

    Raises:
        NoSource: it cannot be read, or is not what runs.
    """
    code = function.__code__
    try:
        lines, _ = inspect.getsourcelines(code)  # of its code: of a function that stands for another one, its own
        tree = _parsed("".join(lines))
    except (OSError, TypeError, SyntaxError, IndentationError) as error:
        raise NoSource("its source cannot be read") from error
    if code.co_name == "<lambda>":
        found = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda)]
        if len(found) != 1:
            raise NoSource("there are several lambdas in its line" if found else "its source cannot be read")
        return found[0]
    definition = next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == code.co_name), None)
    if definition is None:
        raise NoSource("its source cannot be read")
    if _written_later(code.co_filename) and not _is_there(code):
        raise NoSource(
            f"{os.path.basename(code.co_filename)} was changed after it was loaded; load it again, or begin a new process"
        )
    return definition


def class_tree(kind: type) -> ast.ClassDef:
    """The tree of a class.

    Raises:
        NoSource: it cannot be read.
    """
    try:
        tree = _parsed(inspect.getsource(kind))
        found = next((n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)), None)
    except (OSError, TypeError, SyntaxError, IndentationError):
        found = _in_a_cell(kind)
    if found is None:
        raise NoSource("its source cannot be read")
    return found


def _parsed(text: str) -> ast.Module:
    """What stands further in is read as it stands: to move it would change text over several lines."""
    return ast.parse(f"if 1:\n{text}" if text[:1].isspace() else text)


def _written_later(file: str) -> bool:
    try:
        return os.stat(file).st_mtime > _BEGAN
    except OSError:
        return False


def _is_there(code: CodeType) -> bool:
    """Whether a file as it is now has the code that runs."""
    try:
        whole = compile("".join(linecache.getlines(code.co_filename)), code.co_filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return any(_bones(c) == _bones(code) for c in _within(whole) if c.co_qualname == code.co_qualname)


def _within(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _within(inner)


def _bones(code: CodeType) -> tuple[object, ...]:
    """What of code says what it does, and not where it lies."""
    constants = tuple(_bones(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return (code.co_code, code.co_names, constants)


def _in_a_cell(kind: type) -> ast.ClassDef | None:
    """A class of a notebook, which Python cannot find: in the cell of a method of it, else in the newest cell that has it."""
    for text in (*_cells_of_methods(kind), *_cells()):
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue  # a cell with a magic
        found = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == kind.__qualname__]
        if found:
            return found[-1]
    return None


def _cells_of_methods(kind: type) -> Iterator[str]:
    methods = [m for m in vars(kind).values() if isinstance(m, FunctionType) and not m.__code__.co_filename.startswith("<string")]
    yield from ("".join(linecache.getlines(m.__code__.co_filename)) for m in methods[:1])


def _cells() -> list[str]:
    ipython = sys.modules.get("IPython")
    get: Callable[[], Any] = getattr(ipython, "get_ipython", lambda: None)
    shell = get()
    return [] if shell is None else [str(cell) for cell in reversed(shell.user_ns.get("In", []))]
