"""A database that grows is sent as what changed of it, and is as safe as one that is sent whole."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.reporting.outcomes import Outcome
from tests.docs.test_rescue import rescue
from tests.store.transfer.test_large_files import mounted
from tests.support import Machine, Rig

KEY = "outputs/d"
FILE = "study.db"
ROWS = 2000


class Growing:
    """A machine with a database that is backed up after each change, and what it held then."""

    def __init__(self, rig: Rig, machine: Machine, rng: random.Random) -> None:
        self.rig, self.machine, self.rng = rig, machine, rng
        self.place = machine.outputs / "d" / FILE
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.held: list[list[tuple[int, str]]] = []
        with contextlib.closing(sqlite3.connect(self.place)) as made:
            made.execute("create table trials (number integer primary key, value text)")
            made.executemany("insert into trials values (?, ?)", [(n, text(n)) for n in range(ROWS)])
            made.commit()

    def grow(self) -> None:
        with contextlib.closing(sqlite3.connect(self.place)) as one:
            one.execute("insert into trials (value) values (?)", (text(self.rng.random()),))
            one.execute("update trials set value = ? where number = ?", (text(self.rng.random()), self.rng.randrange(ROWS)))
            one.commit()

    def back_up(self, times: int = 1) -> int:
        """Change and back up. Gives how many bytes of payload the last one sent."""
        for _ in range(times):
            self.grow()
            done = self.machine.keep.backup(KEY)
            assert done
            self.held.append(rows(self.place))
        return done.results[0].size

    def newest(self) -> set[str]:
        """Names of the payloads of the newest generation."""
        manifest = self.machine.keep.backup(KEY).results[0].manifest
        assert manifest is not None
        return {p.rpartition("/")[2] for p in manifest.payloads()}

    def fresh(self) -> list[tuple[int, str]]:
        """What a fresh machine gets."""
        machine = self.rig.machine()
        found = machine.keep.ensure(KEY)
        assert found.outcome is Outcome.RESTORED, found
        came = rows(machine.outputs / "d" / FILE)
        shutil.rmtree(machine.root)
        return came


def text(what: float) -> str:
    return f"trial {what} ".ljust(100, "x")


def rows(place: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as one:
        return one.execute("select * from trials order by number").fetchall()


@pytest.fixture
def growing(rig: Rig, seeded: Callable[[int], random.Random]) -> Growing:
    return Growing(rig, rig.machine(), seeded(23))


def test_what_changed_is_sent_and_every_generation_comes_back_as_it_was(growing: Growing) -> None:
    assert growing.back_up(2) == growing.place.stat().st_size
    for _ in range(9):
        assert growing.back_up() < growing.place.stat().st_size / 10
        assert growing.fresh() == growing.held[-1]
    assert growing.machine.keep.verify() == []
    for entry in growing.machine.keep.history(KEY):
        there = growing.rig.folder / "there"
        assert growing.machine.keep.restore(KEY, generation=entry.generation, to=there)
        assert rows(there / KEY / FILE) == growing.held[int(entry.sequence) - 1]
        shutil.rmtree(there)


def test_whatever_payload_rots_the_generation_before_is_whole(growing: Growing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    growing.back_up(23)  # on a 4th step of its line, and a few behind a 16th
    for name in sorted(growing.newest()):
        place = next(p for p in growing.rig.payloads() if p.name == name)
        clean = place.read_bytes()
        for spoilt in (bytes(len(clean)), clean[:-1], b""):
            place.write_bytes(spoilt)
            assert growing.fresh() == growing.held[-2], name
            assert growing.machine.keeper().verify(KEY) != []
        place.write_bytes(clean)
    assert growing.fresh() == growing.held[-1]
    assert growing.machine.keeper().verify(KEY) == []


def test_a_whole_copy_comes_every_fifty_generations_and_is_what_the_newest_plain_name_holds(growing: Growing) -> None:
    sizes = [growing.back_up() for _ in range(54)]
    assert [n + 1 for n, sent in enumerate(sizes) if sent > growing.place.stat().st_size / 2] == [1, 2, 52]
    plain = max(p.name for p in growing.rig.payloads() if p.suffix == ".db")
    copy = next(p for p in growing.rig.payloads() if p.name == plain)
    assert rows(copy) == growing.held[51]


def test_at_the_end_it_is_sent_whole_changed_or_not(growing: Growing) -> None:
    growing.back_up(5)
    keep = growing.machine.keep
    keep.workspace.whole.add(keep.workspace.key(KEY))
    done = keep.backup(KEY).results[0]
    assert (done.unchanged, done.size) == (False, growing.place.stat().st_size)
    assert {n.endswith(".db") for n in growing.newest()} == {True}
    assert keep.backup(KEY).results[0].unchanged
    assert growing.back_up() == growing.place.stat().st_size


@pytest.mark.parametrize(
    "what", ["memory", "torn memory", "payload", "older payload", "vacuumed", "another machine", "restored", "damaged"]
)
def test_where_anything_is_missing_or_in_doubt_it_is_sent_whole(
    growing: Growing, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    rig, machine = growing.rig, growing.machine
    growing.back_up(6)
    pages = sorted(machine.keep.workspace.pages.glob("*/*"))
    assert len(pages) == 2
    if what == "memory":
        shutil.rmtree(machine.keep.workspace.pages)
    elif what == "torn memory":
        for place in pages:
            place.write_bytes(place.read_bytes()[:-1])
    elif what == "payload":
        next(p for p in rig.payloads() if p.name in growing.newest()).unlink()
    elif what == "older payload":
        for place in rig.payloads():
            if place.name not in growing.newest():
                place.unlink()
    elif what == "vacuumed":
        with contextlib.closing(sqlite3.connect(growing.place)) as one:
            one.execute("delete from trials where number < 1000")
            one.commit()
            one.execute("vacuum")
    elif what == "another machine":
        other = rig.machine()
        assert other.keep.ensure(KEY)
        growing.machine, growing.place = other, other.outputs / "d" / FILE
    elif what == "restored":
        older = machine.keep.history(KEY)[1]
        assert machine.keep.restore(KEY, generation=older.generation)
    else:
        place = next(p for p in rig.payloads() if p.name in growing.newest() and p.suffix == ".pieces")
        place.write_bytes(bytes(place.stat().st_size))
        shutil.rmtree(machine.outputs)
        assert machine.keeper().ensure(KEY)  # the one before it: this one is damaged
        growing.machine.keep = machine.keeper()
    assert growing.back_up() == growing.place.stat().st_size
    assert growing.fresh() == growing.held[-1]


def test_pruning_keeps_what_pieces_refer_to_and_nothing_else(growing: Growing) -> None:
    for _ in range(30):
        growing.back_up()
        keeper = growing.machine.keeper()
        keeper.prune(orphans=True)
        named = {p for g in keeper.history(KEY) for p in payloads_of(growing, g.generation)}
        assert {p.name for p in growing.rig.payloads()} == named
        assert keeper.verify() == []
    assert len(growing.rig.manifests()) < 10
    growing.place.unlink()
    growing.machine.write(f"{KEY}/x", "x")
    for number in range(6):
        growing.machine.write(f"{KEY}/x", str(number))
        assert growing.machine.keeper().backup(KEY)
        growing.machine.keeper().prune()
    assert [p for p in growing.rig.payloads() if p.name.startswith("study")] == []


def payloads_of(growing: Growing, generation: str) -> set[str]:
    keep = growing.machine.keep
    assert keep.store is not None
    view = keep.store.relist()
    name = next(n for n in view.names if n.commit.id == generation)
    manifest = keep.store.examine(name).manifest
    assert manifest is not None
    return {p.rpartition("/")[2] for p in manifest.payloads()}


def test_the_rescue_script_puts_it_together_without_us(growing: Growing) -> None:
    growing.back_up(7)
    tree, told = rescue(growing.rig)
    assert "passed over" not in told
    assert tree[f"{KEY}/{FILE}"]
    assert rows(growing.rig.folder / "rescued" / KEY / FILE) == growing.held[-1]


def test_a_database_that_is_an_artifact_of_its_own_is_sent_likewise(growing: Growing) -> None:
    key = f"{KEY}/{FILE}"
    for number in range(6):
        growing.grow()
        done = growing.machine.keep.backup(key)
        assert done
        assert (done.results[0].size < growing.place.stat().st_size / 10) is (number > 1)
    fresh = growing.rig.machine()
    assert fresh.keep.ensure(key).outcome is Outcome.RESTORED
    assert rows(fresh.outputs / "d" / FILE) == rows(growing.place)


def test_a_small_database_is_sent_whole(rig: Rig, machine: Machine) -> None:
    place = machine.write(f"{KEY}/{FILE}", b"")
    for number in range(5):
        with contextlib.closing(sqlite3.connect(place)) as one:
            one.execute("create table if not exists trials (number integer primary key, value text)")
            one.execute("insert into trials values (?, 'x')", (number,))
            one.commit()
        assert machine.keep.backup(KEY).results[0].size == place.stat().st_size
    assert {p.suffix for p in rig.payloads()} == {".db"}


def test_where_what_was_sent_cannot_be_remembered_it_is_backed_up_all_the_same(growing: Growing) -> None:
    growing.back_up(2)
    folder = growing.machine.root / ".holdfast/pages"
    shutil.rmtree(folder)
    folder.write_bytes(b"in the way")
    size = growing.back_up()
    assert size > growing.place.stat().st_size // 2, "sent whole"
    assert growing.fresh() == growing.held[-1]


def test_a_second_store_is_sent_what_changed_as_the_first_is(growing: Growing, tmp_path: Path) -> None:
    growing.back_up(5)
    other = Machine(growing.machine.root, tmp_path / "other")
    other.drive.mkdir()
    growing.machine = other
    sizes = [growing.back_up() for _ in range(4)]
    assert max(sizes[2:]) < growing.place.stat().st_size / 4


def test_what_is_remembered_of_databases_that_are_gone_does_not_pile_up(growing: Growing) -> None:
    growing.back_up(3)
    (folder,) = (growing.machine.root / ".holdfast/pages").iterdir()
    (folder / "half-written.new").write_bytes(b"x")
    for number in range(70):
        (folder / f"{number:032x}@000001-aaaaaaaa.pages").write_bytes(b"")
        os.utime(folder / f"{number:032x}@000001-aaaaaaaa.pages", (number, number))
    assert growing.back_up() < growing.place.stat().st_size / 4
    assert 60 < len(list(folder.iterdir())) <= 64
    assert not (folder / "half-written.new").exists()


def test_on_a_disk_that_clones_what_changed_is_sent_and_not_a_clone_of_all(
    tmp_path: Path, seeded: Callable[[int], random.Random]
) -> None:
    with mounted("btrfs", tmp_path) as point:
        rig = Rig(point or tmp_path)
        one = Growing(rig, rig.machine(), seeded(5))
        with contextlib.closing(sqlite3.connect(one.place)) as made:
            made.executemany("insert into trials (value) values (?)", [(text(n) * 20,) for n in range(2000)])
            made.commit()
        one.back_up()
        size = one.place.stat().st_size
        assert size > 2 * CHUNK_BYTES, "large enough to be cloned"
        assert one.back_up(3) < size / 4
        assert one.fresh() == one.held[-1]
        assert one.machine.keep.verify() == []
