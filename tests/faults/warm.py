"""A Python that has loaded what a command loads, and runs each command line in a fork of itself: starting is the slow part.

It is told one command line after the other, as lines of JSON. A fork stops before its first step, so that it can be traced from
there. Its process and, once it has ended, its exit code are the answers. It has the modules of `PYTHONPATH`, and nothing of the
process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import sys
from collections.abc import Iterable, Sequence

#: Packages whose every module a command may load, and what those load where they use it. Heavy libraries are not among them.
COMMANDS = ("holdfast.cli", "holdfast.session", "holdfast.store", "requests", "sqlite3", "typer.core", "typer.rich_utils", "yaml")
SIMULATOR = ("holdfast.simulator",)
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
#: PR_SET_PTRACER, PR_SET_PTRACER_ANY (prctl(2)): where Yama is, only a parent may trace, and strace is none.
_SET_TRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def load(packages: Sequence[str]) -> None:
    """Load packages, ours with all their modules, and do what a command does on first use: every fork then has it behind it."""
    for package in packages:
        loaded = importlib.import_module(package)
        if package.startswith("holdfast."):
            for module in pkgutil.walk_packages(loaded.__path__, f"{package}."):
                if not module.name.endswith(".__main__"):
                    importlib.import_module(module.name)
    if "holdfast.cli" in packages:
        _parse_one()
    if "holdfast.simulator" in packages:
        importlib.import_module("holdfast.simulator.libfuse").load()


def _parse_one() -> None:
    import typer.main

    from holdfast.cli.app import app
    from holdfast.errors import UsageError

    # The tree of commands is built out of their annotations at each start, which takes longer than most commands do.
    typer.main.get_command = functools.cache(typer.main.get_command)
    with contextlib.suppress(UsageError):
        app(["history", "outputs", "--root", "/nowhere"], standalone_mode=False)


def serve(lines: Iterable[bytes]) -> list[str] | None:
    """Fork for each line. Returns a command line in the fork that is to run it, and None once there are no more lines."""
    for line in lines:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            _begin(wanted["env"], wanted["said"])
            return [str(word) for word in wanted["command"]]
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


def _begin(env: dict[str, str], said: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    for number, (path, flags) in enumerate([(os.devnull, os.O_RDONLY), (said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]):
        handle = os.open(path, flags, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(1, 2)
    ctypes.CDLL(None).prctl(_SET_TRACER, _ANYBODY, 0, 0, 0)
    _die_with_parent()
    os.kill(os.getpid(), signal.SIGSTOP)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def run(command: list[str]) -> None:
    """What `python WORDS` does with `-m MODULE`, `-c CODE` or a file, and what follows it."""
    first, *rest = command
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(rest[0], {"__name__": "__main__"})
    else:
        sys.argv = command
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _die_with_parent()
    load(sys.argv[1:])
    gc.collect()
    gc.freeze()
    todo = serve(iter(sys.stdin.buffer.readline, b""))
    if todo is not None:
        run(todo)
