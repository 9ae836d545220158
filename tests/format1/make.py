"""Makes the stores of format 1 that `test_read_on.py` reads on. Not to be run with any other version than the one that made them.

The stores in `stores/` were made by the version of commit 35f763e (2026-11-28), by hand::

    mkdir /tmp/format1 && git archive 35f763e src | tar -x -C /tmp/format1
    PYTHONPATH=/tmp/format1/src .venv/bin/python tests/format1/make.py /tmp/format1/stores
    mv /tmp/format1/stores tests/format1/

Each is a folder: `drive/` is the drive with the project's store, `machines/NAME/` a workspace that stands on it (`outputs/`,
and `state/` for what is `.holdfast/` there, which git would leave out), `expected.json` what has to come of them. git keeps no
empty folders and no modes but one bit, so those stand in the JSON too.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.errors import StoreUnreachable
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

PROJECT = "proj"


class Machine:
    """A machine of that version."""

    def __init__(self, made: Path, name: str, wrap: Callable[[Backend], Backend] = lambda b: b) -> None:
        self.name = name
        self.root = made / "machines" / name
        self.outputs = self.root / "outputs"
        self.outputs.mkdir(parents=True, exist_ok=True)
        config = Config(self.root, "outputs", PROJECT, Path("/nowhere/drive"), parallel=1)
        (made / "drive").mkdir(exist_ok=True)
        store = Store(wrap(DirectoryBackend(made / "drive", PROJECT)), parallel=1, machine=name)
        self.keep = Keeper(config, store, Workspace(self.root, lock_seconds=10))

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        place = self.outputs / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def database(self, path: str, rows: int) -> None:
        place = self.outputs / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("create table if not exists trials (number integer primary key, value real)")
            connection.execute("delete from trials")
            connection.executemany("insert into trials values (?, ?)", [(i, i / 7) for i in range(rows)])
            connection.commit()

    def backup(self, *paths: str, progress: float | None = None) -> None:
        done = self.keep.backup(*paths, progress=progress)
        assert done, [r.problem() for r in done.results]


def content_of(root: Path) -> dict[str, Any]:
    """Files with hash and mode, and empty folders, of a tree; `files[""]` for a single file."""
    if root.is_file():
        return {"files": {"": [blake3(root.read_bytes()).hexdigest(), root.stat().st_mode & 0o777]}, "folders": []}
    files, folders = {}, []
    for place in sorted(root.rglob("*")):
        path = place.relative_to(root).as_posix()
        if place.is_file():
            files[path] = [blake3(place.read_bytes()).hexdigest(), place.stat().st_mode & 0o777]
        elif not any(place.iterdir()):
            folders.append(path)
    return {"files": files, "folders": folders}


def kinds(made: Path) -> dict[str, Any]:
    """One of each: a file, a large one, databases, a directory with many commits, an inner artifact, empty folders, a script."""
    machine = Machine(made, "one")
    machine.write("config.json", '{"first": true}')
    machine.backup("outputs/config.json")
    machine.write("config.json", '{"second": true}')
    machine.backup("outputs/config.json")
    machine.write("large.txt", (b"the same line again and again\n" * 40_000)[: (1 << 20) + 1])
    machine.backup("outputs/large.txt")
    for rows in (3, 20):
        machine.database("study.db", rows)
        machine.backup("outputs/study.db", progress=rows)
    machine.write("run/inner/weights.bin", bytes(range(256)))
    machine.backup("outputs/run/inner")
    (machine.outputs / "run/empty/below").mkdir(parents=True)
    machine.write("run/train.sh", "#!/bin/sh\necho train\n", 0o755)
    machine.write("run/secret.txt", "mine alone\n", 0o600)
    machine.write("run/nothing.txt", "")
    machine.write("run/Übung/naïve #1 %41.txt", "names\n")
    machine.database("run/trial.db", 5)
    for commit in range(11):
        machine.write(f"run/step-{commit:02}.json", json.dumps({"step": commit, "loss": "x" * (50 * commit)}))
        machine.write("run/log.txt", "".join(f"line {n}\n" for n in range(commit + 1)))
        machine.backup("outputs/run", progress=commit)
    (machine.outputs / "run/step-03.json").unlink()
    machine.backup("outputs/run", progress=11)
    machine.keep.confirm()
    asked = ["outputs/config.json", "outputs/large.txt", "outputs/study.db", "outputs/run", "outputs/run/inner"]
    expected = {key: content_of(machine.root / key) for key in asked}
    (machine.outputs / "large.txt").unlink()  # one copy of it is enough here
    return {"asked": expected, "damage": 0, "forks": {}}


def forked(made: Path) -> dict[str, Any]:
    """Two machines that knew nothing of each other: two heads."""
    first = Machine(made, "first")
    first.write("run/a.txt", "of the first\n")
    first.backup("outputs/run", progress=1)
    second = Machine(made, "second")
    assert second.keep.ensure("outputs/run")
    for machine, progress in ((second, 2), (first, 3)):
        machine.write("run/a.txt", f"of the {machine.name}, {progress}\n")
        machine.write(f"run/{machine.name}.txt", machine.name)
        machine.backup("outputs/run", progress=progress)
    expected = {"outputs/run": content_of(first.root / "outputs/run")}
    return {"asked": expected, "damage": 0, "forks": {"outputs/run": 2}}


def debris(made: Path) -> dict[str, Any]:
    """The payload of the newest generation never arrived; the one before it serves. The workspace stands on the newest."""
    machine = Machine(made, "one")
    machine.write("run/a.txt", "one\n")
    machine.database("run/study.db", 4)
    machine.backup("outputs/run", progress=1)
    expected = {"outputs/run": content_of(machine.root / "outputs/run")}
    before = set((made / "drive" / PROJECT / "outputs").rglob("*"))
    machine.write("run/a.txt", "two\n")
    machine.database("run/study.db", 9)
    machine.backup("outputs/run", progress=2)
    lost = [p for p in (made / "drive" / PROJECT / "outputs").rglob("*") if p not in before and p.name.startswith("study@")]
    assert len(lost) == 1
    lost[0].unlink()
    return {"asked": expected, "damage": 1, "forks": {}}


def interrupted(made: Path) -> dict[str, Any]:
    """A commit whose payload was sent and whose manifest was not: the workspace remembers that it had begun."""
    Machine(made, "one").write("run/a.txt", "one\n")
    Machine(made, "one").backup("outputs/run")
    expected = {"outputs/run": content_of(made / "machines/one/outputs/run")}

    def dies(operation: str, path: str) -> None:
        if operation == "create" and path.startswith("generations/"):
            raise StoreUnreachable(errno.ENOTCONN, "the mount is dead", path)

    machine = Machine(made, "one", lambda backend: Faulty(backend, dies))
    machine.write("run/a.txt", "two\n")
    assert not machine.keep.backup("outputs/run")
    return {"asked": expected, "damage": 0, "forks": {}}


def put_down(made: Path, expected: dict[str, Any]) -> None:
    """As files that git keeps: without links, locks and scratch; empty folders and modes as a list."""
    for root in sorted((made / "machines").iterdir()):
        state = root / ".holdfast"
        for name in ("lock", ".gitignore"):
            (state / name).unlink(missing_ok=True)
        shutil.rmtree(state / "tmp", ignore_errors=True)
        state.rename(root / "state")
        shutil.rmtree(root / "holdfast-aside", ignore_errors=True)
    everything = sorted(p for part in ("drive", "machines") for p in (made / part).rglob("*"))
    expected["folders"] = [p.relative_to(made).as_posix() for p in everything if p.is_dir() and not any(p.iterdir())]
    expected["modes"] = {p.relative_to(made).as_posix(): p.stat().st_mode & 0o777 for p in everything if p.is_file()}
    (made / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def main(target: Path) -> None:
    """Make all of them below a folder that is not there yet."""
    os.umask(0o022)
    for make in (kinds, forked, debris, interrupted):
        made = target / make.__name__
        made.mkdir(parents=True)
        put_down(made, make(made))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
