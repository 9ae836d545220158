"""The table of the restore plan: no item is lost, and what it names is there, runs, and is not skipped."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.docs.pages import REPOSITORY, anchors, text_of

PAGE = "docs/restore-plan.md"

#: The lists of the plan with the number of their items.
ITEMS = {
    "Success Criteria": 10,
    "Unit Tests": 4,
    "Integration Tests": 8,
    "Edge Cases": 8,
    "Documentation Updates": 6,
    "Rollout & Validation Checklist": 11,
}

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)#([^)]+)\)")


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    heading: str
    item: str
    holds: str
    by: str


def rows() -> list[Row]:
    found, heading = [], ""
    for line in text_of(PAGE).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith("| item "):
            item, holds, by = line.strip("| ").split(" | ")
            found.append(Row(heading, item, holds, by))
    return found


def named_tests() -> list[tuple[str, str]]:
    return sorted({(file, name) for row in rows() for file, name in _TEST.findall(row.by)})


def test_every_list_has_all_of_its_items_and_none_twice() -> None:
    found = rows()
    assert {heading: sum(r.heading == heading for r in found) for heading in ITEMS} == ITEMS
    assert len(found) == sum(ITEMS.values())
    assert len({(r.heading, r.item) for r in found}) == len(found)


@pytest.mark.parametrize("row", [pytest.param(r, id=f"{r.heading}-{r.item}") for r in rows()])
def test_every_item_says_whether_it_holds_and_by_what(row: Row) -> None:
    assert re.match(r"yes\b|in part: |otherwise: |no: ", row.holds)
    assert _TEST.search(row.by) or _LINK.search(row.by) or row.holds.startswith("no: ")
    left = _LINK.sub("", _TEST.sub("", row.by))
    assert left.strip(" ,") == "", f"neither a test nor a link: {left}"


@pytest.mark.parametrize(("page", "anchor"), sorted({link for row in rows() for link in _LINK.findall(row.by)}))
def test_every_page_that_holds_an_item_is_there_with_its_heading(page: str, anchor: str) -> None:
    place = (REPOSITORY / "docs" / page).resolve()
    assert place.is_file()
    assert anchor in anchors(place.relative_to(REPOSITORY).as_posix())


def test_every_test_that_holds_an_item_is_collected_by_make_test() -> None:
    files = sorted({file for file, _ in named_tests()})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not long and not torture",
        *files,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert sorted({f"{file}::{name}" for file, name in named_tests()} - collected) == []


@pytest.mark.parametrize(("file", "name"), named_tests())
def test_no_test_that_holds_an_item_is_skipped(file: str, name: str) -> None:
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    whole = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Assign | ast.Expr)]
    for text in (ast.unparse(function), *whole):
        assert not re.search(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|mark\.torture", text)
