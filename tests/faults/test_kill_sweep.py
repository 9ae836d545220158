"""Whatever call a command is killed at, nothing that was backed up or restored is lost or half there."""

from __future__ import annotations

import os
import random

import pytest

from tests.faults.bench import Tool
from tests.faults.sweep import run
from tests.faults.swept import Sweep
from tests.faults.warm_python import CommandError

SAMPLE = 30
LEAST_SAMPLED = 27
LEAST_IN_ALL = 2000

SAMPLE_ON_DRIVE = 14
LEAST_SAMPLED_ON_DRIVE = 12
LEAST_IN_ALL_ON_DRIVE = 500


def swept(sample: int | None, seed: int, jobs: int, *, on_drive: bool = False) -> Sweep:
    try:
        done = run(sample=sample, seed=seed, jobs=jobs, on_drive=on_drive)
    except CommandError as error:
        pytest.fail(str(error), pytrace=False)
    print(done.table())
    for text, count in sorted(done.judged().items()):
        print(f"judged {text}: {count} points")
    for text, count in sorted(done.notes().items()):
        print(f"note: {text} ({count} points)")
    return done


def judge(done: Sweep, least: int) -> None:
    assert not done.broken(Tool.HOLDFAST), "\n".join(done.failures())
    assert done.killed(Tool.HOLDFAST) >= least
    assert len(done.not_hit(Tool.HOLDFAST)) <= max(1, done.killed(Tool.HOLDFAST) // 100), done.not_hit(Tool.HOLDFAST)[:3]
    assert done.broken(Tool.COPY), "rmtree + copytree loses nothing here, so this sweep could not find a loss"


def judge_all(done: Sweep, least: int) -> None:
    """Of points that find the very same bytes one is tried, and each is met by that."""
    judge(done, 1)
    assert not done.not_hit(Tool.HOLDFAST)
    there = sum(len(points) for (_, tool, _), points in done.points.items() if tool is Tool.HOLDFAST)
    assert done.killed(Tool.HOLDFAST) + done.same(Tool.HOLDFAST) == there >= least


def drawn_seed() -> int:
    """A new one in every run, so that in time every point is met; HOLDFAST_SWEEP_SEED repeats one."""
    seed = int(os.environ.get("HOLDFAST_SWEEP_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"seed {seed}: HOLDFAST_SWEEP_SEED={seed} repeats this sample")
    return seed


def test_a_kill_at_a_sample_of_points_loses_nothing() -> None:
    judge(swept(SAMPLE, drawn_seed(), jobs=2), LEAST_SAMPLED)


def test_a_kill_at_a_sample_of_points_on_a_simulated_drive_loses_nothing() -> None:
    """In two of three points the mount is then taken away too, with what was not uploaded."""
    judge(swept(SAMPLE_ON_DRIVE, drawn_seed(), jobs=2, on_drive=True), LEAST_SAMPLED_ON_DRIVE)


@pytest.mark.torture
def test_a_kill_at_every_point_loses_nothing() -> None:
    judge_all(swept(None, drawn_seed(), jobs=os.cpu_count() or 2), LEAST_IN_ALL)


@pytest.mark.torture
def test_a_kill_at_every_point_on_a_simulated_drive_loses_nothing() -> None:
    judge_all(swept(None, drawn_seed(), jobs=os.cpu_count() or 2, on_drive=True), LEAST_IN_ALL_ON_DRIVE)
