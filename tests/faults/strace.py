"""Counting the file-system calls of a command, and killing it at one of them, with strace(1).

A kill comes at the entry of a call, so the call itself has no effect any more: a point is the state between two calls.
`--seccomp-bpf` would be quicker, but with it strace 6.1 delivers no injected signal. strace stops a process at every call that it
makes, so the thousands that Python makes to start are spared: a command is forked from a Python that has started (`warm.py`).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.warm_python import SECONDS, CommandError, WarmPython

#: What can read or change a file system. `close`, `lseek`, `ioctl` and `mmap` change nothing that outlives a process.
CALLS = (
    *("open", "openat", "openat2", "creat", "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev"),
    *("sendfile", "copy_file_range", "fsync", "fdatasync", "sync", "truncate", "ftruncate", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat"),
    *("stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "statfs", "fstatfs"),
    *("readlink", "readlinkat", "getdents", "getdents64", "flock", "fcntl"),
)
#: Of those, and of what else a call on a file can be: what leaves every file and folder as it is, wherever it comes back.
_ONLY_LOOK = frozenset(
    (
        *("read", "readv", "pread64", "preadv", "close", "lseek", "fadvise64", "readahead", "munmap", "chdir", "fchdir"),
        *("stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "statfs", "fstatfs"),
        *("readlink", "readlinkat", "getdents", "getdents64", "flock", "fcntl", "dup", "dup2", "dup3"),
        *("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr"),
        # A kill leaves what is in the kernel's memory, whether or not it is on the disk.
        *("fsync", "fdatasync", "sync", "syncfs", "sync_file_range"),
    )
)
_OPENS = frozenset(("open", "openat"))
_MAKES = re.compile(r"\bO_(CREAT|TRUNC|TMPFILE)\b")
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_FAILED = re.compile(r"\) += -1 E[A-Z0-9]+ \(")


class StraceError(CommandError):
    """strace is missing, may not trace, or the command does not run as the sweep needs it to."""


@dataclass(frozen=True)
class Point:
    """One place to kill a command.

    Args:
        call: Name of a call.
        number: Of those of this name in the main thread.
        side: The side that it touches.
        what: Its arguments.
        state: Of a command's points, those that are one in this find the same bytes: what was called between them only looked,
            or failed.
    """

    call: str
    number: int
    side: str
    what: str
    state: int = 0


@dataclass(frozen=True)
class Death:
    """What became of a run that was to be killed: by SIGKILL, at a call with these arguments; or not at all."""

    killed: bool
    what: str


def require_strace() -> str:
    """Where strace is. Raises StraceError where it is not: a sweep that is skipped proves nothing."""
    found = shutil.which("strace")
    if found is None:
        raise StraceError("the kill sweep needs strace, and it is not on this machine: apt-get install strace")
    return found


_warm_python = functools.cache(WarmPython)


@dataclass(frozen=True)
class _Ended:
    code: int
    said: str


def _run(options: Sequence[str], command: Sequence[str], env: Mapping[str, str], log: Path) -> _Ended:
    """Run the command line of a Python under strace."""
    assert command[:2] == [sys.executable, "-P"]
    python = _warm_python(env["PYTHONPATH"])
    said = log.with_suffix(".said")
    child = python.begin(command[2:], env, said)
    # -s 0 leaves out what is written and read; paths are always shown whole. Outside of every folder that is swept.
    trace = [require_strace(), "-f", "-y", "-s", "0", "-o", str(log), *options, "-p", str(child)]
    with subprocess.Popen(trace, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        told = strace.stderr.readline()
        may = "attached" in told
        os.kill(child, signal.SIGCONT if may else signal.SIGKILL)
        code = python.end(child)
        strace.communicate(timeout=SECONDS)
    if not may:
        raise StraceError(f"strace may not trace here: {told.strip()}")
    return _Ended(code, said.read_text(errors="replace").strip())


def record(
    command: Sequence[str],
    sides: Mapping[str, Path],
    env: Mapping[str, str],
    log: Path,
    fine: Collection[int] = (0,),
) -> list[Point]:
    """Run a command to its end and list its calls that touch one of the folders, in order.

    Args:
        command: The command line of a Python, with absolute paths.
        sides: Name of each side to its folder; neither holds the other.
        env: The environment, the same for every run.
        log: Where strace may write.
        fine: Exit codes of a command that went through.

    Raises:
        StraceError: the command fails, or touches the folders in more than one thread, so that counts would not repeat.
    """
    done = _run([], command, env, log)
    if done.code not in fine:
        raise StraceError(f"{' '.join(command)} ended with {done.code} under strace: {done.said[-500:]}")
    counts: Counter[str] = Counter()
    points: list[Point] = []
    main, state, mapped = "", 0, set[str]()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        main = main or match["thread"]
        call, rest = match["call"], match["rest"]
        side = _side(rest, sides)
        if match["thread"] == main:
            counts[call] += 1
            if call == "munmap":
                mapped.discard(rest.partition(",")[0])
            if side is None:
                continue
            if call in CALLS:
                points.append(Point(call, counts[call], side, _shown(rest, sides), state))
            # What is written through a mapping is no call: while there is one, no state is known to be another one.
            if call == "mmap" and "MAP_SHARED" in rest and "PROT_WRITE" in rest:
                mapped.add(rest.rpartition("= ")[2])
            state += bool(mapped) or _may_change(call, rest)
        elif side is not None:
            raise StraceError(f"several threads work, so calls cannot be counted (is TMPDIR on a network or memory disk?): {line}")
    return points


def _may_change(call: str, rest: str) -> bool:
    """Whether a call may leave other bytes, names, modes or times than it found: any but those that are known not to."""
    if call in _ONLY_LOOK or _FAILED.search(rest):
        return False
    return call not in ("mmap", *_OPENS) or (call in _OPENS and _MAKES.search(rest) is not None)


def kill(command: Sequence[str], point: Point, sides: Mapping[str, Path], env: Mapping[str, str], log: Path) -> Death:
    """Run a command and send it SIGKILL at the entry of one call."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    done = _run(["-e", f"trace={point.call}", "-e", inject], command, env, log)
    if done.code != -signal.SIGKILL:
        return Death(killed=False, what=f"ended with {done.code}: {done.said[-200:]}")
    last = [m for m in map(_LINE.match, log.read_text(errors="replace").splitlines()) if m is not None][-1]
    # A kill elsewhere would mean that the counts of this run are not those of the recorded one: then it proves nothing.
    return Death(killed=_side(last["rest"], sides) == point.side, what=_shown(last["rest"], sides))


def _side(arguments: str, sides: Mapping[str, Path]) -> str | None:
    """The side whose folder is named first."""
    found = {name: arguments.find(str(folder)) for name, folder in sides.items()}
    return min((name for name, at in found.items() if at >= 0), key=lambda name: found[name], default=None)


def _shown(arguments: str, sides: Mapping[str, Path]) -> str:
    for name, folder in sides.items():
        arguments = arguments.replace(str(folder), f"<{name}>")
    return re.sub(r" +=", " =", arguments)[:300]
