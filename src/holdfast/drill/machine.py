"""The machine of a drill: a copy of the project that is made anew as often as it is lost, and what runs there."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.processes import MARK, Running

#: What says that this is a hosted notebook. A rehearsal neither mounts Drive nor gives the machine back.
_HOSTED = ("COLAB_RELEASE_TAG", "VERTEX_PRODUCT", "KAGGLE_KERNEL_RUN_TYPE")
#: Where programs are found stays as it is.
_KEPT = ("PATH", "VIRTUAL_ENV")
_TELL_SECONDS = 0.2
_TAIL = 600

#: Told how many seconds a run has taken.
Tick = Callable[[float], None]


@dataclass(frozen=True)
class Run:
    """How a run went.

    Args:
        seconds: How long it took.
        code: Its exit code; None where it did not end by itself in time. It is held still then, until `Machine.kill`.
        at: The instant, Unix seconds.
    """

    seconds: float
    code: int | None
    at: float


class Machine:
    """A project folder on a scratch disk.

    Args:
        place: The disk. Each machine after the first has it at the same place, so that paths mean the same.
        pristine: The project as a fresh machine has it; the machine's has the same name.
        home: The project folder that it is a copy of. Where the command or its environment names that, the copy is meant.
        command: What runs.
        inside: Current folder of the command, from the project folder.
        drive: The drive folder.
        environment: The user's.
    """

    def __init__(
        self,
        place: Path,
        pristine: Path,
        home: Path,
        command: Sequence[str],
        inside: str,
        drive: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._place = place
        self._pristine = pristine
        self.root = place / pristine.name
        self._log = place.with_name("output")
        self._scratch = place.with_name("tmp")
        self._inside = inside
        self._running: Running | None = None
        named = re.compile(rf"(?<![\w/.-]){re.escape(str(home))}(?![\w.-])")

        def here(text: str) -> str:
            return named.sub(lambda _: str(self.root), text)

        self._command = [here(word) for word in command]
        usual = {k: v if k in _KEPT else here(v) for k, v in environment.items() if k not in _HOSTED}
        self._environment = {**usual, "HOLDFAST_DRIVE": str(drive), "TMPDIR": str(self._scratch), MARK: str(place)}

    def renew(self) -> None:
        """A fresh machine: nothing is left of the one before."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        shutil.copytree(self._pristine, self.root, symlinks=True)
        self._scratch.mkdir()

    def run(self, seconds: float, tick: Tick) -> Run:
        """Run the command to its end, for so many seconds at the most. What it leaves running after its end is killed.

        Raises:
            UsageError: there is no such program.
        """
        folder = self.root / self._inside
        folder = folder if folder.is_dir() else self.root
        begun = time.monotonic()
        self._running = Running(self._command, folder, {**self._environment, "PWD": str(folder)}, self._log)
        while (left := begun + seconds - time.monotonic()) > 0:
            if (code := self._running.wait(min(left, _TELL_SECONDS))) is not None:
                took = time.monotonic() - begun
                self.kill()
                return Run(took, code, time.time())
            tick(time.monotonic() - begun)
        self._running.freeze()
        at, took = time.time(), time.monotonic() - begun
        if (code := self._running.wait(0)) is not None:  # it ended just before
            self.kill()
        return Run(took, code, at)

    def kill(self) -> None:
        """Have nothing of the command running, whatever state it is in."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()

    def tail(self) -> str:
        """The end of what the last run printed, on one line."""
        with self._log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return " ".join(file.read().decode(errors="replace").split())
