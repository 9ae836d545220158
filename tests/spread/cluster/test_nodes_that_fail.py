"""Nodes that hang without dying, and nodes that can have no part: each is named, and none changes what comes out."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError
from holdfast.platform import random_hex
from holdfast.spread.attempt import END, Attempt, Ended, Event, Kept, Lost, Node, Told
from holdfast.spread.cluster.engine import ClusterEngine
from holdfast.spread.cluster.fitness import VARIABLE
from holdfast.spread.cluster.patience import Patience
from holdfast.spread.engine import Ground
from holdfast.spread.environment import environment_of
from tests.spread.cluster import works
from tests.spread.cluster.nodes import Nodes
from tests.support import Machine, Rig

pytestmark = pytest.mark.torture

PATIENCE = Patience(beat=0.5, silence=6.0, start=120.0, probe=20.0, answer=4.0)
HOME = "outputs/study"


class Driver:
    """An engine, what it said, and attempts by unit."""

    def __init__(self, machine: Machine, engine: ClusterEngine, said: list[str]) -> None:
        self.machine, self.engine, self.said = machine, engine, said
        self.events: list[Event] = []
        self._work = pickle.dumps(works.steps)
        self.attempts: dict[str, Attempt] = {}

    def start(self, unit: str) -> None:
        number = self.attempts[unit].number + 1 if unit in self.attempts else 1
        folder, part = f"{HOME}/trials/{unit}", pickle.dumps(unit)
        attempt = Attempt(unit, number, random_hex(4), HOME, folder, self._work, part, environment=environment_of(1))
        self.attempts[unit] = attempt
        self.engine.start(attempt)

    def until(self, is_it: Callable[[Event], bool], seconds: float = 180.0) -> Event:
        """The first event of which this is so. What is lost on the way is begun again; what ended is taken."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = None
            for event in self.engine.wait(1.0):
                self.events.append(event)
                if isinstance(event, Lost):
                    self.start(event.attempt.unit)
                if isinstance(event, Ended):
                    self.engine.take(event, self.machine.root / event.attempt.folder)
                found = event if found is None and is_it(event) else found
            if found is not None:
                return found
        raise AssertionError(self.events)

    def steps(self, unit: str) -> list[tuple[int, int]]:
        """Each step that was done of what counts, with the attempt that did it."""
        lines = self.machine.read(f"{HOME}/trials/{unit}/log.txt").decode().splitlines()
        return [(int(step), int(attempt)) for step, _, attempt in (line.partition(" ") for line in lines)]


@contextmanager
def driver(rig: Rig, *, disk: int = 0) -> Iterator[Driver]:
    machine, said = rig.machine(), list[str]()
    ground = Ground(machine.root, HOME, 2, keeper=machine.keeper(), say=said.append, warn=said.append)
    engine = ClusterEngine(ground, patience=PATIENCE, disk=disk)
    try:
        yield Driver(machine, engine, said)
    finally:
        engine.close()


@pytest.fixture(scope="module")
def two(nodes: Nodes) -> Nodes:
    nodes.add()
    nodes.add()
    return nodes


def test_a_node_that_hangs_is_named_and_its_attempt_goes_on_elsewhere_and_when_it_wakes_it_harms_nothing(
    two: Nodes, rig: Rig
) -> None:
    with driver(rig) as it:
        it.start("trial-0000")
        first = it.until(lambda e: isinstance(e, Kept) and e.share >= 0.3)
        assert isinstance(first, Kept)
        stopped = _node_of(two, first.attempt)
        two.stop(stopped)
        lost = it.until(lambda e: isinstance(e, Lost))
        assert isinstance(lost, Lost)
        assert "hangs: no sign of life" in lost.why
        assert not lost.counts  # it is not the work's doing
        assert any(isinstance(e, Node) and "hangs" in e.line for e in it.events)
        it.until(lambda e: isinstance(e, Kept) and e.attempt.number == 2)
        two.wake(stopped)  # beside its successor
        ended = it.until(lambda e: isinstance(e, Ended))
        assert isinstance(ended, Ended)
        assert ended.attempt.number == 2
        steps = it.steps("trial-0000")
        assert [step for step, _ in steps] == list(range(1, works.STEPS + 1))
        begun = next(n for n, (_, attempt) in enumerate(steps) if attempt == 2)
        assert begun >= 3
        assert {attempt for _, attempt in steps[begun:]} == {2}  # of the one that woke, nothing after that
        after = it.events[it.events.index(lost) + 1 :]
        assert not [e for e in after if not isinstance(e, Node) and e.attempt.number == 1]
    _nothing_is_left(two, rig)
    two.kill(stopped)
    two.add()


def test_a_node_that_is_killed_costs_no_step_that_was_kept(two: Nodes, rig: Rig) -> None:
    with driver(rig) as it:
        it.start("trial-0000")
        it.start("trial-0001")
        first = it.until(lambda e: isinstance(e, Kept) and e.share >= 0.3)
        assert isinstance(first, Kept)
        two.kill(_node_of(two, first.attempt))
        two.add()
        lost = it.until(lambda e: isinstance(e, Lost))
        assert isinstance(lost, Lost)
        assert lost.why.endswith("is lost")
        while not all((it.machine.root / HOME / "trials" / unit).exists() for unit in it.attempts):
            it.until(lambda e: isinstance(e, Ended))
        assert [step for step, _ in it.steps("trial-0000")] == list(range(1, works.STEPS + 1))
        assert [step for step, _ in it.steps("trial-0001")] == list(range(1, works.STEPS + 1))
        printed = it.machine.read(f"{HOME}/trials/trial-0000/output.log").decode().splitlines()
        assert printed[0] == "attempt 1 begins after step 0"
    _nothing_is_left(two, rig)


