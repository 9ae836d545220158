"""A project, the simulated service, and the real command: `holdfast colab run` as a user starts it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from holdfast.simulator.colab_service import ColabService
from holdfast.simulator.colab_service.runtime import Runtime
from holdfast.unattended import ledger
from holdfast.unattended.place import Place
from tests.colab_command import compiling

#: Sixteen steps, each backed up as it is done; goes on where it was.
TRAIN = """
import json, pathlib, time, holdfast
keep = holdfast.attach()
keep.ensure("outputs/run")
place = pathlib.Path("outputs/run/state.json")
steps = json.loads(place.read_text()) if place.exists() else []
while len(steps) < 16:
    steps.append(len(steps) ** 2)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(steps))
    keep.backup("outputs/run")
    print("step", len(steps), flush=True)
    time.sleep(0.5)
"""
MADE = [n**2 for n in range(16)]
PATIENT = 1800.0


class Watched(ColabService):
    """The service, and what the work had printed on each machine when it ended."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.printed: dict[str, bytes] = {}
        super().__init__(folder, **more)

    def _remember(self, endpoint: str) -> None:
        for machine in self.machines():
            if machine.endpoint == endpoint:
                with contextlib.suppress(OSError):
                    self.printed[endpoint] = (machine.content / "holdfast-job" / "log").read_bytes()

    def unassign(self, endpoint: str) -> bool:
        self._remember(endpoint)
        return super().unassign(endpoint)

    def vanish(self, endpoint: str) -> None:
        self._remember(endpoint)
        super().vanish(endpoint)


class Led(Protocol):
    """What leads the command somewhere."""

    @property
    def environment(self) -> dict[str, str]: ...


class Run:
    """One `holdfast colab run`.

    Args:
        service: Where it goes.
        program: The `colab` command.
        root: The project.
        words: What is run, and options before it.
    """

    def __init__(self, service: Led, program: Path, root: Path, *words: str) -> None:
        command = [sys.executable, "-m", "holdfast", "colab", "run", "--root", str(root), "--colab", str(program)]
        self.process = subprocess.Popen(
            [*command, "--every", "1", "--retry", "1", *words],
            env={**compiling(), **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=root,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            print(line, end="", flush=True)
            self.lines.append(line.rstrip("\n"))

    def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is so; fails where the run ends before."""
        end = time.monotonic() + PATIENT
        while not seen():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(self.lines)
            time.sleep(0.05)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Have the supervisor gone. Returns its exit status."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for its end, and give its exit status."""
        try:
            code = self.process.wait(PATIENT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def said(self, words: str) -> bool:
        """Whether a line has these words."""
        return any(words in line for line in self.lines)


def job(machine: Runtime, name: str) -> str:
    """A file of the job on a machine."""
    try:
        return (machine.content / "holdfast-job" / name).read_text(errors="replace")
    except OSError:
        return ""


def logged(service: ColabService, words: str) -> bool:
    """Whether the work on the newest machine printed these words."""
    return any(words in job(machine, "log") for machine in service.machines()[-1:])


def phase(service: ColabService, name: str) -> bool:
    """Whether the newest machine is in this phase."""
    return any(f'"phase": "{name}"' in job(machine, "heartbeat.json") for machine in service.machines()[-1:])


def made(root: Path) -> list[int]:
    """What was fetched."""
    found: list[int] = json.loads((root / "outputs/run/state.json").read_text())
    return found


def followed(root: Path) -> dict[str, bytes]:
    """What was fetched of what the work printed, by machine."""
    place = Place(root)
    known = ledger.read(place.ledger)
    assert known is not None
    logs = {m.endpoint: place.log_of(m.name) for m in known.machines}
    return {endpoint: log.read_bytes() for endpoint, log in logs.items() if log.exists()}


def each_line_once(service: Watched, root: Path, *runs: Run) -> bool:
    """Whether all that the work printed was fetched once, but for what a machine took with it; and shown once, by these runs."""
    here = followed(root)
    for held in service.book.machines():
        printed, got = service.printed.get(held.endpoint, b""), here.get(held.endpoint, b"")
        if not (got == printed if held.how == "given back" else printed.startswith(got)):
            return False
    fetched = b"".join(here.values()).decode().splitlines()
    shown = [line for run in runs for line in run.lines if line in fetched]
    return shown == fetched or not runs


def all_given_back(service: ColabService) -> bool:
    """No machine is held, and there were never two at once."""
    return service.book.most_at_once() == 1 and all(held.ended is not None for held in service.book.machines())
