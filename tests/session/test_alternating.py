"""A store is continued by the mount and by the API in turns, with kills: one line, no fork, every generation whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.session.attach import open_keeper
from holdfast.simulator import SimulatedDrive
from holdfast.simulator.drive_api import DriveApi
from holdfast.store.looking.view import State
from holdfast.store.reporting.outcomes import Outcome
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.session.test_two_ways import api, project

__all__ = ["api", "mount", "nothing_stays_mounted"]


def with_store_folder(drive: SimulatedDrive) -> SimulatedDrive:
    """The folder is there before: of a first backup by both ways within the mount's lag Drive makes two, which `doctor` names."""
    drive.elsewhere.put("proj/notes.txt", b"made by hand")
    drive.advance(1)
    drive.advance(120)
    assert (drive.my_drive / "proj" / "notes.txt").exists()
    return drive


def alternate(drive: SimulatedDrive, folder: Path, turns: int, seed: int) -> None:
    chance, root = random.Random(seed), project(drive, folder / "here")
    run = root / "outputs" / "run"
    run.mkdir()
    (run / "weights.bin").write_bytes(chance.randbytes(3_000_000))
    ways = (str(drive.my_drive), "gdrive:")
    killed, took = 0, 1.0
    for turn in range(turns):
        (run / "step.txt").write_text(f"step {turn}")
        (run / f"part-{turn % 7}.bin").write_bytes(chance.randbytes(1_500_000 if turn % 3 == 0 else 2000))
        command = [sys.executable, "-m", "holdfast", "backup", "outputs/run", "--root", str(root), "--drive", ways[turn % 2]]
        begun, is_killed = time.monotonic(), turn + 2 < turns and chance.random() < 0.6
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as child:
            if is_killed:
                time.sleep(took * chance.uniform(0.3, 1.1))
                os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate(timeout=120)
        took = took if is_killed else time.monotonic() - begun
        killed += child.returncode == -signal.SIGKILL
        assert child.returncode in (0, 5, -signal.SIGKILL), f"turn {turn}: {child.returncode}: {output}"
        assert "fork" not in output, f"turn {turn}: {output}"
        drive.advance(chance.choice((0.0, 5.0, 60.0)))
    assert killed >= turns // 10, "nothing was cut off, so nothing was shown"
    drive.drain()
    drive.advance(600)
    for number, way in enumerate(ways):
        keeper = open_keeper(project(drive, folder / f"fresh-{number}"), way, mount=False)
        assert keeper.ensure("outputs/run").outcome is Outcome.RESTORED
        assert (keeper.root / "outputs" / "run" / "step.txt").read_text() == f"step {turns - 1}"
        entries = keeper.history("outputs/run")
        assert sum(e.head for e in entries) == 1, entries
        whole = [e for e in entries if e.state is State.WHOLE]
        assert entries[0] in whole
        assert keeper.verify() == [], f"{way}: a generation that is whole by its lengths is not by its content"
        assert all(keeper.restore("outputs/run", generation=e.generation, to=folder / f"to-{number}-{e.generation}") for e in whole)
    print(f"seed {seed}: {turns} turns, {killed} killed")


def test_both_ways_in_turns_with_kills_make_one_line(api: DriveApi, mount: Mount, tmp_path: Path) -> None:
    alternate(with_store_folder(mount(seed=1)), tmp_path, 6, random.SystemRandom().randrange(1_000_000))


def test_what_the_mount_was_given_and_has_not_sent_is_not_begun_anew_by_the_api(
    api: DriveApi, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drive = with_store_folder(mount())
    root = project(drive, tmp_path / "here")
    ids = set()
    for number in range(6):  # nothing of the mount's is uploaded in between, and it shows nothing that others sent
        keeper = open_keeper(root, (str(drive.my_drive), "gdrive:")[number % 2], mount=False)
        (root / "outputs" / "a.txt").write_text(f"{number}")
        done = keeper.backup("outputs/a.txt")
        assert done, [r.error for r in done.results]
        assert done.results[0].forked == ()
        ids.add(keeper.store.look().store_id)
    assert len(ids) == 1
    drive.drain()
    drive.advance(600)
    for number, way in enumerate((str(drive.my_drive), "gdrive:")):
        fresh = open_keeper(project(drive, tmp_path / f"fresh-{number}"), way, mount=False)
        assert fresh.ensure("outputs/a.txt").outcome is Outcome.RESTORED
        assert (fresh.root / "outputs" / "a.txt").read_text() == "5"
        assert sum(entry.head for entry in fresh.history("outputs/a.txt")) == 1


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
def test_both_ways_fifty_times_with_kills_make_one_line(api: DriveApi, mount: Mount, tmp_path: Path, seed: int) -> None:
    alternate(with_store_folder(mount(seed=seed)), tmp_path, 50, seed)
