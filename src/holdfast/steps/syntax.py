"""What counts of code: its syntax tree without comments, layout, docstrings and annotations, with local variables by number. Pure.

The text that comes of it is the same under every version of Python that can read the code: what a later version added to the tree,
and is empty, is left out.
"""

from __future__ import annotations

import ast
import copy
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

#: Fields of a tree that say nothing of what the code does.
_SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})

#: Where one of these is called, names of local variables may decide.
_BY_NAME = frozenset({"locals", "vars", "dir", "eval", "exec"})

Chain = tuple[str, ...]


@dataclass(frozen=True)
class Syntax:
    """Code as it counts.

    Args:
        text: Equal where the code does the same, as far as that can be seen.
        reads: The global names that it reads, each with the attributes that are asked of it at once: `("np", "linalg", "norm")`.
        assigns: The names that it gives to its module: those of a cell, or by `global`.
        imports: Modules that it imports where it runs.
    """

    text: str
    reads: frozenset[Chain]
    assigns: frozenset[str]
    imports: frozenset[str]


@dataclass(frozen=True)
class _Names:
    """The names of code, by what they are."""

    reads: frozenset[str]
    assigns: frozenset[str]
    local: frozenset[str]


def syntax_of(tree: ast.AST, *, own_name: bool = True) -> Syntax:
    """What counts of a function, a lambda, a class or a whole cell.

    Args:
        tree: Its syntax tree; not changed.
        own_name: Its own name counts.
    """
    clean = _Clean().visit(copy.deepcopy(tree))
    names = _names(clean)
    if not own_name and isinstance(clean, ast.FunctionDef):
        clean.name = "_"
    chains = frozenset(c for c in _chains(clean) if c[0] in names.reads)
    local = frozenset() if names.reads & _BY_NAME else names.local
    imports = frozenset(_imports(clean))
    _Numbered(local).visit(clean)
    return Syntax(_text(clean), chains, names.assigns, imports)


def arguments_without_defaults(tree: ast.FunctionDef) -> ast.FunctionDef:
    """The function without the defaults of its arguments, for who counts the arguments themselves."""
    found = copy.deepcopy(tree)
    found.args.defaults = []
    found.args.kw_defaults = [None for _ in found.args.kwonlyargs]
    return found


