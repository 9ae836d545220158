"""A hard link that is held keeps its content, whatever is written to the original."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.store.copies.guard import Guard
from holdfast.store.copies.mappings import shared_mappings
from holdfast.store.copies.proofs import Proof, Proofs
from tests.store.apart import far
from tests.store.conftest import MEMORY

OLD = b"old" * 1_000_000


@pytest.fixture
def guard(proofs: Proofs) -> Iterator[Guard]:
    """A guard of what lies where the test works."""
    made = Guard(proofs)
    yield made
    made.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """On a tmpfs, because the disk may be one where nothing can be held."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def linked(place: Path, name: str = "f") -> tuple[Path, Path]:
    """An original, and a link that waits."""
    original, link = place / name, place / f"{name}.waiting"
    original.write_bytes(OLD)
    original.chmod(0o640)
    os.utime(original, ns=(5, 7))
    os.link(original, link)
    return original, link


def rewrite(path: Path) -> None:
    path.write_bytes(b"new")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"new")


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"new")


def truncate(path: Path) -> None:
    os.truncate(path, 10)


@pytest.mark.parametrize("write", [rewrite, append, overwrite, truncate])
def test_a_writer_waits_until_the_link_is_a_copy(guard: Guard, place: Path, write: Callable[[Path], None]) -> None:
    original, link = linked(place)
    assert guard.hold(link)
    assert guard.holds(link)
    assert os.path.samefile(original, link), "nothing is copied before somebody writes"
    write(original)
    assert original.read_bytes() != OLD
    assert link.read_bytes() == OLD
    found = link.stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns, found.st_nlink) == (0o640, 7, 1)
    assert guard.holds(link)
    assert sorted(os.listdir(place)) == ["f", "f.waiting"]
    guard.release(link)
    assert not guard.holds(link)


