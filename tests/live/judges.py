"""Whether what was restored is a state that a program had: opened with the program's own library, in a process of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

#: The number of the state that lies in a folder, -1 where the program had not written a first one.
Judge = Callable[[Path], int]


class Mixed(Exception):
    """It opens, and holds parts of two states."""


JUDGES: dict[str, Judge] = {}


def judge(*names: str) -> Callable[[Judge], Judge]:
    def register(function: Judge) -> Judge:
        JUDGES.update(dict.fromkeys(names, function))
        return function

    return register


def _one(numbers: Iterable[Any]) -> int:
    """The number that all of them are."""
    found = {int(n) for n in numbers}
    if len(found) != 1:
        raise Mixed(f"states {sorted(found)[:4]} in one")
    return found.pop()


def _counted(numbers: list[int], first: int = 1) -> int:
    """The last of numbers that go up by one."""
    if numbers != list(range(first, first + len(numbers))):
        raise Mixed(f"of {len(numbers)} records some are missing or come twice, the last is {numbers[-1:]}")
    return first + len(numbers) - 1


@judge("numpy.memmap", "numpy.memmap, flushed and left for a while")
def _memmap(folder: Path) -> int:
    return _one(np.unique(np.fromfile(folder / "array.bin", "i8")))


def _lmdb(place: Path, *, subdir: bool = True) -> int:
    lmdb = import_module("lmdb")
    with lmdb.open(str(place), readonly=True, lock=False, subdir=subdir) as environment, environment.begin() as transaction:
        found = dict(transaction.cursor())
    if not found or b"00" not in found:
        return 0
    for key, value in found.items():
        if key.startswith(b"bulk") and len(value) == 4000 and value != value[:8] * 500:
            raise Mixed("a page of another state")
    return _one(found[b"%02d" % at] for at in range(64))


@judge("LMDB", "LMDB, writemap and map_async")
def _lmdb_folder(folder: Path) -> int:
    return _lmdb(folder)


@judge("LMDB, one file")
def _lmdb_single(folder: Path) -> int:
    return _lmdb(folder / "index", subdir=False)


@judge("DuckDB", "DuckDB, a checkpoint now and then")
def _duckdb(folder: Path) -> int:
    with import_module("duckdb").connect(str(folder / "run.duckdb")) as connection:
        tables = {row[0] for row in connection.execute("select table_name from information_schema.tables").fetchall()}
        if "log" not in tables:
            return -1
        numbers = [row[0] for row in connection.execute("select number from log order by number").fetchall()]
        state = _one(row[0] for row in connection.execute("select distinct number from state").fetchall())
    if _counted(numbers) != state:
        raise Mixed(f"the log ends at {len(numbers)}, the state is {state}")
    return state


@judge("h5py, flushed", "h5py, SWMR", "h5py, never flushed")
def _h5py(folder: Path) -> int:
    h5py = import_module("h5py")
    with h5py.File(folder / "data.h5", "r", swmr=True) as file:
        state, log = _one(np.unique(file["data"][:])), [int(n) for n in file["log"][:]]
    if _counted(log) != state:
        raise Mixed(f"the log ends at {len(log)}, the state is {state}")
    return state


@judge("zarr 3", "zarr 3, with pauses")
def _zarr(folder: Path) -> int:
    group = import_module("zarr").open_group(folder / "data.zarr", mode="r")
    if "number" not in group.attrs:
        return -1
    state = _one(np.unique(group["a"][:]))
    if state != group.attrs["number"]:
        raise Mixed(f"the array is of state {state}, its attributes of {group.attrs['number']}")
    return state


@judge("TensorBoard, torch", "TensorBoard, tensorboardX")
def _board(folder: Path) -> int:
    loader = import_module("tensorboard.backend.event_processing.event_file_loader").RawEventFileLoader
    event = import_module("tensorboard.compat.proto.event_pb2").Event
    numbers = []
    for place in sorted(folder.rglob("events.out.tfevents.*")):
        numbers += [e.step for e in map(event.FromString, loader(str(place)).Load()) if e.HasField("summary")]
    return _counted(numbers)


@judge("wandb, offline")
def _wandb(folder: Path) -> int:
    record_type = import_module("wandb.proto.wandb_internal_pb2").Record
    (place,) = folder.rglob("*.wandb")
    records = [record_type.FromString(data) for data in wandb_records(place.read_bytes())]
    return _counted([record.history.step.num for record in records if record.HasField("history")])


def wandb_records(data: bytes) -> Iterator[bytes]:
    """leveldb's log format behind a head of 7 bytes, as wandb's own reader takes it, which is not in Python any more."""
    at, parts = 7, b""
    while at + 7 <= len(data):
        if (1 << 15) - at % (1 << 15) < 7:
            at += (1 << 15) - at % (1 << 15)
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + 7 : at + 7 + length]
        if len(part) < length:
            return
        if zlib.crc32(part, zlib.crc32(bytes([kind]))) != crc:
            raise Mixed(f"a wrong checksum at {at}")
        parts = part if kind in (1, 2) else parts + part
        at += 7 + length
        if kind in (1, 4):
            yield parts


@judge("MLflow, default store")
def _mlflow(folder: Path) -> int:
    os.chdir(folder)
    mlflow = import_module("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    numbers = []
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
        numbers += sorted(m.step for m in client.get_metric_history(run.info.run_id, "number"))
    return _counted(numbers)


@judge("Optuna, journal")
def _optuna(folder: Path) -> int:
    optuna = import_module("optuna")
    journal = import_module("optuna.storages.journal")
    place = folder / "journal.log"
    if place.read_bytes()[-1:] != b"\n":
        raise Mixed("half a line, which the next trial spoils for good")
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(place)))
    study = optuna.load_study(study_name="s", storage=storage)
    return _counted([int(t.value) for t in study.trials if t.state.is_finished()])


@judge("SQLite, WAL, two writers", "SQLite, rollback journal")
def _sqlite(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "run.db")) as connection:
        if connection.execute("pragma integrity_check").fetchone()[0] != "ok":
            raise Mixed("the integrity check fails")
        if not connection.execute("select count(*) from sqlite_master where name = 'log'").fetchone()[0]:
            return -1
        money = connection.execute("select sum(money) from account").fetchone()[0]
        numbers = [row[0] for row in connection.execute("select number from log order by number")]
    if money != 200_000:
        raise Mixed(f"the sum is {money}")
    return _counted(numbers, 0)


@judge("joblib, read with mmap")
def _joblib(folder: Path) -> int:
    return _one(np.unique(import_module("joblib").load(folder / "model.joblib", mmap_mode="r")))


@judge("safetensors, replaced", "safetensors, rewritten in place")
def _safetensors(folder: Path) -> int:
    found = import_module("safetensors.numpy").load_file(folder / "model.safetensors")
    return _one([*np.unique(found["a"]), *np.unique(found["b"])])


@judge("torch.save, in place")
def _torch(folder: Path) -> int:
    found = import_module("torch").load(folder / "last.pt")
    return _one([found["n"], found["m"], *np.unique(found["w"].numpy())])


@judge("Parquet, rewritten in place")
def _parquet(folder: Path) -> int:
    table = import_module("pyarrow.parquet").read_table(folder / "table.parquet")
    return _one(np.unique(table["n"].to_numpy()))


def _lines(place: Path, *, half: bool) -> int:
    """Half a line at the end is for `half` to allow: a text log is good as far as it went."""
    data = place.read_bytes()
    whole, _, rest = data.rpartition(b"\n")
    if rest and not half:
        raise Mixed("it ends in half a line")
    numbers = [json.loads(line)["n"] for line in whole.split(b"\n") if line]
    return _counted([n for n in numbers if n])


@judge("jsonl, appended")
def _jsonl(folder: Path) -> int:
    return _lines(folder / "metrics.jsonl", half=False)


@judge("log that never rests")
def _log(folder: Path) -> int:
    return _lines(folder / "train.log", half=True)


@judge("LevelDB, plyvel")
def _plyvel(folder: Path) -> int:
    plyvel = import_module("plyvel")
    with closing(plyvel.DB(str(folder / "db"), paranoid_checks=True)) as database:
        found = dict(database.iterator(verify_checksums=True))
    return _one(found[b"%02d" % at] for at in range(64)) if b"00" in found else -1


@judge("RocksDB, rocksdict")
def _rocksdict(folder: Path) -> int:
    database = import_module("rocksdict").Rdict(str(folder / "db"))
    try:
        found = dict(database.items())
        return _one(found[at] for at in range(64)) if 0 in found else -1
    finally:
        database.close()


@judge("Lance, appended")
def _lance(folder: Path) -> int:
    data = import_module("lance").dataset(str(folder / "data.lance"))
    numbers = data.to_table()["n"].to_numpy()
    return _counted([int(n) for n in numbers[::1000]])


def look(name: str, folder: Path) -> tuple[str, int, str]:
    """How a folder is: `good` with its number, `mixed` or `fails`, with the reason."""
    try:
        return "good", JUDGES[name](folder), ""
    except Mixed as error:
        return "mixed", -1, str(error)
    except BaseException as error:  # noqa: BLE001 - whatever a library makes of a torn file
        return "fails", -1, f"{type(error).__name__}: {error}"[:300]


def main() -> None:
    """Answers each line `[name, folder]` with one, both JSON. Each look is in a process of its own, which may crash."""
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for module in sys.argv[1:]:
        import_module(module)
    for line in sys.stdin:
        name, folder = json.loads(line)
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, json.dumps(look(name, Path(folder))).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as handle:
            answer = handle.read() or json.dumps(("fails", -1, "the process that opened it died")).encode()
        os.wait()
        os.write(answers, answer + b"\n")


if __name__ == "__main__":
    main()
