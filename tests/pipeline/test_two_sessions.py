"""Two runs of one pipeline at once: the second one stops with one line before it spends any time, unless it is forced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.session.background.lease import Lease
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.format.keys import Key
from tests.pipeline.project import make_project, write_settings
from tests.support import PROJECT, Machine, Rig


def holdfast(machine: Machine, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast", "run", "config/micro.yaml", "--only", "data", *options]
    place = ["--root", str(machine.root), "--drive", str(machine.drive)]
    return subprocess.run([*command, *place], capture_output=True, text=True, timeout=120, cwd=machine.root, check=False)


@pytest.fixture
def machine(rig: Rig) -> Machine:
    """The first session is this process. It has backed something up, and works on all outputs."""
    machine = rig.machine()
    make_project(machine.root)
    write_settings(machine.root)
    (machine.root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
    machine.write("outputs/first", "first")
    assert machine.keep.backup("outputs/first")
    Lease().hold(DirectoryBackend(rig.drive, PROJECT), [Key("outputs")])
    return machine


def test_a_second_run_stops_before_it_works(rig: Rig, machine: Machine) -> None:
    before = machine.tree()
    done = holdfast(machine)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()[-1:]
    assert line.startswith("holdfast: ")
    assert ": another session works on it (on " in line
    assert "holdfast run --force" in line
    assert "Traceback" not in done.stderr
    assert machine.tree() == before
    assert len(rig.manifests()) == 1


def test_a_second_run_in_the_same_project_stops_as_well_and_goes_on_when_the_first_is_done(machine: Machine) -> None:
    Path(next((machine.drive / PROJECT / "sessions").iterdir())).unlink()
    with machine.keep.claim("outputs/data"):
        done = holdfast(machine)
        assert done.returncode == 1
        assert "another process of this project works on it (process " in done.stderr.strip().splitlines()[-1]
        forced = holdfast(machine, "--force")
        assert forced.returncode == 0, forced.stderr
        assert "this one works beside it" in forced.stderr
    assert holdfast(machine).returncode == 0


def test_forced_it_works_beside(rig: Rig, machine: Machine) -> None:
    done = holdfast(machine, "--force")
    assert done.returncode == 0, done.stderr
    assert "this one writes beside it, and both lines are kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(rig.manifests()) > 1


def test_a_run_that_ended_leaves_no_lease(rig: Rig, machine: Machine) -> None:
    sessions = Path(rig.store / "sessions")
    before = {p.name for p in sessions.iterdir()}
    assert holdfast(machine, "--force").returncode == 0
    assert {p.name for p in sessions.iterdir()} == before
