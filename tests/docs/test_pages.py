"""The pages hang together: every link leads somewhere, and every page is found from the README."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, anchors, links, pages, text_of

ALSO = ("ARCHITECTURE.md", "CONTRIBUTING.md", "FORMAT.md", "GUARANTEES.md", "CHANGELOG.md")


@pytest.mark.parametrize("page", [*pages(), *ALSO])
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page: str) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        place = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert place.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(place.resolve().relative_to(REPOSITORY).as_posix()), f"{page} links to {target}"


def test_every_page_is_listed_in_the_index_and_the_index_in_the_readme() -> None:
    listed = {target.partition("#")[0] for target in links("docs/README.md")}
    for page in pages():
        if page.startswith("docs/") and page != "docs/README.md":
            assert page.removeprefix("docs/") in listed, page
    assert "docs/README.md" in links("README.md")


def test_every_promise_is_held_by_a_test_that_is_there_and_runs_with_make_check() -> None:
    rows = [line for line in (REPOSITORY / "GUARANTEES.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    promises = [line for line in rows if not line.startswith("| promise")]
    assert len(promises) > 30
    for line in promises:
        named = re.findall(r"`(tests/[^`]+)`", line)
        assert named, line
        assert all((REPOSITORY / path).exists() for path in named), line
        assert all(_runs_with_make_check(REPOSITORY / path) for path in named), line


def _runs_with_make_check(place: Path) -> bool:
    """Whether a file or folder of tests has one that is not left to `make torture` or `make colab-lane`."""
    for file in [place] if place.is_file() else sorted(place.rglob("test_*.py")):
        for test in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(test, ast.FunctionDef | ast.ClassDef) and test.name.lower().startswith("test"):
                marks = {ast.unparse(mark) for mark in test.decorator_list}
                if not marks & {"pytest.mark.torture", "pytest.mark.colab"}:
                    return True
    return False


@pytest.mark.parametrize("page", pages())
def test_prose_is_wrapped_at_100_columns(page: str) -> None:
    fenced, long = False, []
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        is_prose = not fenced and not line.lstrip().startswith(("|", "#", "!", "<", "```"))
        if is_prose and len(line) > 100 and " " in line[:100].strip():
            long.append(number)
    assert long == []
