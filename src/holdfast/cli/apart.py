"""Running a command in a process of its own, where it may meet a mount that hangs.

A thread that waits for a FUSE mount cannot be ended: not by the end of its process, not by SIGKILL (Linux,
`request_wait_answer`). A process with such a thread has said all that it has to say and still does not end, and with it whoever
waits for it: the shell, a notebook cell. So the command goes on in a child, and the parent ends once the child has said that it is
done, leaving it behind with its output closed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from holdfast.platform import die_with_parent

#: After an interrupt, so long is the child given by itself (a terminal interrupts it too), and then to clear up.
_NOTICE_SECONDS, _CLEAR_UP_SECONDS = 0.3, 5.0


class Apart:
    """One command that can step aside. Does nothing before `run`, so that whoever calls the commands as functions is not forked."""

    def __init__(self) -> None:
        self._running = False
        self._tell: int | None = None

    def run(self, command: Callable[[], int]) -> NoReturn:
        """Run a command and end this process with its exit code, also where a part of it can never end."""
        self._running = True
        code = 1
        try:
            code = command()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BrokenPipeError:  # nobody reads any more
            code = 1
        except BaseException:
            if self._tell is None:
                raise
            traceback.print_exc()
        if self._tell is None:
            sys.exit(code)
        self._end(self._tell, code)

    def step_aside(self) -> None:
        """From here on the command may hang: go on in a child, which has this process's streams.

        It dies where this process is killed, and hears of its SIGTERM. Called before any thread is started. Where processes
        cannot be forked (Windows) nothing happens.
        """
        if not self._running or self._tell is not None or not hasattr(os, "fork"):
            return
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            die_with_parent()
            self._tell = writing
            return
        os.close(writing)
        sys.exit(_code_of(child, reading))

    @staticmethod
    def _end(tell: int, code: int) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                stream.flush()
        # Whoever reads this output shall see its end, also where this process stays.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        with contextlib.suppress(OSError):
            os.write(tell, str(code).encode())
        os._exit(code)


def _code_of(child: int, reading: int) -> int:
    """The exit code that the child tells, or as a shell has it where the child was killed."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        told = os.read(reading, 16)
    except KeyboardInterrupt:
        told = _after_interrupt(reading, child)
    if told:
        return int(told)
    _, status = os.waitpid(child, 0)
    return 128 - os.waitstatus_to_exitcode(status)


def _after_interrupt(reading: int, child: int) -> bytes:
    for seconds in (_NOTICE_SECONDS, _CLEAR_UP_SECONDS):
        if select.select([reading], [], [], seconds)[0]:
            return os.read(reading, 16) or b"130"
        os.kill(child, signal.SIGINT)
    return b"130"


APART = Apart()
