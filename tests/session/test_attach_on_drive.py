"""Attaching to a mount in any state: nothing hangs, and nothing is touched that could."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.platform import file_system, real_path
from holdfast.simulator import Death, SimulatedDrive
from holdfast.simulator.weather import Hang

PROJECT = "drive:\n  backup_base_dir: proj\n  mount_point: {point}\n  timeout: 1\n"


def project(folder: Path, point: Path) -> Path:
    (folder / "config").mkdir(parents=True)
    (folder / "config/paths.yaml").write_text(PROJECT.format(point=point))
    return folder


def holdfast(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as it is run; the limit is for tests that are broken."""
    command = [sys.executable, "-m", "holdfast", words[0], *words[1:], "--root", str(root)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "HOLDFAST_DRIVE": ""}
    )


def test_a_path_below_a_fuse_mount_is_told_without_asking_the_mount(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "drive")
    with SimulatedDrive(tmp_path / "drive") as drive:
        drive.weather(hangs=(Hang(),))
        drive.counters(reset=True)
        assert file_system(drive.my_drive / "proj") == "fuse.drive"
        assert file_system(tmp_path / "link/MyDrive") == "fuse.drive"
        assert real_path(tmp_path / "link/MyDrive/a") == drive.my_drive / "a"
        assert sum(drive.counters().values()) == 0
        drive.release()


@pytest.mark.parametrize("path", ["a", "b/c", "b/up/d", "there/x", "round/x", "."])
def test_other_paths_are_resolved_as_the_system_resolves_them(tmp_path: Path, path: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/up").symlink_to("..")
    (tmp_path / "there").symlink_to(tmp_path / "b/up")
    (tmp_path / "round").symlink_to("round")
    if path != "round/x":
        assert real_path(tmp_path / path) == Path(os.path.realpath(tmp_path / path))
    else:
        real_path(tmp_path / path)


@pytest.mark.parametrize("command", ["ensure", "backup", "status", "history", "verify", "prune"])
def test_every_command_ends_on_a_mount_that_hangs(tmp_path: Path, command: str) -> None:
    root = project(tmp_path / "project", tmp_path / "drive")
    (root / "outputs").mkdir()
    (root / "outputs/a").write_text("a")
    with SimulatedDrive(tmp_path / "drive") as drive:
        assert holdfast(root, "backup", "outputs/a").returncode == 5
        drive.drain()
        drive.weather(hangs=(Hang(),))
        words = {"ensure": ["outputs/b"], "backup": ["outputs/a"], "history": ["outputs/a"]}.get(command, [])
        done = holdfast(root, command, *words)
        drive.release()
    assert done.returncode == (4 if command == "ensure" else 1), done.stderr
    assert "the mount hangs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mount_is_found_by_its_type_and_a_dead_one_is_said(tmp_path: Path) -> None:
    root = project(tmp_path / "project", tmp_path / "drive")
    (root / "outputs").mkdir()
    (root / "outputs/a").write_text("a")
    with SimulatedDrive(tmp_path / "drive") as drive:
        rows = json.loads(holdfast(root, "backup", "outputs/a", "--json").stdout)
        assert [r["outcome"] for r in rows] == ["WRITTEN"]
        drive.weather(death=Death.ENOTCONN)
        done = holdfast(root, "ensure", "outputs/b")
        assert done.returncode == 4
        assert "Transport endpoint is not connected" in done.stderr
