"""Two processes on one study: a trial of a live one was not cut off, and one of a dead one is gone on with."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import AnotherSession
from holdfast.pipeline.training.train import Job
from tests.pipeline.cheap import STUDY, run, trials_of
from tests.pipeline.project import Lines
from tests.support import PROJECT, Machine, Rig

TRIALS = 4


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def works(machine: Machine, drive: Path, meets: Callable[[Job], None], told: Lines) -> None:
    """What a worker does: the study to its end, with a keeper of its own."""
    keep = holdfast.attach(machine.root, drive, quiet=True)

    def back_up(folder: Path, progress: float) -> None:
        assert keep.backup(folder.absolute(), progress=progress)

    run(machine, TRIALS, "none", fails=meets, keep=back_up, narration=told)
    keep.flush()


def in_a_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


@pytest.mark.parametrize(
    "dies",
    [pytest.param(False, id="the first goes on", marks=pytest.mark.torture), pytest.param(True, id="the first is killed")],
)
def test_of_two_processes_each_trial_has_one_and_that_of_a_dead_one_is_gone_on_with(rig: Rig, dies: bool) -> None:
    machine = rig.machine()
    (machine.root / "config").mkdir()
    (machine.root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
    begun, go_on, waits = (rig.folder / name for name in ("begun", "go-on", "waits"))
    trained = rig.folder / "trained"

    def noted(job: Job, who: str) -> None:
        with trained.open("a") as file:
            file.write(f"{who} {job.folder.name}\n")

    def first_meets(job: Job) -> None:
        noted(job, "first")
        begun.touch()
        until(go_on.exists)

    class Waiting(Lines):
        def say(self, line: str) -> None:
            super().say(line)
            if "other processes work on the last 1 trial(s); waiting for them" in line:
                waits.touch()

    first = in_a_child(lambda: works(machine, rig.drive, first_meets, Lines()))
    until(begun.exists)
    second = in_a_child(lambda: works(machine, rig.drive, lambda job: noted(job, "second"), Waiting()))
    until(waits.exists)
    assert sorted(trained.read_text().split("\n"))[1:] == ["first trial-0000", *(f"second trial-{n:04d}" for n in range(1, TRIALS))]
    if dies:
        os.kill(first, signal.SIGKILL)
    else:
        go_on.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == (-signal.SIGKILL if dies else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 0
    fresh = rig.machine()
    assert fresh.keep.ensure(STUDY)
    assert [t["state"] for t in trials_of(fresh.root)] == ["COMPLETE"] * TRIALS
    assert trained.read_text().count("trial-0000") == (2 if dies else 1)
    assert sum(e.head for e in fresh.keep.history(STUDY)) == 1


def test_where_a_process_has_the_whole_study_a_second_one_begins_no_trial(rig: Rig) -> None:
    machine = rig.machine()
    (machine.root / "config").mkdir()
    (machine.root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")

    def second() -> None:
        with pytest.raises(AnotherSession, match="another process of this project works on it"):
            works(machine, rig.drive, lambda job: None, Lines())

    with machine.keep.claim(STUDY):
        child = in_a_child(second)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
