"""Who has a file open for writing is told, and asking leaves nothing behind."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from holdfast.store.copies.leases import somebody_writes
from tests.store.apart.far import ENVIRONMENT


def test_an_open_writer_is_told_until_it_closes(place: Path) -> None:
    file = place / "f"
    with file.open("wb") as writer:
        writer.write(b"abc")
        reader = os.open(file, os.O_RDONLY)
        assert somebody_writes(reader) is True
    assert somebody_writes(reader) is False
    other = os.open(file, os.O_RDONLY)
    assert somebody_writes(reader) is False
    os.close(other)
    os.close(reader)


def test_a_shared_writable_mapping_is_told(place: Path) -> None:
    file = place / "f"
    file.write_bytes(bytes(4096))
    reader = os.open(file, os.O_RDONLY)
    with file.open("r+b") as writer:
        mapping = mmap.mmap(writer.fileno(), 4096)
    assert somebody_writes(reader) is True
    mapping.close()
    with file.open("rb") as again, mmap.mmap(again.fileno(), 4096, prot=mmap.PROT_READ):
        assert somebody_writes(reader) is False
    os.close(reader)


def test_what_has_no_leases_cannot_be_told(place: Path) -> None:
    for path in (place, Path("/dev/null"), Path("/proc/self/status")):
        descriptor = os.open(path, os.O_RDONLY)
        assert somebody_writes(descriptor) is not True
        os.close(descriptor)
    assert somebody_writes(descriptor) is None, "a closed descriptor"


def test_another_users_file_cannot_be_told() -> None:
    code = """
import os, sys
from holdfast.store.copies.leases import somebody_writes
if os.geteuid() == 0:
    os.setuid(65534)
sys.exit(somebody_writes(0) is not None)
"""
    with open("/etc/passwd", "rb") as roots:
        subprocess.run([sys.executable, "-c", code], stdin=roots, env=ENVIRONMENT, check=True)


def test_asking_leaves_no_signal_and_no_lease_while_writers_come_and_go(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"abc")
    reader = os.open(file, os.O_RDONLY)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with file.open("ab"):
                pass

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    writers = [threading.Thread(target=write) for _ in range(2)]
    try:
        for writer in writers:
            writer.start()
        told = {somebody_writes(reader) for _ in range(5_000)}
        stop.set()
        for writer in writers:
            writer.join()
        assert signal.SIGIO not in signal.sigpending()
    finally:
        stop.set()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert told <= {True, False}
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))  # would be EAGAIN under a lease
    os.close(reader)
