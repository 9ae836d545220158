"""What was called safe and was not, or was blocked though nothing was wrong: each kind with its neighbours in a table."""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from holdfast.session.attach import open_keeper
from holdfast.store.reporting.outcomes import Outcome
from tests.session.background.machine import Background
from tests.support import Machine, Rig

#: A look at a file that changed less than two seconds ago is not trusted in any case.
REST_SECONDS = 2.2
LARGE = (1 << 20) + 4096


# -- mapped files ----------------------------------------------------------------------------------------------------------


class _Mapped:
    """A file that is written through a mapping: the kernel does not move its times again until it is written back."""

    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"\1" * size)
        self._file = place.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), size)

    def change(self, value: int) -> None:
        self._memory[0] = value

    def close(self) -> None:
        self._memory.close()
        self._file.close()


class _WithoutDescriptor(_Mapped):
    """As `numpy.memmap` leaves it after its file object is gone: nothing but the mapping is left."""

    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        place.parent.mkdir(parents=True, exist_ok=True)
        self._array = np.memmap(place, mode="w+", shape=size, dtype="u1")
        self._array[:] = 1
        self._array.flush()

    def change(self, value: int) -> None:
        self._array[0] = value

    def close(self) -> None:
        del self._array


class _Tensor(_Mapped):
    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"\1" * size)
        self._tensor = torch.from_file(str(place), shared=True, size=size, dtype=torch.uint8)

    def change(self, value: int) -> None:
        self._tensor[0] = value

    def close(self) -> None:
        del self._tensor


