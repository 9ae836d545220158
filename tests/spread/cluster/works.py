"""What nodes do in tests: steps that take a while, each kept, gone on with at the last one that was; and what goes wrong."""

from __future__ import annotations

import os
import pickle
import random
import signal
import time
from collections.abc import Mapping
from typing import Any

import optuna

from holdfast.flow.stage import Stopped
from holdfast.integrations.account import Part, open_trial, result_of
from holdfast.integrations.sampler import ExactSampler
from holdfast.spread.performing import Desk

STEPS = 10


def steps(desk: Desk) -> Mapping[str, Any]:
    """A line for each step, as it is done: `step attempt`."""
    log = desk.root / desk.attempt.folder / "log.txt"
    done = len(log.read_text().splitlines()) if log.exists() else 0
    print(f"attempt {desk.attempt.number} begins after step {done}")
    for step in range(done + 1, STEPS + 1):
        time.sleep(0.3)
        with log.open("a") as file:
            file.write(f"{step} {desk.attempt.number}\n")
        desk.tell({"step": step, "total": STEPS})
        desk.kept(step / STEPS)
        if desk.is_to_stop():
            raise Stopped
    return {"unit": pickle.loads(desk.attempt.part), "threads": os.environ["OMP_NUM_THREADS"]}


def ends_by_itself(desk: Desk) -> Mapping[str, Any]:
    os._exit(3)


def stops_itself(desk: Desk) -> Mapping[str, Any]:
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}


class Sleep:
    """The work of a trial that sleeps: some seconds, drawn by its number, and needs no core meanwhile.

    Args:
        least: Seconds.
        most: Seconds.
    """

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most

    def seconds(self, number: int) -> float:
        """Of one trial."""
        return random.Random(f"length of {number}").uniform(self.least, self.most)

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        part: Part = pickle.loads(desk.attempt.part)
        sampler = ExactSampler(lambda seed: optuna.samplers.RandomSampler(seed=seed), 11)
        folder = desk.root / desk.attempt.folder
        study, storage, trial_id = open_trial(part, desk.attempt.seen, folder, sampler, optuna.pruners.NopPruner())
        try:
            trial = optuna.Trial(study, trial_id)
            value = trial.suggest_float("x", 0.0, 1.0)
            time.sleep(self.seconds(part.number))
            study.tell(trial, value)
            return result_of(storage, trial_id)
        finally:
            storage.close()
