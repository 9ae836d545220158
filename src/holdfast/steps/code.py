"""What counts of a function: its code, and what it reads of its module, by content; modules by name and version."""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import importlib.metadata
import importlib.util
import inspect
import logging
import sys
import sysconfig
from collections.abc import Collection, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NoReturn

from blake3 import blake3

from holdfast.errors import UsageError
from holdfast.session.project import Project
from holdfast.steps.source import NoSource, class_tree, function_tree
from holdfast.steps.syntax import Chain, Syntax, arguments_without_defaults, syntax_of
from holdfast.steps.values import NotPlain, named, text_of

#: Longer data is told by its hash.
_SHOWN = 100
#: Before a hash, so that nobody takes it for data.
CODE, DATA = "code ", "data "

_ITSELF = ""


class ByOutputs:
    """What counts by what it makes, and not by its code: a step that another one names in `inputs`."""

    name: str


def code_of(
    function: FunctionType, *, name: str, tree: ast.FunctionDef, ignore: Collection[str] = (), steps: Collection[str] = ()
) -> dict[str, str]:
    """What decides what a function does, each part by the name under which it is read.

    Args:
        function: The function.
        name: Of the step, for people.
        tree: Its syntax tree, without the decorator that made it a step.
        ignore: Global names that do not count.
        steps: Names of steps that are among its inputs, and so count by what they made.

    Raises:
        UsageError: it reads something that cannot be counted.
    """
    counted = _Counted(name, function.__module__, frozenset(ignore), frozenset(steps))
    counted.root(function, tree)
    return counted.found


