"""A listing that the mount remembers is no proof that something is absent."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import StoreDenied, StoreNotFound
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend, Entry, Source, Stat
from holdfast.store.backends.backoff import Backoff
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Counting
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.memory import Memory
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.support import PROJECT, Machine, Rig

SECONDS = 300.0


class Mount:
    """A mount that shows a folder for a while as it was when it was first listed, on a clock of its own."""

    def __init__(self, drive: Path, *, names: bool = True, shows_made: bool = True, read_only: bool = False) -> None:
        self.drive, self.names, self.shows_made, self.read_only = drive, names, shows_made, read_only
        self.now = 0.0
        self.slept = 0.0
        self._seen: dict[str, tuple[float, list[Entry]]] = {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds

    def seen(self, place: Path) -> list[Entry]:
        """What the mount shows in a folder."""
        at, found = self._seen.get(str(place), (0.0, None))
        if found is None or self.now - at >= SECONDS:
            found = sorted(Entry(p.name, p.is_dir()) for p in place.iterdir())
            self._seen[str(place)] = (self.now, found)
        return found

    def shows(self, place: Path) -> bool:
        """Whether it shows a path, by name."""
        if place == self.drive:
            return True
        return self.shows(place.parent) and place.name in [e.name for e in self.seen(place.parent)]

    def made(self, place: Path) -> None:
        """Something was made through it."""
        self.seen(place.parent).append(Entry(place.name, place.is_dir()))


class Through(Counting):
    """A backend that goes through such a mount."""

    def __init__(self, inner: Backend, mount: Mount) -> None:
        super().__init__(inner)
        self._mount = mount

    def _need(self, path: str) -> Path:
        place = self._mount.drive / PROJECT / path if path else self._mount.drive / PROJECT
        if self._mount.names and not self._mount.shows(place):
            raise StoreNotFound(errno.ENOENT, "not shown", path)
        return place

    def siblings(self) -> Sequence[Entry]:
        super().siblings()
        return sorted(self._mount.seen(self._mount.drive))

    def list(self, folder: str) -> Sequence[Entry]:
        place = self._need(folder)
        super().list(folder)
        return sorted(self._mount.seen(place))

    def stat(self, path: str) -> Stat:
        self._need(path)
        return super().stat(path)

    def read(self, path: str) -> Any:
        self._need(path)
        return super().read(path)

    def create(self, path: str, source: Source) -> None:
        self._make_folders(path.rpartition("/")[0])
        super().create(path, source)
        place = self._mount.drive / PROJECT / path
        if not self._mount.shows(place):
            self._mount.made(place)

    def make_folder(self, path: str) -> None:
        if self._mount.read_only:
            raise StoreDenied(errno.EROFS, "read-only", path)
        super().make_folder(path)
        self._make_folders(path)

    def _make_folders(self, path: str) -> None:
        place = self._mount.drive / PROJECT / path if path else self._mount.drive / PROJECT
        place.mkdir(parents=True, exist_ok=True)
        for above in (*reversed(place.relative_to(self._mount.drive).parents), place.relative_to(self._mount.drive)):
            if not self._mount.shows(self._mount.drive / above):
                self._mount.made(self._mount.drive / above)


def session(root: Path, mount: Mount, *, seconds: float = SECONDS, expected: str | None = None) -> Keeper:
    root.mkdir(parents=True, exist_ok=True)
    backend = Through(DirectoryBackend(mount.drive, PROJECT), mount)
    memory = Memory(seconds, mount.shows_made, "a mount that remembers", "--quick", clock=lambda: mount.now)
    store = Store(backend, expected_id=expected, parallel=1, machine=root.name, memory=memory, backoff=Backoff(sleep=mount.sleep))
    return Keeper(Config(root, "outputs", PROJECT, Path("/nowhere")), store, Workspace(root, lock_seconds=10))


def looked_before(mount: Mount, machine: Machine) -> None:
    """Somebody listed the drive folder; then a store was made past the mount."""
    mount.seen(mount.drive)
    backs_up(machine)


def asked_before(mount: Mount, machine: Machine) -> None:
    """It was asked for through the mount, and was absent; then a store was made past the mount."""
    assert session(machine.root.parent / "before", mount).ensure("outputs/run/file").outcome is Outcome.ABSENT
    backs_up(machine)


def knew_the_store(mount: Mount, machine: Machine) -> None:
    """The mount knew the store; then a further artifact was backed up past the mount."""
    machine.write("outputs/other", "other")
    assert machine.keeper().backup("outputs/other")
    assert session(machine.root.parent / "before", mount).ensure("outputs/other").outcome is Outcome.RESTORED
    backs_up(machine)


def knew_its_payload_folder(mount: Mount, machine: Machine) -> None:
    """The mount knew the folder of the artifact's payload too."""
    machine.write("outputs/run/more", "more")
    assert machine.keeper().backup("outputs/run/more")
    assert session(machine.root.parent / "before", mount).ensure("outputs/run/more").outcome is Outcome.RESTORED
    backs_up(machine)


