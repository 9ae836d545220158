"""A job of several real processes in one project folder, and what a fresh machine gets back of it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.session.keeper import Keeper
from tests.support import PROJECT, Machine, Rig, read_tree

REPOSITORY = Path(__file__).parents[2]
#: So long a process may take to say its next word.
PATIENCE_SECONDS = 240.0

#: What every process of a job begins with: `root`, `name` and `keep`, and `done`, which says what has been flushed.
BEGINNING = """
    import logging, os, sys, time
    from pathlib import Path
    import holdfast
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s", stream=sys.stderr)
    root, drive, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    def write(path, text):
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f"{place.name}.{os.getpid()}")
        fresh.write_text(text)
        os.replace(fresh, place)

    def say(*words):
        sys.stdout.write(" ".join(map(str, words)) + "\\n")
        sys.stdout.flush()

    def hear():
        return sys.stdin.readline().strip()

    def attach():
        return holdfast.attach(root, drive, quiet=True)
"""


class Process:
    """One process of the job, spoken to by lines."""

    def __init__(self, made: subprocess.Popen[str], log: Path) -> None:
        self.made = made
        self.log = log

    @property
    def pid(self) -> int:
        return self.made.pid

    def hears(self, line: str = "") -> None:
        assert self.made.stdin is not None
        self.made.stdin.write(line + "\n")
        self.made.stdin.flush()

    def says(self, wanted: str | None = None) -> str:
        """Its next line."""
        assert self.made.stdout is not None
        line = self.made.stdout.readline().rstrip("\n")
        assert wanted is None or line == wanted, f"said {line!r}; {self.told()}"
        return line

    def ends(self, code: int = 0) -> None:
        assert self.made.wait(PATIENCE_SECONDS) == code, self.told()

    def dies(self) -> None:
        self.made.kill()
        self.made.wait()

    def told(self) -> str:
        """Its log so far."""
        return self.log.read_text()


class Job:
    """One project folder, its store, and processes."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.root = rig.folder / "project"
        self.running: list[Process] = []
        (self.root / "config").mkdir(parents=True)
        (self.root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")

    def start(self, code: str, name: str = "", *, root: Path | None = None, module: Sequence[str] = ("-c",)) -> Process:
        """A process that runs this after `BEGINNING`."""
        place = root or self.root
        log = self.rig.folder / f"{len(self.running)}-{name}.log"
        text = textwrap.dedent(BEGINNING) + textwrap.dedent(code)
        if module != ("-c",):
            script = self.rig.folder / f"{len(self.running)}-{name}.py"
            script.write_text(text)
            text = str(script)
        command = [sys.executable, *module, text, str(place), str(self.rig.drive), name]
        environment = {k: v for k, v in os.environ.items() if k != "HOLDFAST_DRIVE"} | {"OMP_NUM_THREADS": "1"}
        with log.open("w") as errors:
            made = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=place
            )
        process = Process(made, log)
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.dies()
            for pipe in (process.made.stdin, process.made.stdout):
                if pipe is not None:
                    pipe.close()

    def machine_here(self) -> Machine:
        """The job's own machine, in this process."""
        return Machine(self.root, self.rig.drive)

    def keeper(self) -> Keeper:
        """A keeper of the job's project in this process, without background."""
        return self.machine_here().keeper()

    def fresh(self) -> Machine:
        """Another machine, at another path, that has all of outputs from the store."""
        machine = self.rig.machine()
        result = machine.keep.ensure("outputs")
        assert result, result
        return machine

    def comes_back(self, path: str = "outputs/run") -> dict[str, str]:
        """By path below it, what a fresh machine gets; there is one head, and each generation has one child."""
        machine = self.fresh()
        self.has_one_line(machine)
        return {p: c.decode() for p, c in read_tree(machine.root / path).items()}

    def has_one_line(self, machine: Machine) -> None:
        for row in machine.keep.status():
            history = machine.keep.history(row.key.value)
            assert sum(e.head for e in history) == 1, (row.key, history)
        for process in self.running:
            assert "is a fork" not in process.told(), process.told()


@contextmanager
def job(rig: Rig) -> Iterator[Job]:
    made = Job(rig)
    try:
        yield made
    finally:
        made.end()
