"""Running a command in a process of its own, for commands that may meet a mount that hangs.

A thread that waits for a FUSE mount cannot be ended: not by the end of its process, not by SIGKILL (Linux,
`request_wait_answer`). A process with such a thread has said all that it has to say and still does not end, and with it whoever
waits for it: the shell, a notebook cell. So the command runs in a child, and the parent ends once the child has said that it is
done, leaving it behind.
"""

from __future__ import annotations

import os
import selectors
import sys
import traceback
from collections.abc import Callable

_BLOCK = 1 << 16


def apart(command: Callable[[], int]) -> int:
    """Run a command in a child process and return its exit code. Returns also where that process can never end.

    Its output passes through. Where processes cannot be forked (Windows) it runs right here.

    Args:
        command: Gives the exit code. Starts with no threads running.
    """
    if not hasattr(os, "fork"):
        return command()
    sys.stdout.flush()
    sys.stderr.flush()
    pipes = out, error, done = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(command, out[1], error[1], done[1])
    for _, writing in pipes:
        os.close(writing)
    try:
        told = _pass_on(out[0], error[0], done[0])
    except BrokenPipeError:  # nobody reads any more
        return 1
    except KeyboardInterrupt:  # the child got it too, and clears up
        return 130
    finally:
        for reading, _ in pipes:
            os.close(reading)
    if told:
        return int(told)
    _, status = os.waitpid(child, 0)
    return 128 - os.waitstatus_to_exitcode(status)


def _be_the_child(command: Callable[[], int], out: int, error: int, done: int) -> None:
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(error, 2)
        os.close(out)  # a copy that stays open would keep the parent's reader waiting
        os.close(error)
        code = command()
    except BaseException:  # noqa: BLE001 - what the interpreter would do at the end of a process
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os.write(done, str(code).encode())
            os._exit(code)


def _pass_on(out: int, error: int, done: int) -> bytes:
    """Pass on what the child prints until it says that it is done. Returns its exit code; nothing where it died."""
    targets = {out: 1, error: 2}
    with selectors.DefaultSelector() as selector:
        for source in (out, error, done):
            os.set_blocking(source, False)
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select()]
            told = os.read(done, 16) if done in ready else None
            for source in targets if told is not None else [fd for fd in ready if fd in targets]:
                _copy(source, targets[source], selector)
            if told is not None:
                return told


def _copy(source: int, target: int, selector: selectors.BaseSelector) -> None:
    """Copy what there is now."""
    while True:
        try:
            data = os.read(source, _BLOCK)
        except BlockingIOError:
            return
        if not data:
            if source in selector.get_map():
                selector.unregister(source)
            return
        while data:
            data = data[os.write(target, data) :]
