"""The page of files in use is the one that the table of kinds makes, and says something of each."""

from __future__ import annotations

import subprocess
import sys

from holdfast.store.live.files_in_use_page import page
from holdfast.store.live.kinds import KINDS, UNMARKED
from tests.docs.pages import REPOSITORY


def test_the_page_in_the_repository_is_the_one_that_the_table_makes() -> None:
    made = [sys.executable, "-m", "holdfast.store.live.files_in_use_page"]
    done = subprocess.run(made, capture_output=True, check=True, encoding="utf-8")
    assert done.stderr == ""
    committed = (REPOSITORY / "docs/files-in-use.md").read_text(encoding="utf-8")
    assert committed == done.stdout, "python -m holdfast.store.live.files_in_use_page > docs/files-in-use.md"


def test_each_kind_has_one_row_that_says_how_it_is_copied_when_it_is_safe_and_what_to_do() -> None:
    rows = [line.strip("|").split(" | ") for line in page().splitlines() if line.startswith("| **")]
    assert [row[0].split("**")[1] for row in rows] == [kind.name for kind in (*KINDS, *UNMARKED)]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)
