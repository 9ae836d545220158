"""A command and everything that it started: run, held still, and killed as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.errors import UsageError
from holdfast.session.attach import DRILL_VARIABLE

#: Stands in the environment of everything that a drill starts, with the folder of its machine.
MARK = DRILL_VARIABLE
#: How long a process may take to stop, or to vanish. One in a call to a file system does so when that returns.
_SETTLE_SECONDS = 30.0
_AGAIN_SECONDS = 0.005


class Running:
    """A command that runs in a process group of its own.

    A command that starts others in groups of their own, as Jupyter does with its kernels, is held still and killed with those
    (Linux): they are its descendants, or have the mark in their environment.

    Args:
        command: What to run.
        folder: The current folder.
        environment: All of it, with `MARK`.
        output: The file that gets what it prints.

    Raises:
        UsageError: there is no such program.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> None:
        self._mark = f"{MARK}={environment[MARK]}".encode()
        with output.open("wb") as sink:
            try:
                self._child = subprocess.Popen(  # noqa: S603 - the command that somebody asked to have rehearsed
                    list(command),
                    cwd=folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                raise UsageError(f"{command[0]}: cannot be run from a copy of the project ({why})") from error

    def wait(self, seconds: float) -> int | None:
        """The exit code, as a shell has it, if the command ends within so many seconds."""
        try:
            code = self._child.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return None
        return 128 - code if code < 0 else code

    def freeze(self) -> None:
        """Hold everything still: when this returns, nothing of it runs."""
        self._send_group(signal.SIGSTOP)
        stopped: set[int] = set()
        end = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < end:
            family = self._family()
            for pid in family.keys() - stopped:
                _send(pid, signal.SIGSTOP)
                stopped.add(pid)
            if all(state in "Tt" for state in family.values()) and family.keys() <= stopped:
                break
            time.sleep(_AGAIN_SECONDS)

    def kill(self) -> None:
        """Kill everything by SIGKILL, and return when it is gone."""
        self._send_group(signal.SIGKILL)
        self._child.wait()
        end = time.monotonic() + _SETTLE_SECONDS
        while (family := self._family()) and time.monotonic() < end:
            for pid in family:
                _send(pid, signal.SIGKILL)
            time.sleep(_AGAIN_SECONDS)

    def _send_group(self, number: int) -> None:
        if self._child.poll() is None:  # its number is its own as long as nobody has asked for its exit code
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)

    def _family(self) -> dict[int, str]:
        """Process number to state of the command and all that it started, as far as they live. Without /proc of nothing."""
        table = _table()
        known = {pid for pid, (_, _, group) in table.items() if group == self._child.pid or self._is_marked(pid)}
        while more := {pid for pid, (_, parent, _) in table.items() if parent in known and pid not in known}:
            known |= more
        return {pid: table[pid][0] for pid in known - {os.getpid()}}

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or gone
            return False


def _table() -> dict[int, tuple[str, int, int]]:
    """Every process that lives: state, parent, group (proc(5))."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, group = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            found[int(entry.parent.name)] = (state, int(parent), int(group))
    return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
