"""Ordinary tools work on the mount: `df`, `ls`, `cp` and `rclone`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.simulator import SimulatedDrive
from tests.simulator.conftest import Mount
from tests.simulator.support import run, write

SIZES = {"a/b/c.bin": 300_000, "a/empty": 0, "d.txt": 5, "a/ünïcode 日本.txt": 4097}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, size in SIZES.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(size))
    return folder


def rclone(*words: str | Path) -> str:
    done = run("rclone", "--config=/dev/null", *words)
    assert done.returncode == 0, done.stderr
    return done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fresh_machine(mount: Mount, drive: SimulatedDrive) -> SimulatedDrive:
    assert drive.drain() == []
    assert drive.disconnect() == []
    return mount("fresh")


def test_df_shows_a_drive_of_the_accounts_size(mount: Mount) -> None:
    drive = mount(quota=1000 * 1024)
    write(drive, "a.bin", bytes(200 * 1024))
    drive.drain()
    shown = run("df", "--output=source,fstype,size,used,avail,target", drive.my_drive).stdout.splitlines()[-1].split()
    assert shown == ["drive", "fuse.drive", "1000", "200", "800", str(drive.mountpoint)]


def test_ls_shows_names_kinds_sizes_and_modes(drive: SimulatedDrive) -> None:
    write(drive, "proj/a.bin", bytes(1234))
    write(drive, "proj/sub/b.txt")
    assert run("ls", drive.mountpoint).stdout.split() == ["My", "Drive", "MyDrive"]
    lines = [line.split() for line in run("ls", "-l", drive.my_drive / "proj").stdout.splitlines()[1:]]
    assert [(line[0], line[-1]) for line in lines] == [("-rw-------", "a.bin"), ("drwx------", "sub")]
    assert lines[0][4] == "1234"
    assert "b.txt" in run("ls", "-R", drive.my_drive).stdout


def test_cp_copies_onto_it_and_a_fresh_machine_copies_the_same_from_it(mount: Mount, source: Path, tmp_path: Path) -> None:
    drive = mount()
    assert run("cp", "-r", source, drive.my_drive / "copy").returncode == 0
    assert run("diff", "-r", source, drive.my_drive / "copy").stdout == ""
    fresh = fresh_machine(mount, drive)
    assert fresh.elsewhere.files() == {f"copy/{name}": content for name, content in contents(source).items()}
    assert run("cp", "-r", fresh.my_drive / "copy", tmp_path / "back").returncode == 0
    assert contents(tmp_path / "back") == contents(source)


def test_rclone_copies_onto_it_and_a_fresh_machine_copies_the_same_from_it(mount: Mount, source: Path, tmp_path: Path) -> None:
    drive = mount()
    rclone("copy", source, drive.my_drive / "copy")
    assert "0 differences found" in rclone("check", source, drive.my_drive / "copy")
    assert "0 differences found" in rclone("check", "--download", source, drive.my_drive / "copy")
    fresh = fresh_machine(mount, drive)
    rclone("copy", fresh.my_drive / "copy", tmp_path / "back")
    assert "0 differences found" in rclone("check", fresh.my_drive / "copy", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
