"""Counting the file-system calls of a command, and killing it at one of them, with strace(1).

A kill comes at the entry of a call, so the call itself has no effect any more: a point is the state between two calls.
`--seccomp-bpf` would be quicker, but with it strace 6.1 delivers no injected signal.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What can read or change a file system. `close`, `lseek`, `ioctl` and `mmap` change nothing that outlives a process.
CALLS = (
    *("open", "openat", "openat2", "creat", "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev"),
    *("sendfile", "copy_file_range", "fsync", "fdatasync", "sync", "truncate", "ftruncate", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat"),
    *("stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "statfs", "fstatfs"),
    *("readlink", "readlinkat", "getdents", "getdents64", "flock", "fcntl"),
)
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_SIGKILL = -9
_SECONDS = 120


class StraceError(Exception):
    """strace is missing, may not trace, or the command does not run as the sweep needs it to."""


@dataclass(frozen=True)
class Point:
    """One place to kill a command: the `number`-th call of this name in its main thread, which touches this side."""

    call: str
    number: int
    side: str
    what: str


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


def _run(options: Sequence[str], command: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.CompletedProcess[str]:
    # -s 0 leaves out what is written and read; paths are always shown whole. Outside of every folder that is swept.
    trace = [require_strace(), "-f", "-y", "-s", "0", "-o", str(log), *options, "--", *command]
    return subprocess.run(trace, env=dict(env), cwd="/", capture_output=True, text=True, timeout=_SECONDS, check=False)


def record(
    command: Sequence[str],
    sides: Mapping[str, Path],
    env: Mapping[str, str],
    log: Path,
    fine: Collection[int] = (0,),
) -> list[Point]:
    """Run a command to its end and list its calls that touch one of the folders, in order.

    Args:
        command: The command, as absolute paths.
        sides: Name of each side to its folder; neither holds the other.
        env: The environment, the same for every run.
        log: Where strace may write.
        fine: Exit codes of a command that went through.

    Raises:
        StraceError: the command fails, or touches the folders in more than one thread, so that counts would not repeat.
    """
    done = _run(["-e", "trace=" + ",".join(f"?{c}" for c in CALLS)], command, env, log)
    if done.returncode not in fine:
        raise StraceError(f"{' '.join(command)} ended with {done.returncode} under strace: {done.stderr.strip()[-500:]}")
    counts: Counter[str] = Counter()
    points: list[Point] = []
    main = ""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        main = main or match["thread"]
        side = _side(match["rest"], sides)
        if match["thread"] == main:
            counts[match["call"]] += 1
            if side is not None:
                points.append(Point(match["call"], counts[match["call"]], side, _shown(match["rest"], sides)))
        elif side is not None:
            raise StraceError(f"several threads work, so calls cannot be counted (is TMPDIR on a network or memory disk?): {line}")
    return points


def kill(command: Sequence[str], point: Point, sides: Mapping[str, Path], env: Mapping[str, str], log: Path) -> Death:
    """Run a command and send it SIGKILL at the entry of one call."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    done = _run(["-e", f"trace={point.call}", "-e", inject], command, env, log)
    if done.returncode != _SIGKILL:
        return Death(killed=False, what=f"ended with {done.returncode}: {done.stderr.strip()[-200:]}")
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
