"""The built-in sample pipeline on a cluster whose nodes and driver are killed: byte for byte what one machine makes undisturbed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.project import trials
from tests.pipeline.study.driver import COUNTED
from tests.spread.cluster import sample
from tests.spread.cluster.nodes import HERE, Nodes
from tests.support import Machine, Rig

pytestmark = pytest.mark.torture

TRIALS, KILLS, DRIVERS = 6, 5, 2


class Story:
    """A run of the sample, and what it said.

    Args:
        folder: For what it says and counts.
        engine: Where its trials run.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        folder.mkdir(parents=True)
        self.counted, self._engine, self._log = folder / "steps", engine, folder / "driver.log"
        self.said: list[str] = []

    def begin(self, machine: Machine) -> subprocess.Popen[str]:
        """Drive it, in a process that may be killed."""
        with self._log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", sample.__name__, str(machine.root), str(machine.drive), self._engine, str(TRIALS)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, COUNTED: str(self.counted), "PYTHONPATH": os.pathsep.join([str(HERE / "src"), str(HERE)])},
                cwd=HERE,
            )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.said.append(line)

    def steps(self) -> int:
        """Steps of trials that were done, each as often as it was."""
        return self.counted.stat().st_size if self.counted.exists() else 0

    def log(self) -> str:
        """What went wrong."""
        return self._log.read_text()[-3000:]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, int]:
    """What `engine: local` makes, and the steps that its trials need."""
    folder = tmp_path_factory.mktemp("undisturbed")
    story, machine = Story(folder / "story", "local"), Rig(folder).machine()
    assert story.begin(machine).wait() == 0, story.log()
    return machine, story.steps()


@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_and_drivers_that_are_killed_change_no_weight_and_no_onnx_of_the_sample_pipeline(
    nodes: Nodes, rig: Rig, tmp_path: Path, undisturbed: tuple[Machine, int], seed: int
) -> None:
    whole, needed = undisturbed
    story, chance = Story(tmp_path / "spread", "ray"), random.Random(seed)
    moments = sorted(chance.sample(range(5, needed - 10), KILLS))
    ends = sorted(chance.sample(range(1, TRIALS), DRIVERS))
    print(f"seed {seed}: a node dies after {moments} of {needed} steps, the driver after {ends} of {TRIALS} trials")
    counting = {COUNTED: str(story.counted)}
    for number in list(nodes.alive):
        nodes.kill(number)
    for _ in range(4):
        nodes.add(**counting)

    machine, lost = rig.machine(), 0
    process = story.begin(machine)
    try:
        while process.poll() is None:
            time.sleep(0.1)
            if moments and story.steps() >= moments[0] and (hit := _busy(nodes)):
                moments.pop(0)
                nodes.kill(chance.choice(hit))
                nodes.add(**counting)
                lost += 1
            if ends and any(f"[{ends[0]} of {TRIALS}]" in line for line in list(story.said)):
                ends.pop(0)
                process.kill()
                process.wait()
                lost += sample.PARALLEL
                machine = rig.machine() if len(ends) % 2 else machine  # once its machine is gone with it
                process = story.begin(machine)
    finally:
        process.kill()
    assert process.wait() == 0, story.log()
    assert not moments, "a node was to be killed, and the trials were over before"
    assert not ends

    assert trials(machine, "tiny") == trials(whole, "tiny")
    wanted = _made(whole)
    assert {name.split("/")[0] for name in wanted} >= {"hpo", "final_training", "conversion"}
    assert _made(machine) == wanted
    again = story.steps() - needed
    print(f"{needed} steps are needed, {again} were done again, in {lost} losses at most; equal: {', '.join(sorted(wanted))}")
    assert 0 <= again <= lost * 2 * sample.INTERVAL  # the interval, and the one that was on its way to the store
    assert sum(" is lost" in line for line in story.said) >= KILLS
    assert not [p for p in rig.store.rglob("*") if "attempts" in p.name]


def _busy(nodes: Nodes) -> list[int]:
    """Nodes on which a trial runs."""
    return [n for n in nodes.alive if any((nodes.folder / f"node-{n}").glob("holdfast-node-*/project/outputs"))]


def _made(machine: Machine) -> dict[str, Any]:
    """SHA-256 of all weights and of all ONNX files, by name."""
    found = machine.tree()
    return {n: hashlib.sha256(c).hexdigest() for n, c in found.items() if n.endswith((".safetensors", ".onnx"))}
