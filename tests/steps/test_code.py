"""What counts of code: what it reads of its project by content, of others by name and version, and the same under every Python."""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.errors import UsageError
from holdfast.steps.code import code_of
from holdfast.steps.source import NoSource, function_tree
from holdfast.steps.syntax import syntax_of


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of modules that can be imported, each test anew."""
    sys.path.insert(0, str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def load(folder: Path, **files: str) -> ModuleType:
    """The module `main` of these files, as a new process would load it."""
    for name, text in files.items():
        place = folder / f"{name}.py"
        place.write_text(textwrap.dedent(text))
        sys.modules.pop(name, None)
        for cached in (folder / "__pycache__").glob(f"{name}.*"):
            cached.unlink()
    importlib.invalidate_caches()
    return importlib.import_module("main")


def counted(module: ModuleType, **more: object) -> dict[str, str]:
    tree = function_tree(module.f)
    assert isinstance(tree, ast.FunctionDef)
    return code_of(module.f, name="f", tree=tree, **more)  # type: ignore[arg-type]


MAKER = """
def make(n):
    def g(x): return x + n
    return g
add, other = make(1), make(5)
def f(): return add(1), other(2)
"""
CACHED = """
import functools
@functools.lru_cache
def g(x): return x
h = functools.partial(g, 1)
def f(): return g(1) + h()
"""
KINDS = """
import enum, pathlib, re
class E(enum.Enum):
    A = 1
