"""Nodes come and go, and so does the driver: the study is the one that processes of one machine make that nobody kills."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from holdfast.session.running import running_at
from tests.spread.cluster import cheap
from tests.spread.cluster.nodes import Nodes
from tests.spread.cluster.story import Story
from tests.support import Machine, Rig

pytestmark = pytest.mark.long


def test_nodes_and_drivers_that_are_killed_change_nothing_of_a_study(nodes: Nodes, rig: Rig, tmp_path: Path) -> None:
    said = _as_if_nobody_was_killed(nodes, rig, tmp_path, trials=8, kills=2, drivers=1, cpus=2)
    shown = r"trial-\d+ of outputs/study on \S+ \(\S+, \w{6}\): step \d+ of 16 \(outputs/attempts/study-\w+/trial-\d{4}/\d{3}-\w+\)"
    assert any(re.fullmatch(shown, line) for line in said), said


@pytest.mark.torture
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_nodes_and_two_drivers_that_are_killed_change_nothing_of_a_long_study(
    nodes: Nodes, rig: Rig, tmp_path: Path, seed: int
) -> None:
    _as_if_nobody_was_killed(nodes, rig, tmp_path, trials=20, kills=10, drivers=2, seed=seed, seconds=0.2)


def _as_if_nobody_was_killed(
    nodes: Nodes,
    rig: Rig,
    folder: Path,
    *,
    trials: int,
    kills: int,
    drivers: int,
    seed: int = 1,
    cpus: int = 1,
    seconds: float = 0.05,
) -> set[str]:
    """Gives what was said meanwhile to run.

    When a node is killed follows from the steps that are done, and none is done until another node has joined: so all are killed
    before the study ends, however busy the machine is.
    """
    alone = Story(folder / "alone", trials, 0.0)
    there = Machine(folder / "alone" / "machine", folder / "alone")
    assert alone.run(there, "local")

    generator = random.Random(seed)
    print(f"seed {seed}")
    while len(nodes.alive) * cpus < cheap.PARALLEL:
        nodes.add(cpus)
    shown, killed = set[str](), list[tuple[int, int]]()
    story, driver = Story(folder / "spread", trials, seconds), rig.machine()
    needed = alone.done().total()
    when = sorted(generator.sample(range(cheap.STEPS, needed - 2 * cheap.PARALLEL * cheap.STEPS), kills))
    ends = sorted(generator.sample(range(trials // 4, trials - 2), drivers))

    def heard(line: str) -> bool:
        kind = line.partition(" ")[0]
        if kind in ("began", "kept", "done") and when and story.done().total() >= when[0]:
            hit = [n for n in nodes.alive if any((nodes.folder / f"node-{n}").glob("holdfast-node-*/project/outputs"))]
            if hit:  # else at the next line
                killed.append((when.pop(0), story.done().total()))
                with story.held():
                    nodes.kill(generator.choice(hit))
                    nodes.add(cpus)
        if kind == "kept":
            shown.update(str(running) for running in running_at(driver.root))
        if kind == "done" and ends and sum(s.startswith("done") for s in story.said) > ends[0]:
            ends.pop(0)
            return True
        return False

    runs = 1
    while not story.run(driver, "ray", heard):
        runs += 1
        if runs % 2:  # and with the driver its machine
            driver = rig.machine()
    print(f"of {needed} steps, nodes were to be killed after, and were after: {killed}")
    assert runs == drivers + 1
    assert not when, "a node was to be killed, and the study was over before"
    assert cheap.found(driver.root) == cheap.found(there.root)
    assert any(t["state"] == "PRUNED" for t in cheap.found(there.root))
    _nothing_was_done_twice(story, alone, kills * cpus + drivers * cheap.PARALLEL)
    assert not [p for p in rig.store.rglob("*") if "attempts" in p.name]
    return shown


def _nothing_was_done_twice(story: Story, alone: Story, lost: int) -> None:
    """Steps in all are the steps that are needed, and those of the intervals that were lost: each loss costs one at most."""
    needed, done = alone.done(), story.done()
    assert set(needed.values()) == {1}
    assert done.keys() == needed.keys()
    again = done.total() - needed.total()
    print(f"{needed.total()} steps are needed, {again} were done again, in {lost} losses at most")
    assert again <= lost * 2 * cheap.STEPS  # the interval, and the one that was on its way to the store
