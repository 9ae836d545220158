"""SQLite: snapshots of a live database, and local databases that are broken, locked or stale."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from holdfast.errors import Refused
from holdfast.store.live.pinned import copy_raw, hash_raw, is_database
from holdfast.store.live.sqlite import Health, judge, snapshot
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig, make_database, rows_in

SNAPSHOTS = 250
#: Begins as a write-ahead log does, and goes on as none.
STALE_WAL = bytes.fromhex("377f0682") + b"stale wal"

#: Another process that begins to write, if it may.
BEGIN = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None); c.execute('begin immediate')"

#: Moves money between two accounts for ever: the sum is the invariant that a torn copy breaks.
WRITER = """
import random, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("pragma synchronous=off")
rng = random.Random(1)
print("ready", flush=True)
while True:
    connection.execute("begin immediate")
    amount = rng.randrange(100)
    a, b = rng.sample(range(200), 2)
    for account, change in ((a, -amount), (b, amount)):
        note = rng.randbytes(rng.randrange(4000))
        connection.execute("update account set money = money + ?, note = ? where id = ?", (change, note, account))
    connection.execute("insert into log values (?, ?)", (a, b))
    connection.execute("commit")
"""


@contextmanager
def busy_writer(database: Path, mode: str, bulk: int = 0) -> Iterator[None]:
    connection = sqlite3.connect(database)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("create table account (id integer primary key, money integer, note blob)")
    connection.execute("create table log (a integer, b integer)")
    connection.execute("create table bulk (content blob)")
    connection.execute("insert into bulk values (zeroblob(?))", (bulk,))
    connection.executemany("insert into account values (?, 1000, null)", [(i,) for i in range(200)])
    connection.commit()
    connection.close()
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        assert process.poll() is None, "the writer was not disturbed"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_every_snapshot_under_a_busy_writer_holds_the_invariant(tmp_path: Path, mode: str) -> None:
    database = tmp_path / "bank.db"
    logs = set()
    with busy_writer(database, mode):
        for number in range(SNAPSHOTS):
            copy = tmp_path / f"copy-{number}.db"
            snapshot(database, copy)
            connection = sqlite3.connect(copy)
            assert connection.execute("select sum(money), count(*) from account").fetchone() == (200_000, 200)
            assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
            assert connection.execute("pragma journal_mode").fetchone() == ("delete",)
            logs.add(connection.execute("select count(*) from log").fetchone()[0])
            connection.close()
            assert [p.name for p in tmp_path.glob(f"copy-{number}.db*")] == [copy.name], "no side file travels"
            copy.unlink()
    assert len(logs) > 10, "the writer was busy"


def test_two_snapshots_of_one_state_are_equal_and_so_is_one_of_a_restored_copy(tmp_path: Path) -> None:
    for mode in ("delete", "wal"):
        database = tmp_path / f"{mode}.db"
        make_database(database)
        live = sqlite3.connect(database)
        live.execute(f"pragma journal_mode={mode}")
        live.execute("insert into trials values (1000, 1)")
        live.commit()
        first, second, third = (tmp_path / f"{mode}-{n}" for n in range(3))
        snapshot(database, first)
        snapshot(database, second)
        snapshot(first, third)
        assert first.read_bytes() == second.read_bytes() == third.read_bytes()
        live.close()


def test_a_snapshot_of_a_resting_database_is_the_file_byte_for_byte(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    for rows in (1, 50, 3000):
        make_database(database, rows)
        snapshot(database, tmp_path / f"copy-{rows}")
        assert (tmp_path / f"copy-{rows}").read_bytes() == database.read_bytes()


def test_a_snapshot_costs_no_other_connection_of_this_process_its_lock(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops this process's POSIX locks on it; another process would then write into our
    transaction."""
    database = tmp_path / "study.db"
    make_database(database)
    ours = sqlite3.connect(database, isolation_level=None)
    ours.execute("begin immediate")
    ours.execute("insert into trials values (100, 1)")
    snapshot(database, tmp_path / "copy.db")
    assert is_database(database)
    assert judge(database) is Health.BUSY
    hash_raw(database)
    copy_raw(database, tmp_path / "raw.db")
    done = subprocess.run([sys.executable, "-c", BEGIN, str(database)], check=False, capture_output=True, text=True)
    assert "database is locked" in done.stderr
    ours.execute("commit")
    ours.close()
    assert rows_in(database) == 11
    assert rows_in(tmp_path / "copy.db") == 10
    assert rows_in(tmp_path / "raw.db") == 10


