"""The page of roads on is whole: every refusal in the code that can stop somebody is on it, with a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from holdfast import errors
from tests.docs.messages import Text, every_text, fragments, modules
from tests.docs.pages import REPOSITORY, text_of
from tests.docs.test_messages import NOT_SHOWN, fits

PAGE = "docs/roads-on.md"

#: Errors that stop nobody by themselves: an older generation is taken, and what is said of it is on the page of messages.
PASSED_OVER = {"Corrupt", "CutOff", "NewerFormat"}

#: Functions that make an error, beside the classes.
MAKERS = {"_unreachable": "StoreUnreachable", "_explained": "StoreFull"}

Row = tuple[tuple[str, ...], str, tuple[str, ...]]


@cache
def rows() -> tuple[Row, ...]:
    """Refusals, the road on, and the tests that walk it."""
    found = []
    for line in text_of(PAGE).splitlines():
        if line.startswith(("| `", "| ``")):
            first, road, walked = line.strip("| ").split(" | ")
            quotes = tuple(a or b for a, b in re.findall(r"``(.+?)``|`([^`]+)`", first))
            found.append((quotes, road, tuple(re.findall(r"`(tests/[^`]+)`", walked))))
    return tuple(found)


@cache
def refusals() -> tuple[Text, ...]:
    """The text of every error of Holdfast's tree that is raised with one."""
    tree = {n for n, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.HoldfastError)}
    found = []
    for path, module in modules("."):
        tree |= {n.name for n in ast.walk(module) if isinstance(n, ast.ClassDef) and {ast.unparse(b) for b in n.bases} & tree}
        for node in ast.walk(module):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if MAKERS.get(name, name) not in tree - PASSED_OVER or path.startswith(("simulator/", "store/format/")):
                continue
            said = [parts for parts in map(fragments, node.exc.args) if any(re.search(r"[a-z]", p) for p in parts)]
            found += [Text(f"{path}:{node.lineno}", parts) for parts in said[:1]]
    return tuple(found)


def test_every_refusal_has_a_road_on() -> None:
    quotes = [q for found, _, _ in rows() for q in found]
    assert len(refusals()) > 180
    lacking = [t for t in refusals() if t.telling not in NOT_SHOWN and not any(fits(q, t) for q in quotes)]
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in lacking] == []


@cache
def _texts() -> list[Text]:
    return every_text()


@pytest.mark.parametrize("row", rows(), ids=lambda r: r[0][0])
def test_every_refusal_on_the_page_is_in_the_source_and_every_road_is_walked_by_a_test(row: Row) -> None:
    quotes, road, walked = row
    assert [q for q in quotes if not any(fits(q, t) for t in _texts())] == []
    assert road
    assert walked
    for place in walked:
        path, _, name = place.partition("::")
        tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, place


def test_the_page_says_how_many_refusals_it_is_about() -> None:
    said = re.search(r"(\d+) refusals", text_of(PAGE))
    assert said is not None
    assert int(said[1]) == sum(len(quotes) for quotes, _, _ in rows())
