"""What only some systems offer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from holdfast.platform import replace_at_once


@pytest.mark.parametrize("there", [True, False], ids=["over a file", "where nothing is"])
def test_a_file_takes_the_place_of_another_and_leaves_its_own(tmp_path: Path, there: bool) -> None:
    source, target = tmp_path / "new", tmp_path / "old"
    source.write_bytes(b"new")
    if there:
        target.write_bytes(b"old")
    replace_at_once(source, target)
    assert (target.read_bytes(), [p.name for p in tmp_path.iterdir()]) == (b"new", ["old"])


def test_a_file_is_not_renamed_over_another_where_the_two_can_change_their_names(tmp_path: Path) -> None:
    asked: list[str] = []
    sys.addaudithook(lambda event, _: asked.append(event) if event == "os.rename" else None)
    source, target = tmp_path / "new", tmp_path / "old"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    replace_at_once(source, target)
    assert asked == []


def test_what_is_not_there_takes_no_place(tmp_path: Path) -> None:
    target = tmp_path / "old"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        replace_at_once(tmp_path / "new", target)
    assert target.read_bytes() == b"old"