class _Counted:
    """Walks from a function to all that it reads. What was counted once is not looked at again, so that recursion ends."""

    def __init__(self, name: str, module: str, ignore: frozenset[str], steps: frozenset[str]) -> None:
        self.found: dict[str, str] = {}
        self._name = name
        self._module = module
        self._ignore = ignore
        self._steps = steps
        self._homes: dict[int, str] = {}
        self._keep: list[Any] = []  #: an id is told from others only while the object lives

    def root(self, function: FunctionType, tree: ast.FunctionDef) -> None:
        syntax = syntax_of(arguments_without_defaults(tree), own_name=False)
        if syntax.assigns:
            self._refuse(min(syntax.assigns), "it gives that global another value while it runs")
        self.found[_ITSELF] = _hash(CODE, syntax.text)
        self._reads(syntax, function.__globals__, function.__module__)

    def _reads(self, syntax: Syntax, names: Mapping[str, Any], module: str, captured: frozenset[str] = frozenset()) -> None:
        for chain in sorted(syntax.reads):
            if chain[0] not in self._ignore | captured and not (chain[0].startswith("__") and chain[0].endswith("__")):
                self._name_of(chain, names, module)
        for imported in sorted(syntax.imports):
            top = imported.partition(".")[0]
            if top not in self._ignore:
                self._imported(imported, top)

    def _name_of(self, chain: Chain, names: Mapping[str, Any], module: str) -> None:
        """One name that is read, as the module sees it."""
        first, *rest = chain
        if first not in names:
            if not hasattr(builtins, first):
                self._refuse(first, "there is no such name now")
            return
        value, said = names[first], first
        while isinstance(value, ModuleType) and is_own(value) and rest and hasattr(value, rest[0]):
            said, value = f"{said}.{rest[0]}", getattr(value, rest.pop(0))
        label = said if module == self._module else f"{module}.{said}"
        if label in self._ignore or label.partition(".")[0] in self._ignore:
            return
        text = self._value(value, label)
        if text is not None:
            self.found.setdefault(label, text)

    def _imported(self, name: str, top: str) -> None:
        """A module that is imported where the function runs."""
        text = self._whole(name) if _own_file(name) is not None else _version(top, sys.modules.get(top))
        self.found.setdefault(f"import {name}", text)

    def _value(self, value: Any, label: str) -> str | None:
        """What stands for a value, where that is not to be left out. What has a home of its own is counted there."""
        if isinstance(value, ByOutputs):
            if value.name not in self._steps:
                self._refuse(
                    label, "it is a step, and not among the inputs" if value.name != self._name else "a step cannot call itself"
                )
            return None
        if isinstance(value, Project | logging.Logger):
            return None
        if isinstance(value, ModuleType):
            return self._whole(value.__name__) if is_own(value) else _version(value.__name__, value)
        if isinstance(value, FunctionType):
            return self._function(value, label)
        if isinstance(value, type):
            return self._class(value, label)
        if _is_named_elsewhere(value):
            return _of_elsewhere(value, type(value).__module__.partition(".")[0])
        if isinstance(value, BuiltinFunctionType):
            return _of_elsewhere(value, getattr(value, "__module__", None) or "builtins")
        if isinstance(value, functools.partial):
            parts: tuple[Any, ...] = (value.func, value.args, value.keywords)
            return "partial(" + ", ".join(self._data(p, label) for p in parts) + ")"
        if isinstance(value, enum.Enum):
            return f"{self._class(type(value), label)}.{value.name}"
        if type(value).__module__ in ("typing", "types") and not isinstance(value, MethodType):
            return repr(value)
        inner = _function_within(value)
        if inner is not None:
            return f"{type(value).__qualname__} of {self._function(inner, label) or label}"
        return self._data(value, label)

    def _data(self, value: Any, label: str) -> str:
        try:
            text = text_of(value, lambda other: self._inside(other, label))
        except NotPlain as error:
            self._refuse(label, f"it is {error}")
        return text if len(text) <= _SHOWN else _hash(DATA, text)

    def _inside(self, value: Any, label: str) -> str:
        """What stands in data and is no data: functions and classes count as ever."""
        kinds = (FunctionType, BuiltinFunctionType, type, functools.partial, enum.Enum)
        if isinstance(value, kinds) or _function_within(value) is not None or _is_named_elsewhere(value):
            return self._value(value, label) or ""
        raise NotPlain(named(value))

    def _function(self, function: FunctionType, label: str) -> str | None:
        home = sys.modules.get(function.__module__ or "")
        if home is not None and not is_own(home):
            inner = getattr(function, "__wrapped__", None)
            if isinstance(inner, FunctionType):  # a decorator of another library around a function of this one
                return f"{_of_elsewhere(function, function.__module__)} of {self._function(inner, label)}"
            return _of_elsewhere(function, function.__module__)
        own, new = self._home(function, label, alone=not function.__closure__)
        if new:
            try:
                tree = function_tree(function)
            except NoSource as error:
                self._refuse(label, f"{error}")
            syntax = syntax_of(tree)
            if syntax.assigns:
                self._refuse(min(syntax.assigns), f"{own} gives that global another value while it runs")
            self.found[own] = _hash(CODE, syntax.text)
            captured = frozenset(function.__code__.co_freevars)
            self._reads(syntax, function.__globals__, function.__module__, captured)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                self._captured(f"{own}.{name}", cell)
        return None if own == label else own

    def _captured(self, label: str, cell: Any) -> None:
        """What a function that another one made has of its maker."""
        try:
            value = cell.cell_contents
        except ValueError:
            return  # not given a value yet
        text = self._value(value, label)
        if text is not None:
            self.found.setdefault(label, text)

    def _class(self, kind: type, label: str) -> str | None:
        home = sys.modules.get(kind.__module__)
        if home is None or not is_own(home):
            return _of_elsewhere(kind, kind.__module__)
        own, new = self._home(kind, label)
        if new:
            try:
                syntax = syntax_of(class_tree(kind))
            except NoSource as error:
                self._refuse(label, f"{error}")
            self.found[own] = _hash(CODE, syntax.text)
            self._reads(syntax, vars(home), kind.__module__)
        return None if own == label else own

    def _whole(self, name: str) -> str:
        """A module of this project that is asked for as a whole, with those of the project that it imports."""
        file = _own_file(name)
        label = f"module {name}"
        if label not in self.found and file is not None:
            try:
                syntax = syntax_of(ast.parse(file.read_text(encoding="utf-8")))
            except (OSError, SyntaxError, ValueError):
                self._refuse(name, "its source cannot be read")
            self.found[label] = _hash(CODE, syntax.text)
            for imported in sorted(syntax.imports):
                if _own_file(imported) is not None:
                    self._whole(imported)
        return name

    def _home(self, thing: Any, label: str, *, alone: bool = True) -> tuple[str, bool]:
        """The name under which a function or class is counted, and whether it is still to be.

        Args:
            thing: The function or class.
            label: How it is read here.
            alone: No other may have its name. What a function makes each time that it is called is told by how it is read.
        """
        known = self._homes.get(id(thing))
        if known is not None:
            return known, False
        name = thing.__qualname__ if thing.__module__ == self._module else f"{thing.__module__}.{thing.__qualname__}"
        home = label if not alone or name in self.found else name
        while home in self.found:  # another one of this name, which was defined anew since
            home += "'"
        self._homes[id(thing)] = home
        self._keep.append(thing)
        return home, True

    def _refuse(self, what: str, why: str) -> NoReturn:
        raise UsageError(
            f"{self._name}: reads {what}, which cannot be counted: {why}. Give it as an argument or by a file in inputs; or, where "
            f"it decides nothing, name it in ignore=[{what!r}]"
        )


