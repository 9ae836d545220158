"""Copies that wait never fill the disk on which the job works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import LocalError
from holdfast.store.copies.space import MAX_WAITING, SMALL_COPY, SPARE_BYTES, copies_in, refuse_copy, why_no_room

GIB, MIB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("needed", "waiting", "free", "total", "fits"),
    [
        (10 * GIB, 0, 60 * GIB, 100 * GIB, True),
        (30 * GIB, 0, 60 * GIB, 100 * GIB, True),  # the job can write as much again
        (31 * GIB, 0, 60 * GIB, 100 * GIB, False),
        (10 * GIB, 21 * GIB, 40 * GIB, 100 * GIB, False),  # as above, with what waits already
        (9 * GIB, 21 * GIB, 40 * GIB, 100 * GIB, True),
        (GIB, 0, 2 * GIB, 100 * GIB, True),
        (GIB, 0, 2 * GIB - 1, 100 * GIB, False),  # less than 1 GiB would be left
        (20 * MIB, 0, 64 * MIB, 500 * MIB, True),
        (32 * MIB, 0, 50 * MIB, 500 * MIB, False),  # less than 5 % of a small disk
        (SMALL_COPY, 0, 600 * MIB, 100 * GIB, True),  # a small one is worth more than room
        (SMALL_COPY, 300 * MIB, 300 * MIB, 100 * GIB, False),  # and many small ones are not
        (1000, 0, 100_000, 100 * GIB, True),
        (1000, 0, 1500, 100 * GIB, False),
        (0, 0, 0, 0, True),
    ],
)
def test_a_copy_is_taken_where_enough_stays_free(needed: int, waiting: int, free: int, total: int, fits: bool) -> None:
    assert (why_no_room(needed, waiting=waiting, free=free, total=total) == "") is fits


def test_whatever_is_taken_one_after_the_other_the_disk_is_never_full() -> None:
    for piece in (MIB, SMALL_COPY, 100 * MIB, 3 * GIB):
        free, waiting = 40 * GIB, 0
        while not why_no_room(piece, waiting=waiting, free=free, total=200 * GIB):
            free, waiting = free - piece, waiting + piece
        assert waiting <= MAX_WAITING * 40 * GIB
        assert free >= SPARE_BYTES


def test_why_is_one_line_with_what_is_needed_waiting_and_free() -> None:
    line = why_no_room(31 * GIB, waiting=2 * GIB, free=60 * GIB, total=100 * GIB)
    assert all(words in line for words in ("copy of 31.0 GiB", "2.0 GiB of copies", "60.0 GiB are free", "keep.flush()"))
    assert "\n" not in line


def test_more_than_the_disk_has_is_refused_and_a_little_is_not(tmp_path: Path) -> None:
    refuse_copy(tmp_path, 1000, "outputs/a")
    with pytest.raises(LocalError, match=r"no room here for a copy of 1024\.0 TiB"):
        refuse_copy(tmp_path, 1 << 50, "outputs/a")
    refuse_copy(tmp_path / "none", 1 << 50, "outputs/a")


def test_what_copies_take_is_told_from_what_they_share(tmp_path: Path) -> None:
    (tmp_path / "queue/a/b").mkdir(parents=True)
    (tmp_path / "queue/a/own").write_bytes(os.urandom(10_000))
    (tmp_path / "queue/a/b/deep").write_bytes(os.urandom(5000))
    (tmp_path / "file").write_bytes(os.urandom(70_000))
    os.link(tmp_path / "file", tmp_path / "queue/a/linked")
    (tmp_path / "queue/a/link").symlink_to(tmp_path / "file")
    with open(tmp_path / "queue/a/hole", "wb") as file:
        file.truncate(1 << 30)
    assert copies_in([tmp_path / "queue/a", tmp_path / "none"]) == (15_000, 70_000)
    (tmp_path / "file").unlink()
    assert copies_in([tmp_path / "queue/a"]) == (85_000, 0)
