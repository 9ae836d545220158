"""Two machines make their first backup in one new folder at once: they end in one store that both know."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend, Source
from holdfast.store.backends.backoff import Backoff
from holdfast.store.backends.directory import DirectoryBackend, as_store_error
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.sentinel import parse_sentinel, sentinel_bytes
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.support import PROJECT, Machine, Rig

__all__ = ["mount", "nothing_stays_mounted"]

#: The others are torture.
SAMPLE = (0, 1, 2, 3, 4, 5, 6, 7)


class Turns:
    """Lets two threads go on one step at a time, in an order that a seed decides. A step is an operation, or a part of a create."""

    def __init__(self, seed: int, names: tuple[str, ...]) -> None:
        self._dice = random.Random(seed)
        self._running = set(names)
        self._waiting: set[str] = set()
        self._next: str | None = None
        self._change = threading.Condition()

    def step(self, name: str) -> None:
        with self._change:
            self._waiting.add(name)
            self._choose()
            while self._next != name:
                self._change.wait()
            self._next = None
            self._waiting.discard(name)

    def over(self, name: str) -> None:
        with self._change:
            self._running.discard(name)
            self._choose()

    def _choose(self) -> None:
        if self._next is None and self._running and self._waiting == self._running:
            self._next = self._dice.choice(sorted(self._waiting))
            self._change.notify_all()


class Stepping(Faulty):
    """A backend that waits for its turn before each operation, and inside of a create between its steps."""

    def __init__(self, inner: Backend, turns: Turns, name: str) -> None:
        super().__init__(inner, lambda operation, path: turns.step(name))
        self._turns, self._name = turns, name

    def create(self, path: str, source: Source) -> None:
        def stepped() -> Iterator[bytes]:
            self._turns.step(self._name)  # the name is taken, and nothing is written yet
            for chunk in source():
                half = len(chunk) // 2
                yield chunk[:half]
                self._turns.step(self._name)
                yield chunk[half:]

        super().create(path, stepped)


Place = Callable[[str], Backend]


def keeper(root: Path, backend: Backend, mount_point: Path, sleep: Callable[[float], None] = lambda _: None) -> Keeper:
    config = Config(root, "outputs", PROJECT, mount_point)
    store = Store(backend, parallel=1, machine=root.name, has_twins=isinstance(backend, DriveBackend), backoff=Backoff(sleep=sleep))
    return Keeper(config, store, Workspace(root, lock_seconds=10))


def race(seed: int, folder: Path, place: Place, path: Callable[[str], str], mount_point: Callable[[str], Path]) -> None:
    """Each machine makes its first backup, both at once."""
    print(f"seed {seed}")
    names = ("ann", "bob")
    turns = Turns(seed, names)
    made: dict[str, object] = {}

    def work(name: str) -> None:
        try:
            backend = Stepping(place(name), turns, name)
            made[name] = keeper(folder / name, backend, mount_point(name), lambda _: turns.step(name)).backup(path(name))
        except BaseException as error:  # noqa: BLE001 - told below
            made[name] = error
        finally:
            turns.over(name)

    for name in names:
        target = folder / name / path(name)
        target.parent.mkdir(parents=True)
        target.write_text(f"work of {name}")
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(made[name] for name in names), made
    assert not any(isinstance(m, BaseException) for m in made.values()), made


def each_its_own(name: str) -> str:
    return f"outputs/{name}/file"


def the_same(name: str) -> str:
    return "outputs/run/file"


def race_on_a_folder(seed: int, folder: Path, path: Callable[[str], str]) -> None:
    drive = folder / "drive"
    drive.mkdir(parents=True)
    race(seed, folder, lambda _: DirectoryBackend(drive, PROJECT), path, lambda _: Path("/nowhere"))
    identity = parse_sentinel((drive / PROJECT / "holdfast.json").read_bytes(), "")
    for name in ("ann", "bob"):
        machine = keeper(folder / name, DirectoryBackend(drive, PROJECT), Path("/nowhere"))
        (folder / name / path(name)).write_text("more")
        assert machine.backup(path(name))
        assert machine.status().safe
        assert machine.workspace.known_store(str(drive / PROJECT)) == identity
    fresh = keeper(folder / "fresh", DirectoryBackend(drive, PROJECT), Path("/nowhere"))
    for name in ("ann", "bob"):
        assert fresh.ensure(path(name)), name
    assert not [p for p in (drive / PROJECT).iterdir() if p.name.startswith("holdfast-probe-")]


@pytest.mark.parametrize("path", [each_its_own, the_same])
def test_first_backups_at_once_end_in_one_store_that_both_know(path: Callable[[str], str], tmp_path: Path) -> None:
    for seed in SAMPLE:
        race_on_a_folder(seed, tmp_path / str(seed), path)


@pytest.mark.torture
def test_a_hundred_races_on_a_folder(tmp_path: Path) -> None:
    for seed in range(100):
        race_on_a_folder(seed, tmp_path / str(seed), (each_its_own, the_same)[seed % 2])


def race_on_drive(seed: int, folder: Path, mount: Mount) -> None:
    """On Drive two machines may make two folders of one name. Nothing of either is lost, and both go on."""
    drives = {name: mount(f"{seed}/at/{name}", cloud=folder / "cloud", seed=seed) for name in ("ann", "bob")}
    dice = random.Random(seed)

    def place(name: str) -> Backend:
        return DriveBackend(drives[name].my_drive, PROJECT, mount_point=drives[name].mountpoint)

    race(seed, folder, place, each_its_own, lambda name: drives[name].mountpoint)
    for name in dice.sample(sorted(drives), 2):
        assert drives[name].drain() == []
        drives[name].advance(dice.choice((0.0, 3600.0)))
    for drive in drives.values():
        drive.disconnect()
        drive.close()
    # Each machine comes back to its own workspace, at the same mount point, over another mount; and there is a fresh one.
    for name in ("ann", "bob", "fresh"):
        back = mount(f"{seed}/at/{name}", cloud=folder / "cloud", seed=seed + 1)
        machine = keeper(folder / name, DriveBackend(back.my_drive, PROJECT, mount_point=back.mountpoint), back.mountpoint)
        for other in ("ann", "bob"):
            assert machine.ensure(each_its_own(other)).outcome in (Outcome.RESTORED, Outcome.LOCAL), (name, other)
        more = folder / name / "outputs" / name / "more"
        more.parent.mkdir(parents=True, exist_ok=True)
        more.write_text("more")
        assert machine.backup(f"outputs/{name}"), name
        assert machine.ensure("outputs/nowhere").outcome is Outcome.ABSENT
        assert back.drain() == []
        back.disconnect()
        back.close()
    last = mount(f"{seed}/at/last", cloud=folder / "cloud", seed=seed + 2)
    machine = keeper(folder / "last", DriveBackend(last.my_drive, PROJECT, mount_point=last.mountpoint), last.mountpoint)
    for name in ("ann", "bob", "fresh"):
        assert machine.ensure(f"outputs/{name}/more").outcome is Outcome.RESTORED, name
    last.close()


def test_first_backups_at_once_on_drive_lose_nothing_and_both_go_on(tmp_path: Path, mount: Mount) -> None:
    for seed in SAMPLE[:2]:
        race_on_drive(seed, tmp_path / str(seed), mount)


@pytest.mark.torture
@pytest.mark.parametrize("tens", range(10))
def test_a_hundred_races_on_drive(tens: int, tmp_path: Path, mount: Mount) -> None:
    for seed in range(tens * 10, tens * 10 + 10):
        race_on_drive(seed, tmp_path / str(seed), mount)


# -- mounts that have no better word for it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EIO, errno.EPERM], ids=["as rclone says it", "as sshfs says it"])
@pytest.mark.parametrize("other", ["0123456789abcdef" * 2, ""], ids=["another store is there", "nothing is there"])
def test_a_sentinel_that_a_mount_refuses_to_two_at_once_is_written_or_gone_on_with(number: int, other: str, tmp_path: Path) -> None:
    """sshfs 3.7.3 answers EPERM where another client made the file first, rclone 1.60.1 EIO where both write it."""
    refused = []

    def refuses(operation: str, path: str) -> None:
        if operation == "create" and path == "holdfast.json" and not refused:
            refused.append(path)
            if other:
                (tmp_path / PROJECT / path).write_bytes(sentinel_bytes(other))
            raise as_store_error(OSError(number, os.strerror(number)), path)

    work = tmp_path / "ann/outputs/run/file"
    work.parent.mkdir(parents=True)
    work.write_text("work")
    ann = keeper(tmp_path / "ann", Faulty(DirectoryBackend(tmp_path, PROJECT), refuses), Path("/nowhere"))
    assert ann.backup("outputs/run")
    assert refused
    identity = parse_sentinel((tmp_path / PROJECT / "holdfast.json").read_bytes(), "")
    assert identity == other or not other
    assert ann.workspace.known_store(str(tmp_path / PROJECT)) == identity


@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("begun", [False, True], ids=["nothing is there", "the folder is there"])
@pytest.mark.parametrize("moment", range(1, 9))
def test_who_looks_while_another_makes_the_store_looks_once_more(moment: int, begun: bool, who: str, tmp_path: Path) -> None:
    """Another machine, or another thread of this one, of which the workspace is the same."""
    made = keeper(tmp_path / "ann", DirectoryBackend(tmp_path, PROJECT), Path("/nowhere"))
    work = tmp_path / "ann/outputs/run/file"
    work.parent.mkdir(parents=True)
    work.write_text("work")
    if begun:
        (tmp_path / PROJECT / "generations").mkdir(parents=True)
    seen: list[str] = []

    def makes(operation: str, path: str) -> None:
        seen.append(operation)
        if len(seen) == moment:
            assert made.backup("outputs/run")

    looking = keeper(tmp_path / who, Faulty(DirectoryBackend(tmp_path, PROJECT), makes), Path("/nowhere"))
    assert looking.status() is not None
    if who == "bob":
        assert looking.ensure("outputs/run").outcome is (Outcome.RESTORED if len(seen) >= moment else Outcome.ABSENT)


# -- who was locked out by an earlier version, or by a mount on which both take the name ------------------------------------


@pytest.fixture
def overwritten(rig: Rig) -> tuple[Machine, str]:
    """A machine that made a store and backed up, and then another identity lies in `holdfast.json`."""
    machine = rig.machine()
    machine.write("outputs/run/a", "a")
    assert machine.keep.backup("outputs/run")
    other = "0123456789abcdef" * 2
    (rig.store / "holdfast.json").write_bytes(sentinel_bytes(other))
    return machine, other


def backs_up(machine: Machine) -> bool:
    machine.write("outputs/run/b", "b")
    return bool(machine.keeper().backup("outputs/run"))


def looks(machine: Machine) -> bool:
    return machine.keeper().status().safe


def ensures(machine: Machine) -> bool:
    return machine.keeper().ensure("outputs/other").outcome is Outcome.ABSENT


def verifies(machine: Machine) -> bool:
    return machine.keeper().verify() == []


def comes_back(machine: Machine) -> bool:
    (machine.outputs / "run/a").unlink()
    return machine.keeper().ensure("outputs/run").outcome is Outcome.RESTORED


def prunes(machine: Machine) -> bool:
    return not machine.keeper().prune().payloads


@pytest.mark.parametrize("verb", [backs_up, looks, ensures, verifies, comes_back, prunes])
def test_a_machine_whose_identity_lost_goes_on_by_itself_and_says_so_once(
    verb: Callable[[Machine], bool], overwritten: tuple[Machine, str], rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    machine, other = overwritten
    assert verb(machine)
    assert len([r for r in caplog.records if "made this store at once" in r.getMessage()]) == 1
    assert machine.keeper().workspace.known_store(str(rig.store)) == other
    assert backs_up(machine)
    assert looks(machine)
    (row,) = (e for e in machine.keeper().history("outputs/run") if e.head)
    assert row.files == len(list((machine.outputs / "run").iterdir()))


def test_another_store_in_which_nothing_of_this_machine_lies_is_still_refused(rig: Rig, tmp_path: Path) -> None:
    machine = rig.machine()
    machine.write("outputs/run/a", "a")
    assert machine.keep.backup("outputs/run")
    rig.store.rename(rig.drive / "away")
    other = rig.machine()
    other.write("outputs/run/a", "other")
    assert other.keep.backup("outputs/run")
    assert "met the store" in machine.keeper().ensure("outputs/run/b").error
    assert not backs_up(machine)


def test_a_folder_that_is_made_while_it_is_listed_is_no_other_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, scandir = DirectoryBackend(tmp_path, PROJECT), os.scandir
    (tmp_path / PROJECT).mkdir()

    def made_right_after(place: Path) -> object:
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError):
            scandir(place)
        os.mkdir(place)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(place))

    monkeypatch.setattr(os, "scandir", made_right_after)
    assert backend.list("generations") == []
