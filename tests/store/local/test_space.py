"""Copies never fill the disk that the job writes to, and what they take is counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from holdfast.errors import LocalError
from holdfast.store.local.space import copies_in, refuse_copy, why_no_room

GIB = 1 << 30


@pytest.mark.parametrize(
    ("needed", "waiting", "free", "total", "fits"),
    [
        (1 * GIB, 0, 40 * GIB, 100 * GIB, True),
        (20 * GIB, 0, 40 * GIB, 100 * GIB, True),
        (21 * GIB, 0, 40 * GIB, 100 * GIB, False),  # more than half of what is free
        (10 * GIB, 15 * GIB, 25 * GIB, 100 * GIB, False),  # with what waits
        (5 * GIB, 15 * GIB, 25 * GIB, 100 * GIB, True),
        (1 << 20, 0, 1 * GIB, 100 * GIB, True),  # a small copy leaves little less than there was
        (1 << 29, 0, 1 * GIB, 100 * GIB, False),
        (1 << 20, 0, 1 << 20, 100 * GIB, False),
        (0, 0, 0, 100 * GIB, True),
    ],
)
def test_a_copy_leaves_room_for_the_job(needed: int, waiting: int, free: int, total: int, fits: bool) -> None:
    why = why_no_room(needed, waiting=waiting, free=free, total=total)
    assert (not why) is fits
    if why:
        assert "no room here for a copy of" in why
        assert ("of copies that wait to be sent" in why) is bool(waiting)


def test_what_does_not_fit_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="Make space here, or have what waits sent first") as raised:
        refuse_copy(tmp_path, 1 << 60, "outputs/model.bin")
    assert raised.value.errno == errno.ENOSPC
    refuse_copy(tmp_path, 1, "outputs/model.bin")
    refuse_copy(tmp_path / "gone", 1 << 60, "outputs/model.bin")


def test_copies_are_counted_by_what_they_take_and_links_apart(tmp_path: Path) -> None:
    own, outputs = tmp_path / "queue", tmp_path / "outputs"
    for folder in (own / "deep", outputs):
        folder.mkdir(parents=True)
    (own / "deep" / "copy").write_bytes(b"x" * 100_000)
    (outputs / "large").write_bytes(b"y" * 50_000)
    os.link(outputs / "large", own / "1")
    with open(own / "sparse", "wb") as file:
        file.truncate(GIB)
    taken, linked = copies_in([own, tmp_path / "gone"])
    assert linked == 50_000
    assert 100_000 <= taken < 200_000 or taken == 100_000
