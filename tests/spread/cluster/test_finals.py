"""Final training and benchmark on nodes that come and go, and of a driver that does: the files that one process makes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.flow.record import Record, read_record, write_record
from tests.pipeline.project import Project
from tests.spread.cluster.nodes import HERE, Nodes
from tests.spread.cluster.pipeline import PAUSE_VARIABLE, STEPS_VARIABLE
from tests.spread.processes import workers_of
from tests.support import Machine, Rig

pytestmark = pytest.mark.long

FINAL = "outputs/final_training/micro"
WEIGHTS = f"{FINAL}/checkpoint/model.safetensors"
#: What a final training makes, and what is made of it.
MADE = (WEIGHTS, *(f"{FINAL}/{name}" for name in ("metrics.json", "test_predictions.jsonl", "training_cache.json")))
CONVERTED = tuple(f"outputs/conversion/micro/onnx/{name}" for name in ("model.onnx", "model.int8.onnx", "conversion.json"))
#: Steps between two checkpoints of the small project.
INTERVAL = 2


class Driving:
    """A run of the small project whose steps of final training are counted, and take a while."""

    def __init__(self, folder: Path, pause: float) -> None:
        self.steps, self._pause = folder / "steps", pause
        self._log = folder / "driver.log"
        self.said: list[str] = []

    @contextmanager
    def running(self, machine: Machine, engine: str, *changes: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "tests.spread.cluster.pipeline", str(machine.root), str(machine.drive), engine, *changes]
        path = os.pathsep.join([str(HERE / "src"), str(HERE)])
        variables = {STEPS_VARIABLE: str(self.steps), PAUSE_VARIABLE: str(self._pause), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        with self._log.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **variables}) as it:
            try:
                yield it
            finally:
                it.kill()
                it.wait()
                self.said += self._log.read_text().splitlines()

    def to_its_end(self, machine: Machine, engine: str, *changes: str) -> None:
        with self.running(machine, engine, *changes) as it:
            assert it.wait() == 0, self._log.read_text()

    @property
    def done(self) -> list[int]:
        """Each step that was done anywhere, in order."""
        return [int(line) for line in self.steps.read_text().split()] if self.steps.exists() else []

    def until(self, it: subprocess.Popen[bytes], count: int) -> None:
        """Wait until so many steps were done."""
        while len(self.done) < count:
            assert it.poll() is None, f"it was over before: {self._log.read_text()}"
            time.sleep(0.02)


def test_a_node_that_is_killed_in_the_final_training_changes_no_byte_of_it(
    nodes: Nodes, finished: tuple[Project, Machine], rig: Rig, tmp_path: Path
) -> None:
    project, alone = finished
    while len(nodes.alive) < 2:
        nodes.add()
    machine = Project(rig, project.template).machine()
    for name in ("data", "hpo", "best_configuration"):
        shutil.copytree(alone.outputs / name, machine.outputs / name)
    driving = Driving(tmp_path, 0.2)
    with driving.running(machine, "ray", "only=final_training") as it:
        driving.until(it, 5)
        killed = _works(nodes)
        nodes.kill(killed)
        assert it.wait() == 0
    told = "\n".join(driving.said)
    assert _hashes(machine, MADE) == _hashes(alone, MADE), told
    _nothing_was_done_twice(driving.done, losses=1)
    session = json.loads((machine.root / FINAL / "life.json").read_text())["sessions"][0]
    assert len(session["nodes"]) == 2, "which nodes worked on it"
    assert f"final_training: runs on node {session['nodes'][1]}" in told
    assert f"node {session['nodes'][0]} is lost; another attempt goes on with it" in told
    _nothing_is_left(rig)


@pytest.mark.torture
def test_a_final_training_in_a_process_of_this_machine_that_is_killed_goes_on_to_the_same_files(
    finished: tuple[Project, Machine], rig: Rig, tmp_path: Path
) -> None:
    """It was begun as an attempt, so it goes on as one, also where trials would run in this process now."""
    project, alone = finished
    machine = Project(rig, project.template).machine()
    for name in ("data", "hpo", "best_configuration"):
        shutil.copytree(alone.outputs / name, machine.outputs / name)
    record = read_record(alone.root / FINAL / "stage.json")
    assert record is not None
    begun = Record(record.stage, record.made_from, environment={**record.environment, "threads": 1})
    (machine.root / FINAL).mkdir(parents=True)
    write_record(machine.root / FINAL / "stage.json", begun)
    driving = Driving(tmp_path, 0.1)
    with driving.running(machine, "local", "only=final_training") as it:
        driving.until(it, 5)
        (worker,) = workers_of(it.pid)
        os.kill(worker, signal.SIGKILL)
        assert it.wait() == 0
    assert "final_training: its process was ended by SIGKILL; another attempt goes on with it" in driving.said
    assert _hashes(machine, MADE) == _hashes(alone, MADE)
    _nothing_was_done_twice(driving.done, losses=1)


@pytest.mark.torture
@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_and_drivers_that_are_killed_in_a_whole_pipeline_change_no_byte_of_weights_and_onnx(
    nodes: Nodes, finished: tuple[Project, Machine], rig: Rig, tmp_path: Path, seed: int
) -> None:
    project, alone = finished
    generator = random.Random(seed)
    while len(nodes.alive) < 3:
        nodes.add()
    mine = Project(rig, project.template)
    machine, driving, losses = mine.machine(), Driving(tmp_path, 0.4), 0
    kills = ["node", "driver", "node", "machine", "node", "node"]
    while kills:
        with driving.running(machine, "ray") as it:
            while kills:
                driving.until(it, len(driving.done) + generator.randint(1, 3))
                kill, losses = kills.pop(0), losses + 1
                if kill == "node":
                    nodes.kill(_works(nodes))
                    nodes.add()
                    continue
                it.kill()
                it.wait()
                if kill == "machine":  # with all that was not uploaded
                    machine = mine.machine()
                break
            else:
                assert it.wait() == 0
    print(f"seed {seed}: {len(driving.done)} steps of the final training, {len(set(driving.done))} needed, {losses} kills")
    expected = _hashes(alone, (*MADE, *CONVERTED))
    assert _hashes(machine, (*MADE, *CONVERTED)) == expected, "\n".join(driving.said)
    print(f"SHA-256 of weights {expected[WEIGHTS]}, of ONNX {expected[CONVERTED[0]]}, as of one process")
    _nothing_was_done_twice(driving.done, losses)
    environment = json.loads(next(machine.outputs.rglob("benchmark.json")).read_text())["environment"]
    assert environment["node_type"] == environment["processor"]
    assert f"on node {environment['node']}, {environment['node_type']}" in "\n".join(driving.said)
    assert f"node {environment['node']} ({environment['node_type']})" in machine.read("outputs/report/report.html").decode()
    _no_line_is_left(rig)  # the drivers that were killed left their folders beside the store, which go a day later


@pytest.mark.torture
def test_what_a_node_had_kept_of_a_final_training_is_gone_on_with_without_the_cluster(
    nodes: Nodes, finished: tuple[Project, Machine], rig: Rig, tmp_path: Path
) -> None:
    project, alone = finished
    if not nodes.alive:
        nodes.add()
    mine, driving = Project(rig, project.template), Driving(tmp_path, 0.3)
    with driving.running(mine.machine(), "ray") as it:
        driving.until(it, 12)
    machine, before = mine.machine(), len(driving.done)
    driving.to_its_end(machine, "local")
    assert "final_training: goes on here from step" in "\n".join(driving.said)
    assert driving.done[before] > 1
    _nothing_was_done_twice(driving.done, losses=1)
    assert _hashes(machine, MADE) == _hashes(alone, MADE)


@pytest.mark.torture
def test_benchmarks_of_different_backbones_are_on_one_type_of_node_and_all_are_measured_again_where_it_is_gone(
    nodes: Nodes, finished: tuple[Project, Machine], rig: Rig, tmp_path: Path
) -> None:
    machine, driving = Project(rig, finished[0].template).machine(), Driving(tmp_path, 0.0)
    names = ("left", "middle", "right")
    given = [f"backbones={json.dumps([{'name': name, 'model': 'encoder'} for name in names])}", "hpo__trials=1"]
    for number in list(nodes.alive):
        nodes.kill(number)
    driving.to_its_end(machine, "local", *given, "only=data", *(f"only=hpo/{name}" for name in names))
    first = nodes.add(HOLDFAST_NODE_TYPE="the first type")
    driving.to_its_end(machine, "ray", *given, "only=benchmark/left")
    nodes.add(HOLDFAST_NODE_TYPE="another type")
    nodes.add(HOLDFAST_NODE_TYPE="another type")
    driving.to_its_end(machine, "ray", *given, "only=benchmark/middle")
    assert _types(machine) == {"left": "the first type", "middle": "the first type"}
    nodes.kill(first)
    driving.to_its_end(machine, "ray", *given, "only=benchmark/right")
    assert _types(machine) == dict.fromkeys(names, "another type")
    told = "\n".join(driving.said)
    assert "no node is left of the type that others were measured on (the first type); all are measured again" in told
    for name in ("left", "middle"):
        assert f"benchmark/{name}: is measured again on another type, as the others are" in told
    fresh = rig.machine()
    for name in names:
        fresh.keep.require(f"outputs/hpo/{name}/trials/trial-0000/benchmark.json")
    assert _types(fresh) == dict.fromkeys(names, "another type"), "and so it is kept"
    _nothing_is_left(rig)
    for number in list(nodes.alive):
        nodes.kill(number)


def _types(machine: Machine) -> dict[str, str]:
    """By backbone, the type of node that its benchmark is of."""
    found = machine.outputs.glob("hpo/*/trials/*/benchmark.json")
    return {place.parts[-4]: json.loads(place.read_text())["environment"]["node_type"] for place in found}


def _works(nodes: Nodes) -> int:
    """The node that works on an attempt."""
    while True:
        for number in nodes.alive:
            if any((nodes.folder / f"node-{number}").glob("holdfast-node-*/project/outputs")):
                return number
        time.sleep(0.02)


def _hashes(machine: Machine, keys: tuple[str, ...]) -> dict[str, str]:
    return {key: hashlib.sha256(machine.read(key)).hexdigest() for key in keys}


def _nothing_was_done_twice(done: list[int], losses: int) -> None:
    """But the interval that a kill cost, and the one that was on its way to the store."""
    again = sum(Counter(done).values()) - len(set(done))
    assert set(done) == set(range(1, max(done) + 1))
    assert again <= losses * 2 * INTERVAL, done


def _nothing_is_left(rig: Rig) -> None:
    assert not rig.store.with_name(f"{rig.store.name}.cluster").exists()
    _no_line_is_left(rig)


def _no_line_is_left(rig: Rig) -> None:
    assert not [place for place in rig.store.rglob("*") if "attempts" in place.name]