def _hash(kind: str, text: str) -> str:
    return kind + blake3(text.encode(errors="surrogatepass")).hexdigest(length=8)


@functools.cache
def _folders_of_others() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(p).resolve() for n in names if (p := sysconfig.get_path(n))})


def is_own(module: ModuleType) -> bool:
    """Whether a module belongs to the project, and not to Python or to what was installed."""
    return module.__name__ == "__main__" or _is_own(module.__name__, getattr(module, "__file__", None))


def _is_own(name: str, file: str | None) -> bool:
    top = name.partition(".")[0]
    if file is None or top == "holdfast" or top in sys.stdlib_module_names:
        return False
    place = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(place.parts):
        return False
    return not any(place.is_relative_to(folder) for folder in _folders_of_others())


def _own_file(name: str) -> Path | None:
    """The file of a module that belongs to the project, loaded or not; None where it does not, or there is none."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None and name.partition(".")[0] not in sys.stdlib_module_names:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        file = None if spec is None else spec.origin
    return Path(file) if file is not None and file.endswith(".py") and _is_own(name, file) else None


def _is_named_elsewhere(value: Any) -> bool:
    """Whether something is what its library has under its name, as `numpy.exp` is."""
    home = sys.modules.get(type(value).__module__.partition(".")[0])
    name = getattr(value, "__name__", None)
    return home is not None and isinstance(name, str) and not is_own(home) and vars(home).get(name) is value


def _function_within(value: Any) -> FunctionType | None:
    """The function that a thing of another library stands for: of functools.lru_cache, numba.njit and their like."""
    found = (getattr(value, inside, None) for inside in ("__wrapped__", "py_func"))
    return next((f for f in found if isinstance(f, FunctionType)), None)


def _of_elsewhere(value: Any, module: str) -> str:
    """Something of another's module, by name and version."""
    if module == "builtins":
        return str(value.__qualname__)
    return f"{getattr(value, '__qualname__', value.__name__)} of {_version(module, sys.modules.get(module))}"


def _version(name: str, module: ModuleType | None) -> str:
    """A module by name and version. What is written for one machine alone, as in `2.9.0+cu126`, is left out."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == "holdfast":
        return name
    said = getattr(sys.modules.get(top, module), "__version__", None)
    if not isinstance(said, str):
        try:
            said = importlib.metadata.version(top)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            said = _distributed(top)
    return f"{name} {said.partition('+')[0]}".strip()


@functools.cache
def _distributed(top: str) -> str:
    """The version of what brought a module of another name, such as `yaml` of PyYAML; empty where nothing did."""
    for found in importlib.metadata.packages_distributions().get(top, ()):
        return importlib.metadata.version(found)
    return ""


def refusal_of(function: Any) -> str:
    """Why something can be no step, in words; empty where it can."""
    if isinstance(function, staticmethod | classmethod | MethodType):
        return "it is a method, and what its object holds cannot be counted"
    if isinstance(function, type):
        return "it is a class"
    if not isinstance(function, FunctionType):
        return "it is no function that was written in Python"
    above, _, name = function.__qualname__.rpartition(".")
    if name == "<lambda>":
        return "it is a lambda, which has no name"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is async, and a step is over when it returns"
    if inspect.isgeneratorfunction(function):
        return "it is a generator, and a step is over when it returns"
    if above and not above.endswith("<locals>"):
        return "it is a method, and what its object holds cannot be counted"
    if function.__closure__:
        names = ", ".join(function.__code__.co_freevars)
        return f"it is a closure: it reads {names} of the function around it, which cannot be counted; make that an argument"
    return ""
