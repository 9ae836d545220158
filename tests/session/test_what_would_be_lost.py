"""What status says would be lost now: never less than what is, and nothing where nothing is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from holdfast.session.finding.status import ArtifactStatus
from holdfast.session.keeper import Keeper
from holdfast.store.reporting.outcomes import Outcome
from tests.session.background.machine import Background
from tests.support import Rig, age

LARGE = 1_500_000


def row(keeper: Keeper, path: str = "outputs/d") -> ArtifactStatus:
    (found,) = [r for r in keeper.status() if r.key.value == path]
    return found


def is_said(keeper: Keeper, changed: float) -> float:
    """Status says that one file is unsaved, and no less than how long ago it was changed. Gives that."""
    true = time.time() - changed
    found = row(keeper)
    assert found.unsaved == 1
    assert found.unsaved_seconds >= true
    return true


def rewritten_unseen(place: Path, content: bytes) -> None:
    """As `touch -r`, `rsync --times` and unpacking tools do it: another content, the same size and mtime."""
    before = place.stat()
    assert before.st_size == len(content)
    place.write_bytes(content)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_file_rewritten_under_its_old_size_and_mtime_is_not_called_safe(rig: Rig, size: int) -> None:
    machine = rig.machine()
    place = machine.write("outputs/d/model.bin", b"1" * size)
    age(place)
    assert machine.keep.backup("outputs/d")
    assert row(machine.keep).unsaved == 0
    rewritten_unseen(place, b"2" * size)
    assert row(machine.keep).unsaved == 1
    assert machine.keep.backup("outputs/d")
    assert row(machine.keep).unsaved == 0
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert other.read("outputs/d/model.bin") == b"2" * size


def test_what_was_backed_up_or_restored_is_safe_at_once(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/d/large", b"1" * LARGE)
    machine.write("outputs/d/small", b"1")
    keeper.backup("outputs/d")
    keeper.flush()
    assert row(keeper).unsaved == 0
    background.hold()
    machine.write("outputs/d/other", b"2" * LARGE)
    keeper.backup("outputs/d")
    machine.write("outputs/d/third", b"3" * LARGE)
    keeper.backup("outputs/d")
    background.drive.going.set()
    keeper.flush()
    assert row(keeper).unsaved == 0, "sent from hard links, which are gone now"
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert row(other.keep).unsaved == 0
    assert row(other.keeper()).unsaved == 0


def test_two_names_of_one_large_file_are_safe_in_both_artifacts(rig: Rig) -> None:
    machine = rig.machine()
    place = machine.write("outputs/a/weights", b"1" * LARGE)
    (machine.outputs / "b").mkdir()
    os.link(place, machine.outputs / "b/weights")
    os.link(place, machine.outputs / "b/again")
    assert machine.keep.backup("outputs/a")
    assert machine.keep.backup("outputs/b")
    assert [row(machine.keep, p).unsaved for p in ("outputs/a", "outputs/b")] == [0, 0]
    rewritten_unseen(place, b"2" * LARGE)
    assert [row(machine.keep, p).unsaved for p in ("outputs/a", "outputs/b")] == [1, 2]


def test_a_file_counts_from_when_it_was_looked_at_and_not_from_the_backup_of_another(rig: Rig) -> None:
    machine = rig.machine()
    for name in ("x", "y"):
        age(machine.write(f"outputs/d/{name}", "1"))
    assert machine.keep.backup("outputs/d")
    changed = time.time()
    machine.write("outputs/d/y", "22")
    time.sleep(0.2)
    machine.write("outputs/d/x", "22")
    assert machine.keep.backup("outputs/d/x")
    true = is_said(machine.keep, changed)
    assert row(machine.keeper()).unsaved_seconds >= true, "it is remembered"
    machine.keep.backup("outputs/d")
    machine.write("outputs/d/y", "333")
    assert row(machine.keep).unsaved_seconds < true + 60


def test_a_file_changed_right_after_it_was_queued_counts_from_then(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    place = machine.write("outputs/d/x", "1")
    age(place)
    background.hold()
    keeper.backup("outputs/d")
    changed = time.time()
    machine.write("outputs/d/x", "22")
    time.sleep(0.2)
    background.drive.going.set()
    keeper.flush()
    true = is_said(keeper, changed)
    stake = keeper.at_stake("outputs/d")
    assert stake is not None
    assert stake.seconds >= true


def test_what_waits_together_counts_from_the_oldest_look(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    for name in ("x", "y", "z"):
        age(machine.write(f"outputs/d/{name}", "1"))
    keeper.backup("outputs/d")
    keeper.flush()
    background.hold()
    machine.write("outputs/d/z", "22")
    keeper.backup("outputs/d/z")  # in flight
    assert background.drive.reached.wait(60)
    machine.write("outputs/d/x", "22")
    keeper.backup("outputs/d/x")
    changed = time.time()
    machine.write("outputs/d/x", "333")
    time.sleep(0.2)
    machine.write("outputs/d/y", "22")
    keeper.backup("outputs/d/y")  # waits as one with x
    background.drive.going.set()
    keeper.flush()
    is_said(keeper, changed)
