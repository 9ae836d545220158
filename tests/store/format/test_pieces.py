"""A file that is kept as pieces of several payloads: read, verified, carried on and never pruned while a generation names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import Forge
from tests.store.format.pieces import in_pieces
from tests.support import Machine, Rig

KEY = "outputs/d"


@pytest.fixture
def content(rig: Rig) -> dict[str, bytes]:
    """What a store holds, of which one file is in pieces."""
    return in_pieces(Forge(rig.store), KEY, 1)


def pieces(rig: Rig) -> list[Path]:
    found = [p for p in rig.payloads() if p.name.startswith("large@000001")]
    return sorted(found, key=lambda p: (len(p.name), p.name))


def restored(machine: Machine) -> dict[str, bytes]:
    result = machine.keep.ensure(KEY)
    assert result.outcome is Outcome.RESTORED, result
    return machine.tree(KEY)


def test_it_comes_back_and_two_names_of_it_are_one_file(rig: Rig, content: dict[str, bytes]) -> None:
    machine = rig.machine()
    assert restored(machine) == content
    found = [os.lstat(machine.outputs / "d" / name) for name in ("large", "sub/same")]
    assert len({f.st_ino for f in found}) == 1
    assert (found[0].st_mode & 0o777, found[0].st_mtime_ns) == (0o640, 1700000000_000000001)
    assert os.lstat(machine.outputs / "d/sub").st_mtime_ns == 7_000000000
    assert machine.keep.restore(KEY, to=rig.folder / "there").outcome is Outcome.RESTORED
    assert {p: (rig.folder / "there" / KEY / p).read_bytes() for p in content} == content
    assert machine.keep.ensure(f"{KEY}/sub/same").outcome is Outcome.LOCAL
    alone = rig.machine()
    assert alone.keep.ensure(f"{KEY}/sub/same").outcome is Outcome.RESTORED
    assert alone.tree(KEY) == {"sub/same": content["sub/same"]}
    assert all(r.unchanged for r in machine.keeper().backup(KEY).results)


def test_verify_reads_all_of_it_and_names_what_is_damaged_or_missing(rig: Rig, content: dict[str, bytes]) -> None:
    machine = rig.machine()
    assert machine.keep.verify() == []
    for payload in pieces(rig):
        data = payload.read_bytes()
        at = 299_999  # of each payload something there is used
        payload.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert {d.file for d in machine.keeper().verify()} == {f"{KEY}/large", f"{KEY}/sub/same"}
        assert rig.machine().keep.ensure(KEY).outcome is Outcome.FAILED
        payload.write_bytes(data[:-1])
        assert {d.file for d in machine.keeper().verify()} == {f"{KEY}/large", f"{KEY}/sub/same"}
        payload.unlink()
        damages = machine.keeper().verify()
        assert {d.file for d in damages} == {f"{KEY}/large", f"{KEY}/sub/same"}
        assert all("is missing" in d.problem for d in damages)
        payload.write_bytes(data)
    assert machine.keeper().verify() == []
    assert restored(rig.machine()) == content


def test_it_is_carried_on_and_stays_while_a_generation_names_it(rig: Rig, content: dict[str, bytes]) -> None:
    machine = rig.machine()
    assert restored(machine) == content
    os.link(machine.outputs / "d/large", machine.outputs / "d/again")
    for number in range(6):
        machine.write(f"{KEY}/new {number}", "new")
        assert machine.keeper().backup(KEY)
        machine.keeper().prune(orphans=True, forks=True)
        assert len(pieces(rig)) == 3
    assert [p for p in rig.payloads() if p.stat().st_size > 1 << 20] == sorted(pieces(rig))  # nothing of it was sent again
    assert machine.keep.verify() == []
    fresh = rig.machine()
    assert restored(fresh) == machine.tree(KEY)
    assert os.path.samefile(fresh.outputs / "d/again", fresh.outputs / "d/sub/same")
    for name in ("large", "again", "sub/same"):
        (machine.outputs / "d" / name).unlink()
    for number in range(6):
        machine.write(f"{KEY}/new {number}", "newer")
        assert machine.keeper().backup(KEY)
        machine.keeper().prune()
    assert pieces(rig) == []  # no generation names it any more
    assert machine.keep.verify() == []


def test_where_a_payload_of_it_is_lost_it_is_sent_again_whole(rig: Rig, content: dict[str, bytes]) -> None:
    machine = rig.machine()
    assert restored(machine) == content
    pieces(rig)[1].unlink()
    assert machine.keeper().backup(KEY)
    assert restored(rig.machine()) == content
    assert [d.generation for d in machine.keeper().verify()] == ["000001-00000001"] * 2
