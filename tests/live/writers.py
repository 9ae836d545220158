"""Programs that write to a folder for ever, each in a process of its own, such that a mixture of two states shows.

Every state has a number, which stands in each part of it. `Beat.done` tells whoever watches which states are complete.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import signal
import sqlite3
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Size:
    """How much is written, and how fast.

    Args:
        numbers: Of 8 bytes, in an array.
        bulk: Bytes that a database or a log has from the beginning.
        pause: Seconds between two states. Not none: a log of a million records takes its judge minutes.
    """

    numbers: int
    bulk: int
    pause: float


SHORT = Size(256 << 10, 2 << 20, 0.02)
LONG = Size(1 << 20, 60 << 20, 0.001)


class Beat:
    """How far a program is: the state that is begun, and the last one that is complete. Shared through a file outside outputs."""

    def __init__(self, place: Path, *, make: bool = False) -> None:
        if make:
            place.write_bytes(bytes(16))
        with open(place, "r+b") as handle:
            self._memory = mmap.mmap(handle.fileno(), 16)

    def begin(self, number: int) -> None:
        self._memory[8:] = struct.pack("<Q", number)

    def done(self, number: int) -> None:
        self._memory[:8] = struct.pack("<Q", number)

    @property
    def begun(self) -> int:
        return int(struct.unpack("<Q", self._memory[8:])[0])

    @property
    def complete(self) -> int:
        return int(struct.unpack("<Q", self._memory[:8])[0])


#: Brings a folder to the state with this number.
Step = Callable[[int], None]
Program = Callable[[Path, Size], Step]

PROGRAMS: dict[str, Program] = {}
#: By program, the libraries that it needs beside numpy.
NEEDS: dict[str, tuple[str, ...]] = {}
#: No pause between its states: the library is slow enough, or the point is that it never rests.
NEVER_RESTS = {"log that never rests"}


def program(name: str, *needs: str) -> Callable[[Program], Program]:
    def register(function: Program) -> Program:
        PROGRAMS[name] = function
        NEEDS[name] = needs
        return function

    return register


def _full(size: Size, number: int) -> np.ndarray[Any, Any]:
    return np.full(size.numbers, number, "i8")


@program("numpy.memmap")
def _memmap(folder: Path, size: Size) -> Step:
    array = np.memmap(folder / "array.bin", "i8", "w+", shape=size.numbers)

    def step(number: int) -> None:
        for at in range(0, size.numbers, 1 << 16):
            array[at : at + (1 << 16)] = number
        if number % 4 == 0:
            array.flush()

    return step


@program("numpy.memmap, flushed and left for a while")
def _memmap_rests(folder: Path, size: Size) -> Step:
    inner = _memmap(folder, size)

    def step(number: int) -> None:
        inner(number)
        time.sleep(1)

    return step


def _lmdb(folder: Path, size: Size, **options: Any) -> Step:
    lmdb = import_module("lmdb")
    environment = lmdb.open(str(folder), map_size=4 * size.bulk + (64 << 20), **options)
    with environment.begin(write=True) as transaction:
        for at in range(size.bulk >> 12):
            transaction.put(b"bulk%08d" % at, bytes(4000))

    def step(number: int) -> None:
        with environment.begin(write=True) as transaction:
            for at in range(64):
                transaction.put(b"%02d" % at, b"%d" % number)
            transaction.put(b"bulk%08d" % (number * 7919 % max(size.bulk >> 12, 1)), number.to_bytes(8, "big") * 500)

    return step


@program("LMDB", "lmdb")
def _lmdb_default(folder: Path, size: Size) -> Step:
    return _lmdb(folder, size)


@program("LMDB, writemap and map_async", "lmdb")
def _lmdb_mapped(folder: Path, size: Size) -> Step:
    return _lmdb(folder, size, writemap=True, map_async=True)


@program("LMDB, one file", "lmdb")
def _lmdb_single(folder: Path, size: Size) -> Step:
    return _lmdb(folder / "index", size, subdir=False)


def _duckdb(folder: Path, *, checkpoint: int) -> Step:
    duckdb = import_module("duckdb")
    connection = duckdb.connect(str(folder / "run.duckdb"))
    connection.execute("create table state (part integer, number bigint)")
    connection.execute("insert into state select range, 0 from range(500)")
    connection.execute("create table log (number bigint)")

    def step(number: int) -> None:
        connection.execute("begin")
        connection.execute("update state set number = ?", [number])
        connection.execute("insert into log values (?)", [number])
        connection.execute("commit")
        if checkpoint and number % checkpoint == 0:
            connection.execute("checkpoint")

    return step


@program("DuckDB", "duckdb")
def _duckdb_plain(folder: Path, size: Size) -> Step:
    return _duckdb(folder, checkpoint=0)


@program("DuckDB, a checkpoint now and then", "duckdb")
def _duckdb_checkpoints(folder: Path, size: Size) -> Step:
    return _duckdb(folder, checkpoint=7)


def _h5py(folder: Path, size: Size, *, flush: bool, swmr: bool = False) -> Step:
    h5py = import_module("h5py")
    file = h5py.File(folder / "data.h5", "w", libver="latest" if swmr else None)
    data = file.create_dataset("data", data=_full(size, 0), chunks=(1 << 14,))
    log = file.create_dataset("log", shape=(0,), maxshape=(None,), dtype="i8", chunks=(1024,))
    if swmr:
        file.swmr_mode = True
    file.flush()

    def step(number: int) -> None:
        data[:] = number
        log.resize((number,))
        log[number - 1] = number
        if flush:
            file.flush()

    return step


@program("h5py, flushed", "h5py")
def _h5py_flush(folder: Path, size: Size) -> Step:
    return _h5py(folder, size, flush=True)


@program("h5py, SWMR", "h5py")
def _h5py_swmr(folder: Path, size: Size) -> Step:
    return _h5py(folder, size, flush=True, swmr=True)


@program("h5py, never flushed", "h5py")
def _h5py_no_flush(folder: Path, size: Size) -> Step:
    return _h5py(folder, size, flush=False)


def _zarr(folder: Path, size: Size, *, rests: float = 0.0) -> Step:
    zarr = import_module("zarr")
    group = zarr.open_group(folder / "data.zarr", mode="w")
    array = group.create_array("a", shape=size.numbers, chunks=size.numbers // 32, dtype="i8")

    def step(number: int) -> None:
        array[:] = number
        group.attrs["number"] = number
        time.sleep(rests)

    return step


@program("zarr 3", "zarr")
def _zarr_always(folder: Path, size: Size) -> Step:
    return _zarr(folder, size)


@program("zarr 3, with pauses", "zarr")
def _zarr_rests(folder: Path, size: Size) -> Step:
    return _zarr(folder, size, rests=0.4)


@program("TensorBoard, torch", "torch", "tensorboard")
def _torch_board(folder: Path, size: Size) -> Step:
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))

    def step(number: int) -> None:
        writer.add_scalar("number", number, number)
        writer.flush()

    return step


@program("TensorBoard, tensorboardX", "tensorboardX", "tensorboard")
def _tensorboardx(folder: Path, size: Size) -> Step:
    writer = import_module("tensorboardX").SummaryWriter(str(folder))

    def step(number: int) -> None:
        writer.add_scalar("number", number, number)
        writer.flush()

    return step


@program("wandb, offline", "wandb")
def _wandb(folder: Path, size: Size) -> Step:
    os.environ["WANDB_SILENT"] = "true"
    run = import_module("wandb").init(mode="offline", dir=str(folder), project="p")

    def step(number: int) -> None:
        run.log({"number": number, "pad": "x" * 200}, step=number)

    return step


@program("MLflow, default store", "mlflow")
def _mlflow(folder: Path, size: Size) -> Step:
    os.chdir(folder)
    mlflow = import_module("mlflow")
    run = mlflow.start_run()
    client = mlflow.MlflowClient()

    def step(number: int) -> None:
        client.log_metric(run.info.run_id, "number", number, step=number)

    return step


@program("Optuna, journal", "optuna")
def _optuna(folder: Path, size: Size) -> Step:
    optuna = import_module("optuna")
    journal = import_module("optuna.storages.journal")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / "journal.log")))
    study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler(seed=1))

    def step(number: int) -> None:
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, float(number))

    return step


def _sqlite(place: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=60, isolation_level=None)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("pragma synchronous=off")
    return connection


def _sqlite_step(connection: sqlite3.Connection) -> Step:
    def step(_: int) -> None:
        connection.execute("begin immediate")
        number = connection.execute("select max(number) from log").fetchone()[0] + 1
        for account, change in ((number * 7 % 200, 5), (number * 13 % 200, -5)):
            connection.execute(
                "update account set money = money + ?, note = ? where id = ?", (change, os.urandom(number % 3000), account)
            )
        connection.execute("insert into log values (?)", (number,))
        connection.execute("commit")

    return step


def _sqlite_tables(connection: sqlite3.Connection, size: Size) -> None:
    connection.execute("begin")
    connection.execute("create table account (id integer primary key, money integer, note blob)")
    connection.execute("create table log (number integer primary key)")
    connection.execute("create table bulk (content blob)")
    connection.execute("insert into bulk values (zeroblob(?))", (size.bulk,))
    connection.executemany("insert into account values (?, 1000, null)", [(i,) for i in range(200)])
    connection.execute("insert into log values (0)")
    connection.execute("commit")


@program("SQLite, WAL, two writers")
def _sqlite_wal(folder: Path, size: Size) -> Step:
    first = _sqlite(folder / "run.db", "wal")
    _sqlite_tables(first, size)
    first.close()
    _forked(lambda: _for_ever(_sqlite_step(_sqlite(folder / "run.db", "wal")), size, None))
    return _sqlite_step(_sqlite(folder / "run.db", "wal"))


@program("SQLite, rollback journal")
def _sqlite_rollback(folder: Path, size: Size) -> Step:
    connection = _sqlite(folder / "run.db", "delete")
    _sqlite_tables(connection, size)
    return _sqlite_step(connection)


@program("joblib, read with mmap", "joblib")
def _joblib(folder: Path, size: Size) -> Step:
    joblib = import_module("joblib")
    return lambda number: joblib.dump(_full(size, number), folder / "model.joblib")


@program("safetensors, replaced", "safetensors")
def _safetensors(folder: Path, size: Size) -> Step:
    library = import_module("safetensors.numpy")
    return lambda number: library.save_file({"a": _full(size, number), "b": _full(size, number)}, folder / "model.safetensors")


@program("safetensors, rewritten in place", "safetensors")
def _safetensors_in_place(folder: Path, size: Size) -> Step:
    library = import_module("safetensors.numpy")
    return lambda number: _write(folder / "model.safetensors", library.save({"a": _full(size, number), "b": _full(size, number)}))


def _write(place: Path, data: bytes) -> None:
    with open(place, "wb") as handle:
        handle.write(data)


@program("torch.save, in place", "torch")
def _torch_save(folder: Path, size: Size) -> Step:
    torch = import_module("torch")
    return lambda number: torch.save({"n": number, "w": torch.from_numpy(_full(size, number)), "m": number}, folder / "last.pt")


@program("Parquet, rewritten in place", "pyarrow")
def _parquet(folder: Path, size: Size) -> Step:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    values = np.arange(size.numbers, dtype="i8")
    return lambda number: parquet.write_table(
        arrow.table({"a": values * 31 % 65521, "n": _full(size, number)}), folder / "table.parquet"
    )


def _lines(place: Path, pad: int, bulk: int = 0) -> Step:
    handle = open(place, "w", encoding="ascii")  # noqa: SIM115 - held for ever, as a logger does
    handle.write("".join(json.dumps({"n": 0, "pad": "y" * 4000}) + "\n" for _ in range(bulk >> 12)))
    handle.flush()

    def step(number: int) -> None:
        handle.write(json.dumps({"n": number, "pad": "x" * pad}) + "\n")
        handle.flush()

    return step


@program("jsonl, appended")
def _jsonl(folder: Path, size: Size) -> Step:
    return _lines(folder / "metrics.jsonl", 300)


@program("log that never rests")
def _log(folder: Path, size: Size) -> Step:
    inner = _lines(folder / "train.log", 100, size.bulk)

    def step(number: int) -> None:
        inner(number)
        time.sleep(0.002)

    return step


@program("LevelDB, plyvel", "plyvel")
def _plyvel(folder: Path, size: Size) -> Step:
    database = import_module("plyvel").DB(str(folder / "db"), create_if_missing=True, write_buffer_size=1 << 20)

    def step(number: int) -> None:
        with database.write_batch() as batch:
            for at in range(64):
                batch.put(b"%02d" % at, b"%d" % number)
            batch.put(b"bulk%03d" % (number % 200), os.urandom(20_000))

    return step


@program("RocksDB, rocksdict", "rocksdict")
def _rocksdict(folder: Path, size: Size) -> Step:
    rocks = import_module("rocksdict")
    options = rocks.Options()
    options.set_write_buffer_size(1 << 20)
    database = rocks.Rdict(str(folder / "db"), options)

    def step(number: int) -> None:
        batch = rocks.WriteBatch()
        for at in range(64):
            batch.put(at, number)
        batch.put(f"bulk{number % 200}", os.urandom(20_000))
        database.write(batch)

    return step


@program("Lance, appended", "lance", "pyarrow")
def _lance(folder: Path, size: Size) -> Step:
    lance, arrow = import_module("lance"), import_module("pyarrow")

    def step(number: int) -> None:
        table = arrow.table({"n": np.full(1000, number, "i8")})
        lance.write_dataset(table, str(folder / "data.lance"), mode="append" if number > 1 else "create")

    return step


def run(name: str, folder: Path, beat: Path, size: Size) -> None:
    """Run one program for ever, in this process."""
    logging.disable(logging.INFO)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    _for_ever(PROGRAMS[name](folder, size), Size(size.numbers, size.bulk, 0 if name in NEVER_RESTS else size.pause), Beat(beat))


def _for_ever(step: Step, size: Size, beat: Beat | None) -> None:
    number = 0
    while True:
        number += 1
        if beat is not None:
            beat.begin(number)
        step(number)
        if beat is not None:
            beat.done(number)
        if size.pause:
            time.sleep(size.pause)


def _forked(function: Callable[[], None]) -> int:
    """Run something in a process of its own that ends with this one."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        _end_with(parent)
        function()
    except BaseException:  # noqa: BLE001 - the process begins here
        traceback.print_exc()
    os._exit(1)


def _end_with(parent: int) -> None:
    with contextlib.suppress(OSError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """`python -m tests.live.writers SIZE FOLDER BEATS NAME...`: forks one process a program, so that each library loads once."""
    size = {"short": SHORT, "long": LONG}[sys.argv[1]]
    outputs, beats, names = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    for needed in {module for name in names for module in NEEDS[name]} - {"wandb", "mlflow", "duckdb"}:
        import_module(needed)
    for number, name in enumerate(names):
        folder = outputs / str(number)
        folder.mkdir(parents=True)
        Beat(beats / str(number), make=True)
        _forked(lambda name=name, folder=folder, number=number: run(name, folder, beats / str(number), size))
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
