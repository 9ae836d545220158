"""How long the caller of a background backup waits: for no byte of a large file that can be linked, and for no more than a tick."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.store.copies import capture, settling
from tests.session.background.machine import Background
from tests.session.conftest import background
from tests.support import Rig, age

__all__ = ["background"]

SIZE = 1_500_000


def test_after_the_wait_for_a_tick_a_rewrite_moves_the_times(tmp_path: Path) -> None:
    place = tmp_path / "model"
    for number in range(50):
        place.write_bytes(b"a")
        before = place.stat().st_mtime_ns
        capture._wait_for_tick(before)
        with place.open("r+b") as handle:
            handle.write(b"b")
        assert place.stat().st_mtime_ns != before, number


def test_a_time_in_the_future_is_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.write_bytes(b"a")
    os.utime(place, (4_000_000_000,) * 2)
    capture._wait_for_tick(place.stat().st_mtime_ns)


def test_no_byte_of_a_file_of_the_same_size_is_hashed_before_the_caller_goes_on(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is how every checkpoint comes; whoever sends it finds out whether it is another."""
    machine, keeper = background.machine, background.keeper
    hashed: list[str] = []
    monkeypatch.setattr(capture, "hash_first", lambda *args: pytest.fail("the caller waits for a hash"))
    real = settling.hash_copy
    monkeypatch.setattr(settling, "hash_copy", lambda path: hashed.append(path.name) or real(path))
    for number in range(3):
        place = machine.write("outputs/run/new", b"%d" % number * SIZE)
        place.rename(machine.root / "outputs/run/model")
        assert keeper.backup("outputs/run")
        keeper.flush()
    assert len(background.drive.payloads()) == 3
    assert len(hashed) == 2, "the first has nothing to be compared with"
    assert keeper.ensure("outputs/run")


def test_a_file_that_was_only_touched_is_not_sent_again(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    place = machine.write("outputs/run/model", b"1" * SIZE)
    age(place)
    assert keeper.backup("outputs/run")
    keeper.flush()
    assert len(background.drive.payloads()) == 1
    os.utime(place)
    assert keeper.backup("outputs/run")
    keeper.flush()
    assert len(background.drive.payloads()) == 1
    assert rig.machine().keep.ensure("outputs/run")
    place.write_bytes(b"2" * SIZE)
    assert keeper.backup("outputs/run")
    keeper.flush()
    assert len(background.drive.payloads()) == 2
