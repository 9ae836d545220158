"""The machine of a drill: a copy of the project that is made anew as often as it is lost, and what runs there."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.moments import Until
from holdfast.drill.processes import MARK, Running
from holdfast.drill.watching import Watch
from holdfast.drill.written import Written

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
        written: What was seen to be written in outputs.
    """

    seconds: float
    code: int | None
    at: float
    written: Written = ()


class Machine:
    """A project folder on a scratch disk.

    Args:
        place: What its disk is called, with a number behind it. Every machine has another one, so that a path which one of them
            wrote down leads nowhere on the next.
        pristine: The project as a fresh machine has it; the machine's has the same name.
        home: The project folder that it is a copy of. Where the command or its environment names that, the copy is meant.
        command: What runs.
        inside: Current folder of the command, from the project folder.
        drive: The drive folder.
        environment: The user's.
        watch: Looks at what is written below a project folder.
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
        watch: Callable[[Path], Watch],
    ) -> None:
        self._name = place
        self._number = 0
        self._pristine = pristine
        self._home, self._drive, self._watch = home, drive, watch
        self._command, self._environment = tuple(command), dict(environment)
        self._log = place.with_name("output")
        self._scratch = place.with_name("tmp")
        self._inside = inside
        self._running: Running | None = None
        self._named = re.compile(rf"(?<![\w/.-]){re.escape(str(home))}(?![\w.-])")

    @property
    def _place(self) -> Path:
        return self._name.with_name(f"{self._name.name}-{self._number:03}")  # all of one length

    @property
    def root(self) -> Path:
        """The project folder."""
        return self._place / self._pristine.name

    def machines(self) -> re.Pattern[bytes]:
        """Matches the folder of any machine, this one's and those that are gone."""
        return re.compile(re.escape(os.fsencode(self._name)) + rb"-\d{3}(?!\w)")

    def _here(self, text: str) -> str:
        return self._named.sub(lambda _: str(self.root), text)

    def renew(self) -> None:
        """A fresh machine: nothing is left of the one before."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._number += 1
        shutil.copytree(self._pristine, self.root, symlinks=True)
        self._scratch.mkdir()

    def run(self, until: Until, tick: Tick) -> Run:
        """Run the command to its end, or until it is to be killed. What it leaves running after its end is killed.

        Raises:
            UsageError: there is no such program.
        """
        folder = self.root / self._inside
        folder = folder if folder.is_dir() else self.root
        usual = {k: v if k in _KEPT else self._here(v) for k, v in self._environment.items() if k not in _HOSTED}
        own = {"HOLDFAST_DRIVE": str(self._drive), "TMPDIR": str(self._scratch), MARK: str(self._place), "PWD": str(folder)}
        watch, begun = self._watch(self.root), time.monotonic()
        told = begun - _TELL_SECONDS
        self._running = Running([self._here(word) for word in self._command], folder, {**usual, **own}, self._log)
        first: float | None = None
        reached: float | None = None
        while (left := begun + until.end(first, reached) - time.monotonic()) > 0:
            pause, now = watch.look(), time.monotonic() - begun
            first = now if first is None and watch.count else first
            reached = now if reached is None and watch.count >= until.writes else reached
            if (code := self._running.wait(min(left, pause))) is not None:
                took, at = time.monotonic() - begun, time.time()
                self.kill()
                watch.look()
                return Run(took, code, at, watch.written)
            if time.monotonic() - told >= _TELL_SECONDS:
                told = time.monotonic()
                tick(told - begun)
        self._running.freeze()
        at, took = time.time(), time.monotonic() - begun
        if (code := self._running.wait(0)) is not None:  # it ended just before
            self.kill()
        watch.look()
        return Run(took, code, at, watch.written)

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