M, P, R = E.A, pathlib.Path('a'), re.compile('a')
def f(): return M, P, R
"""

CASES = {
    "a function of a module of the project": (
        {"main": "import helpers\ndef f(): return helpers.g(1)", "helpers": "def g(x): return x\nUNREAD = 1"},
        {"helpers": "def g(x): return -x\nUNREAD = 1"},
        {"helpers": "def g(x): return x  # the same\nUNREAD = 2"},
    ),
    "a constant two modules away": (
        {"main": "from helpers import g\ndef f(): return g()", "helpers": "import far\ndef g(): return far.A", "far": "A = 1"},
        {"far": "A = 2"},
        {"far": "A = 1\nB = 2"},
    ),
    "a helper of a helper that calls itself": (
        {"main": "def a(n): return n and b(n - 1)\ndef b(n): return a(n) + 1\ndef f(): return a(3)"},
        {"main": "def a(n): return n and b(n - 1)\ndef b(n): return a(n) + 2\ndef f(): return a(3)"},
        {"main": "def b(m): return a(m) + 1\ndef a(n): return n and b(n - 1)\ndef f(): return a(3)".replace("m", "n")},
    ),
    "a class and its base": (
        {"main": "class A:\n    x: int = 1\nclass B(A):\n    def m(self): return 1\ndef f(): return B().m()"},
        {"main": "class A:\n    x: int = 2\nclass B(A):\n    def m(self): return 1\ndef f(): return B().m()"},
        {"main": 'class A:\n    "Text."\n    x: int = 1\nclass B(A):\n    def m(self): return (1)\ndef f(): return B().m()'},
    ),
    "a lambda": (
        {"main": "g = lambda x: x + 1\ndef f(): return g(1)"},
        {"main": "g = lambda x: x + 2\ndef f(): return g(1)"},
        {"main": "g = lambda x:  x+1  # text\ndef f(): return g(1)"},
    ),
    "what a closure has of its maker": (
        {"main": MAKER},
        {"main": MAKER.replace("make(5)", "make(6)")},
        {"main": MAKER.replace("x + n", "(x + n)")},
    ),
    "a function under functools.lru_cache, and a partial": (
        {"main": CACHED},
        {"main": CACHED.replace("(g, 1)", "(g, 2)")},
        {"main": CACHED.replace("return x", "return  x")},
    ),
    "a decorator of the project": (
        {"main": "def d(g):\n    def w(): return g() + 1\n    return w\n@d\ndef h(): return 1\ndef f(): return h()"},
        {"main": "def d(g):\n    def w(): return g() + 2\n    return w\n@d\ndef h(): return 1\ndef f(): return h()"},
        {"main": "def d(g):\n    def w(): return (g() + 1)\n    return w\n@d\ndef h(): return 1\ndef f(): return h()"},
    ),
    "which of two is called by a name": (
        {
            "main": "from helpers import a as x, b as y\ndef f(): return x() - y()",
            "helpers": "def a(): return 1\ndef b(): return 2",
        },
        {"main": "from helpers import b as x, a as y\ndef f(): return x() - y()"},
        {"main": "from helpers import b as y\nfrom helpers import a as x\ndef f(): return x() - y()"},
    ),
    "a module of the project that is imported inside": (
        {"main": "def f():\n    import helpers\n    return helpers.A", "helpers": "A = 1"},
        {"helpers": "A = 2"},
        {"helpers": "A = 1  # one"},
    ),
    "a member of an enum, a path and a pattern": (
        {"main": KINDS},
        {"main": KINDS.replace("compile('a')", "compile('b')")},
        {"main": KINDS.replace("Path('a')", "Path('./a')")},
    ),
    "a default, which is bound with the arguments": (
        {"main": "A = 1\ndef g(x=A): return x\ndef f(rate=A): return g()"},
        {"main": "A = 2\ndef g(x=A): return x\ndef f(rate=A): return g()"},
        {"main": "A = 1\ndef g(x=A): return x\ndef f(rate=5): return g()"},
    ),
    "names of variables where they are asked for": (
        {"main": "def f():\n    a = 1\n    return locals()"},
        {"main": "def f():\n    b = 1\n    return locals()"},
        {"main": "def f():\n    a = 1  # text\n    return locals()"},
    ),
    "a function inside": (
        {"main": "def f():\n    def inner(x): return [y for y in x if y]\n    return inner"},
        {"main": "def f():\n    def inner(x): return [y for y in x if not y]\n    return inner"},
        {"main": "def f():\n    def within(x): return [z for z in x if z]\n    return within"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_decides_counts_and_nothing_else(folder: Path, name: str) -> None:
    first, other, same = CASES[name]
    before = counted(load(folder, **first))
    assert counted(load(folder, **{**first, **other})) != before
    assert counted(load(folder, **{**first, **same})) == before


def test_modules_of_others_count_by_name_and_version_without_what_is_of_one_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(
        folder,
        main="import json as j, yaml\nfrom math import sqrt\nimport blake3\ndef f(): return j.dumps(1), yaml, sqrt, blake3.blake3",
    )
    found = counted(module)
    import blake3
    import yaml

    assert {k: v for k, v in found.items() if k} == {
        "blake3": f"blake3 {blake3.__version__}",
        "j": "json",
        "sqrt": "sqrt of math",
        "yaml": f"yaml {yaml.__version__}",
    }
    monkeypatch.setattr(yaml, "__version__", "9.1+cu126")
    assert counted(module)["yaml"] == "yaml 9.1"


def test_a_file_that_was_changed_after_it_was_loaded_is_refused(folder: Path) -> None:
    module = load(folder, main="import helpers\ndef f(): return helpers.g()", helpers="def g(): return 1 + 1")
    (folder / "helpers.py").write_text("def g(): return 1 * 1")
    with pytest.raises(UsageError, match=r"reads helpers\.g, which cannot be counted: helpers\.py was changed after it was loaded"):
        counted(module)
    (folder / "helpers.py").write_text("def g(): return 1 + 1  # with a comment, it is still what runs")
    counted(module)


def test_what_is_not_counted_in_another_module_is_named_and_ignored_by_that_name(folder: Path) -> None:
    files = {"main": "from helpers import g\ndef f(): return g()", "helpers": "THING = object()\ndef g(): return THING"}
    module = load(folder, **files)
    with pytest.raises(UsageError, match=r"f: reads helpers\.THING, which cannot be counted: .*ignore=\['helpers\.THING'\]"):
        counted(module)
    assert counted(module, ignore=["helpers.THING"]) == counted(module, ignore=["helpers"])


def test_what_a_library_has_under_a_name_counts_by_it(folder: Path) -> None:
    import numpy

    found = counted(load(folder, main="from numpy import exp, mean\ndef f(): return exp(mean([1.0]))"))
    assert {k: v for k, v in found.items() if k} == {
        "exp": f"exp of numpy {numpy.__version__}",
        "mean": found["mean"],
    }
    assert f"mean of numpy {numpy.__version__}" in found["mean"]


def test_two_lambdas_in_one_line_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="reads a, which cannot be counted: there are several lambdas in its line"):
        counted(load(folder, main="a, b = lambda: 1, lambda: 2\ndef f(): return a()"))


def test_what_has_no_source_says_so() -> None:
    names: dict[str, object] = {}
    exec("def g(): return 1", names)
    with pytest.raises(NoSource, match="its source cannot be read"):
        function_tree(names["g"])  # type: ignore[arg-type]


#: Everything that a version of Python writes another way into its tree, or sees another scope for.
HARD = '''
class Sample(dict):
    """Text."""
    sizes = [n * factor for n in (1, 2) if n]
    kind: str = f"{name!r:>{width}} {'a' 'b'}"
    def method(self, *, key=default, **rest):
        try:
            with open(key) as handle, other() as (left, right):
                lines = {k: [v for v in handle] for k in rest}
        except (OSError, ValueError) as error:
            raise KeyError(f"{error=}") from error
        match lines:
            case {"a": [first, *others], **remaining}:
                return lambda x, /, y=first: (x, y, others, remaining, ..., 1j, 1e300 * 10, b"x", -1)
            case Point(x=0) | [_, _]:
                return (z := 1) + z
        async def inner():
            nonlocal lines
            import os.path, json as j
            return [i async for i in lines if await i] + [os, j]
        return inner
'''


def test_the_text_of_code_is_the_same_under_every_version_of_python() -> None:
    syntax = syntax_of(ast.parse(HARD).body[0])
    assert hashlib.sha256(syntax.text.encode()).hexdigest()[:16] == "b717509ecd7d0cf1"
    assert sorted({c[0] for c in syntax.reads}) == [
        "KeyError",
        "OSError",
        "Point",
        "ValueError",
        "default",
        "dict",
        "factor",
        "name",
        "open",
        "other",
        "str",
        "width",
    ]


def test_the_folder_of_a_test_is_the_project_and_what_was_installed_is_not() -> None:
    from holdfast.steps.code import is_own

    assert is_own(sys.modules[__name__])
    assert not is_own(os)
    assert not is_own(pytest)
    assert not is_own(sys.modules["holdfast.errors"])