def test_a_process_that_ends_by_itself_is_told_from_a_node_that_is_lost(two: Nodes, rig: Rig) -> None:
    with driver(rig) as it:
        it._work = pickle.dumps(works.ends_by_itself)
        it.start("trial-0000")
        lost = it.until(lambda e: isinstance(e, END))
        assert isinstance(lost, Lost)
        assert lost.counts
        assert lost.why.endswith("ended by itself, or by a signal")


def test_a_process_that_hangs_on_a_node_that_answers_counts_as_its_own_doing(two: Nodes, rig: Rig) -> None:
    with driver(rig) as it:
        it._work = pickle.dumps(works.stops_itself)
        it.start("trial-0000")
        lost = it.until(lambda e: isinstance(e, END))
        assert isinstance(lost, Lost)
        assert lost.counts
        assert "no sign of life" in lost.why
        assert lost.why.endswith("answers")


def test_what_is_asked_to_halt_saves_and_goes_on_in_another_run(two: Nodes, rig: Rig) -> None:
    with driver(rig) as it:
        it.start("trial-0000")
        it.until(lambda e: isinstance(e, Told))
        it.engine.halt()
        halted = it.until(lambda e: isinstance(e, END))
        assert type(halted).__name__ == "Halted"
        attempts = it.attempts
    with driver(rig) as it:
        it.attempts = attempts
        it.start("trial-0000")
        it.until(lambda e: isinstance(e, Ended))
        assert {attempt for _, attempt in it.steps("trial-0000")} == {1, 2}


def test_nodes_that_can_have_no_part_are_named_before_any_trial(two: Nodes, rig: Rig, tmp_path: Path) -> None:
    other = Rig(_made(tmp_path / "other"))
    other.machine().write("outputs/other/file.txt", "another store")
    assert Machine(tmp_path / "other" / "machine-1", other.drive).keeper().backup("outputs/other")
    copy = tmp_path / "copy"
    machine = rig.machine()
    machine.write("outputs/first/file.txt", "so that there is a store")
    assert machine.keeper().backup("outputs/first")
    shutil.copytree(rig.drive, copy)
    torch = _made(tmp_path / "torch" / "torch-1.0.dist-info")
    (torch / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    holdfast = _made(tmp_path / "holdfast" / "holdfast")
    (holdfast / "__init__.py").touch()
    (holdfast / "_version.py").write_text('__version__ = "9.9"\n')
    path = two.environment["PYTHONPATH"]
    odd = [
        (two.add(**{VARIABLE: str(tmp_path / "nowhere")}), "does not see the store in"),
        (two.add(**{VARIABLE: str(other.drive)}), "sees another store in"),
        (two.add(**{VARIABLE: str(copy)}), "a copy of the store"),
        (two.add(PYTHONPATH=f"{torch.parent}:{path}"), "has torch 1.0, and here is"),
        (two.add(PYTHONPATH=f"{holdfast.parent}:{path}"), "has Holdfast 9.9, and here is"),
    ]
    try:
        with driver(rig) as it:
            for _, why in odd:
                assert sum(why in line and line.startswith("engine: ray: node ") for line in it.said) == 1, (why, it.said)
            assert sum("has a part" in line for line in it.said) == 2
            it.start("trial-0000")
            ended = it.until(lambda e: isinstance(e, END))
            assert isinstance(ended, Ended)
            assert ended.where in " ".join(line for line in it.said if "has a part" in line)
        said = r"no node can have a part: node .* has .* free for temporary files, and"
        with pytest.raises(ConfigurationError, match=said), driver(rig, disk=1 << 62):
            pass
    finally:
        for number, _ in odd:
            two.kill(number)


def test_a_need_that_no_node_has_is_refused_before_any_trial(two: Nodes, rig: Rig) -> None:
    machine = rig.machine()
    ground = Ground(machine.root, HOME, 2, keeper=machine.keeper())
    ground = dataclasses.replace(ground, resources=dataclasses.replace(ground.resources, gpus=1.0))
    with pytest.raises(ConfigurationError, match=r"no node has the 1 CPU and 1 GPU that each trial needs"):
        ClusterEngine(ground, patience=PATIENCE)


def test_gpus_of_nodes_that_no_trial_is_given_are_said(two: Nodes, rig: Rig) -> None:
    with driver(rig) as it:
        assert not [line for line in it.said if "GPU" in line]
    number = two.add(gpus=1)  # as Ray is told; nothing looks for one
    try:
        with driver(rig) as it:
            assert sum("nodes have GPUs, and no trial is given any" in line for line in it.said) == 1
    finally:
        two.kill(number)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _node_of(nodes: Nodes, attempt: Attempt) -> int:
    """The node on which an attempt runs: its workspace is below that node's folder of temporary files."""
    return next(n for n in nodes.alive if (nodes.folder / f"node-{n}" / f"holdfast-node-{attempt.token}").exists())


def _nothing_is_left(nodes: Nodes, rig: Rig) -> None:
    """Neither beside the store, nor in it but what was backed up on purpose."""
    assert not rig.store.with_name(f"{rig.store.name}.cluster").exists()
    assert not [p for p in rig.store.rglob("*") if "attempts" in p.name]
