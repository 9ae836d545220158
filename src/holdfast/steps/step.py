"""The step that `keep.step` makes of a function: called as the function is, it gives the paths of its outputs."""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import BoundArguments
from pathlib import Path, PurePath
from types import FunctionType
from typing import Any

from holdfast.errors import UsageError
from holdfast.flow.examination import Patience, Patient
from holdfast.session.keeper import Keeper
from holdfast.steps import arguments
from holdfast.steps.bringing import Bringing
from holdfast.steps.code import ByOutputs, code_of, refusal_of
from holdfast.steps.contents import Contents
from holdfast.steps.source import NoSource, function_tree
from holdfast.steps.task import Task
from holdfast.store.format.keys import Key


class Step(ByOutputs):
    """A function whose outputs are kept. `keep.step` makes it.

    Args:
        steps: All steps of the project.
        function: What it was made of.
        outputs: Keys of what it makes.
        folders: Those of them that were written with a slash at the end: they are made before it runs.
        inputs: Other steps, and paths.
        ignore: Global names that decide nothing.
        version: Counts in place of its code.
        fork: Another result is made beside the one that is there.
    """

    def __init__(
        self,
        steps: Steps,
        function: Callable[..., object],
        *,
        outputs: tuple[str, ...],
        folders: frozenset[str],
        inputs: tuple[ByOutputs | str, ...],
        ignore: Collection[str],
        version: object,
        fork: bool,
        several: bool,
    ) -> None:
        if reason := refusal_of(function):
            raise UsageError(f"{getattr(function, '__name__', type(function).__name__)}: cannot be a step: {reason}")
        assert isinstance(function, FunctionType)
        self.name = function.__name__
        self.outputs, self.folders, self.inputs = outputs, folders, inputs
        self._steps, self._function = steps, function
        self._ignore, self._version, self._fork, self._several = frozenset(ignore), version, fork, several
        self._signature = arguments.signature_of(function)
        self._asked: BoundArguments | None = None
        self._tree: ast.FunctionDef | None = None
        if version is None:
            try:
                tree = function_tree(function)
            except NoSource as error:
                raise UsageError(
                    f"{self.name}: cannot be a step: {error}; give version= to count that in place of its code"
                ) from error
            assert isinstance(tree, ast.FunctionDef)
            self._tree = without_step(tree)
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Path | tuple[Path, ...]:
        """The path of the output, or of each where several were named: restored where it was made so, else made and backed up.

        Raises:
            MadeOtherwise: it is there, and was made from something else. The text shows the difference.
            UsageError: an argument, an input or a global that is read cannot be counted; the function gave something back.
            NotRestored: it is in the store and could not be brought back, or the store cannot be read.
            StageFailed: the function did not make what it should.
            AnotherSession: another process is making it.
        """
        return self._bring(args, kwargs, again=False)

    def again(self, *args: Any, **kwargs: Any) -> Path | tuple[Path, ...]:
        """The same, made anew. What is there is moved aside; in the store `holdfast history` shows it."""
        return self._bring(args, kwargs, again=True)

    def __repr__(self) -> str:
        return f"<step {self.name}: {', '.join(self.outputs)}>"

    def _bring(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, again: bool) -> Path | tuple[Path, ...]:
        self._asked = arguments.bound(self.name, self._signature, args, kwargs)
        places = Bringing(self._steps).bring(self.task(), again=again)
        return places if self._several else places[0]

    def task(self) -> Task:
        """What is asked of it: with the arguments of its last call, else with its defaults.

        Raises:
            UsageError: it was not called, and has an argument without a default.
        """
        call = self._asked or arguments.bound(self.name, self._signature, (), {})
        return Task(
            name=self.name,
            outputs=self.outputs,
            folders=self.folders,
            inputs=self.inputs,
            counts=functools.partial(self._counts, call),
            act=functools.partial(self._act, call),
            asks=arguments.given_paths(arguments.whole_signature(self._function)),
            fork=self._fork,
            anew=f"{self.name}.again(...). To keep both, give fork=True to its keep.step",
        )

    def _counts(self, call: BoundArguments) -> dict[str, Any]:
        found: dict[str, Any] = {"arguments": arguments.counted(self.name, call)}
        if self._tree is None:
            return {**found, "version": str(self._version)}
        names = [given.name for given in self.inputs if isinstance(given, ByOutputs)]
        code = code_of(self._function, name=self.name, tree=self._tree, ignore=self._ignore, steps=names)
        return {**found, "code": code}

    def _act(self, call: BoundArguments, paths: Mapping[str, Any]) -> object:
        full = arguments.whole(self._function, call, paths)
        return self._function(*full.args, **full.kwargs)


