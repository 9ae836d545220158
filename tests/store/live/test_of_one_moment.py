"""Files that are worth something only beside each other are taken as they were at one moment, or named."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.store.copies.capture import capture
from holdfast.store.copies.guard import Guard
from holdfast.store.copies.snapshot import Known, Snapshot
from holdfast.store.copies.spools import spooled
from holdfast.store.copies.taking import take
from holdfast.store.local.workspace import Workspace

T = TypeVar("T")
Change = Callable[[Path], None]

#: Its mark, and headers that say nothing.
DUCKDB = (bytes(8) + b"DUCK" + (64).to_bytes(8, "little")).ljust(12288, b"\0")
LARGE = bytes(2 << 20)


class Meanwhile:
    """Reads in this process; after each look into files somebody writes, as often as it is told."""

    def __init__(self, change: Callable[[], None], times: int) -> None:
        self.looks = 0
        self._change = change
        self._times = times

    def call(self, function: Callable[..., T], *args: object, seconds: float) -> T:
        result = function(*args)
        if function is capture:
            self.looks += 1
            if self.looks <= self._times:
                self._change()
        return result


class Project:
    """Outputs of which snapshots are taken."""

    def __init__(self, root: Path, files: dict[str, bytes]) -> None:
        self.root = root
        self.run = root / "outputs" / "run"
        for path, content in files.items():
            self.write(path, content)

    def write(self, path: str, content: bytes) -> None:
        place = self.run / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def append(self, path: str, content: bytes) -> None:
        with open(self.run / path, "ab") as handle:
            handle.write(content)

    def taken(self, change: Change | None = None, times: int = 1, *, guarded: bool = False) -> tuple[Snapshot, int]:
        """A snapshot, and how often was looked into files."""
        reader = Meanwhile(lambda: None if change is None else change(self.run), times)
        workspace = Workspace(self.root, reader=reader)
        guard = Guard(workspace.proofs) if guarded else None
        with workspace.lock():
            snapshot = take(
                workspace, workspace.key("outputs/run"), Known({}, {}), workspace.queue_folder(), guard=guard, waits=guarded
            )
            self.held = {staged.path: data for staged, data in spooled(snapshot.staged.values())}
            self.held |= {p: s.source.read_bytes() for p, s in snapshot.staged.items() if s.source is not None}
        if guard is not None:
            guard.close()
        return snapshot, reader.looks


def torn(snapshot: Snapshot) -> dict[str, str]:
    return {path: staged.torn for path, staged in snapshot.staged.items() if staged.torn}


#: By name: the files, what a program does to them between the look into the last and the end, and the head of them.
TOGETHER: dict[str, tuple[dict[str, bytes], Callable[[Project], None], str]] = {
    "DuckDB after a checkpoint": (
        {"x.duckdb": DUCKDB + b"1", "x.duckdb.wal": b"old"},
        lambda p: (p.write("x.duckdb", DUCKDB + os.urandom(9)), os.unlink(p.run / "x.duckdb.wal"), p.write("x.duckdb.wal", b"n"))[
            0
        ],
        "x.duckdb",
    ),
    "DuckDB, its file alone": (
        {"x.duckdb": DUCKDB + b"1", "x.duckdb.wal": b"old"},
        lambda p: p.write("x.duckdb", DUCKDB + os.urandom(9)),
        "x.duckdb",
    ),
    "zarr, a chunk": (
        {"a/zarr.json": b"{}", "a/c/0": b"1", "a/c/1": b"1"},
        lambda p: p.write("a/c/0", os.urandom(9)),
        "a/zarr.json",
    ),
    "zarr, a chunk that comes": (
        {"zarr.json": b"{}", "c/0": b"1"},
        lambda p: p.write(f"c/{os.urandom(3).hex()}", b"2"),
        "zarr.json",
    ),
    "LevelDB, a table that comes": (
        {"db/CURRENT": b"MANIFEST-000001\n", "db/MANIFEST-000001": b"m", "db/000005.log": b"l"},
        lambda p: p.write(f"db/{int.from_bytes(os.urandom(2), 'big'):06}.ldb", b"t"),
        "db/CURRENT",
    ),
    "LevelDB, its manifest": (
        {"db/CURRENT": b"MANIFEST-000001\n", "db/MANIFEST-000001": b"m", "db/000005.log": b"l"},
        lambda p: p.append("db/MANIFEST-000001", b"more"),
        "db/CURRENT",
    ),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_moved_while_it_was_copied_is_taken_again(tmp_path: Path, name: str) -> None:
    files, change, _ = TOGETHER[name]
    project = Project(tmp_path, files)
    snapshot, _ = project.taken(lambda _: change(project))
    assert torn(snapshot) == {}
    assert project.held == {p.relative_to(project.run).as_posix(): p.read_bytes() for p in project.run.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_never_rests_is_named(tmp_path: Path, name: str) -> None:
    files, change, head = TOGETHER[name]
    project = Project(tmp_path, files)
    snapshot, looks = project.taken(lambda _: change(project), times=99)
    assert torn(snapshot).keys() == {head}
    assert looks <= 5


@pytest.mark.parametrize(
    ("files", "grows"),
    [
        ({"x.duckdb": DUCKDB + b"1", "x.duckdb.wal": b"old"}, "x.duckdb.wal"),
        ({"CURRENT": b"MANIFEST-000001\n", "MANIFEST-000001": b"m", "000005.log": b"l"}, "000005.log"),
        ({"CURRENT": b"MANIFEST-000001\n", "MANIFEST-000001": b"m", "LOG": b"for people"}, "LOG"),
        ({"train.log": b"a line\n", "index": b"1"}, "train.log"),
    ],
)
def test_a_log_that_grows_behind_its_copy_is_no_change(tmp_path: Path, files: dict[str, bytes], grows: str) -> None:
    project = Project(tmp_path, files)
    snapshot, looks = project.taken(lambda _: project.append(grows, b"more\n"), times=99)
    assert torn(snapshot) == {}
    assert looks == 1
    assert project.held == files


def test_of_a_data_set_that_only_grows_all_is_taken_that_a_version_names(tmp_path: Path) -> None:
    project = Project(tmp_path, {"d/_versions/1.manifest": b"LANC", "d/data/a.lance": b"1"})

    def append(_: Path) -> None:
        name = os.urandom(3).hex()
        project.write(f"d/data/{name}.lance", b"2")
        project.write("d/_versions/2.manifest", b"LANC")

    snapshot, looks = project.taken(append, times=99)
    assert torn(snapshot) == {}
    assert looks == 2
    assert "d/_versions/2.manifest" not in snapshot.staged
    assert len([p for p in snapshot.staged if p.startswith("d/data/")]) == 2


def test_files_of_a_name_like_a_log_are_two_files_where_none_is_a_database(tmp_path: Path) -> None:
    project = Project(tmp_path, {"x": b"text", "x.wal": b"notes"})
    snapshot, _ = project.taken(lambda _: project.write("x", os.urandom(4)), times=99)
    assert torn(snapshot) == {}


def test_two_plain_files_that_moved_while_a_third_was_copied_are_taken_again_once(tmp_path: Path) -> None:
    project = Project(tmp_path, {"data.bin": b"1", "index.bin": b"1", "other": LARGE})

    def both(_: Path) -> None:
        for path in ("data.bin", "index.bin"):
            project.write(path, b"2")

    snapshot, looks = project.taken(both, times=99)
    assert torn(snapshot) == {}
    assert looks == 2
    assert project.held == {"data.bin": b"2", "index.bin": b"2", "other": LARGE}


def test_a_file_that_is_torn_at_the_second_look_is_kept_as_it_was_at_the_first(tmp_path: Path) -> None:
    whole = b"{}"
    project = Project(tmp_path, {"a.json": whole})
    snapshot, looks = project.taken(lambda _: project.write("a.json", b"{"))
    assert (torn(snapshot), looks) == ({}, 2)
    assert project.held == {"a.json": whole}


def test_a_hard_link_that_changed_before_it_was_guarded_is_no_copy(tmp_path: Path) -> None:
    project = Project(tmp_path, {"events": LARGE})
    snapshot, _ = project.taken(lambda _: project.append("events", b"more"), guarded=True)
    (staged,) = snapshot.staged.values()
    assert staged.linked is None
    assert len(project.held["events"]) == staged.size


def test_an_array_that_is_filled_through_a_mapping_is_named_and_one_that_rests_is_not(tmp_path: Path) -> None:
    project = Project(tmp_path, {"filled.bin": bytes(1 << 20), "rests.bin": bytes(1 << 20)})
    stop = threading.Event()
    with open(project.run / "filled.bin", "r+b") as filled, open(project.run / "rests.bin", "r+b") as rests:
        first, second = mmap.mmap(filled.fileno(), 1 << 20), mmap.mmap(rests.fileno(), 1 << 20)
        second[0] = 1

        def fill() -> None:
            while not stop.wait(0.02):
                first[7] = (first[7] + 1) % 256

        thread = threading.Thread(target=fill)
        thread.start()
        try:
            snapshot, _ = project.taken()
        finally:
            stop.set()
            thread.join()
        first.close()
        second.close()
    assert torn(snapshot).keys() == {"filled.bin"}
