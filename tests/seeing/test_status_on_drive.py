"""`keep.status()` and `holdfast status` on a simulated Drive, in every state that there is."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from holdfast.simulator import Attributes, SimulatedDrive, Weather
from tests.bad_input.support import Box, good
from tests.drive import Mount, keeper_on, project_on
from tests.support import Rig

#: What `--json` has for each artifact. Programs rely on it.
FIELDS = {
    "path",
    "outcome",
    "here",
    "generation",
    "sequence",
    "size",
    "time",
    "durability",
    "unsaved",
    "unsaved_seconds",
    "confirmed",
    "unconfirmed",
    "loss_seconds",
    "stale",
    "forks",
    "debris",
    "progress",
    "error",
    "refused",
    "torn",
    "accepted",
    "left_out",
}


def project(drive: SimulatedDrive, root: Path) -> Box:
    project_on(drive, root)
    box = Box(root, drive.my_drive)
    box.write("outputs/d/a.txt", "a")
    return box


def title(box: Box) -> str:
    return good(box.run("status")).out.splitlines()[0]


def outcome(box: Box) -> str:
    (row,) = good(box.run("status", "--json")).rows()
    assert set(row) == FIELDS
    return str(row["outcome"])


def test_written_then_uploading_then_safe(drive: SimulatedDrive, tmp_path: Path) -> None:
    box = project(drive, tmp_path / "proj")
    assert title(box).startswith("✘ NOT SAFE: 1 file not backed up")
    assert outcome(box) == "NOT BACKED UP"
    assert box.run("backup", "outputs/d").code == 5
    assert title(box).startswith("↑ UPLOADING: 1 file still uploading: if this machine vanished now, you would lose at most")
    assert outcome(box) == "written, not uploaded yet"
    drive.drain()
    assert title(box).startswith("✔ SAFE: everything is backed up and confirmed on Drive: 1 artifact")
    assert outcome(box) == "safe"
    box.write("outputs/d/a.txt", "another")
    assert title(box).startswith("✘ NOT SAFE: 1 file not backed up")
    assert outcome(box) == "1 file(s) changed since the last backup"


def test_a_mount_that_tells_nothing_is_never_called_safe(mount: Mount, tmp_path: Path) -> None:
    drive = mount(weather=Weather(attributes=Attributes.UNSUPPORTED))
    box = project(drive, tmp_path / "proj")
    good(box.run("backup", "outputs/d"))
    drive.drain()
    assert title(box).startswith("? CANNOT TELL: 1 file written, and this place cannot tell whether they arrived")
    assert "doctor --upload" in good(box.run("status")).out
    assert outcome(box) == "written, unknown whether safe"


def test_a_backup_under_way_is_not_safe_because_its_files_are_gone_here(drive: SimulatedDrive, tmp_path: Path) -> None:
    keeper = keeper_on(drive, tmp_path / "proj")
    place = tmp_path / "proj/outputs/a.txt"
    place.parent.mkdir(parents=True)
    place.write_text("a")
    assert keeper.backup("outputs/a.txt")
    place.unlink()
    found = keeper.status()
    assert not found.safe
    assert found.sight.verdict.title == "UPLOADING"
    drive.drain()
    assert keeper.status().safe


def test_a_stale_and_a_forked_artifact_are_said_with_what_to_do(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/stale.txt", "1")
    one.write("outputs/forked.txt", "1")
    assert one.keep.backup("outputs/stale.txt", "outputs/forked.txt")
    for path in ("outputs/stale.txt", "outputs/forked.txt"):
        assert two.keep.ensure(path)
        two.write(path, "2")
        assert two.keep.backup(path)
    one.write("outputs/forked.txt", "3")
    assert one.keep.backup("outputs/forked.txt")
    found = one.keep.status()
    by_path = {line.path: line.safe for line in found.sight.lines}
    assert by_path == {"outputs/stale.txt": "stale", "outputs/forked.txt": "forked"}
    assert found.safe, "nothing would be lost"
    assert "1 stale, 1 forked (below)" in found.sight.verdict.text
    assert "`holdfast restore outputs/stale.txt`" in str(found)
    assert "`holdfast history outputs/forked.txt`" in str(found)


def test_what_is_proven_damaged_is_not_called_safe(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    one, two = rig.machine(), rig.machine()
    for version in ("1", "2"):
        one.write("outputs/a.txt", version)
        assert one.keep.backup("outputs/a.txt")
    newest = max((rig.store / "outputs").glob("a@*"))
    newest.write_bytes(b"x")
    with caplog.at_level(logging.ERROR):
        assert two.keep.ensure("outputs/a.txt")
    (row,) = two.keep.status()
    assert (row.sequence, row.damaged) == (1, 1)
    assert two.keep.status().sight.lines[0].safe == "damaged"
    assert "holdfast verify outputs/a.txt" in str(two.keep.status())


def test_a_status_without_a_store_says_that_nothing_is_kept(rig: Rig) -> None:
    box = Box(rig.machine().root, None)
    box.write("outputs/a.txt", "x")
    out = good(box.run("status")).out
    assert out.startswith("✘ NOT SAFE: 1 file not backed up (there is no store)")
    assert "work is kept on this machine only" in out


def test_a_status_that_was_not_given_the_store_does_not_say_that_nothing_is_here(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/a.txt", "x")
    assert machine.keep.backup("outputs/a.txt")
    out = good(Box(machine.root, None).run("status")).out
    assert out.startswith("! LOCAL ONLY: no drive folder is given, so nobody can tell what of this is backed up")


def test_json_is_json_and_nothing_else(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/a.txt", "x")
    assert machine.keep.backup("outputs/a.txt")
    box = Box(machine.root, rig.drive)
    (row,) = json.loads(good(box.run("status", "--json", env={"FORCE_COLOR": "1"})).out)
    assert set(row) == FIELDS
    assert "\x1b[" in good(box.run("status", env={"FORCE_COLOR": "1"})).out
    assert "\x1b[" not in good(box.run("status")).out
