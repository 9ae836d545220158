"""Locks that a database keeps beside its data are in no generation, and not missed; a file that only has such a name is kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import h5py
import lmdb
import pytest

from holdfast.errors import Refused
from holdfast.store.live import libraries
from holdfast.store.live.entries.databases import LMDB
from tests.store.live.test_of_one_moment import DUCKDB
from tests.support import Rig

HANGS = """
import time
class Error(Exception): ...
def open(*args, **kwargs):
    time.sleep(60)
"""


def test_a_lock_is_no_part_of_a_backup_and_a_file_of_such_a_name_is(rig: Rig) -> None:
    machine = rig.machine()
    run = machine.outputs / "run"
    for folder in ("env", "level", "lite"):
        (run / folder).mkdir(parents=True)
    environments = [lmdb.open(str(run / "env")), lmdb.open(str(run / "one"), subdir=False)]
    connection = sqlite3.connect(run / "lite" / "x.db")
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table t (x)")
    for name, content in (("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", ""), ("LOCK", "")):
        machine.write(f"outputs/run/level/{name}", content)
    yours = {"notes-lock": "mine", "notes": "text", "LOCK": "", "lock.mdb": "mine", "deep/LOCK": "held by me", "deep/CURRENT": "3"}
    for name, content in yours.items():
        machine.write(f"outputs/run/{name}", content)
    backup = machine.keep.backup("outputs/run")
    assert backup
    (result,) = backup.results
    assert result.refused == {}
    assert result.manifest is not None
    assert result.manifest.files.keys() == {"env/data.mdb", "one", "lite/x.db", "level/CURRENT", "level/MANIFEST-000001", *yours}
    assert machine.keep.backup("outputs/run/level/LOCK").results[0].refused.keys() == {"level/LOCK"}
    for environment in environments:
        environment.close()
    connection.close()


def test_hdf5_is_named_while_a_program_has_it_open_and_whole_once_it_is_closed(rig: Rig) -> None:
    machine = rig.machine()
    (machine.outputs / "run").mkdir(parents=True)
    file = h5py.File(machine.outputs / "run" / "a.h5", "w")
    file["a"] = list(range(1000))
    file.flush()
    (first,) = machine.keep.backup("outputs/run").results
    file.close()
    (second,) = machine.keep.backup("outputs/run").results
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest.torn.keys() == {"a.h5"}
    assert second.manifest.torn == {}


def test_a_database_without_the_log_beside_it_is_named(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/x.duckdb", DUCKDB)
    machine.write("outputs/x.duckdb.wal", b"d\0b")
    (result,) = machine.keep.backup("outputs/x.duckdb").results
    assert result.manifest is not None
    assert "without its log" in result.manifest.torn[""]


def test_a_database_named_by_itself_takes_its_log_along_in_the_folder_that_holds_both(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/run/x.duckdb", DUCKDB)
    machine.write("outputs/run/x.duckdb.wal", b"d\0b")
    assert machine.keep.backup("outputs/run")
    machine.write("outputs/run/x.duckdb", DUCKDB + b"2")
    machine.write("outputs/run/x.duckdb.wal", b"d\0b2")
    assert machine.keep.backup("outputs/run/x.duckdb")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.tree() == machine.tree()


def test_a_library_that_hangs_costs_its_file_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hangs").mkdir()
    (tmp_path / "hangs" / "lmdb.py").write_text(HANGS)
    (tmp_path / "data.mdb").write_bytes(bytes(10))
    monkeypatch.syspath_prepend(tmp_path / "hangs")
    libraries._apart.cache_clear()  # a process that has loaded the real one
    try:
        with pytest.raises(Refused, match="LMDB did not answer within 1 s"):
            libraries.copy(LMDB, tmp_path / "data.mdb", tmp_path / "copy", seconds=1)
    finally:
        libraries._apart().close()
        libraries._apart.cache_clear()


@pytest.mark.parametrize("options", [{}, {"writemap": True, "map_async": True}, {"subdir": False}])
def test_an_environment_that_is_open_and_rests_is_safe_once_it_is_backed_up(rig: Rig, options: dict[str, bool]) -> None:
    machine = rig.machine()
    place = machine.outputs / "run" / "env"
    place.parent.mkdir(parents=True)
    with lmdb.open(str(place), map_size=64 << 20, **options) as environment:
        for number in range(3):
            with environment.begin(write=True) as transaction:
                for at in range(500):
                    transaction.put(b"%d" % (at * 7 % 500), b"%d" % number * 600)
        assert machine.keep.backup("outputs/run")
        assert machine.keep.status().safe
        assert machine.keep.backup("outputs/run").results[0].unchanged
        with environment.begin(write=True) as transaction:
            transaction.put(b"1", b"more")
        assert not machine.keep.status().safe
        assert machine.keep.backup("outputs/run")
        assert machine.keep.status().safe
