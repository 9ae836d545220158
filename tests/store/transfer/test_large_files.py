"""The bytes of large files: a disk begins with the first of them, a file system that clones gets none, and all are verified."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3

from holdfast import platform
from holdfast.errors import StoreUnreadable
from holdfast.store.backends import directory
from holdfast.store.backends.backend import CHUNK_BYTES, LocalFile
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.mounts import DISK, OTHER, kind_of
from holdfast.store.backends.wrappers import Bounded
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.transfer import fetch
from tests.support import PROJECT, Rig

MIB = 1 << 20
KEY = "outputs/run"


@contextmanager
def mounted(kind: str, place: Path) -> Iterator[Path | None]:
    """A file system that clones, in a file; None where this machine cannot make one, as for who is not root."""
    make = {"btrfs": ("mkfs.btrfs", "-q"), "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1")}[kind]
    image, point = place / "image", place / "mounted"
    point.mkdir()
    image.touch()
    os.truncate(image, 600 * MIB)
    commands = ((*make, str(image)), ("mount", "-o", "loop", str(image), str(point)))
    able = shutil.which(make[0]) is not None and os.geteuid() == 0
    if not able or any(subprocess.run(c, capture_output=True, check=False).returncode for c in commands):
        yield None
        return
    try:
        yield point
    finally:
        subprocess.run(("umount", "-l", point), check=True)


def written() -> int:
    """What this process had written to a disk, in bytes (proc_pid_io(5))."""
    line = next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("write_bytes"))
    return int(line.split()[1])


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_where_outputs_and_store_share_a_disk_that_clones_no_byte_is_copied_and_all_are_verified(kind: str, tmp_path: Path) -> None:
    """Of two files, 24 MiB in all. Where no such disk can be made here, they are copied once, and verified as well."""
    with mounted(kind, tmp_path) as point:
        rig = Rig(point or tmp_path)
        machine = rig.machine()
        contents = {f"{KEY}/{n}": Random(n).randbytes(12 * MIB) for n in range(2)}
        for path, content in contents.items():
            machine.write(path, content)
        os.sync()
        before = written()
        assert machine.keep.backup(KEY)
        copied = written() - before
        assert copied < 4 * MIB if point is not None else copied >= 24 * MIB or kind_of(tmp_path) is not DISK
        assert sorted(p.read_bytes() for p in rig.payloads()) == sorted(contents.values())
        machine.keep.verify()
        fresh = rig.machine()
        assert fresh.keep.ensure(KEY).outcome is Outcome.RESTORED
        assert {path: fresh.read(path) for path in contents} == contents


class Shared(LocalFile):
    """A file whose blocks can be had, on a file system that clones only for this test."""

    def __init__(self, content: bytes, *, clones: bool = True) -> None:
        self.content = content
        self.clones = clones
        self.asked: list[str] = []

    def __call__(self) -> Iterable[bytes]:
        self.asked.append("chunks")
        yield self.content

    def clone_into(self, descriptor: int) -> bool:
        self.asked.append("blocks")
        if self.clones:
            os.pwrite(descriptor, self.content, 0)
            assert os.pread(descriptor, len(self.content), 0) == self.content, "what lies there can be read, to be hashed"
        return self.clones


def test_a_folder_on_a_disk_takes_blocks_where_it_can_and_chunks_where_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "kind_of", lambda folder: DISK)
    backend = DirectoryBackend(tmp_path, PROJECT)
    for clones, asked in ((True, ["blocks"]), (False, ["blocks", "chunks"])):
        source = Shared(b"content", clones=clones)
        backend.create(f"a/{clones}", source)
        assert source.asked == asked
        assert b"".join(backend.read(f"a/{clones}")) == b"content"


def test_drive_and_what_may_hang_are_given_every_chunk(tmp_path: Path) -> None:
    """Drive tells an MD5, which is made of the chunks; and a call that may hang shows by them that it gets on."""
    for number, backend in enumerate((DriveBackend(tmp_path, PROJECT), Bounded(DirectoryBackend(tmp_path, PROJECT), 30.0))):
        source = Shared(b"content")
        backend.create(f"a/{number}", source)
        assert source.asked == ["chunks"]


def test_a_copy_that_rots_before_it_is_cloned_is_no_generation(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the store is what is hashed: other bytes than were taken are found out."""
    from holdfast.store.transfer import sending

    def rotten(source: int, target: int) -> bool:
        content = bytearray(os.pread(source, 2 * MIB, 0))
        content[MIB] ^= 1
        return os.pwrite(target, content, 0) > 0

    machine = rig.machine()
    place = machine.write(f"{KEY}/model", bytes(2 * MIB))
    assert machine.keep.backup(KEY)
    place.write_bytes(b"1" * (2 * MIB))  # of the same length, so that its hash is known before it is sent
    monkeypatch.setattr(directory, "kind_of", lambda folder: DISK)
    monkeypatch.setattr(sending, "clone_into", rotten)
    result = machine.keep.backup(KEY)
    assert not result
    assert "local copy changed while it was sent" in result.results[0].error
    assert len(rig.manifests()) == 1


