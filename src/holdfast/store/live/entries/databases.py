"""Entries of the table of kinds: databases, and the files that lie beside them."""

from __future__ import annotations

from holdfast.store.live.kind import FileKind, Treatment

_DATABASES = "Databases"

SQLITE = FileKind(
    "SQLite",
    _DATABASES,
    "sqlite3, Optuna's RDBStorage, MLflow, Trackio, Chroma",
    "`SQLite format 3` at the start",
    Treatment.LIBRARY,
    locked=True,
    worth="opens, passes its own check, and may hold parts of two states",
    whole="SQLite's own backup could read it; at rest also: it is as long as its header says",
    advice="nothing; end a transaction that stays open for minutes",
)
SQLITE_LOG = FileKind(
    "SQLite's log or journal",
    _DATABASES,
    "SQLite, beside its database",
    "`-wal`, `-journal` and their marks",
    Treatment.LIBRARY,
    worth="is worth nothing without the database of the same moment",
    whole="what it holds is in the copy of its database",
    advice="nothing: it is part of the database",
)
SQLITE_MEMORY = FileKind(
    "SQLite's shared memory",
    _DATABASES,
    "SQLite in WAL mode, beside its database",
    "`-shm` and its mark",
    Treatment.LIBRARY,
    locked=True,
    worth="is worth nothing: SQLite makes it anew",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)
LMDB = FileKind(
    "LMDB",
    _DATABASES,
    "lmdb, data sets of Caffe and Lightning",
    "the mark `de c0 ef be` in its first page",
    Treatment.LIBRARY,
    worth="opens, and of a large one holds parts of two states",
    whole="the library `lmdb` is installed to copy it, or no program has it open",
    advice="`pip install lmdb`, or close the environment before the backup",
)
LMDB_LOCK = FileKind(
    "LMDB's lock",
    _DATABASES,
    "lmdb, beside `data.mdb`",
    "the same mark at the start",
    Treatment.LIBRARY,
    locked=True,
    worth="is worth nothing: LMDB makes it anew",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)
DUCKDB = FileKind(
    "DuckDB",
    _DATABASES,
    "duckdb",
    "`DUCK` at byte 8",
    Treatment.WITH_LOG,
    locked=True,
    worth="without its `.wal` opens without an error and lacks what was committed last",
    whole="neither it nor its `.wal` moved while both were copied, and its blocks are there",
    advice="`CHECKPOINT` and close the connection before the last backup",
    never_empty=(".duckdb",),
)
DUCKDB_LOG = FileKind(
    "DuckDB's log",
    _DATABASES,
    "duckdb, beside its database",
    "`.wal` and its first entry",
    Treatment.WITH_LOG,
    worth="is worth nothing without the database that it belongs to",
    whole="it was copied with its database",
    advice="nothing: it is part of the database",
)
LEVEL = FileKind(
    "LevelDB or RocksDB",
    _DATABASES,
    "plyvel, rocksdict",
    "`CURRENT`, and `.ldb` or `.sst` with a number as name",
    Treatment.REST,
    in_place=False,
    worth="may lack files that the newest list of files names, and then does not open",
    whole="no file of the folder came or went while it was copied",
    advice="close the database before the last backup",
)
LEVEL_LOG = FileKind(
    "LevelDB's or RocksDB's log",
    _DATABASES,
    "plyvel, rocksdict",
    "`MANIFEST-n` or `n.log`, and a whole record's head",
    Treatment.PREFIX,
    worth="is good to its last whole record",
    whole="always; a cut record at the end is passed over",
    advice="close the database before the last backup",
)
LEVEL_LOCK = FileKind(
    "LevelDB's or RocksDB's lock",
    _DATABASES,
    "plyvel, rocksdict",
    "the name `LOCK`, and 0 bytes",
    Treatment.REST,
    locked=True,
    worth="is worth nothing: it is empty",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)
