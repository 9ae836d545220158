"""A copy has the bytes and the holes of the original, or is not there."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3

from holdfast.store.copies.copying import PIECE_BYTES, clone, copy

MIB = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def sparse(path: Path, *stretches: tuple[int, bytes], size: int) -> bytes:
    """A file with data in some places and holes elsewhere; its content."""
    content = bytearray(size)
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in stretches:
            file.seek(at)
            file.write(data)
            content[at : at + len(data)] = data
    return bytes(content)


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize("length", [None, 0, 1, 5 * MIB, 5 * MIB + 17, 6 * MIB + 4096, 40 * MIB])
def test_holes_stay_holes_and_count_as_zeros(place: Path, length: int | None, *, hashing: bool) -> None:
    file, target = place / "f", place / "copy"
    content = sparse(file, (4096, b"a" * 5000), (5 * MIB, b"b" * (2 * MIB)), (30 * MIB + 7, b"c"), size=32 * MIB + 5)
    with opened(file) as source:
        copied = copy(source, target, length, hashing=hashing)
    content = content if length is None else content[:length]
    assert copied.size == len(content)
    assert copied.blake3 == (blake3(content).hexdigest() if hashing else None)
    assert target.read_bytes() == content
    assert on_disk(target) <= on_disk(file) + 4 * MIB, "xfs sets some aside for a file that grows"


def test_random_files_are_copied_byte_for_byte(place: Path, seeded: Callable[[int], Random]) -> None:
    random = seeded(17)
    for number in range(15):
        size = random.choice([0, 1, 4095, PIECE_BYTES, PIECE_BYTES + 1, random.randrange(3 * MIB)])
        stretches = [
            (random.randrange(size), random.randbytes(random.randrange(1, 9000))) for _ in range(random.randrange(6)) if size
        ]
        content = sparse(place / f"{number}", *((at, data[: size - at]) for at, data in stretches), size=size)
        with opened(place / f"{number}") as source:
            os.lseek(source, 77, os.SEEK_SET)
            assert copy(source, place / f"{number}.a", None, hashing=True).blake3 == blake3(content).hexdigest()
            assert copy(source, place / f"{number}.b", None, hashing=False).size == size
        assert (place / f"{number}.a").read_bytes() == (place / f"{number}.b").read_bytes() == content


def test_what_was_mapped_into_a_hole_and_is_not_on_the_disk_yet_is_copied(place: Path) -> None:
    file = place / "f"
    sparse(file, size=MIB)
    with file.open("r+b") as writer, mmap.mmap(writer.fileno(), MIB) as mapping:
        mapping[500_000:500_003] = b"abc"
        with opened(file) as source:
            hashed = copy(source, place / "a", None, hashing=True)
            copy(source, place / "b", None, hashing=False)
    content = file.read_bytes()
    assert b"abc" in content
    assert hashed.blake3 == blake3(content).hexdigest()
    assert (place / "a").read_bytes() == (place / "b").read_bytes() == content


def test_the_path_is_not_followed_again(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"old")
    with opened(file) as source:
        os.unlink(file)
        file.write_bytes(b"another")
        copy(source, place / "copy", None, hashing=True)
    assert (place / "copy").read_bytes() == b"old"


def test_of_a_file_that_becomes_shorter_what_is_there_is_copied(place: Path) -> None:
    for hashing in (True, False):
        file, target = place / "f", place / f"copy-{hashing}"
        file.write_bytes(b"a" * (40 * MIB))

        def cut(at: int, file: Path = file) -> None:
            if file.stat().st_size > 20 * MIB:
                os.truncate(file, 20 * MIB)

        with opened(file) as source:
            copied = copy(source, target, None, hashing=hashing, tick=cut)
        assert copied.size == target.stat().st_size == 20 * MIB
        assert copied.blake3 == (blake3(b"a" * (20 * MIB)).hexdigest() if hashing else None)


def test_a_copy_that_is_ended_leaves_nothing(place: Path) -> None:
    file = place / "f"
    sparse(file, (0, b"a" * (4 * MIB)), size=8 * MIB)

    def end(at: int) -> None:
        raise KeyboardInterrupt

    with opened(file) as source:
        for hashing in (True, False):
            with pytest.raises(KeyboardInterrupt):
                copy(source, place / "copy", None, hashing=hashing, tick=end)
    assert os.listdir(place) == ["f"]


def test_nothing_is_written_over(place: Path) -> None:
    file, target = place / "f", place / "copy"
    file.write_bytes(b"new")
    target.write_bytes(b"old")
    with opened(file) as source:
        with pytest.raises(FileExistsError):
            copy(source, target, None, hashing=False)
        with pytest.raises(FileExistsError):
            clone(source, target)
    assert target.read_bytes() == b"old"


def test_a_clone_is_whole_or_is_not_there(place: Path) -> None:
    file, target = place / "f", place / "clone"
    file.write_bytes(b"a" * 100_000)
    with opened(file) as source:
        cloned = clone(source, target)
    assert target.exists() == cloned
    assert not cloned or target.read_bytes() == file.read_bytes()


def test_memory_is_bounded(place: Path) -> None:
    import tracemalloc

    file = place / "f"
    sparse(file, (0, b"a" * (8 * MIB)), size=64 * MIB)
    tracemalloc.start()
    try:
        with opened(file) as source:
            copy(source, place / "copy", None, hashing=True)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()
