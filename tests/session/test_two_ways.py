"""Drive's mount dies: backups go on by its API, without a person, and are handed back."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.simulator import Death, SimulatedDrive, Spared
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.weather import Hang
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.store.backends.api.support import TOKEN

__all__ = ["mount", "nothing_stays_mounted"]

DEATHS = {
    "enotconn": {"death": Death.ENOTCONN},
    "enoent": {"death": Death.ENOENT},
    "enoent but the mountpoint": {"death": Death.ENOENT, "spared": Spared.MOUNTPOINT},
    "enoent but My Drive": {"death": Death.ENOENT, "spared": Spared.MY_DRIVE},
    "hangs": {"hangs": (Hang(),)},
}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriveApi]:
    place = tmp_path / "settings" / "holdfast" / "drive.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"token": TOKEN}))
    place.chmod(0o600)
    with DriveApi(tmp_path / "cloud") as api:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
        monkeypatch.setenv("HOLDFAST_DRIVE_API", f"{api.address} {api.certificate}")
        yield api


def project(drive: SimulatedDrive, root: Path, *, timeout: float = 0.7) -> Path:
    (root / "config").mkdir(parents=True)
    settings = {"mount_point": str(drive.mountpoint), "backup_base_dir": "proj", "timeout": timeout, "remembers": 0}
    (root / "config" / "paths.yaml").write_text(json.dumps({"drive": settings}))
    (root / "outputs").mkdir()
    return root


def attach(root: Path, drive: str | Path) -> Keeper:
    return open_keeper(root, drive, mount=False)


def heads(keeper: Keeper, path: str) -> int:
    return sum(entry.head for entry in keeper.history(path))


#: The others answer much like one of these.
SHOWN = ("enotconn", "enoent but My Drive", "hangs")


def deaths() -> list[object]:
    return [how if how in SHOWN else pytest.param(how, marks=pytest.mark.torture) for how in DEATHS]


@pytest.mark.parametrize("how", deaths())
def test_a_mount_that_dies_is_taken_over_from_and_handed_back_to(
    api: DriveApi, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    drive = mount()
    root = project(drive, tmp_path / "here")
    keeper = attach(root, drive.my_drive)
    file = root / "outputs" / "a.txt"
    file.write_text("1")
    assert keeper.backup("outputs/a.txt")
    drive.drain()
    drive.weather(**DEATHS[how])
    with caplog.at_level(logging.WARNING):
        for number in range(2, 5):
            file.write_text(str(number))
            done = keeper.backup("outputs/a.txt")
            assert done, [r.error for r in done.results]
            assert done.results[0].durability is Durability.CONFIRMED
    assert sum("Drive's mount is dead" in r.message for r in caplog.records) == 1
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    assert fresh.ensure("outputs/a.txt").outcome is Outcome.RESTORED
    assert (fresh.root / "outputs" / "a.txt").read_text() == "4"
    assert heads(fresh, "outputs/a.txt") == 1
    drive.weather(death=Death.ALIVE, hangs=())
    drive.advance(600)
    for _ in range(300):
        keeper.confirm()
        time.sleep(0.02)
        if any("answers again" in r.message for r in caplog.records):
            break
    assert sum("answers again" in r.message for r in caplog.records) == 1
    file.write_text("5")
    assert keeper.backup("outputs/a.txt")
    drive.drain()
    assert heads(attach(root, drive.my_drive), "outputs/a.txt") == 1
    later = attach(project(drive, tmp_path / "later"), "gdrive:")
    assert later.ensure("outputs/a.txt").outcome is Outcome.RESTORED
    assert (later.root / "outputs" / "a.txt").read_text() == "5"
    assert heads(later, "outputs/a.txt") == 1


@pytest.mark.parametrize("first", ["another backup", "a question"])
def test_what_the_mount_had_not_uploaded_when_it_died_is_sent_again_where_it_is_as_it_was(
    api: DriveApi, mount: Mount, tmp_path: Path, first: str
) -> None:
    drive = mount()
    root = project(drive, tmp_path / "here")
    keeper = attach(root, drive.my_drive)
    (root / "outputs" / "folder" / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "folder/one.txt", "folder/sub/two.txt"):
        (root / "outputs" / name).write_text(name)
    assert keeper.backup("outputs/a.txt", "outputs/folder")
    assert keeper.backup("outputs/b.txt")
    drive.weather(**DEATHS["enotconn"])
    (root / "outputs" / "b.txt").write_text("half of what it is to")
    if first == "another backup":
        (root / "outputs" / "d.txt").write_text("d")
        assert keeper.backup("outputs/d.txt")
    keeper.confirm()
    found = {str(key): durability for key, durability in keeper.confirm().items()}
    assert found["outputs/a.txt"] is found["outputs/folder"] is Durability.CONFIRMED, found
    assert found.get("outputs/b.txt") is not Durability.CONFIRMED
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    for name in ("a.txt", "folder"):
        assert fresh.ensure(f"outputs/{name}").outcome is Outcome.RESTORED
    assert (fresh.root / "outputs" / "folder" / "sub" / "two.txt").read_text() == "folder/sub/two.txt"
    assert not fresh.held("outputs/b.txt")[0], "nobody asked for what it is now"
    assert keeper.backup("outputs/b.txt")
    assert fresh.ensure("outputs/b.txt").outcome is Outcome.RESTORED
    assert (fresh.root / "outputs" / "b.txt").read_text() == "half of what it is to"


@pytest.mark.parametrize("how", deaths())
def test_a_store_of_which_only_the_folder_had_arrived_when_the_mount_died_is_made_by_the_api(
    api: DriveApi, mount: Mount, tmp_path: Path, how: str
) -> None:
    """The mount had shown its sentinel, so that this is there; by the API it never was."""
    drive = mount()
    drive.elsewhere.put("proj/notes.txt", b"made by hand")
    drive.drain()
    drive.advance(600)
    root = project(drive, tmp_path / "here")
    keeper = attach(root, drive.my_drive)
    for name in ("a.txt", "b.txt"):
        (root / "outputs" / name).write_text(name)
        assert keeper.backup(f"outputs/{name}")
    drive.weather(**DEATHS[how])
    (root / "outputs" / "b.txt").write_text("again")
    done = keeper.backup("outputs/b.txt")
    assert done, [r.error for r in done.results]
    assert set(keeper.confirm().values()) == {Durability.CONFIRMED}
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    for name, text in {"a.txt": "a.txt", "b.txt": "again"}.items():
        assert fresh.ensure(f"outputs/{name}").outcome is Outcome.RESTORED
        assert (fresh.root / "outputs" / name).read_text() == text
        assert heads(fresh, f"outputs/{name}") == 1


def test_what_cannot_be_sent_again_as_it_was_stands_in_no_other_backups_way(api: DriveApi, mount: Mount, tmp_path: Path) -> None:
    drive = mount()
    root = project(drive, tmp_path / "here")
    keeper = attach(root, drive.my_drive)
    for name in ("above/a", "b", "c"):
        (root / "outputs" / name).mkdir(parents=True)
        (root / "outputs" / name / "file.txt").write_text(name)
        assert keeper.backup(f"outputs/{name}")
    drive.weather(**DEATHS["enotconn"])
    (root / "outputs" / "above").rename(tmp_path / "elsewhere")
    (root / "outputs" / "above").symlink_to(tmp_path / "elsewhere")
    (root / "outputs" / "d.txt").write_text("d")
    assert keeper.backup("outputs/d.txt")
    (root / "outputs" / "d.txt").write_text("d again")
    done = keeper.backup("outputs/d.txt")
    assert done, [r.error for r in done.results]
    found = {str(key): durability for key, durability in keeper.confirm().items()}
    assert found["outputs/b"] is found["outputs/c"] is found["outputs/d.txt"] is Durability.CONFIRMED, found


def step(root: Path, number: int) -> None:
    """One step of a work that needs what the step before it made."""
    state = root / "outputs" / "run" / "state.bin"
    before = state.read_bytes() if state.exists() else b""
    state.parent.mkdir(exist_ok=True)
    state.write_bytes(hashlib.sha512(before + bytes([number])).digest() * 500)
    (state.parent / f"step-{number}.txt").write_text(f"{number}")


def end_of(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((root / "outputs" / "run").iterdir())}


@pytest.mark.parametrize("how", [h if h == "hangs" else pytest.param(h, marks=pytest.mark.torture) for h in DEATHS])
def test_a_run_in_which_the_mount_dies_goes_on_by_itself_to_the_same_end(
    api: DriveApi, mount: Mount, tmp_path: Path, how: str
) -> None:
    """With its machine gone as well, right after it: what was safe is all of it."""
    drive = mount()
    root = project(drive, tmp_path / "here")
    keeper = open_keeper(root, drive.my_drive, mount=False, background=True)
    for number in range(8):
        step(root, number)
        assert keeper.backup("outputs/run")
        if number == 3:
            keeper.flush()
            drive.weather(**DEATHS[how])
    keeper.flush(60, patient=True)
    assert set(keeper.confirm(10).values()) == {Durability.CONFIRMED}
    keeper.close()
    alone = project(drive, tmp_path / "uninterrupted")
    for number in range(8):
        step(alone, number)
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    assert fresh.ensure("outputs/run").outcome is Outcome.RESTORED
    assert end_of(fresh.root) == end_of(alone)
    assert heads(fresh, "outputs/run") == 1
