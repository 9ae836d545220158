"""`%%keep PATH…`: a notebook cell that runs unless what it makes is here, or comes back, made by the same code."""

from __future__ import annotations

import ast
import functools
import shlex
import sys
from collections.abc import Collection, Mapping
from typing import Any

from blake3 import blake3

from holdfast.errors import UsageError
from holdfast.flow.found import State
from holdfast.steps.bringing import Bringing
from holdfast.steps.code import CODE
from holdfast.steps.step import Steps
from holdfast.steps.syntax import Syntax, syntax_of
from holdfast.steps.task import Task

#: The magics that are registered, by the identity of IPython's shell.
_registered: dict[int, Cells] = {}


def register(steps: Steps) -> None:
    """Make `%%keep` known where this runs in IPython. A project that is attached anew takes the place of the one before."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None:
        return
    known = _registered.get(id(shell))
    if known is not None:
        known.steps = steps
        return
    cells = _registered[id(shell)] = Cells(shell, steps)
    shell.register_magic_function(cells.keep, "cell", "keep")
    shell.events.register("pre_run_cell", cells.before)


class Cells:
    """The cells of one kernel that are kept.

    Args:
        shell: IPython's.
        steps: The project's.
    """

    def __init__(self, shell: Any, steps: Steps) -> None:
        self.steps = steps
        self._shell = shell
        self._missing: dict[str, str] = {}  #: names that a cell would have assigned, with what that cell makes

    def keep(self, line: str, cell: str) -> None:
        """The magic."""
        words = shlex.split(line)
        again = "--again" in words
        paths = [w for w in words if w != "--again"]
        if not paths or any(p.startswith("-") for p in paths):
            raise UsageError("%%keep: give the paths that the cell makes, such as %%keep outputs/result.json; --again runs it anew")
        source = self._shell.transform_cell(cell)
        syntax = syntax_of(ast.parse(source))
        name = f"%%keep {paths[0].rstrip('/')}"
        outputs = self.steps.keys(name, paths)
        ran: list[bool] = []
        task = Task(
            name=name,
            outputs=outputs,
            folders=frozenset(k for k, p in zip(outputs, paths, strict=True) if p.endswith("/")),
            inputs=(),
            counts=functools.partial(_counts, syntax),
            act=lambda paths: self._run(source, syntax, ran),
            anew="put --again behind %%keep",
        )
        here = Bringing(self.steps).look(task)
        Bringing(self.steps).bring(task, again=again)
        if ran:
            return
        if here.state is State.DONE and not here.here:
            print(f"{', '.join(outputs)}: came back; the cell is not run")  # noqa: T201 - what a cell says is printed
        else:
            print(f"{', '.join(outputs)}: here; the cell is not run")  # noqa: T201
        for assigned in syntax.assigns - self._shell.user_ns.keys():
            self._missing[assigned] = f"%%keep {' '.join(paths)}"

    def before(self, info: Any) -> None:
        """A cell is about to run: what it reads, and a cell that was not run would have assigned, is said."""
        if not self._missing or info.raw_cell.lstrip().startswith("%%keep"):
            return  # whether that one runs, only its magic knows
        try:
            syntax = syntax_of(ast.parse(self._shell.transform_cell(info.raw_cell)))
        except SyntaxError:
            return  # Python says so itself
        self._say(syntax)

    def _say(self, syntax: Syntax) -> None:
        asked = {c[0] for c in syntax.reads} - syntax.assigns
        lines = said(asked, {n: of for n, of in self._missing.items() if n not in self._shell.user_ns})
        if lines:
            print(lines)  # noqa: T201

    def _run(self, source: str, syntax: Syntax, ran: list[bool]) -> None:
        """Run the code as the notebook would: in its names, the value of the last line shown."""
        self._say(syntax)
        ran.append(True)
        compiler = self._shell.compile
        file = compiler.cache(source, self._shell.execution_count)
        body = ast.parse(source, file).body
        last = [body.pop()] if body and isinstance(body[-1], ast.Expr) else []
        exec(compiler(ast.Module(body, []), file, "exec"), self._shell.user_ns)  # noqa: S102 - it is the user's own cell
        if last:
            exec(compiler(ast.Interactive(last), file, "single"), self._shell.user_ns)  # noqa: S102


def said(asked: Collection[str], missing: Mapping[str, str]) -> str:
    """The names that are asked for and were not assigned, in one line; empty where there are none."""
    names = sorted(set(asked) & missing.keys())
    if not names:
        return ""
    cells = sorted({missing[n] for n in names})
    again = " and ".join(f"{c.replace('%%keep', '%%keep --again', 1)}" for c in cells)
    return f"not assigned, as their cell was not run: {', '.join(names)}. Read them from its files, or run it by {again}"


def _counts(syntax: Syntax) -> dict[str, Any]:
    return {"code": {"": CODE + blake3(syntax.text.encode(errors="surrogatepass")).hexdigest(length=8)}}