def test_another_process_waits_too(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    assert guard.hold(link)
    subprocess.run([sys.executable, "-c", "import sys; open(sys.argv[1], 'wb').write(b'new')", str(original)], check=True)
    assert (original.read_bytes(), link.read_bytes()) == (b"new", OLD)


def test_what_replaces_the_original_or_only_reads_it_costs_no_copy(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    assert guard.hold(link)
    inode = link.stat().st_ino
    original.read_bytes()
    original.chmod(0o600)
    os.utime(original)
    (place / "new").write_bytes(b"new")
    os.replace(place / "new", original)
    assert guard.holds(link)
    assert link.stat().st_ino == inode
    assert link.read_bytes() == OLD


def test_what_somebody_has_open_for_writing_or_mapped_is_not_held(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    with original.open("r+b") as writer:
        assert not guard.hold(link)
        mapping = mmap.mmap(writer.fileno(), 0)
    assert not guard.hold(link)
    mapping.close()
    assert guard.hold(link)
    assert not guard.hold(place / "missing")
    os.symlink(original, place / "symbolic")
    assert not guard.hold(place / "symbolic")
    os.mkfifo(place / "pipe")
    assert not guard.hold(place / "pipe")


def test_a_link_that_was_released_costs_a_writer_nothing(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    assert guard.hold(link)
    guard.release(link)
    guard.release(link)
    original.write_bytes(b"new")
    assert link.read_bytes() == b"new"
    assert not guard.holds(link)


def test_several_writers_are_served_each_with_the_content_of_its_own_file(guard: Guard, place: Path) -> None:
    pairs = [linked(place, f"{number}") for number in range(12)]
    assert all(guard.hold(link) for _, link in pairs)
    writers = [threading.Thread(target=rewrite, args=(original,)) for original, _ in pairs for _ in range(2)]
    for writer in writers:
        writer.start()
    answers = [guard.holds(link) for _, link in pairs]
    for writer in writers:
        writer.join()
    assert all(answers)
    assert all(guard.holds(link) and link.read_bytes() == OLD and original.read_bytes() == b"new" for original, link in pairs)


def test_two_links_of_one_file_both_become_copies(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    os.link(original, place / "second")
    assert guard.hold(link)
    assert guard.hold(place / "second")
    rewrite(original)
    assert guard.holds(link)
    assert guard.holds(place / "second")
    assert link.read_bytes() == (place / "second").read_bytes() == OLD


def test_more_links_are_held_than_a_process_may_usually_open(guard: Guard, place: Path) -> None:
    links = [place / f"{number}" for number in range(1_100)]
    for link in links:
        link.write_bytes(b"old")
    assert all(guard.hold(link) for link in links)
    os.link(links[1_090], place / "original")
    rewrite(place / "original")
    assert guard.holds(links[1_090])
    assert links[1_090].read_bytes() == b"old"


def test_a_writer_that_does_not_wait_fails_until_the_copy_is_there(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    assert guard.hold(link)
    with pytest.raises(OSError, match="unavailable") as refused:
        os.open(original, os.O_WRONLY | os.O_NONBLOCK)
    assert refused.value.errno == errno.EAGAIN
    far.wait_for(lambda: not os.path.samefile(original, link))
    rewrite(original)
    os.close(os.open(original, os.O_WRONLY | os.O_NONBLOCK))
    assert guard.holds(link)
    assert link.read_bytes() == OLD


def test_where_no_copy_can_be_made_the_writer_goes_on_and_it_is_said_once(
    guard: Guard, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    original, link = linked(place, "f" * 247)  # the copy's name is too long
    assert guard.hold(link)
    original.write_bytes(b"new")
    with caplog.at_level(logging.WARNING):
        assert not guard.holds(link)
        assert not guard.holds(link)
    assert [record.getMessage() for record in caplog.records] == [
        f"{link}: what waits here is being written to, and cannot be copied first: File name too long"
    ]
    assert link.read_bytes() == b"new"
    assert os.path.samefile(original, link)


def test_a_link_that_is_gone_or_another_file_by_then_stays_so(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    other, another = linked(place, "g")
    assert guard.hold(link)
    assert guard.hold(another)
    link.unlink()
    os.replace(original, another)
    rewrite(other)
    rewrite(another)
    assert not link.exists()
    assert another.read_bytes() == b"new"


def test_without_its_process_nothing_is_held_and_nobody_waits(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    other, copied = linked(place, "g")
    assert guard.hold(link)
    assert guard.hold(copied)
    rewrite(other)
    assert guard._child is not None
    os.kill(guard._child.pid, signal.SIGKILL)
    far.wait_for(lambda: guard._child is not None and not guard._child.lives())
    assert not guard.holds(link)
    assert guard.holds(copied), "it is a copy already"
    rewrite(original)
    assert link.read_bytes() == b"new"
    again, held = linked(place, "h")
    assert guard.hold(held), "another process is begun"
    rewrite(again)
    assert held.read_bytes() == OLD


def test_a_copy_that_a_killed_process_left_is_in_nobodys_way(guard: Guard, place: Path) -> None:
    original, link = linked(place)
    (place / "f.waiting.guard").write_bytes(b"half")
    assert guard.hold(link)
    rewrite(original)
    assert link.read_bytes() == OLD
    assert sorted(os.listdir(place)) == ["f", "f.waiting"]


def test_where_leases_do_not_tell_or_nobody_knows_nothing_is_held(place: Path) -> None:
    _, link = linked(place)
    device = os.stat(place).st_dev
    for proof in (None, Proof(maps_move_times=True, fsync_arms=True, leases=True), Proof(leases=False, lease_tells=True)):
        found = Proofs(lambda function, folder, proof=proof: (device, proof))
        if proof is not None:
            found.learn(place)
        guard = Guard(found)
        assert not guard.hold(link)
        assert not guard.holds(link)
        guard.close()


def test_where_only_proc_tells_a_mapped_file_is_not_held(place: Path) -> None:
    """As on overlayfs, where the lease is granted although somebody has the file mapped."""
    original, link = linked(place)
    proofs = Proofs(lambda function, folder: (os.stat(place).st_dev, Proof(leases=True, proc_tells=True)))
    proofs.learn(place)
    guard = Guard(proofs)
    with original.open("rb") as reader, mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ):
        assert not guard.hold(link), "a mapping that only reads may be made writable"
    assert guard.hold(link) == (shared_mappings() is not None), "who may not look into every process holds nothing"
    rewrite(original)
    assert link.read_bytes() == (OLD if guard.holds(link) else b"new")
    guard.close()


def test_its_process_ends_with_ours_and_what_is_forked_holds_nothing() -> None:
    script = """
import os, sys, time
from pathlib import Path
from holdfast.store.copies.guard import Guard
from holdfast.store.copies.proofs import Proofs, probe
from tests.store.copies.test_guard import OLD, linked, rewrite
proofs = Proofs(lambda function, folder: function(folder))
place = Path(sys.argv[1])
proofs.learn(place)
guard = Guard(proofs)
original, link = linked(place)
assert guard.hold(link)
child = os.fork()
if child == 0:
    good = not guard.holds(link)
    guard.release(link)
    os._exit(0 if good else 1)
assert os.waitpid(child, 0)[1] == 0
rewrite(original)
assert guard.holds(link) and link.read_bytes() == OLD
print(guard._child.pid, flush=True)
if len(sys.argv) > 2:
    time.sleep(600)
"""
    for killed in ([], ["killed"]):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, folder, *killed]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=far.ENVIRONMENT) as parent:
                assert parent.stdout is not None
                pid = int(parent.stdout.readline())
                if killed:
                    parent.kill()
                assert parent.wait() == (-9 if killed else 0)
                far.wait_for(lambda pid=pid: not far.running(pid))


def open_files() -> set[str]:
    """What this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return found


def test_one_that_is_forgotten_leaves_no_process(guard: Guard, proofs: Proofs, place: Path) -> None:
    _, link = linked(place)
    gc.collect()
    forgotten = Guard(proofs)
    assert forgotten.hold(link)
    assert forgotten._child is not None
    pid = forgotten._child.pid
    pipe = forgotten._child.pipe
    ends = {os.readlink(f"/proc/self/fd/{d}") for d in (pipe.reading, pipe.writing)}
    del forgotten, pipe
    gc.collect()
    assert not far.alive(pid)
    assert not ends & open_files()
    assert guard.hold(link)
