"""Files are recognised by their content, and nothing is taken for what it is not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from holdfast.store.live.kinds import KINDS, UNMARKED, Treatment, recognise
from tests.store.live.content import Held

BY_NAME = {kind.name: kind for kind in KINDS}

#: Kinds that the development environment cannot make; `real_kinds` makes them where their libraries are.
ELSEWHERE = {
    "Lance",
    "XGBoost, binary",
    "LightGBM",
    "Weights & Biases, offline",
    "LevelDB or RocksDB",
    "LevelDB's or RocksDB's log",
}
MADE_LIVE = {"SQLite's log or journal", "SQLite's shared memory", "DuckDB's log", "LevelDB's or RocksDB's lock"}


def test_each_real_file_is_of_its_kind_whatever_its_name(made: dict[str, tuple[str, Path]]) -> None:
    by_name_only = {"JSON", "zarr", "JSON lines", "log", "ONNX"}
    for name, (kind, path) in made.items():
        found = recognise(name, Held(path))
        assert found is BY_NAME[kind], name
        if kind not in by_name_only:
            assert recognise("a/b.bin", Held(path)) is found, name
    assert {kind for kind, _ in made.values()} == set(BY_NAME) - ELSEWHERE - MADE_LIVE


def test_side_files_of_live_databases_are_of_their_kinds(tmp_path: Path) -> None:
    import sqlite3

    import duckdb

    for mode in ("wal", "delete"):
        connection = sqlite3.connect(tmp_path / f"{mode}.db", isolation_level=None)
        connection.execute(f"pragma journal_mode = {mode}")
        connection.execute("create table t (a)")
        connection.execute("begin immediate")
        connection.execute("insert into t values (1)")
        if mode == "delete":
            connection.execute("pragma cache_spill = 1")
            connection.execute("pragma cache_size = 1")
            connection.executemany("insert into t values (?)", ((b"x" * 90,) for _ in range(5000)))
            assert recognise("delete.db-journal", Held(tmp_path / "delete.db-journal")) is BY_NAME["SQLite's log or journal"]
        else:
            connection.execute("commit")
            assert recognise("wal.db-wal", Held(tmp_path / "wal.db-wal")) is BY_NAME["SQLite's log or journal"]
            memory = recognise("wal.db-shm", Held(tmp_path / "wal.db-shm"))
            assert memory is BY_NAME["SQLite's shared memory"]
            assert (memory.locked, memory.data) == (True, False)
        connection.close()
    with duckdb.connect(str(tmp_path / "a.duckdb"), config={"threads": 1}) as database:
        database.execute("create table t as select 1 as a")
        assert recognise("a.duckdb.wal", Held(tmp_path / "a.duckdb.wal")) is BY_NAME["DuckDB's log"]
        assert recognise("a.duckdb", Held(tmp_path / "a.duckdb")) is BY_NAME["DuckDB"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", b"not a zip\n"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n"),
        ("genes.csv", b"PAR1 is a gene,F2R\n" * 300),
        ("ducks.txt", b"a whole DUCK\n" * 300),
        ("formula.txt", b"x^2 + y^2 = z^2\n"),
        ("notes.pdf", b"%PDF-like files are described here\n"),
        ("width.bin", struct.pack("<4i", 640, 480, 3, 0)),  # begins like a pickle of protocol 2
        ("counts.bin", np.arange(376, 900, dtype="<i4").tobytes()),  # begins like zlib
        ("trees.txt", b"tree\nversion of the forest\n"),
        ("zeros.pt", bytes(5000)),
        ("zeros.npz", bytes(100)),
        ("ones.bin", b"\xff" * 5000),
        ("half.bin", np.ones(1000, dtype="<f2").tobytes()),
        ("picture.bin", b"\xff\xd8\xff\x00" * 100),
        ("000123.log", b"a log of text\n" * 10),
        ("CURRENT", b"the current one\n"),
        ("settings.json", b'"a string"'),
        ("a.onnx", b"\x08\x00"),
        ("a.wal", b"a wall"),
        ("a.lance", b"a spear"),
        ("a.tar", b"x" * 257 + b"ustar" + b"y" * 600),
        ("events.out.tfevents.1.host", b"a note, no event"),
        ("", b"x"),
    ],
)
def test_what_has_no_mark_is_of_no_kind_or_of_one_that_is_never_torn(name: str, content: bytes) -> None:
    from holdfast.store.live.torn import torn

    found = recognise(name, Held(content))
    assert found is None or torn(found, Held(content)) == ""
    assert found is None or found.name in {"log", "pickle"}


def test_random_bytes_are_of_no_kind() -> None:
    random = np.random.default_rng(20261128)
    for _ in range(500):
        assert recognise("a.bin", Held(random.bytes(int(random.integers(1, 5000))))) is None


@pytest.mark.parametrize(
    "name", ["a.pt", "dir/B.PTH", "c.ckpt", "d.npz", "e.safetensors", "f.parquet", "g.h5", "h.onnx", "i.tar.gz", "j.json"]
)
def test_an_empty_file_is_of_the_kind_that_its_name_promises(name: str) -> None:
    found = recognise(name, Held(b""))
    assert found is not None
    assert found.never_empty


@pytest.mark.parametrize(
    "name", ["a.csv", "b.txt", "c.done", "d.db", "e.bin", "f", "g.yaml", "events.out.tfevents.1.host", ".json/x"]
)
def test_an_empty_file_with_another_name_is_of_no_kind(name: str) -> None:
    assert recognise(name, Held(b"")) is None


def test_a_kind_costs_one_small_read(made: dict[str, tuple[str, Path]]) -> None:
    for name, (_, path) in made.items():
        content = Held(path)
        recognise(name, content)
        assert content.reads == 1, name
        assert content.taken <= 4104, name
    other = Held(bytes(10_000))
    recognise("a.lance", other)
    assert (other.reads, other.taken) == (2, 4108)


def test_what_must_not_be_closed_in_its_owners_process_is_marked() -> None:
    locked = {kind.name for kind in KINDS if kind.locked}
    assert locked == {"SQLite", "SQLite's shared memory", "DuckDB", "LMDB's lock", "LevelDB's or RocksDB's lock"}
    lock = recognise("outputs/store/LOCK", Held(b""))
    assert lock is not None
    assert lock.locked


def test_the_table_has_one_entry_a_kind() -> None:
    names = [kind.name for kind in (*KINDS, *UNMARKED)]
    assert len(set(names)) == len(names)
    assert all(not kind.data or kind.treatment in Treatment for kind in KINDS)
