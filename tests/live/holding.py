"""A process that holds a database and backs it up itself, and another that wants to write to it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

#: Opens a database such that nobody else may write, and gives what has to be kept.
Hold = Callable[[Path], Any]
#: Writes to it, or raises.
Intrude = Callable[[Path], object]

_WAIT_SECONDS = 0.7


def _hold_duckdb(folder: Path) -> Any:
    connection = import_module("duckdb").connect(str(folder / "x.duckdb"))
    connection.execute("create table t as select range from range(1000)")
    connection.execute("checkpoint")  # so that there is no log, whose lock would keep others out as well
    return connection


def _intrude_duckdb(folder: Path) -> None:
    import_module("duckdb").connect(str(folder / "x.duckdb")).execute("insert into t values (2)")


def _hold_lmdb(folder: Path, *, subdir: bool = True) -> Any:
    place = folder if subdir else folder / "index"
    environment = import_module("lmdb").open(str(place), subdir=subdir)
    with environment.begin(write=True) as transaction:
        transaction.put(b"a", b"b")
    return environment, environment.begin(write=True)


def _intrude_lmdb(folder: Path, *, subdir: bool = True) -> None:
    """Waits for its turn for ever, where it is not let in."""
    environment = import_module("lmdb").open(str(folder if subdir else folder / "index"), subdir=subdir)
    began = threading.Event()

    def begin() -> None:
        environment.begin(write=True)
        began.set()

    threading.Thread(target=begin, daemon=True).start()
    if not began.wait(_WAIT_SECONDS):
        raise TimeoutError


def _hold_sqlite(folder: Path, mode: str) -> Any:
    connection = sqlite3.connect(folder / "x.db", isolation_level=None)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("create table t (x)")
    connection.execute("begin immediate")
    connection.execute("insert into t values (1)")
    return connection


def _intrude_sqlite(folder: Path) -> None:
    sqlite3.connect(folder / "x.db", timeout=0, isolation_level=None).execute("begin immediate")


HOLDERS: dict[str, tuple[Hold, Intrude]] = {
    "DuckDB": (_hold_duckdb, _intrude_duckdb),
    "LMDB": (_hold_lmdb, _intrude_lmdb),
    "LMDB, one file": (lambda f: _hold_lmdb(f, subdir=False), lambda f: _intrude_lmdb(f, subdir=False)),
    "SQLite, WAL": (lambda f: _hold_sqlite(f, "wal"), _intrude_sqlite),
    "SQLite, rollback journal": (lambda f: _hold_sqlite(f, "delete"), _intrude_sqlite),
}


class Holder:
    """The process that holds them, each in a folder of its own."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self._folder = folder
        self._process = process

    def does(self, verb: str) -> bool:
        """Have it call something of `holdfast`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(verb, file=self._process.stdin, flush=True)
        return self._process.stdout.readline() == "true\n"

    def refuses(self) -> dict[str, bool]:
        """Whether a process of its own, started now, may not write, by database."""
        command = [sys.executable, "-W", "ignore", "-m", "tests.live.holding", "intrude", str(self._folder)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {name: bool(refused) for name, refused in json.loads(found).items()}


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[Holder]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.live.holding", "hold", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Holder(folder, process)
    finally:
        process.kill()
        process.communicate()


def _place(folder: Path, name: str) -> Path:
    return folder / "outputs" / "run" / str(list(HOLDERS).index(name))


def _hold(folder: Path) -> None:
    import holdfast

    (folder / "drive").mkdir()
    kept, files = [], []
    for name, (hold, _) in HOLDERS.items():
        place = _place(folder, name)
        place.mkdir(parents=True)
        kept.append(hold(place))
        files.append(min(p for p in place.iterdir() if p.suffix in (".duckdb", ".db", ".mdb", "") and p.name != "lock.mdb"))
    keep = holdfast.attach(root=folder, drive=folder / "drive")
    said = {
        "backup": lambda: keep.backup("outputs/run") and keep.flush() is None,
        "status": lambda: len(keep.status()) > 0,
        "ensure": lambda: keep.ensure("outputs/run") and all(keep.ensure(file) for file in files),
        "restore": lambda: keep.restore("outputs/run", to=folder / "elsewhere"),
    }
    print("ready", flush=True)
    for verb in sys.stdin:
        print(str(bool(said[verb.strip()]())).lower(), flush=True)
    del kept


def _is_refused(intrude: Intrude, place: Path) -> bool:
    try:
        intrude(place)
    except Exception:  # noqa: BLE001 - each library says it in its own way
        return True
    return False


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "hold":
        _hold(folder)
    else:
        print(json.dumps({name: _is_refused(intrude, _place(folder, name)) for name, (_, intrude) in HOLDERS.items()}), flush=True)
        os._exit(0)  # threads that wait for a lock wait for ever


if __name__ == "__main__":
    main()