class _AnotherProcess(_Mapped):
    """Mapped by a child, which has closed its descriptor."""

    _PROGRAM = """
import mmap, sys
f = open(sys.argv[1], "r+b")
m = mmap.mmap(f.fileno(), 0)
f.close()
print("ready", flush=True)
for line in sys.stdin:
    m[0] = int(line)
    print("done", flush=True)
"""

    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"\1" * size)
        self._child = subprocess.Popen(
            [sys.executable, "-c", self._PROGRAM, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        self._child.stdout.readline()

    def change(self, value: int) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(value, file=self._child.stdin, flush=True)
        self._child.stdout.readline()

    def close(self) -> None:
        self._child.communicate()


MAPPED: dict[str, Callable[[Path], _Mapped]] = {
    "small": lambda place: _Mapped(place, 5000),
    "large": lambda place: _Mapped(place, LARGE),
    "without a descriptor": lambda place: _WithoutDescriptor(place, LARGE),
    "a tensor": lambda place: _Tensor(place, 8192),
    "another process": lambda place: _AnotherProcess(place, LARGE),
}


def test_a_file_that_changes_through_a_mapping_is_backed_up_and_never_called_safe_before(rig: Rig) -> None:
    machine = rig.machine()
    files = {name: make(machine.outputs / "run" / f"{number}.bin") for number, (name, make) in enumerate(MAPPED.items())}
    try:
        for file in files.values():
            file.change(111)
        time.sleep(REST_SECONDS)
        assert machine.keep.backup("outputs/run")
        assert machine.keep.status().safe
        for value in (222, 77):
            for file in files.values():
                file.change(value)
            (row,) = machine.keep.status()
            assert row.unsaved == len(files), "status names every one of them"
            assert not machine.keep.status().safe
            assert machine.keep.backup("outputs/run")
            assert machine.keep.status().safe
            fresh = rig.machine()
            assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
            assert fresh.tree() == machine.tree()
    finally:
        for file in files.values():
            file.close()


@pytest.fixture
def memory(rig: Rig) -> Iterator[Machine]:
    """A machine whose outputs lie in memory, where a mapping moves no times."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Machine(Path(folder), rig.drive)


def test_where_a_mapping_moves_no_times_every_file_is_hashed(memory: Machine, rig: Rig) -> None:
    machine = memory
    place = machine.write("outputs/run/m.bin", bytes(8192))
    with place.open("r+b") as file, mmap.mmap(file.fileno(), 8192) as mapped:
        assert mapped[0] == 0
        time.sleep(REST_SECONDS)
        assert machine.keep.backup("outputs/run")
        mapped[0] = 9
    # Nobody has it mapped any more, and nothing moved: only its content tells.
    assert machine.keep.status()[0].unsaved == 1
    assert machine.keep.backup("outputs/run")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.tree() == machine.tree()


# -- checkpoints that are overwritten while their backup waits ---------------------------------------------------------------


def _torch_save(place: Path, step: int) -> None:
    torch.save({"step": torch.full((LARGE // 8,), step)}, place)


def _in_place(place: Path, step: int) -> None:
    with place.open("r+b" if place.exists() else "wb") as file:
        file.write(bytes([step]) * LARGE)


def _truncated(place: Path, step: int) -> None:
    place.write_bytes(bytes([step]) * (LARGE + step))


def _replaced(place: Path, step: int) -> None:
    beside = place.with_suffix(".new")
    beside.write_bytes(bytes([step]) * LARGE)
    os.replace(beside, place)


def _one_byte(place: Path, step: int) -> None:
    if not place.exists():
        place.write_bytes(bytes(LARGE))
    with place.open("r+b") as file:
        file.seek(LARGE // 2)
        file.write(bytes([step]))


@pytest.mark.parametrize("save", [_torch_save, _in_place, _truncated, _replaced, _one_byte])
def test_what_was_taken_arrives_although_it_is_overwritten_while_it_waits(rig: Rig, save: Callable[[Path, int], None]) -> None:
    background = Background(rig)
    machine, keeper = background.machine, background.keeper
    place = machine.write("outputs/run/last.pt", b"").with_name("last.pt")
    taken = {}
    save(place, 1)
    taken[1] = place.read_bytes()
    assert keeper.backup("outputs/run", progress=1)
    keeper.flush()
    background.hold()
    save(place, 2)
    taken[2] = place.read_bytes()
    assert keeper.backup("outputs/run", progress=2)
    machine.write("outputs/other.json", "{}")
    assert keeper.backup("outputs/other.json")
    save(place, 3)
    background.drive.going.set()
    keeper.flush(60)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.keep.ensure("outputs/other.json")
    assert fresh.read("outputs/run/last.pt") == taken[2]
    (held,) = fresh.keep.held("outputs/run")
    assert held.progress == 2
    assert not keeper.queue.errors


# -- logs that never rest ----------------------------------------------------------------------------------------------------

_LOGGING = """
import sys, time
with open(sys.argv[1], "a") as log:
    number = 0
    while True:
        print(f"step {number}", file=log, flush=True)
        number += 1
        time.sleep(0.002)
"""


@pytest.mark.parametrize("name", ["train.log", "metrics.jsonl", "stdout", "events.txt"])
@pytest.mark.parametrize("size", [200, 200_000, 4_000_000])
def test_of_a_log_that_never_rests_the_first_part_is_kept(rig: Rig, name: str, size: int) -> None:
    background = Background(rig)
    machine, keeper = background.machine, background.keeper
    log = machine.write(f"outputs/run/{name}", b"begun\n" * (size // 6))
    machine.write("outputs/run/ckpt.pt.txt", "weights")
    with subprocess.Popen([sys.executable, "-c", _LOGGING, str(log)]) as writer:
        try:
            begun = log.stat().st_size
            while log.stat().st_size == begun:
                time.sleep(0.01)
            for number in range(4):
                least = log.stat().st_size
                assert keeper.backup("outputs/run", progress=number)
                keeper.flush(60)
            fresh = rig.machine()
            assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
        finally:
            writer.kill()
    came, now = fresh.read(f"outputs/run/{name}"), log.read_bytes()
    assert now.startswith(came)
    assert least - 100 <= len(came) <= len(now), "what was there when it was taken is there"
    assert fresh.read("outputs/run/ckpt.pt.txt") == b"weights"


# -- sparse files ------------------------------------------------------------------------------------------------------------


def _hole_in_front(file: io.BufferedRandom) -> None:
    file.seek(64 << 20)
    file.write(b"end")


def _hole_behind(file: io.BufferedRandom) -> None:
    file.write(b"begin")
    file.truncate(64 << 20)


def _islands(file: io.BufferedRandom) -> None:
    for at in range(0, 64 << 20, 8 << 20):
        file.seek(at)
        file.write(os.urandom(5000))


def _only_a_hole(file: io.BufferedRandom) -> None:
    file.truncate(64 << 20)


def _ten_tebibytes(file: io.BufferedRandom) -> None:
    file.truncate(10 << 40)
    file.seek(5 << 40)
    file.write(b"in the middle")


@pytest.mark.parametrize("make", [_hole_in_front, _hole_behind, _islands, _only_a_hole, _ten_tebibytes])
def test_a_sparse_file_is_sent_and_comes_back_with_its_holes(rig: Rig, make: Callable[[io.BufferedRandom], None]) -> None:
    machine = rig.machine()
    place = machine.write("outputs/run/data.mdb", b"")
    with place.open("r+b") as file:
        make(file)
    assert machine.keep.backup("outputs/run")
    assert sum(p.stat().st_size for p in rig.store.rglob("*") if p.is_file()) < 1 << 20
    assert machine.keep.backup("outputs/run").results[0].unchanged
    assert machine.keep.status().safe
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    came = fresh.outputs / "run/data.mdb"
    assert (came.stat().st_size, came.stat().st_mtime_ns) == (place.stat().st_size, place.stat().st_mtime_ns)
    assert came.stat().st_blocks * 512 < 1 << 20
    if place.stat().st_size <= 64 << 20:
        assert came.read_bytes() == place.read_bytes()
    assert not fresh.keep.verify()
    assert fresh.keep.backup("outputs/run").results[0].unchanged


# -- torn files --------------------------------------------------------------------------------------------------------------


def _zip(place: Path) -> None:
    with zipfile.ZipFile(place, "w") as file:
        file.writestr("a", os.urandom(3000))


def _npy(place: Path) -> None:
    np.save(place, np.arange(3000))


def _checkpoint(place: Path) -> None:
    torch.save(torch.arange(3000), place)


def _database(place: Path) -> None:
    connection = sqlite3.connect(place)
    connection.execute("create table t(x)")
    connection.executemany("insert into t values (?)", [(os.urandom(200),) for _ in range(100)])
    connection.commit()
    connection.close()


def _image(place: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure()
    figure.savefig(place)
    plt.close(figure)


TORN = {"a.zip": _zip, "a.npy": _npy, "a.pt": _checkpoint, "a.png": _image}


@pytest.mark.parametrize("name", TORN)
def test_a_torn_file_is_kept_and_named_and_the_newest_whole_one_serves(rig: Rig, name: str) -> None:
    machine = rig.machine()
    place = machine.write(f"outputs/run/{name}", b"")
    TORN[name](place)
    whole = place.read_bytes()
    assert machine.keep.backup("outputs/run", progress=1)
    place.write_bytes(whole[: len(whole) * 2 // 3])
    for number in range(5):
        machine.write("outputs/run/notes.txt", str(number))
        assert machine.keep.backup("outputs/run", progress=2 + number)
    assert not machine.keep.status().safe
    fresh = rig.machine()
    answer = fresh.keep.ensure("outputs/run")
    assert answer.outcome is Outcome.RESTORED
    assert fresh.read(f"outputs/run/{name}") == whole
    assert any(name in text for text in answer.warnings), "it is said which was passed over"
    fresh.write("outputs/run/notes.txt", "further")
    (done,) = fresh.keep.backup("outputs/run", progress=20).results
    assert done.forked == ()
    TORN[name](place)
    assert machine.keeper().backup("outputs/run")


# -- locks -------------------------------------------------------------------------------------------------------------------

_LOCK = """
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(3)
"""


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("act", ["backup", "status", "ensure", "identity"])
def test_a_program_that_holds_a_lock_on_a_file_keeps_it(tmp_path: Path, act: str, size: int) -> None:
    root = tmp_path / "project"
    place = root / "outputs/run/x.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x" * size)
    (tmp_path / "drive").mkdir()
    keep = open_keeper(root=root, drive=tmp_path / "drive", background=True)
    assert keep.backup("outputs/run")
    keep.flush()
    with place.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(b"y")
        file.flush()
        {
            "backup": lambda: keep.backup("outputs/run"),
            "status": keep.status,
            "ensure": lambda: keep.ensure("outputs/run"),
            "identity": lambda: keep.identity("outputs/run/x.bin"),
        }[act]()
        keep.flush()
        assert subprocess.run([sys.executable, "-c", _LOCK, str(place)], check=False).returncode == 3, "the lock was taken away"
