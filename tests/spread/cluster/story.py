"""A study of arithmetic that is driven in a process of its own, with what was said of it and what was done of its steps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.spread.cluster import cheap
from tests.spread.cluster.nodes import HERE
from tests.support import Machine

COMMAND = [sys.executable, "-c", "from tests.spread.cluster.cheap import main; main()"]


class Story:
    """A study, what was said of it, and what was done of its steps."""

    def __init__(self, folder: Path, trials: int, seconds: float) -> None:
        self.steps = folder / "steps"
        self.steps.mkdir(parents=True)
        self.trials, self.seconds = trials, seconds
        self.said: list[str] = []

    def run(self, machine: Machine, engine: str, heard: Callable[[str], bool] = lambda _: False, **more: str) -> bool:
        """Drive it. True where it came to its end; false where it was killed, as it is once `heard` says so of a line.

        Args:
            machine: On which.
            engine: Where its trials run.
            heard: Called with each line.
            more: Variables of its environment.
        """
        command = [*COMMAND, str(machine.root), str(machine.drive), engine, str(self.trials), str(self.seconds)]
        path = os.pathsep.join([str(HERE / "src"), str(HERE)])
        environment = {**os.environ, cheap.STEPS_VARIABLE: str(self.steps), "PYTHONPATH": path, **more}
        log = self.steps.with_name(f"driver-{len(list(self.steps.parent.iterdir()))}.log")
        with (
            log.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=HERE) as process,
        ):
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    self.said.append(line.rstrip())
                    if heard(self.said[-1]):
                        process.kill()
                        self.said += [rest.rstrip() for rest in process.stdout]  # what it had said by then
                        return False
                assert process.wait() == 0, log.read_text()
                return True
            finally:
                process.kill()

    def done(self) -> Counter[tuple[int, int]]:
        """How often each step of each trial was done."""
        found: Counter[tuple[int, int]] = Counter()
        for place in self.steps.glob("*-*"):
            found.update((int(place.name.partition("-")[0]), int(step)) for step in place.read_text().split())
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """No step is done meanwhile, on whatever node: a node takes longer to join than a short study does."""
        hold = self.steps / cheap.HOLD
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()
