"""The store on a simulated Drive mount: what its attributes say, what dies, and what a disconnect leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreachable
from holdfast.session.attach import open_keeper
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import Attributes, Death, SimulatedDrive, Spared, Weather
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Bounded
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store


class Colab:
    """One account's cloud, and machines that mount it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = folder / "cloud"
        self.mountpoint = folder / "content" / "drive"
        self._machines = 0

    def drive(self, seed: int = 0, weather: Weather | None = None) -> SimulatedDrive:
        return SimulatedDrive(self.mountpoint, cloud=self.cloud, seed=seed, weather=weather)

    def machine(self) -> Path:
        self._machines += 1
        root = self.folder / f"machine-{self._machines}"
        root.mkdir()
        return root

    def keeper(self, root: Path, project: str = "proj") -> Keeper:
        """Without the waits of retries, which cost real time; a hang counts after a second."""
        config = Config(root, "outputs", project, self.mountpoint)
        backend = Bounded(DriveBackend(self.mountpoint / "MyDrive", project, mount_point=self.mountpoint), 1.0)
        return Keeper(config, Store(backend, parallel=2, machine=root.name), Workspace(root, lock_seconds=10))


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    return Colab(tmp_path)


@pytest.fixture
def drive(colab: Colab) -> Iterator[SimulatedDrive]:
    with colab.drive() as drive:
        yield drive


def write(root: Path, name: str, content: str) -> None:
    place = root / "outputs" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)


def test_attaching_takes_the_mount_for_what_it_is(colab: Colab, drive: SimulatedDrive) -> None:
    root = colab.machine()
    (root / "config").mkdir()
    (root / "config" / "paths.yaml").write_text(json.dumps({"drive": {"mount_point": str(colab.mountpoint)}}))
    write(root, "a.txt", "a")
    keeper = open_keeper(root, drive.my_drive, mount=False)
    done = keeper.backup("outputs/a.txt")
    assert done
    assert done.results[0].durability is Durability.WRITTEN


def test_written_becomes_confirmed_once_all_of_it_is_uploaded(colab: Colab, drive: SimulatedDrive) -> None:
    root = colab.machine()
    keeper = colab.keeper(root)
    write(root, "d/a.txt", "a")
    first = keeper.backup("outputs/d").results[0]
    assert first.durability is Durability.WRITTEN
    assert [r.durability for r in keeper.status()] == ["WRITTEN"]
    drive.drain()
    assert [r.durability for r in keeper.status()] == ["CONFIRMED"]
    write(root, "d/b.txt", "b")
    keeper.backup("outputs/d")
    assert [r.durability for r in keeper.status()] == ["WRITTEN"], "inherited payload does not confirm what is new"


@pytest.mark.parametrize("attributes", [Attributes.ABSENT, Attributes.UNSUPPORTED])
def test_an_absent_signal_is_unknown_and_never_confirmed(colab: Colab, drive: SimulatedDrive, attributes: Attributes) -> None:
    drive.weather(attributes=attributes)
    root = colab.machine()
    keeper = colab.keeper(root)
    write(root, "a.txt", "a")
    assert keeper.backup("outputs/a.txt").results[0].durability is Durability.UNKNOWN
    drive.drain()
    assert [r.durability for r in keeper.status()] == ["UNKNOWN"]


def test_a_dead_mount_confirms_nothing(colab: Colab, drive: SimulatedDrive) -> None:
    root = colab.machine()
    keeper = colab.keeper(root)
    write(root, "a.txt", "a")
    manifest = keeper.backup("outputs/a.txt").results[0].manifest
    assert manifest is not None
    drive.drain()
    assert keeper.store is not None
    assert keeper.store.durability(manifest) is Durability.CONFIRMED
    drive.weather(death=Death.ENOTCONN)
    with pytest.raises(StoreUnreachable):
        keeper.store.durability(manifest)


DEATHS: dict[str, Callable[[SimulatedDrive], None]] = {
    "ENOTCONN": lambda d: d.weather(death=Death.ENOTCONN),
    "ENOENT for everything": lambda d: d.weather(death=Death.ENOENT),
    "ENOENT below My Drive, whose names are still listed": lambda d: d.weather(death=Death.ENOENT, spared=Spared.MY_DRIVE),
    "killed": lambda d: d.kill(),
}


@pytest.mark.parametrize("knew", [True, False], ids=["a workspace that knew the store", "a fresh workspace"])
@pytest.mark.parametrize("death", DEATHS)
def test_on_a_dead_mount_nothing_is_absent_and_no_store_is_made(colab: Colab, death: str, knew: bool) -> None:
    with colab.drive() as drive:
        first = colab.machine()
        write(first, "a.txt", "a")
        assert colab.keeper(first).backup("outputs/a.txt")
        drive.drain()
        root = colab.machine()
        if knew:
            assert colab.keeper(root).ensure("outputs/a.txt").outcome is Outcome.RESTORED
        keeper = colab.keeper(root)
        DEATHS[death](drive)
        write(root, "c.txt", "c")
        assert keeper.ensure("outputs/b.txt").outcome is Outcome.FAILED
        assert colab.keeper(root).ensure("outputs/b.txt").outcome is Outcome.FAILED
        assert not keeper.backup("outputs/c.txt")
    with colab.drive(seed=1) as drive:
        assert [p.name for p in drive.my_drive.iterdir()] == ["proj"]
        assert colab.keeper(colab.machine()).ensure("outputs/a.txt").outcome is Outcome.RESTORED


def test_an_unmounted_folder_is_no_drive(colab: Colab) -> None:
    (colab.mountpoint / "MyDrive").mkdir(parents=True)
    root = colab.machine()
    write(root, "a.txt", "a")
    keeper = colab.keeper(root)
    assert keeper.ensure("outputs/b.txt").outcome is Outcome.FAILED
    assert not keeper.backup("outputs/a.txt")
    assert list((colab.mountpoint / "MyDrive").iterdir()) == []
    shutil.rmtree(colab.mountpoint)


@pytest.mark.parametrize("seed", range(6))
def test_after_a_disconnect_a_fresh_machine_gets_what_was_confirmed_or_something_newer(colab: Colab, seed: int) -> None:
    """Each file that was not uploaded is whole, torn, empty or missing, as the seed draws."""
    print(f"seed {seed}")
    confirmed = 0
    newest = 0
    for session in range(3):
        root = colab.machine()
        with colab.drive(seed=seed * 10 + session) as drive:
            keeper = colab.keeper(root)
            if newest:
                found = keeper.ensure("outputs/d")
                assert found.outcome is Outcome.RESTORED or (found.outcome is Outcome.FAILED and confirmed == 0) or confirmed == 0
                if found:
                    version = int((root / "outputs/d/a.txt").read_text())
                    assert (root / "outputs/d/b.txt").read_text() == "b" * version, "two generations are mixed"
                    assert confirmed <= version <= newest
            for _ in range(3):
                newest += 1
                write(root, "d/a.txt", str(newest))
                write(root, "d/b.txt", "b" * newest)
                done = keeper.backup("outputs/d", progress=newest)
                drive.advance(2.0)
                if done and keeper.store is not None and done.results[0].manifest is not None:
                    if keeper.store.durability(done.results[0].manifest) is Durability.CONFIRMED:
                        confirmed = newest
                    elif (newest + seed) % 4 == 0:
                        drive.drain()
                        confirmed = newest
            drive.disconnect()