def test_a_disk_begins_with_the_first_bytes_and_fsync_still_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[int, int]] = []

    def record(descriptor: int, start: int, length: int) -> None:
        assert os.fstat(descriptor).st_size == start + length, "what was written, and no more"
        begun.append((start, length))
        platform.begin_write_back(descriptor, start, length)

    synced: list[int] = []
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(len(begun))
        fsync(descriptor)

    monkeypatch.setattr(directory, "kind_of", lambda folder: DISK)
    monkeypatch.setattr(directory, "begin_write_back", record)
    monkeypatch.setattr(os, "fsync", sync)
    DirectoryBackend(tmp_path, PROJECT).create("a/file", lambda: (bytes(CHUNK_BYTES) for _ in range(35)))
    assert begun == [(n * 8 * MIB, 8 * MIB) for n in range(4)]
    assert synced == [4]


def test_a_disk_is_given_little_at_a_time_and_a_mount_every_chunk_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pieces of memory are dear on a virtual machine; a mount is asked as often as it always was."""
    sizes: list[int] = []
    write = os.write

    def record(descriptor: int, data: memoryview) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", record)
    for kind, most, calls in ((DISK, platform.WRITE_BYTES, 26), (OTHER, CHUNK_BYTES, 4)):
        sizes.clear()
        monkeypatch.setattr(directory, "kind_of", lambda folder, kind=kind: kind)
        content = Random(7).randbytes(3 * CHUNK_BYTES + platform.WRITE_BYTES + 1)
        backend = DirectoryBackend(tmp_path / kind.name, PROJECT)
        (tmp_path / kind.name).mkdir()
        backend.create("a/file", lambda: (content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)))  # noqa: B023
        assert (max(sizes), len(sizes)) == (most, calls)
        assert b"".join(backend.read("a/file")) == content


def test_what_is_restored_is_on_its_way_to_the_disk_while_it_comes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with the whole content, also where the store gave the wrong bytes first."""
    begun: list[tuple[int, int]] = []
    machine = rig.machine()
    content = Random(3).randbytes(20 * MIB)
    machine.write(f"{KEY}/model", content)
    assert machine.keep.backup(KEY)
    monkeypatch.setattr(fetch, "begin_write_back", lambda descriptor, start, length: begun.append((start, length)))
    read, reads = DirectoryBackend.read, []

    def once_wrong(self: DirectoryBackend, path: str) -> Iterator[bytes]:
        reads.append(path)
        wrong = path.startswith(KEY) and reads.count(path) == 1
        yield from (bytes(len(c)) if wrong else c for c in read(self, path))

    monkeypatch.setattr(DirectoryBackend, "read", once_wrong)
    fresh = rig.machine()
    assert fresh.keep.ensure(KEY).outcome is Outcome.RESTORED
    assert fresh.read(f"{KEY}/model") == content
    assert begun == [(0, 8 * MIB), (8 * MIB, 8 * MIB)] * 2


def test_write_back_that_cannot_begin_is_no_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    platform.begin_write_back(descriptor, 0, 1 << 40)
    os.close(descriptor)
    platform.begin_write_back(descriptor, 0, 1)


def test_what_fails_on_the_disk_of_both_is_the_stores_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Shared):
        def clone_into(self, descriptor: int) -> bool:
            raise OSError(5, os.strerror(5))

    monkeypatch.setattr(directory, "kind_of", lambda folder: DISK)
    with pytest.raises(StoreUnreadable):
        DirectoryBackend(tmp_path, PROJECT).create("a/file", Failing(b""))


def test_the_hash_of_a_clone_is_that_of_its_bytes(tmp_path: Path) -> None:
    """By the source that is really sent, past the file system."""
    from holdfast.store.transfer import sending
    from holdfast.store.transfer.progress import Silent

    file = tmp_path / "file"
    content = Random(5).randbytes(3 * MIB + 5)
    file.write_bytes(content)
    reading = sending._Reading(file, Silent())
    assert b"".join(reading()) == content
    assert (reading.digest, reading.size, reading.content_size) == (blake3(content).hexdigest(), len(content), len(content))