def without_step(tree: ast.FunctionDef) -> ast.FunctionDef:
    """The definition without the decorator that makes it a step, and without what stands above that."""
    ours = [n for n, d in enumerate(tree.decorator_list) if isinstance(d, ast.Call) and any(k.arg == "outputs" for k in d.keywords)]
    if not ours:
        return tree
    found = copy.copy(tree)
    found.decorator_list = tree.decorator_list[ours[-1] + 1 :]
    return found


class Steps:
    """All steps of a project, in the order in which they were defined.

    Args:
        keeper: The project's.
        patience: What to do where the store cannot be read.
    """

    def __init__(self, keeper: Keeper, patience: Patience | None = None) -> None:
        self.patience = patience or Patient()
        self._steps: dict[str, Step] = {}
        self.go_on_with(keeper)

    def go_on_with(self, keeper: Keeper) -> None:
        """The project was attached anew."""
        self.keeper = keeper
        self.contents = Contents(keeper)

    def define(
        self,
        function: Callable[..., object],
        *,
        outputs: str | PurePath | Sequence[str | PurePath],
        inputs: Sequence[ByOutputs | str | PurePath] | ByOutputs | str | PurePath,
        ignore: Collection[str],
        version: object,
        fork: bool,
    ) -> Step:
        """A new step. One of the same name goes.

        Raises:
            UsageError: it cannot be a step.
        """
        name = getattr(function, "__name__", type(function).__name__)
        several = not isinstance(outputs, str | PurePath)
        given = tuple(outputs) if not isinstance(outputs, str | PurePath) else (outputs,)
        keys = self.keys(name, given)
        step = Step(
            self,
            function,
            outputs=keys,
            folders=frozenset(k for k, o in zip(keys, given, strict=True) if isinstance(o, str) and o.endswith("/")),
            inputs=self._inputs(name, inputs),
            ignore=(ignore,) if isinstance(ignore, str) else ignore,
            version=version,
            fork=fork,
            several=several,
        )
        self._steps[name] = step
        return step

    def keys(self, name: str, outputs: Sequence[str | PurePath]) -> tuple[str, ...]:
        """The keys of outputs that nobody else makes.

        Raises:
            UsageError: there are none, one is not below outputs, or another step makes it.
        """
        workspace = self.keeper.workspace
        keys = [workspace.key(str(path).rstrip("/") if isinstance(path, str) else path) for path in outputs]
        if not keys or workspace.outputs in keys:
            raise UsageError(f"{name}: outputs= names no file or folder below {workspace.outputs}; give at least one")
        others = [(s.name, k) for s in self._steps.values() if s.name != name for k in s.outputs]
        others += [(name, k.value) for k in keys]
        for number, key in enumerate(keys):
            for other, taken in others[: len(others) - len(keys) + number]:
                if key.covers(Key(taken)) or Key(taken).covers(key):
                    raise UsageError(
                        f"{name}: {key} is made by {other} already ({taken}); give another path, or define both under one name, "
                        "which replaces the one before"
                    )
        return tuple(k.value for k in keys)

    def _inputs(
        self, name: str, inputs: Sequence[ByOutputs | str | PurePath] | ByOutputs | str | PurePath
    ) -> tuple[ByOutputs | str, ...]:
        several = (inputs,) if isinstance(inputs, ByOutputs | str | PurePath) else tuple(inputs)
        found: list[ByOutputs | str] = []
        for one in several:
            if not isinstance(one, ByOutputs | str | PurePath):
                raise UsageError(f"{name}: {one!r:.60} is no input; give a step or a path")
            found.append(one if isinstance(one, ByOutputs) else str(one).rstrip("/") or "/")
        return tuple(found)

    def task_of(self, step: ByOutputs) -> Task:
        """What is asked of a step where another one needs it. One that was defined anew since counts as it is now."""
        now = self._steps.get(step.name, step)
        assert isinstance(now, Step)
        return now.task()

    def maker_of(self, key: str) -> ByOutputs | None:
        """The step that makes exactly this path, if any."""
        return next((s for s in self._steps.values() if key in s.outputs), None)

    def all(self) -> list[Step]:
        """Every step, each after those that it builds on, as far as they were defined before it."""
        return list(self._steps.values())

    def before(self, step: Step) -> list[str]:
        """The names of the steps that one builds on."""
        makers = [given if isinstance(given, ByOutputs) else self.maker_of(given) for given in step.inputs]
        return list(dict.fromkeys(m.name for m in makers if m is not None))