def test_a_copy_past_sqlite_waits_for_nobody_who_is_writing_and_takes_no_lock_away(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    make_database(database)
    ours = sqlite3.connect(database, isolation_level=None)
    ours.execute("begin exclusive")
    with pytest.raises(BlockingIOError):
        copy_raw(database, tmp_path / "raw.db")
    done = subprocess.run([sys.executable, "-c", BEGIN, str(database)], check=False, capture_output=True, text=True)
    assert "database is locked" in done.stderr
    ours.execute("rollback")
    copy_raw(database, tmp_path / "raw.db")
    ours.close()
    assert (tmp_path / "raw.db").read_bytes() == database.read_bytes()


def test_backing_up_an_unchanged_live_database_writes_nothing(machine: Machine) -> None:
    make_database(machine.outputs / "study.db")
    live = sqlite3.connect(machine.outputs / "study.db")
    live.execute("pragma journal_mode=wal")
    live.execute("insert into trials values (100, 1)")
    live.commit()
    assert not machine.keep.backup("outputs/study.db").results[0].unchanged
    assert machine.keep.backup("outputs/study.db").results[0].unchanged
    assert machine.keeper().backup("outputs/study.db").results[0].unchanged
    live.close()


@pytest.fixture
def backed_up(rig: Rig) -> Machine:
    machine = rig.machine()
    make_database(machine.outputs / "hpo/study.db", rows=20)
    machine.write("outputs/hpo/trial_0/metrics.json", "{}")
    assert machine.keep.backup("outputs/hpo")
    return machine


def spoil(kind: str, database: Path) -> None:
    content = database.read_bytes()
    database.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x00garbage" * 3000}[kind])


@pytest.mark.parametrize("kind", ["empty", "truncated", "garbage"])
@pytest.mark.parametrize("asked", ["outputs/hpo/study.db", "outputs/hpo"])
def test_a_broken_local_database_is_set_aside_and_restored(backed_up: Machine, kind: str, asked: str) -> None:
    database = backed_up.outputs / "hpo/study.db"
    spoil(kind, database)
    broken = database.read_bytes()
    assert backed_up.keeper().ensure(asked).outcome is Outcome.RESTORED
    assert rows_in(database) == 20
    (aside,) = (backed_up.root / "holdfast-aside").rglob("study.db")
    assert aside.read_bytes() == broken


def test_garbage_with_side_files_is_set_aside_together_with_them(backed_up: Machine) -> None:
    database = backed_up.outputs / "hpo/study.db"
    spoil("garbage", database)
    wal = database.with_name("study.db-wal")
    wal.write_bytes(STALE_WAL)
    assert backed_up.keeper().ensure("outputs/hpo/study.db").outcome is Outcome.RESTORED
    assert rows_in(database) == 20
    assert not wal.exists()
    assert [p.read_bytes() for p in (backed_up.root / "holdfast-aside").rglob("study.db-wal")] == [STALE_WAL]


def test_a_stale_wal_beside_a_missing_database_is_never_replayed(rig: Rig) -> None:
    """The WAL is a real one, of the same database in a later state: SQLite would replay it if it were left there."""
    machine = rig.machine()
    database = machine.outputs / "study.db"
    make_database(database, rows=20)
    connection = sqlite3.connect(database)
    connection.execute("pragma journal_mode=wal")
    connection.close()
    assert machine.keep.backup("outputs/study.db")
    live = sqlite3.connect(database)
    live.execute("delete from trials")
    live.commit()
    wal = database.with_name("study.db-wal").read_bytes()
    assert wal
    live.close()

    for asked in ("ensure", "restore"):
        fresh = rig.machine()
        stale = fresh.write("outputs/study.db-wal", wal)
        keeper = fresh.keep
        assert (keeper.ensure if asked == "ensure" else keeper.restore)("outputs/study.db").outcome is Outcome.RESTORED
        assert not stale.exists()
        assert rows_in(fresh.outputs / "study.db") == 20


def test_a_locked_database_is_left_alone(backed_up: Machine) -> None:
    database = backed_up.outputs / "hpo/study.db"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("begin exclusive")
    connection.execute("insert into trials values (99, 1)")
    before = {p.name for p in database.parent.iterdir()}
    assert backed_up.keeper().ensure("outputs/hpo/study.db").outcome is Outcome.LOCAL
    assert backed_up.keeper().ensure("outputs/hpo").outcome is Outcome.LOCAL
    assert {p.name for p in database.parent.iterdir()} == before
    connection.execute("commit")
    connection.close()
    assert rows_in(database) == 21


def test_looking_at_a_database_changes_not_a_byte(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    make_database(database)
    live = sqlite3.connect(database)
    live.execute("pragma journal_mode=wal")
    live.execute("insert into trials values (100, 1)")
    live.commit()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert judge(database) is Health.BUSY
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    live.close()
    assert judge(database) is Health.SOUND


def test_a_database_that_broke_here_never_replaces_the_good_one(backed_up: Machine, rig: Rig) -> None:
    database = backed_up.outputs / "hpo/study.db"
    for kind in ("empty", "truncated", "garbage"):
        make_database(backed_up.outputs / "fresh.db", rows=20)
        database.write_bytes((backed_up.outputs / "fresh.db").read_bytes())
        spoil(kind, database)
        backed_up.write("outputs/hpo/trial_1/metrics.json", kind)
        done = backed_up.keeper().backup("outputs/hpo")
        assert not done
        assert "study.db" in done.results[0].problem()
        fresh = rig.machine()
        assert fresh.keep.ensure("outputs/hpo")
        assert rows_in(fresh.outputs / "hpo/study.db") == 20
        assert fresh.read("outputs/hpo/trial_1/metrics.json") == kind.encode()


class Ticks:
    """A clock that goes forward by as much as it is asked, and counts how often that is."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.asked = seconds, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.asked * self.seconds


def test_a_database_locked_for_long_is_refused_by_name_and_is_waited_for_less_the_next_time(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    make_database(database)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("begin exclusive")
    connection.execute("insert into trials values (99, 1)")

    def waited(clock: Ticks) -> int:
        with pytest.raises(Refused, match=r"was locked for more than .* s; close the program that holds it"):
            snapshot(database, tmp_path / "copy.db", clock=clock)
        assert not (tmp_path / "copy.db").exists()
        return clock.asked

    first, second, third = (waited(Ticks(0.05)) for _ in range(3))
    assert 90 < first < 120
    assert second == third < 15
    connection.execute("rollback")
    snapshot(database, tmp_path / "copy.db")
    (tmp_path / "copy.db").unlink()
    connection.execute("begin exclusive")
    assert waited(Ticks(0.05)) == first, "it was taken meanwhile"
    connection.close()


def test_a_copy_that_takes_too_long_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    make_database(database)
    with pytest.raises(Refused, match=r"took longer than 60 s; back up again .*study\.db"):
        snapshot(database, tmp_path / "copy.db", clock=Ticks(100))
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_copy_in_many_steps_is_one_state(tmp_path: Path, mode: str) -> None:
    database = tmp_path / "bank.db"
    with busy_writer(database, mode, bulk=9_000_000):
        for number in range(20):
            copy = tmp_path / f"copy-{number}.db"
            steps = Ticks(0)
            snapshot(database, copy, clock=steps)
            assert steps.asked > 4
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("select sum(money), count(*) from account").fetchone() == (200_000, 200)
                assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
            copy.unlink()


def test_hundreds_of_backups_under_a_busy_writer_restore_to_sound_states(rig: Rig, seeded: Callable[[int], random.Random]) -> None:
    machine = rig.machine()
    database = machine.outputs / "bank.db"
    machine.outputs.mkdir(parents=True)
    with busy_writer(database, "wal"):
        for _ in range(20):
            assert machine.keep.backup("outputs/bank.db")
            fresh = rig.machine()
            assert fresh.keep.ensure("outputs/bank.db").outcome is Outcome.RESTORED
            connection = sqlite3.connect(fresh.outputs / "bank.db")
            assert connection.execute("select sum(money) from account").fetchone() == (200_000,)
            connection.close()
