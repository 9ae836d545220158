"""An attempt that fails leaves nothing in the store, and a folder that is full is not talked of as Drive."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend, Source, Space
from holdfast.store.backends.backoff import Backoff
from holdfast.store.backends.directory import DirectoryBackend, as_store_error
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.support import PROJECT, Machine, Rig

PARTS = {name: name.encode() * 1_100_000 for name in ("a", "b", "c")}


class Losing(DirectoryBackend):
    """Some of what is created fails once all of it is there, so many times."""

    def __init__(self, folder: Path, beginning: str, number: int, times: int = 1) -> None:
        super().__init__(folder, PROJECT)
        self.beginning, self.number, self.times = beginning, number, times
        self.removed: list[str] = []
        self.removes = True

    def create(self, path: str, source: Source) -> None:
        super().create(path, source)
        if path.startswith(self.beginning) and self.times:
            self.times -= 1
            raise as_store_error(OSError(self.number, os.strerror(self.number)), path)

    def remove(self, path: str) -> None:
        if not self.removes:
            raise as_store_error(OSError(errno.EACCES, os.strerror(errno.EACCES)), path)
        self.removed.append(path)
        super().remove(path)

    def space(self) -> Space | None:
        return Space(1 << 40, 1 << 39)


def keeper(machine: Machine, backend: Backend, backoff: Backoff) -> Keeper:
    config = Config(machine.root, "outputs", PROJECT, Path("/nowhere/drive"))
    store = Store(backend, parallel=2, backoff=backoff)
    return Keeper(config, store, Workspace(machine.root, lock_seconds=10))


def waits(count: int) -> Backoff:
    return Backoff((0.0,) * count, sleep=lambda _: None)


@pytest.fixture
def failing(rig: Rig) -> Callable[..., tuple[Keeper, Losing, Machine]]:
    """A machine with one generation in the store and three large files that are not."""

    def make(beginning: str, number: int, times: int = 1, backoff: Backoff | None = None) -> tuple[Keeper, Losing, Machine]:
        machine = rig.machine()
        machine.write("outputs/d/first", "first")
        assert machine.keep.backup("outputs/d")
        for name, content in PARTS.items():
            machine.write(f"outputs/d/{name}", content)
        backend = Losing(machine.drive, beginning, number, times)
        return keeper(machine, backend, backoff or waits(0)), backend, machine

    return make


def everything(rig: Rig) -> set[str]:
    return {p.relative_to(rig.store).as_posix() for p in rig.store.rglob("*") if p.is_file()}


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG, errno.ENOTCONN])
@pytest.mark.parametrize("beginning", ["outputs/d/b@", "generations/"])
def test_an_attempt_that_fails_takes_back_all_that_it_sent(
    rig: Rig, failing: Callable[..., tuple[Keeper, Losing, Machine]], beginning: str, number: int
) -> None:
    keep, backend, _ = failing(beginning, number)
    before = everything(rig)
    assert not keep.backup("outputs/d")
    assert everything(rig) == before
    assert len(backend.removed) == len(set(backend.removed))
    assert keep.backup("outputs/d")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/d") == {"first": b"first", **PARTS}
    assert fresh.keep.verify() == []
    assert not {*backend.removed} & everything(rig), "a name that was removed is not used again"


def test_what_failed_under_one_name_is_gone_once_it_is_there_under_the_next(
    rig: Rig, failing: Callable[..., tuple[Keeper, Losing, Machine]]
) -> None:
    keep, backend, _ = failing("outputs/d/b@", errno.EIO, times=2, backoff=waits(3))
    assert keep.backup("outputs/d")
    assert len(backend.removed) == 2
    assert len([p for p in everything(rig) if p.startswith("outputs/d/b@")]) == 1


def test_where_nothing_can_be_removed_the_error_is_the_first_one_and_prune_finds_the_rest(
    rig: Rig, failing: Callable[..., tuple[Keeper, Losing, Machine]]
) -> None:
    keep, backend, machine = failing("outputs/d/c@", errno.EIO)
    backend.removes = False
    done = keep.backup("outputs/d")
    assert "Input/output error" in done.results[0].error
    assert keep.backup("outputs/d")
    backend.removes = True
    machine.keeper().prune(orphans=True)
    assert len([p for p in everything(rig) if p.startswith("outputs/d/c@")]) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("beginning", ["outputs/d/b@", "generations/"])
def test_a_folder_that_refuses_although_it_has_room_says_why_and_nothing_of_drive(
    failing: Callable[..., tuple[Keeper, Losing, Machine]], beginning: str, number: int
) -> None:
    keep, _, _ = failing(beginning, number)
    line = keep.backup("outputs/d").results[0].error
    assert os.strerror(number) in line
    assert "512.0 GiB are free" in line
    assert "the earlier generations are untouched" in line
    assert "Drive" not in line
    assert "hour" not in line


def test_a_folder_that_is_full_has_no_trash(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/a", b"a" * 1000)

    class Full(DirectoryBackend):
        def space(self) -> Space | None:
            return Space(1 << 40, 10)

    line = keeper(machine, Full(machine.drive, PROJECT), waits(0)).backup("outputs/a").results[0].error
    assert "1000 B are needed, 10 B are free" in line
    assert "holdfast prune" in line
    assert "trash" not in line