class _Clean(ast.NodeTransformer):
    """Takes away what does nothing: docstrings and other constants that stand alone, and annotations outside of classes."""

    def __init__(self) -> None:
        self._in_class = False

    def visit(self, node: ast.AST) -> ast.AST:
        within = self._in_class
        if isinstance(node, ast.ClassDef):
            self._in_class = True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._in_class = False
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        self.generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                kept = [s for s in block if not _does_nothing(s)]
                setattr(
                    node, field, kept or ([ast.Pass()] if block and field == "body" and not isinstance(node, ast.Module) else [])
                )
        if isinstance(node, ast.JoinedStr):
            node.values = _joined(node.values)
        self._in_class = within
        if isinstance(node, ast.AnnAssign) and not within and isinstance(node.target, ast.Name):
            if node.value is None:
                return ast.copy_location(ast.Pass(), node)
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of formatted text, of which Python 3.12.0 and 3.12.1 may cut what is constant in two."""
    found: list[ast.expr] = []
    for part in values:
        last = found[-1] if found else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            found[-1] = ast.Constant(str(last.value) + str(part.value))
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            found.append(part)
    return found


def _does_nothing(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


class _Plainer(ast.NodeTransformer):
    """The same names, so that every version of Python can write it down, and sees the same scopes.

    Formatted text becomes a tuple of what stands in it. A comprehension in a class or a module becomes a function that is called:
    from Python 3.12 on its variables would count as those of the class.
    """

    _in_function = False

    def visit(self, node: ast.AST) -> ast.AST:
        within = self._in_function
        if isinstance(node, ast.ClassDef):
            self._in_function = False
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._in_function = True
        found: ast.AST = super().visit(node)
        self._in_function = within
        if isinstance(found, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) and not within:
            return _called(found)
        return found

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        return ast.Tuple([v for v in node.values if not isinstance(v, ast.Constant)], ast.Load())

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        return ast.Tuple([node.value, *([node.format_spec] if node.format_spec else [])], ast.Load())


def _called(made: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> ast.expr:
    if any(isinstance(n, ast.NamedExpr | ast.Await) for n in ast.walk(made)):
        return made
    over, made.generators[0].iter = made.generators[0].iter, ast.Name("_over_", ast.Load())
    arguments = ast.arguments([], [ast.arg("_over_")], None, [], [], None, [])
    return ast.Call(ast.Lambda(arguments, made), [over], [])


def _names(tree: ast.AST) -> _Names:
    plain = _Plainer().visit(copy.deepcopy(tree))
    body = (
        plain.body if isinstance(plain, ast.Module) else [plain if isinstance(plain, ast.stmt) else ast.Expr(cast(ast.expr, plain))]
    )
    source = ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
    table = symtable.symtable(source, "<step>", "exec")
    reads, assigns, local, kept = set[str](), set[str](), set[str](), set[str]()
    defined = "" if isinstance(plain, ast.Module) else getattr(plain, "name", "")
    for scope in _scopes(table):
        kind = str(scope.get_type()).rpartition(".")[2].lower()  # text, and from Python 3.13 on an enum
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            if kind == "module":
                kept.add(name)
                if symbol.is_referenced() and not (name == defined and not _asked_above(plain, name)):
                    reads.add(name)
                if (symbol.is_assigned() or symbol.is_imported()) and name != defined:
                    assigns.add(name)
            elif symbol.is_global():
                kept.add(name)
                reads |= {name} if symbol.is_referenced() else set()
                assigns |= {name} if symbol.is_assigned() else set()
            elif kind != "function" or symbol.is_parameter():
                kept.add(name)
            elif symbol.is_local():
                local.add(name)
    bare = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names if a.asname is None}
    bare |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname is None}
    return _Names(frozenset(reads), frozenset(assigns), frozenset(local - kept - reads - assigns - bare))


def _asked_above(tree: ast.AST, name: str) -> bool:
    """Whether a definition asks for its own name outside of its body, as a decorator or a default does."""
    above = [*getattr(tree, "decorator_list", []), *getattr(tree, "bases", [])]
    return any(isinstance(n, ast.Name) and n.id == name for part in above for n in ast.walk(part))


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _chains(node: ast.AST) -> Iterator[Chain]:
    """Every name that is read or written, with the attributes that are asked of it at once."""
    attributes: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        attributes.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (inner.id, *reversed(attributes))
        return
    for child in ast.iter_child_nodes(node):
        yield from _chains(child)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


class _Numbered(ast.NodeVisitor):
    """Gives each local variable the number of its first appearance for a name."""

    def __init__(self, local: frozenset[str]) -> None:
        self._local = local
        self._numbers: dict[str, str] = {}

    def visit(self, node: ast.AST) -> None:
        for field in ("id", "name", "asname", "rest"):
            value = getattr(node, field, None)
            if isinstance(value, str) and not (field == "name" and isinstance(node, ast.alias)):
                setattr(node, field, self._name(value))
        if isinstance(node, ast.Nonlocal):
            node.names = [self._name(n) for n in node.names]
        self.generic_visit(node)

    def _name(self, name: str) -> str:
        return self._numbers.setdefault(name, f"#{len(self._numbers)}") if name in self._local else name


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, ast.AST):
        fields = [(f, getattr(value, f, None)) for f in value._fields if f not in _SILENT]
        said = [f"{f}={_text(v)}" for f, v in fields if v is not None and v != []]
        if isinstance(value, ast.Constant):
            said = [f"value={type(value.value).__name__}:{value.value!r}"]
        return f"{type(value).__name__}({','.join(said)})"
    return repr(value)
