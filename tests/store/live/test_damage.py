"""A database is broken only where its pages are: what only its owner can evaluate is kept, and newer work is never moved aside."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.store.live.damage import damage
from holdfast.store.live.sqlite import Health, judge, passes_check
from holdfast.store.reporting.outcomes import Outcome
from tests.store.live.owners import OWNERS
from tests.support import Machine, Rig, make_database

OLD, NEW = 3, 40


def put(place: Path, made: Path) -> None:
    """A newer state of the same database, as its owner leaves it."""
    place.write_bytes(made.read_bytes())


@pytest.mark.parametrize("kind", OWNERS)
def test_a_sound_database_is_kept_whatever_only_its_owner_can_evaluate(rig: Rig, tmp_path: Path, kind: str) -> None:
    owner, machine = OWNERS[kind], rig.machine()
    place = machine.outputs / "run/owned.db"
    place.parent.mkdir(parents=True)
    mode = ("delete", "wal")[[*OWNERS].index(kind) % 2]
    extra = kind in ("NOT NULL that old rows break", "CHECK that old rows break")
    owner.make(place, OLD, mode)
    assert machine.keep.backup("outputs/run")
    owner.make(tmp_path / "newer.db", NEW, mode)
    put(place, tmp_path / "newer.db")
    newer = place.read_bytes()
    assert judge(place) is Health.SOUND
    assert passes_check(place)

    assert machine.keeper().ensure("outputs/run").outcome is Outcome.LOCAL
    assert machine.keeper().ensure("outputs/run/owned.db").outcome is Outcome.LOCAL
    assert place.read_bytes() == newer
    done = machine.keeper().backup("outputs/run")
    assert done, done.results[0].problem()
    assert not done.results[0].unchanged
    assert machine.keeper().backup("outputs/run").results[0].unchanged
    assert machine.keeper().ensure("outputs/run").outcome is Outcome.LOCAL
    assert place.read_bytes() == newer
    assert not (machine.root / "holdfast-aside").exists()

    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    back = fresh.outputs / "run/owned.db"
    assert sorted(p.name for p in back.parent.iterdir()) == ["owned.db"]
    assert judge(back) is Health.SOUND
    assert owner.rows(back) == NEW + extra


@pytest.mark.parametrize("kind", ["a table option of a newer SQLite", "collation in an index"])
def test_a_live_one_is_copied_with_its_log(rig: Rig, kind: str) -> None:
    owner, machine = OWNERS[kind], rig.machine()
    place = machine.outputs / "owned.db"
    place.parent.mkdir()
    live = owner.connect(place)
    live.execute("pragma journal_mode=wal")
    for statement in owner.schema:
        live.execute(statement)
    live.execute("begin")
    for number in range(NEW):
        live.execute("insert into t (x) values (?)", (f"row {number}",))
    live.execute("commit")
    if owner.after is not None:
        owner.after(live)
    assert place.with_name("owned.db-wal").stat().st_size > 0
    assert machine.keep.backup("outputs/owned.db")
    assert machine.keep.backup("outputs/owned.db").results[0].unchanged
    live.close()
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/owned.db").outcome is Outcome.RESTORED
    assert owner.rows(fresh.outputs / "owned.db") == NEW


@pytest.mark.parametrize("kind", ["collation in an index", "NOT NULL that old rows break", "a table option of a newer SQLite"])
@pytest.mark.parametrize("spoilt", ["page", "cut", "header", "magic"])
def test_pages_that_are_damaged_are_damage_whatever_else_there_is(rig: Rig, tmp_path: Path, kind: str, spoilt: str) -> None:
    owner, machine = OWNERS[kind], rig.machine()
    place = machine.outputs / "run/owned.db"
    place.parent.mkdir(parents=True)
    owner.make(place, NEW, "delete")
    assert machine.keep.backup("outputs/run")
    good = place.read_bytes()
    bad = {
        "page": good[:4096] + b"\xa5" * 4096 + good[8192:],
        "cut": good[: len(good) // 2],
        "header": good[:16] + b"\x13\x37" + good[18:],
        "magic": b"\0" * 16 + good[16:],
    }[spoilt]
    place.write_bytes(bad)
    assert judge(place) is Health.BROKEN
    assert not passes_check(place)
    done = machine.keeper().backup("outputs/run")
    assert not done
    assert "owned.db" in done.results[0].problem()
    assert machine.keeper().ensure("outputs/run").outcome is Outcome.RESTORED
    assert place.read_bytes() == good
    assert [p.read_bytes() for p in (machine.root / "holdfast-aside").rglob("owned.db")] == [bad]


def test_a_page_of_garbage_anywhere_is_proven(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    make_database(place, rows=2000)
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("create index i on trials(value)")
    good, rng = place.read_bytes(), random.Random(7)
    assert damage(place) == ""
    for page in range(len(good) // 4096):
        place.write_bytes(good[: page * 4096] + rng.randbytes(4096) + good[(page + 1) * 4096 :])
        assert damage(place), page


@pytest.mark.parametrize("kind", [k for k in OWNERS if "read version" not in k and "schema format" not in k])
def test_a_page_of_garbage_is_proven_whatever_only_the_owner_can_evaluate(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "owned.db"
    OWNERS[kind].make(place, NEW, "delete")
    good, rng = place.read_bytes(), random.Random(7)
    for page in range(1, len(good) // 4096):
        place.write_bytes(good[: page * 4096] + rng.randbytes(4096) + good[(page + 1) * 4096 :])
        assert damage(place), page


def test_asking_for_damage_changes_nothing(tmp_path: Path) -> None:
    for kind, owner in OWNERS.items():
        place = tmp_path / f"{kind}.db"
        owner.make(place, OLD, "delete")
        before = place.read_bytes()
        assert damage(place) == "", kind
        assert place.read_bytes() == before
    assert sorted(p.stem for p in tmp_path.iterdir()) == sorted(OWNERS)


def test_a_plain_copy_in_the_store_that_only_its_owner_can_use_is_taken(rig: Rig) -> None:
    OWNERS["collation in an index"].make(rig.folder / "owned.db", NEW, "delete")
    place = rig.store / "outputs/owned.db"
    machine: Machine = rig.machine()
    machine.write("outputs/other", "1")
    assert machine.keep.backup("outputs/other")
    place.write_bytes((rig.folder / "owned.db").read_bytes())
    assert machine.keeper().ensure("outputs/owned.db").outcome is Outcome.RESTORED
    assert OWNERS["collation in an index"].rows(machine.outputs / "owned.db") == NEW
