"""A record that is told as what changed since one that was written whole is the record."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import Corrupt
from holdfast.store.format.keys import Key
from holdfast.store.local import since
from holdfast.store.local.records import Record, read_sealed, seal_of, write_sealed
from holdfast.store.local.since import changes_to_json, with_changes
from holdfast.store.local.workspace import Workspace
from tests.support import Machine, Rig

KEY = Key("outputs/d")
NAME = "outputs~d.json"
FILES = 600


def large(rig: Rig) -> Machine:
    """A machine with an artifact of many files, written an hour ago."""
    machine = rig.machine()
    for number in range(FILES):
        place = machine.write(f"outputs/d/{number % 7}/{number}", str(number))
        os.utime(place, (1e9, 1e9))
    os.link(machine.root / "outputs/d/0/0", machine.root / "outputs/d/one")
    (machine.root / "outputs/d/link").symlink_to("0/0")
    assert machine.keep.backup("outputs/d")
    workspace = machine.keep.workspace
    record = workspace.record(KEY)  # as it is once all has been at rest for two seconds
    workspace.save(KEY, replace(record, here={p: replace(h, trusted=True) for p, h in record.here.items()}))
    assert machine.keep.backup("outputs/d")
    return machine


def place(machine: Machine, kind: str) -> Path:
    folder = machine.root / ".holdfast/records"
    return folder / NAME if kind == "records" else (folder / NAME).with_suffix(".since")


def read(machine: Machine) -> Record:
    """What a new process remembers."""
    return Workspace(machine.root).record(KEY)


def test_one_changed_file_of_many_has_little_written(rig: Rig) -> None:
    machine = large(rig)
    before, whole = place(machine, "records").read_bytes(), machine.keep.workspace.record(KEY)
    for content in ("a", "b", "c"):
        machine.write("outputs/d/3/3", content)
        machine.write(f"outputs/d/new-{content}", content)
        assert machine.keep.backup("outputs/d")
        (machine.root / f"outputs/d/new-{content}").unlink()
        assert read(machine) == machine.keep.workspace.record(KEY)
        assert read(machine).base == machine.keep.workspace.record(KEY).base
    assert place(machine, "records").read_bytes() == before
    assert place(machine, "since").stat().st_size < len(before) / 20
    assert read(machine) != whole


def test_where_much_changed_the_record_is_written_whole(rig: Rig) -> None:
    machine = large(rig)
    before = seal_of(place(machine, "records"))
    for number in range(FILES // 7):
        machine.write(f"outputs/d/{number % 7}/{number}", "other")
    assert machine.keep.backup("outputs/d")
    assert seal_of(place(machine, "records")) != before
    assert not place(machine, "since").exists()
    assert read(machine) == machine.keep.workspace.record(KEY)


def test_changes_to_a_record_that_is_another_one_by_now_count_for_nothing(rig: Rig) -> None:
    machine = large(rig)
    machine.write("outputs/d/3/3", "other")
    assert machine.keep.backup("outputs/d")
    older = place(machine, "since").read_bytes()
    for number in range(FILES):
        machine.write(f"outputs/d/{number % 7}/{number}", "anew")
    assert machine.keep.backup("outputs/d")
    place(machine, "since").write_bytes(older)
    assert read(machine) == machine.keep.workspace.record(KEY)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"0" * 64 + b"\n{}"])
def test_damaged_changes_are_as_if_nothing_were_remembered(rig: Rig, caplog: pytest.LogCaptureFixture, damage: bytes) -> None:
    machine = large(rig)
    machine.write("outputs/d/3/3", "other")
    assert machine.keep.backup("outputs/d")
    place(machine, "since").write_bytes(damage)
    assert read(machine) == Record(), "the older record would make the next backup a fork of this machine's own"
    assert "is damaged and is ignored" in caplog.text
    assert len({m.name for m in rig.manifests()}) == 2
    for content in ("1", "2", "3"):  # each is a new process
        (result,) = Machine(machine.root, machine.drive).keep.backup("outputs/d").results
        assert result
        assert not result.forked
        machine.write("outputs/d/3/3", content)
    assert read(machine).base is not None


def test_changes_that_do_not_fit_the_record_are_refused(rig: Rig) -> None:
    machine = large(rig)
    whole = machine.keep.workspace.record(KEY)
    machine.write("outputs/d/3/3", "other")
    assert machine.keep.backup("outputs/d")
    body = changes_to_json(machine.keep.workspace.record(KEY), whole, "seal")
    assert body is not None
    write_sealed(machine.root / "body", body)
    body = read_sealed(machine.root / "body")
    assert body is not None
    assert with_changes(whole, "seal", body) == machine.keep.workspace.record(KEY)
    assert with_changes(whole, "another", body) is None
    for other in ({"digest": "0" * 64}, {"gone": ["3/10"]}, {"hard_links": []}):
        with pytest.raises((Corrupt, KeyError)):
            with_changes(whole, "seal", {**body, **other})
    with pytest.raises((Corrupt, KeyError)):
        with_changes(Record(), "seal", body)


def test_what_is_no_small_change_of_a_large_folder_is_not_told_so(rig: Rig) -> None:
    whole = large(rig).keep.workspace.record(KEY)
    assert whole.base is not None
    few = replace(whole, here=dict(list(whole.here.items())[: since._LARGE - 1]))
    assert changes_to_json(Record(), whole, "seal") is None
    assert changes_to_json(whole, Record(), "seal") is None
    assert changes_to_json(few, whole, "seal") is None
    assert changes_to_json(whole, few, "seal") is None
