"""Runs `holdfast` commands, each in a process of its own that is forked from one that has the imports behind it.

What a command does is that of `python -m holdfast`, for a tenth of the time. Speaks JSON lines: a request in, the exit
code out; a command that outlives its time is killed by its own alarm and answers with a negative code.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any


def serve() -> None:
    """Answer requests until standard input ends."""
    _warm_up()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _warm_up() -> None:
    """Load once, for every command, what commands load when they run."""
    from holdfast.cli.app import app

    for verb in (
        "session.doctor",
        "session.answers",
        "session.backing_up",
        "session.commits",
        "session.restoring",
        "session.upkeep",
    ):
        importlib.import_module(f"holdfast.{verb}")
    for name in ("store.restore", "store.copies.unproven", "store.extract", "session.finding.history", "session.seeing.terminal"):
        importlib.import_module(f"holdfast.{name}")
    for words in (["ensure", "--root", "/nowhere", "--drive", "/nowhere", "x"], ["ensure", "--unknown"], ["--help"]):
        nothing = io.StringIO()
        with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing), contextlib.suppress(Exception, SystemExit):
            app(words)


def _drop_root() -> None:
    """Give up the capabilities by which root passes over file modes (capset(2), CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert library.capget(header, sets) == 0
    for number in (0, 1, 2):
        sets[number] &= ~0b110
    assert library.capset(header, sets) == 0, ctypes.get_errno()


def _run(request: dict[str, Any]) -> None:
    signal.alarm(request["seconds"])
    code = 70
    try:
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        for number, place, flags in (
            (0, request["stdin"], os.O_RDONLY),
            (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            handle = os.open(place, flags, 0o600)
            os.dup2(handle, number)
            os.close(handle)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - likewise
        sys.argv = ["holdfast", *request["arguments"]]
        if request["memory"]:
            resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
        if request["denied"]:
            _drop_root()
        from holdfast.cli import main

        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter would do
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
