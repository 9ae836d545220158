"""A name alone makes no database: what is there is taken as what it is, and a good one is never replaced by an empty one."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.session.background.machine import Background
from tests.session.conftest import background
from tests.support import Machine, Rig, make_database, rows_in

__all__ = ["background"]

DUCKDB = bytes(8) + b"DUCK" + bytes(4084)
#: What has a database's name and is none.
OTHERS: dict[str, bytes] = {
    "DuckDB": DUCKDB,
    "random": random.Random(3).randbytes(5000),
    "text": b"key = value\n" * 100,
    "one byte": b"x",
    "zeros": bytes(4096),
}


def connected(place: Path) -> None:
    """A connection before its first commit."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("begin")
        connection.execute("select 1").fetchall()
    place.touch()


EMPTY: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("study.db", Path.touch),
    ("study.sqlite3", connected),
    ("sub/Cache.DB", Path.touch),
    ("no-suffix", Path.touch),
)


@pytest.mark.parametrize(("name", "make"), EMPTY)
@pytest.mark.parametrize("asked", ["outputs/run", "outputs/run/{name}"])
def test_a_database_before_its_first_commit_is_kept_as_the_empty_file_that_it_is(
    rig: Rig, name: str, make: Callable[[Path], None], asked: str
) -> None:
    machine, path = rig.machine(), asked.format(name=name)
    machine.write("outputs/run/config.json", "{}")
    place = machine.outputs / "run" / name
    place.parent.mkdir(exist_ok=True)
    make(place)
    for _ in range(2):
        done = machine.keep.backup(path)
        assert done, done.results[0].problem()
        assert not done.results[0].refused
    fresh = rig.machine()
    assert fresh.keep.ensure(path).outcome is Outcome.RESTORED
    assert fresh.read(f"outputs/run/{name}") == b""
    assert fresh.keeper().ensure(path).outcome is Outcome.LOCAL
    make_database(place)
    assert machine.keep.backup(path)
    other = rig.machine()
    assert other.keep.ensure(path).outcome is Outcome.RESTORED
    assert rows_in(other.outputs / "run" / name) == 10


@pytest.mark.parametrize("asked", ["outputs/run", "outputs/run/study.db"])
def test_where_a_database_was_an_empty_file_is_refused(rig: Rig, asked: str) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "run/study.db")
    assert machine.keep.backup(asked)
    machine.write("outputs/run/study.db", b"")
    done = machine.keep.backup(asked)
    assert not done
    assert "the last good version is kept" in done.results[0].problem()
    fresh = rig.machine()
    assert fresh.keep.ensure(asked).outcome is Outcome.RESTORED
    assert rows_in(fresh.outputs / "run/study.db") == 10


@pytest.mark.parametrize("asked", ["outputs/run", "outputs/run/study.db"])
def test_where_a_database_may_have_been_an_empty_file_is_refused_and_ensure_brings_it(rig: Rig, asked: str) -> None:
    """The memory of the workspace is gone, and something made the database anew before anybody asked for it."""
    machine = rig.machine()
    make_database(machine.outputs / "run/study.db")
    assert machine.keep.backup(asked)
    for other in (machine, rig.machine()):
        shutil.rmtree(other.root / ".holdfast", ignore_errors=True)
        other.write("outputs/run/study.db", b"")
        done = other.keeper().backup(asked)
        assert not done
        assert "the store may hold a database there" in done.results[0].problem()
        assert other.keeper().ensure(asked).outcome is Outcome.RESTORED
        assert rows_in(other.outputs / "run/study.db") == 10


def test_in_the_background_an_empty_file_does_not_replace_a_database_either(rig: Rig, background: Background) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "run/study.db")
    machine.write("outputs/run/config.json", "{}")
    assert machine.keep.backup("outputs/run")
    background.machine.write("outputs/run/study.db", b"")
    background.keeper.backup("outputs/run", wait=30)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert rows_in(fresh.outputs / "run/study.db") == 10


def test_a_first_transaction_that_is_not_finished_is_said(rig: Rig) -> None:
    machine = rig.machine()
    place = machine.outputs / "study.db"
    place.parent.mkdir()
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("begin")
        connection.execute("create table trials (number integer)")
        assert place.with_name("study.db-journal").exists()
        done = machine.keep.backup("outputs/study.db")
        assert not done
        assert "no transaction of it is finished yet" in done.results[0].problem()
        connection.execute("commit")
        assert machine.keep.backup("outputs/study.db")


def away(machine: Machine) -> Machine:
    """The same machine without its drive."""
    shutil.move(machine.drive, machine.drive.with_name("taken"))
    return machine


@pytest.mark.parametrize("backed_up", [True, False])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_here_counts_as_here_whatever_its_name_promises(rig: Rig, kind: str, backed_up: bool) -> None:
    machine = rig.machine()
    machine.write("outputs/run/x.db", OTHERS[kind])
    if backed_up:
        assert machine.keep.backup("outputs/run")
    keeper = away(machine).keeper()
    assert keeper.ensure("outputs/run/x.db").outcome is Outcome.LOCAL
    assert keeper.require("outputs/run/x.db") == machine.outputs / "run/x.db"
    assert machine.read("outputs/run/x.db") == OTHERS[kind]


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, "cut"])
def test_what_was_a_database_and_is_broken_is_not_here(rig: Rig, content: bytes | str) -> None:
    machine = rig.machine()
    place = machine.outputs / "run/study.db"
    make_database(place, rows=1000)
    assert machine.keep.backup("outputs/run")
    place.write_bytes(place.read_bytes()[:5000] if isinstance(content, str) else content)
    assert away(machine).keeper().ensure("outputs/run/study.db").outcome is Outcome.FAILED
    machine.drive.with_name("taken").rename(machine.drive)
    assert machine.keeper().ensure("outputs/run/study.db").outcome is Outcome.RESTORED
    assert rows_in(place) == 1000


def test_an_empty_file_under_a_databases_name_is_asked_for(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/run/study.db", b"")
    assert away(machine).keeper().ensure("outputs/run/study.db").outcome is Outcome.FAILED
    assert machine.keeper().ensure("outputs/run/study.db").outcome is Outcome.FAILED
