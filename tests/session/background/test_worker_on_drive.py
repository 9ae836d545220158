"""The queue on a simulated mount: a drive that goes away for a minute, and an artifact that fails by itself all the while."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import NotBackedUp
from holdfast.session.background.worker import Worker
from holdfast.session.commits import Commits
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import Death, SimulatedDrive, Trouble
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Bounded
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.drive import keeper_on
from tests.session.background.machine import until
from tests.support import read_tree

BAD = {"a": b"a" * 1_100_000, "b": b"b" * 1_100_000}
#: What the mount does to one artifact alone: while its payload is made, while it is written, and where its manifest is made.
TROUBLES = {
    "its payload is refused": Trouble("proj/outputs/bad*", ("create",), "EACCES"),
    "its payload cannot be written": Trouble("proj/outputs/bad/b@*", ("write",), "EIO"),
    "its payload does not fit": Trouble("proj/outputs/bad/b@*", ("write",), "ENOSPC"),
    "its manifest is refused": Trouble("proj/generations/outputs~bad@*", ("create",), "EINVAL"),
}


def in_the_background(drive: SimulatedDrive, root: Path) -> Keeper:
    config = Config(root, "outputs", "proj", drive.mountpoint, timeout=60)
    backend = Bounded(DriveBackend(drive.my_drive, "proj", mount_point=drive.mountpoint), 30)
    keeper = Keeper(config, Store(backend, parallel=2), Workspace(root, lock_seconds=30), background=True)
    commits = keeper.commits
    assert isinstance(commits, Commits)
    keeper.worker = Worker(commits, retry=(0.05,), ask=0.5)
    return keeper


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_drive_is_away_for_a_minute_and_one_artifact_fails_by_itself_and_the_others_arrive(
    drive: SimulatedDrive, tmp_path: Path, trouble: Trouble
) -> None:
    root = tmp_path / "machine"
    (root / "outputs/bad").mkdir(parents=True)
    keeper = in_the_background(drive, root)
    (root / "outputs/first").write_text("first")
    assert keeper.backup("outputs/first", wait=0)
    drive.weather(death=Death.ENOTCONN)
    for name, content in BAD.items():
        (root / "outputs/bad" / name).write_bytes(content)
    assert keeper.backup("outputs/bad")
    for number in range(5):
        (root / f"outputs/other{number}").write_text(f"{number}")
        assert keeper.backup(f"outputs/other{number}")
        (root / f"outputs/other{number}").write_text("written later")
    drive.advance(60)
    with pytest.raises(NotBackedUp, match=os.strerror(107)):
        keeper.flush()
    assert len(keeper.queue.waiting) == 6
    drive.weather(death=Death.ALIVE, troubles=(trouble,))
    until(lambda: [str(k) for k in keeper.queue.waiting] == ["outputs/bad"])
    with pytest.raises(NotBackedUp, match=r"outputs/bad: .*MyDrive/proj"):
        keeper.flush()
    assert not keeper.status().safe
    bad = drive.my_drive / "proj/outputs/bad"
    assert len(list(bad.glob("a@*"))) <= 1, "what failed attempts sent is not left there"
    drive.weather(troubles=())
    until(lambda: not keeper.queue.waiting)
    keeper.flush()
    assert len(list(bad.iterdir())) == 2
    drive.drain()
    until(lambda: keeper.awaited() == [])
    fresh = keeper_on(drive, tmp_path / "fresh", seconds=30)
    assert fresh.ensure("outputs").outcome is Outcome.RESTORED
    arrived = read_tree(tmp_path / "fresh/outputs")
    assert arrived == {"first": b"first", **{f"bad/{n}": c for n, c in BAD.items()}, **{f"other{n}": b"%d" % n for n in range(5)}}
