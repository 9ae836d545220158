"""Every kind of mount that Debian has, for real: doctor's verdict, a backup, a killed machine, a restore."""

from __future__ import annotations

import os
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.mounts.kit import NEEDED, REMEMBERS, is_there, site, tried

#: Of every kind what `drive.durable` may truly say.
TRUE = {"rclone": "close", "sshfs": "fsync", "gocryptfs": "fsync", "bindfs": "fsync", "mergerfs": "fsync"}
#: Kinds that take seconds; the others are torture.
QUICK = ("rclone", "bindfs")
KINDS = [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.torture) for kind in NEEDED]
#: The same where those that remember have to be waited for.
PATIENT = [pytest.param(kind, marks=() if kind == "bindfs" else pytest.mark.torture) for kind in NEEDED]
#: Kinds that show a listing as it was, for a while.
REMEMBERING = ("rclone", "rclone-cached", "sshfs", "davfs")
CONTENT = {f"outputs/run/step-{n}.bin": random.Random(n).randbytes(40_000 * (n + 1)) for n in range(4)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_is_killed_and_another_one_goes_on(kind: str, tmp_path: Path) -> None:
    assert is_there(kind), f"apt-get install what has {NEEDED[kind]}"
    durable = TRUE.get(kind)
    settings = {"remembers": REMEMBERS} if kind in REMEMBERING else {}
    with tried(tmp_path, kind) as mount:
        first = site(tmp_path / "first", mount.point, **settings)
        found = first.doctor()
        assert not [f for f in found.values() if f.level == "bad"], found
        assert "so nothing becomes safe" in found["durability"].text
        assert found["free space"].level == ("note" if kind == "davfs" else "good"), found["free space"]
        assert ("memory" in found) == (kind in REMEMBERING)
        if durable is not None:
            assert f"drive.durable: {durable}" in found["durability"].text
            first.settings(durable=durable, **settings)
            assert "counts as CONFIRMED" in first.doctor()["durability"].text
        assert not [p for p in mount.point.iterdir() if p.name.startswith("holdfast-doctor")]

        assert first.keeper().ensure("outputs/run").outcome is Outcome.ABSENT  # a fresh start
        for path, content in list(CONTENT.items())[:2]:
            first.write(path, content)
        assert first.keeper().backup("outputs/run")
        status = first.keeper().status()
        assert status.safe == (durable is not None), status
        assert "doctor --upload" not in repr(status)
        for when in ("small-files", "generations/"):
            for path, content in CONTENT.items():
                first.write(path, content)
            first.killed_in_a_backup("outputs/run", when)
            shutil.rmtree(first.root / "outputs" / "run")
            assert first.keeper().ensure("outputs/run").outcome is Outcome.RESTORED
            assert len(list((first.root / "outputs" / "run").iterdir())) == 2
        for path, content in CONTENT.items():
            first.write(path, content)
        assert first.keeper().backup("outputs/run")
        mount.settle()

        other = site(tmp_path / "other", mount.again(), **settings)
        assert other.keeper().ensure("outputs/run").outcome is Outcome.RESTORED
        assert {path: (other.root / path).read_bytes() for path in CONTENT} == CONTENT
        assert not [d for d in other.keeper().verify() if "torn manifest" not in d.problem]  # of those that were killed
        assert other.keeper().prune(orphans=True).left == {}


@pytest.mark.parametrize("kind", PATIENT)
def test_what_a_mount_remembers_is_not_taken_for_absence(kind: str, tmp_path: Path) -> None:
    settings = {"remembers": REMEMBERS} if kind in REMEMBERING else {}
    with tried(tmp_path, kind) as mount:
        past = mount.again() if kind == "gocryptfs" else mount.below
        here, there = site(tmp_path / "here", mount.point, **settings), site(tmp_path / "there", past, **settings)
        os.listdir(mount.point)
        assert here.keeper().ensure("outputs/run").outcome is Outcome.ABSENT
        for number in range(3):  # a store, then a further artifact and another one in it
            path = f"outputs/run-{number}/file"
            there.write(path, "work")
            assert there.keeper().backup(path)
            assert here.keeper().ensure(path).outcome is Outcome.RESTORED
            assert here.keeper().ensure(f"outputs/nowhere-{number}").outcome is Outcome.ABSENT
        here.write("outputs/mine", "mine")
        assert here.keeper().backup("outputs/mine")
        mount.settle()
        assert there.keeper().ensure("outputs/mine").outcome is Outcome.RESTORED


def test_rclone_shows_a_store_that_its_memory_lacks_at_once(tmp_path: Path) -> None:
    with tried(tmp_path, "rclone", options=()) as mount:  # it remembers listings for five minutes
        here, there = site(tmp_path / "here", mount.point), site(tmp_path / "there", mount.below)
        assert os.listdir(mount.point) == []
        there.write("outputs/run/file", "work")
        assert there.keeper().backup("outputs/run")
        assert os.listdir(mount.point) == []
        assert here.keeper().ensure("outputs/run").outcome is Outcome.RESTORED
        here.write("outputs/mine", "mine")
        assert here.keeper().backup("outputs/mine")
        assert there.keeper().ensure("outputs/mine").outcome is Outcome.RESTORED


@pytest.mark.parametrize("kind", [k for k in PATIENT if "davfs" not in k.values])  # which has sent nothing before it is unmounted
def test_first_backups_at_once_through_two_mounts_end_in_one_store(kind: str, tmp_path: Path) -> None:
    settings = {"remembers": REMEMBERS} if kind in REMEMBERING else {}
    with tried(tmp_path, kind) as mount:
        sites = {n: site(tmp_path / n, p, **settings) for n, p in (("ann", mount.point), ("bob", mount.again()))}
        for name, here in sites.items():
            os.listdir(here.drive)
            here.write(f"outputs/{name}/file", name)
        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(lambda name: bool(sites[name].keeper().backup(f"outputs/{name}")), sites))
        mount.settle()
        if kind in REMEMBERING:
            time.sleep(REMEMBERS + 0.5)  # of each other they know once their mounts have forgotten
        identities = set()
        for name, here in sites.items():
            here.write(f"outputs/{name}/more", name)
            assert here.keeper().backup(f"outputs/{name}")
            mount.settle()
        if kind in REMEMBERING:
            time.sleep(REMEMBERS + 0.5)
        fresh = site(tmp_path / "fresh", mount.again(), **settings)
        for name, here in sites.items():
            assert fresh.keeper().ensure(f"outputs/{name}").outcome is Outcome.RESTORED
            keep = here.keeper()
            assert keep.store is not None
            assert keep.status() is not None
            identities.add(keep.workspace.known_store(keep.store.backend.location))
        assert len(identities) == 1
