"""The job: a process that does what it is told in a folder, and holds what it opened. Loads nothing but the standard library.

`Hands` does one thing after the other; a `Job` is a pair of hands in a process of its own, moved through a pipe. What cannot be
done (a path that is not there any more) is answered with the error, and nobody minds: sessions are random.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import mmap
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_MS_SYNC = 4
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def content(kind: str, seed: int, size: int) -> bytes:
    """Bytes of a kind, the same for the same seed."""
    dice = random.Random(seed)
    if kind == "lines":
        text = "".join(f"step {seed} {i} {dice.random():.6f}\n" for i in range(max(1, size // 24)))
        return text.encode()
    if kind == "json-lines":
        return "".join(json.dumps({"step": i, "loss": dice.random()}) + "\n" for i in range(max(1, size // 36))).encode()
    if kind == "json":
        return json.dumps({"seed": seed, "values": [dice.random() for _ in range(max(1, size // 20))]}).encode()
    if kind == "zip":
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as archive:
            archive.writestr("array.npy", dice.randbytes(size))
        return memory.getvalue()
    return dice.randbytes(size)


class Mapping:
    """A file, mapped shared and writable.

    Args:
        place: The file, which is not empty.
        bare: No descriptor of it stays open. Python's own mappings keep one.
    """

    def __init__(self, place: Path, *, bare: bool) -> None:
        self._look = os.open(place, os.O_PATH)  # tells its length, and has it open for nothing
        self._size = os.fstat(self._look).st_size
        with open(place, "r+b") as handle:
            if not bare:
                self._mapped: mmap.mmap | None = mmap.mmap(handle.fileno(), 0)
                self.memory: Any = self._mapped
                return
            self._mapped = None
            self._address = _LIBC.mmap(None, self._size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, handle.fileno(), 0)
        if self._address == ctypes.c_void_p(-1).value:
            raise OSError("it cannot be mapped")
        self.memory = (ctypes.c_ubyte * self._size).from_address(self._address)

    @property
    def backed(self) -> int:
        """So much of it may be touched: the file may have been cut."""
        return min(self._size, os.fstat(self._look).st_size)

    def flush(self) -> None:
        """`msync`."""
        if self._mapped is not None:
            self._mapped.flush()
        else:
            _LIBC.msync(self._address, self._size, _MS_SYNC)

    def close(self) -> None:
        """Unmap it."""
        if self._mapped is not None:
            self._mapped.close()
        else:
            _LIBC.munmap(self._address, self._size)
        os.close(self._look)


class Hands:
    """Does things in a folder. Every verb is a method; what it opens it keeps under a name until it is told to let go."""

    def __init__(self) -> None:
        self._folder = Path()
        self._files: dict[str, int] = {}
        self._maps: dict[str, Mapping] = {}
        self._connections: dict[str, sqlite3.Connection] = {}
        self._sockets: list[socket.socket] = []

    def do(self, verb: str, args: dict[str, Any]) -> str:
        """An empty text, or why it could not be done."""
        try:
            getattr(self, verb)(**args)
        except (OSError, ValueError, KeyError, sqlite3.Error, shutil.Error) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def begin(self, folder: str) -> None:
        """Work in another folder, with nothing held."""
        self.let_go()
        self._folder = Path(folder)

    def let_go(self) -> None:
        """Close all that is held."""
        for name in list(self._connections):
            with contextlib.suppress(sqlite3.Error):
                self.database_close(name)
        for mapping in self._maps.values():
            mapping.close()
        self._maps.clear()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        for end in self._sockets:
            end.close()
        self._sockets.clear()

    def _place(self, path: str) -> Path:
        return self._folder / path

    # -- files -----------------------------------------------------------------------------------------------------------

    def write(self, path: str, kind: str, seed: int, size: int) -> None:
        """As `torch.save` does: in place, through a name that may be there."""
        self._place(path).write_bytes(content(kind, seed, size))

    def write_aside(self, path: str, kind: str, seed: int, size: int) -> None:
        """Beside it, and moved in."""
        aside = self._place(path + ".tmp")
        aside.write_bytes(content(kind, seed, size))
        os.replace(aside, self._place(path))

    def write_half(self, path: str, kind: str, seed: int, size: int) -> None:
        """The first half of it: the program was killed, or is still writing."""
        data = content(kind, seed, size)
        self._place(path).write_bytes(data[: len(data) // 2])

    def append(self, path: str, kind: str, seed: int, size: int, cut: int = 0, hold: str = "") -> None:
        """At the end, less so many bytes; the descriptor may be kept."""
        data = content(kind, seed, size)
        descriptor = self._files.pop(hold, -1) if hold else -1
        if descriptor < 0:
            descriptor = os.open(self._place(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, data[: len(data) - cut])
        if hold:
            self._files[hold] = descriptor
        else:
            os.close(descriptor)

    def overwrite(self, path: str, seed: int, size: int, at: float, hold: str = "") -> None:
        """In place, at a share of its length."""
        descriptor = self._files.pop(hold, -1) if hold else -1
        if descriptor < 0:
            descriptor = os.open(self._place(path), os.O_RDWR)
        os.pwrite(descriptor, random.Random(seed).randbytes(size), int(os.fstat(descriptor).st_size * at))
        if hold:
            self._files[hold] = descriptor
        else:
            os.close(descriptor)

    def busy(self, path: str, seed: int, times: int, grows: bool) -> None:
        """Writes, many in a row: at the end, or in place."""
        dice, descriptor = random.Random(seed), os.open(self._place(path), os.O_RDWR)
        try:
            size = os.fstat(descriptor).st_size
            for _ in range(times):
                data = dice.randbytes(500)
                os.pwrite(descriptor, data, size if grows else dice.randrange(size + 1))
                size += len(data) if grows else 0
        finally:
            os.close(descriptor)

    def truncate(self, path: str, size: int) -> None:
        os.truncate(self._place(path), size)

    def sparse(self, path: str, seed: int, size: int, pieces: int) -> None:
        """Mostly holes."""
        dice = random.Random(seed)
        with open(self._place(path), "wb") as handle:
            handle.truncate(size)
            for _ in range(pieces):
                handle.seek(dice.randrange(size))
                handle.write(dice.randbytes(dice.randrange(1, 9000)))

    def close(self, hold: str) -> None:
        os.close(self._files.pop(hold))

    # -- mappings --------------------------------------------------------------------------------------------------------

    def map(self, path: str, hold: str, bare: bool = False) -> None:
        """Map a file shared and writable; `bare` leaves no descriptor of it open, as C programs do."""
        self._maps[hold] = Mapping(self._place(path), bare=bare)

    def poke(self, hold: str, seed: int, pages: int) -> None:
        """Write through a mapping, into its first page and some others."""
        dice, mapping = random.Random(seed), self._maps[hold]
        for page in range(pages):
            size = mapping.backed
            if not size:
                raise ValueError("there is nothing behind the mapping any more")
            at = 0 if page == 0 else dice.randrange(size)
            mapping.memory[at] = (mapping.memory[at] + 1 + dice.randrange(255)) % 256

    def flush(self, hold: str) -> None:
        self._maps[hold].flush()

    def unmap(self, hold: str) -> None:
        self._maps.pop(hold).close()

    # -- names -----------------------------------------------------------------------------------------------------------

    def rename(self, path: str, to: str) -> None:
        os.rename(self._place(path), self._place(to))

    def delete(self, path: str) -> None:
        os.unlink(self._place(path))

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        self._place(path).mkdir(parents=True)
        os.chmod(self._place(path), mode)

    def remove_folder(self, path: str) -> None:
        os.rmdir(self._place(path))

    def remove_tree(self, path: str) -> None:
        shutil.rmtree(self._place(path))

    def link(self, path: str, target: str) -> None:
        """A symbolic link; `{outputs}` in its target is the folder's absolute path."""
        os.symlink(target.replace("{outputs}", str(self._folder)), self._place(path))

    def hard_link(self, path: str, to: str) -> None:
        os.link(self._place(path), self._place(to), follow_symlinks=False)

    def make_pipe(self, path: str) -> None:
        os.mkfifo(self._place(path))

    def make_socket(self, path: str) -> None:
        end = socket.socket(socket.AF_UNIX)
        self._sockets.append(end)
        above = os.getcwd()
        os.chdir(self._place(path).parent)  # a socket's path may be 108 bytes long
        try:
            end.bind(self._place(path).name)
        finally:
            os.chdir(above)

    # -- what is known of them -------------------------------------------------------------------------------------------

    def mode(self, path: str, mode: int) -> None:
        os.chmod(self._place(path), mode)

    def put_back(self, path: str, mtime_ns: int) -> None:
        os.utime(self._place(path), ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def rewrite_unseen(self, path: str, seed: int) -> None:
        """Other content of the same length under the same mtime, as `rsync -t` and `cp -p` leave it."""
        found = os.stat(self._place(path))
        with open(self._place(path), "r+b") as handle:
            handle.write(random.Random(seed).randbytes(found.st_size))
        os.utime(self._place(path), ns=(found.st_atime_ns, found.st_mtime_ns))

    # -- databases -------------------------------------------------------------------------------------------------------

    def database_open(self, path: str, hold: str, wal: bool) -> None:
        connection = sqlite3.connect(self._place(path), timeout=0.05, isolation_level=None)
        self._connections[hold] = connection
        connection.execute(f"pragma journal_mode = {'wal' if wal else 'delete'}").fetchone()
        connection.execute("create table if not exists trials (number integer primary key, value blob)")

    def database_connect(self, path: str, hold: str) -> None:
        """A connection before its first commit leaves an empty file."""
        self._connections[hold] = sqlite3.connect(self._place(path), timeout=0.05, isolation_level=None)
        self._connections[hold].execute("begin immediate")

    def database_write(self, hold: str, seed: int, rows: int) -> None:
        dice, connection = random.Random(seed), self._connections[hold]
        begun = connection.in_transaction
        if not begun:
            connection.execute("begin")
        try:
            for _ in range(rows):
                connection.execute("insert into trials (value) values (?)", (dice.randbytes(dice.randrange(1, 400)),))
        finally:
            if not begun:
                connection.execute("commit")

    def database_begin(self, hold: str) -> None:
        self._connections[hold].execute("begin immediate")

    def database_commit(self, hold: str) -> None:
        self._connections[hold].execute("commit")

    def database_close(self, hold: str) -> None:
        connection = self._connections.pop(hold)
        try:
            if connection.in_transaction:
                connection.execute("rollback")
        finally:
            connection.close()


class Job:
    """Hands in a process of their own."""

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-E", str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, verb: str, args: dict[str, Any]) -> str:
        """An empty text, or why it could not be done."""
        self.tell(verb, args)
        return self.answer()

    def tell(self, verb: str, args: dict[str, Any]) -> None:
        """Have it begin, and do not wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, args]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """What came of the oldest thing that it was told."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, "the job has died"
        return str(json.loads(answer))

    def end(self) -> None:
        """Let it go, with all that it holds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve() -> None:
    hands = Hands()
    for line in sys.stdin:
        verb, args = json.loads(line)
        sys.stdout.write(json.dumps(hands.do(verb, args)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
