"""Side files of SQLite are known by what they hold: what only has the name of one is the user's, and comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from holdfast.store.live.side_files import is_side_file, side_files, strangers
from holdfast.store.live.sqlite import Health, judge
from tests.support import Machine, Rig, make_database, rows_in

JOURNAL = bytes.fromhex("d9d505f920a163d7")
LOGS = (bytes.fromhex("377f0682"), bytes.fromhex("377f0683"))
NOTES = b"notes of a month\n" * 50


def database(place: Path, mode: str = "delete") -> None:
    make_database(place)
    with closing(sqlite3.connect(place)) as connection:
        connection.execute(f"pragma journal_mode={mode}")


def empty(place: Path) -> None:
    place.touch()


def log_mode(place: Path) -> None:
    database(place, "wal")


#: What X is, its name, the suffix, what the file beside it holds, and whether that is SQLite's.
TABLE: tuple[tuple[Callable[[Path], None] | None, str, str, bytes, bool], ...] = (
    (empty, "lab", "-journal", NOTES, False),
    (empty, "my", "-wal", b"\0" * 2_000_000, False),
    (empty, ".done", "-journal", b"", False),
    (empty, ".done", "-shm", bytes(32768), False),
    (empty, "study.db", "-journal", NOTES, False),
    (empty, "study.db", "-journal", b"", True),
    (empty, "study.db", "-journal", JOURNAL + bytes(504), True),
    (empty, "plain", "-journal", JOURNAL + bytes(504), True),
    (empty, "plain", "-wal", LOGS[0] + bytes(28), True),
    (database, "study.db", "-journal", NOTES, False),
    (database, "study.db", "-wal", NOTES, False),
    (database, "study.db", "-shm", NOTES, False),
    (database, "study.db", "-shm", bytes(32768), False),
    (database, "cache", "-journal", b"", True),
    (database, "cache", "-journal", bytes(28) + b"what was behind the header", True),
    (database, "cache", "-journal", bytes(12) + b"\x01the header before its first sync", True),
    (database, "cache", "-journal", JOURNAL + bytes(504), True),
    (database, "cache", "-wal", b"", True),
    (database, "cache", "-wal", LOGS[1] + bytes(28), True),
    (log_mode, "study.db", "-shm", bytes(32768), True),
    (log_mode, "study.db", "-shm", b"", True),
    (log_mode, "study.db", "-shm", NOTES, False),
    (log_mode, "study.db", "-journal", NOTES, False),
    (None, "study.db", "-wal", LOGS[0] + bytes(28), False),
    (None, "study.db", "-journal", NOTES, False),
    (Path.mkdir, "study.db", "-journal", JOURNAL, False),
    (lambda p: p.symlink_to("elsewhere"), "study.db", "-journal", JOURNAL, False),
    (lambda p: p.write_bytes(b"text"), "lab", "-journal", JOURNAL, False),
)


@pytest.mark.parametrize(("make", "name", "suffix", "content", "own"), TABLE)
def test_a_side_file_is_one_by_its_first_bytes_beside_what_is_a_database_or_may_become_one(
    tmp_path: Path, make: Callable[[Path], None] | None, name: str, suffix: str, content: bytes, own: bool
) -> None:
    if make is not None:
        make(tmp_path / name)
    beside = tmp_path / (name + suffix)
    beside.write_bytes(content)
    assert is_side_file(beside) is own


def test_the_files_of_live_and_killed_connections_are_side_files(tmp_path: Path) -> None:
    for mode in ("wal", "delete", "truncate", "persist"):
        place = tmp_path / f"{mode}.db"
        make_database(place)
        live = sqlite3.connect(place, isolation_level=None)
        live.execute(f"pragma journal_mode={mode}")
        live.execute("insert into trials values (100, 1)")
        beside = {p for p in tmp_path.iterdir() if p.name.startswith(f"{mode}.db-")}
        live.execute("pragma cache_size=1")
        live.execute("begin immediate")
        live.execute("insert into trials select number + 1000, value from trials")
        beside |= {p for p in tmp_path.iterdir() if p.name.startswith(f"{mode}.db-")}
        assert len(beside) == (2 if mode == "wal" else 1)
        assert all(is_side_file(p) for p in beside)
        assert set(side_files(place)) == beside
        assert strangers(place) == []
        live.close()


@contextmanager
def kept(rig: Rig) -> Iterator[Machine]:
    """A machine to fill; at the end it is backed up, and what comes back on a fresh one is what was there."""
    machine = rig.machine()
    machine.outputs.mkdir(parents=True, exist_ok=True)
    yield machine
    before = machine.tree()
    done = machine.keep.backup("outputs/run")
    assert done, done.results[0].problem()
    assert machine.tree() == before
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.tree() == before


@pytest.mark.parametrize("name", ["lab-journal", "my-wal", ".done-journal", "lab-shm"])
def test_notes_beside_an_empty_file_come_back(rig: Rig, name: str) -> None:
    with kept(rig) as machine:
        machine.write(f"outputs/run/{name.rpartition('-')[0]}", b"")
        machine.write(f"outputs/run/{name}", NOTES)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_notes_beside_a_database_come_back_and_sqlite_is_kept_from_deleting_them(rig: Rig, mode: str, suffix: str) -> None:
    with kept(rig) as machine:
        (machine.outputs / "run").mkdir()
        database(machine.outputs / "run/study.db", mode)
        machine.write(f"outputs/run/study.db{suffix}", NOTES)
        assert judge(machine.outputs / "run/study.db") is Health.SOUND
    assert machine.keep.backup("outputs/run").results[0].unchanged
    assert machine.keep.status()[0].here == "yes"
    (machine.outputs / f"run/study.db{suffix}").unlink()
    assert rows_in(machine.outputs / "run/study.db") == 10


def test_a_database_in_use_beside_notes_of_that_name_is_refused_by_name(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "run/study.db")
    with closing(sqlite3.connect(machine.outputs / "run/study.db", isolation_level=None)) as live:
        live.execute("pragma journal_mode=wal")
        live.execute("insert into trials values (100, 1)")
        machine.write("outputs/run/study.db-journal", NOTES)
        done = machine.keep.backup("outputs/run")
        assert not done
        assert "study.db-journal beside it is no file of SQLite's" in done.results[0].problem()
        assert machine.read("outputs/run/study.db-journal") == NOTES


def test_what_outlived_its_database_is_kept(rig: Rig) -> None:
    with kept(rig) as machine:
        machine.write("outputs/run/study.db-wal", LOGS[0] + bytes(5000))
        machine.write("outputs/run/study.db-journal", NOTES)


def test_an_explicit_restore_of_a_plain_file_leaves_the_notes_beside_it(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/lab", b"first")
    machine.write("outputs/lab-journal", NOTES)
    assert machine.keep.backup("outputs/lab")
    machine.write("outputs/lab", b"second")
    assert machine.keep.restore("outputs/lab")
    assert machine.tree() == {"lab": b"first", "lab-journal": NOTES}