def knew_an_empty_folder(mount: Mount, machine: Machine) -> None:
    """The mount knew the store's folder as an empty one."""
    (mount.drive / PROJECT).mkdir()
    assert mount.shows(mount.drive / PROJECT)
    mount.seen(mount.drive / PROJECT)
    backs_up(machine)


def backs_up(machine: Machine) -> None:
    machine.write("outputs/run/file", "work")
    assert machine.keeper().backup("outputs/run/file")


STORIES = [looked_before, asked_before, knew_the_store, knew_its_payload_folder, knew_an_empty_folder]
KINDS = {
    "as rclone": {},
    "as rclone, read-only": {"read_only": True},
    "as davfs": {"shows_made": False},
    "as sshfs": {"names": False, "shows_made": False},
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_store_is_found_whatever_the_mount_remembers(
    kind: str, story: Callable[[Mount, Machine], None], rig: Rig
) -> None:
    mount = Mount(rig.drive, **KINDS[kind])
    story(mount, rig.machine())
    slept = mount.slept
    assert session(rig.folder / "here", mount).ensure("outputs/run/file").outcome is Outcome.RESTORED
    assert (rig.folder / "here/outputs/run/file").read_text() == "work"
    assert mount.slept - slept <= SECONDS


def test_where_making_a_folder_shows_what_is_in_it_nobody_waits(rig: Rig) -> None:
    for story in (looked_before, knew_an_empty_folder):
        (rig.folder / story.__name__).mkdir()
        rig.drive = rig.folder / story.__name__
        mount = Mount(rig.drive)
        story(mount, Machine(rig.folder / f"of-{story.__name__}", rig.drive))
        assert session(rig.folder / f"here-{story.__name__}", mount).ensure("outputs/run/file").outcome is Outcome.RESTORED
        assert mount.slept == 0


def test_a_store_that_is_asked_for_by_its_identity_is_found_too(rig: Rig) -> None:
    mount, machine = Mount(rig.drive), rig.machine()
    looked_before(mount, machine)
    identity = machine.keep.workspace.known_store(str(rig.store))
    keep = session(rig.folder / "here", mount, expected=identity)
    assert keep.ensure("outputs/run/file").outcome is Outcome.RESTORED
    other = session(rig.folder / "other", Mount(rig.drive), expected="0" * 32)
    assert other.ensure("outputs/run/file").outcome is Outcome.FAILED


def test_a_fresh_start_into_an_empty_folder_is_absent_at_once_and_works(rig: Rig) -> None:
    mount = Mount(rig.drive)
    keep = session(rig.folder / "here", mount)
    assert keep.ensure("outputs/run/file").outcome is Outcome.ABSENT
    assert list((rig.drive / PROJECT).iterdir()) == []
    for number in range(5):
        assert keep.ensure(f"outputs/run/other-{number}").outcome is Outcome.ABSENT
    assert mount.slept == 0
    assert sorted(p.name for p in (rig.drive / PROJECT).iterdir()) == ["generations", "outputs"]
    (rig.folder / "here/outputs").mkdir()
    (rig.folder / "here/outputs/mine").write_text("mine")
    assert keep.backup("outputs/mine")
    assert rig.machine().keeper().ensure("outputs/mine").outcome is Outcome.RESTORED


def test_in_one_session_it_is_waited_for_once_and_said_in_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    mount = Mount(rig.drive, shows_made=False)
    backs_up(rig.machine())
    keep = session(rig.folder / "here", mount)
    for path in ("outputs/a", "outputs/b", "outputs/c"):
        assert keep.ensure(path).outcome is Outcome.ABSENT
    assert mount.slept == SECONDS
    (line,) = (r.getMessage() for r in caplog.records if "may show listings" in r.getMessage())
    assert "outputs/a" in line
    assert "--quick" in line


def test_an_explicit_restore_is_no_more_sure_of_absence_than_ensure(rig: Rig) -> None:
    mount = Mount(rig.drive, shows_made=False)
    knew_the_store(mount, rig.machine())
    assert session(rig.folder / "here", mount).restore("outputs/run/file").outcome is Outcome.RESTORED


def test_a_backup_through_a_mount_that_does_not_show_the_store_goes_into_it(rig: Rig) -> None:
    mount = Mount(rig.drive)
    machine = rig.machine()
    looked_before(mount, machine)
    before = (rig.drive / PROJECT / "holdfast.json").read_bytes()
    keep = session(rig.folder / "here", mount)
    (rig.folder / "here/outputs").mkdir()
    (rig.folder / "here/outputs/mine").write_text("mine")
    assert keep.backup("outputs/mine")
    assert (rig.drive / PROJECT / "holdfast.json").read_bytes() == before
    assert machine.keeper().ensure("outputs/mine").outcome is Outcome.RESTORED


def test_a_drive_that_is_gone_is_not_waited_for(rig: Rig) -> None:
    mount = Mount(rig.drive, shows_made=False)
    keep = session(rig.folder / "here", mount)
    rig.drive.rmdir()
    assert keep.ensure("outputs/run/file").outcome is Outcome.FAILED
    assert mount.slept == 0
