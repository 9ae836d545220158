"""Commands of a Python that has started already (`warm.py`)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults import warm

#: What takes longer hangs.
SECONDS = 120


class CommandError(Exception):
    """A command does not run as it should."""


class WarmPython:
    """`warm.py` in a process of its own, which lasts as long as this one. One command at a time.

    Args:
        code: The folder that holds the package whose commands are run.
        packages: What to load of it.
    """

    def __init__(self, code: str, packages: Sequence[str] = warm.COMMANDS) -> None:
        env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": code, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-P", "-B", warm.__file__, *packages]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd="/")

    def begin(self, command: Sequence[str], env: Mapping[str, str], said: Path) -> int:
        """The process of a command that has stopped before its first step. What it prints is put into `said`."""
        wanted = {"command": list(command), "env": dict(env), "said": str(said)}
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(wanted)}\n".encode())
        self._process.stdin.flush()
        return self._answer()

    def end(self, child: int) -> int:
        """Its exit code, once it has ended."""
        if not select.select([self._process.stdout], [], [], SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
            self._answer()
            raise CommandError(f"a command was killed, as it had not ended after {SECONDS} seconds")
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise CommandError("the Python that runs the commands has ended")
        return int(answer)
