"""A study whose objective is arithmetic that takes a while, driven in a process of its own that may be killed.

python -c "from tests.spread.cluster.cheap import main; main()" ROOT DRIVE ENGINE TRIALS SECONDS

A trial has four epochs of four steps. After each epoch it reports, saves and has that kept. Every step that is done anywhere is a
line in the folder that `STEPS_VARIABLE` names, so that what was done twice can be counted. While `HOLD` lies there, none is done.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from holdfast.integrations.account import Part, open_trial, result_of
from holdfast.integrations.sampler import ExactSampler
from holdfast.integrations.spreading import Plan, SpreadStudy
from holdfast.integrations.trials import KeptTrial
from holdfast.spread.attempt import Asked, Attempt, Ended, Kept, Lost, Node, Told
from holdfast.spread.cluster.engine import ClusterEngine
from holdfast.spread.cluster.patience import Patience
from holdfast.spread.driver import drive
from holdfast.spread.engine import Engine, Ground, open_engine
from holdfast.spread.environment import environment_of
from holdfast.spread.performing import Desk
from holdfast.spread.shown import Shown
from tests.support import Machine

PARALLEL, EPOCHS, STEPS = 4, 4, 4
HOME = "outputs/study"
STEPS_VARIABLE = "CHEAP_STEPS"
HOLD = "hold"
PATIENCE = Patience(beat=0.3, silence=20.0, start=120.0, probe=60.0, answer=5.0)


class Trial:
    """The work of a trial.

    Args:
        seconds: Of a step.
        log: Where each step is told.
    """

    def __init__(self, seconds: float, log: str) -> None:
        self.seconds, self.log = seconds, log

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        part: Part = pickle.loads(desk.attempt.part)
        folder = desk.root / desk.attempt.folder
        sampler = ExactSampler(lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3), 11)
        study, storage, trial_id = open_trial(
            part, desk.attempt.seen, folder, sampler, optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
        )
        try:
            trial = KeptTrial.of(optuna.Trial(study, trial_id), folder, lambda: None)
            try:
                study.tell(trial, self._train(desk, trial))
            except optuna.TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
            return result_of(storage, trial_id)
        finally:
            storage.close()

    def _train(self, desk: Desk, trial: KeptTrial) -> float:
        goal = 1 - abs(math.log10(trial.suggest_float("rate", 1e-4, 1e-1, log=True)) + 2.5) / 3
        goal += trial.suggest_categorical("size", [4, 8, 16]) / 100
        saved = trial.folder / "state.json"
        state = json.loads(saved.read_text()) if saved.exists() else {"step": 0, "level": 0.0}
        for step in range(state["step"] + 1, EPOCHS * STEPS + 1):
            time.sleep(self.seconds)
            while (Path(self.log) / HOLD).exists():
                time.sleep(0.05)
            with (Path(self.log) / f"{trial.number}-{desk.attempt.token}").open("a") as told:
                told.write(f"{step}\n")
            desk.tell({"step": step, "total": EPOCHS * STEPS})
            noise = random.Random(f"{trial.number}/{step}").gauss(0, 0.05)
            state = {"step": step, "level": state["level"] + (goal - state["level"]) / 8 + noise / 8}
            if step % STEPS == 0:
                trial.report(state["level"], step // STEPS)
                if trial.should_prune():
                    raise optuna.TrialPruned
                part = saved.with_suffix(".part")
                part.write_text(json.dumps(state))
                part.rename(saved)
                desk.kept(step / (EPOCHS * STEPS))
        level: float = state["level"]
        return level


class _Units:
    """The study, to the driver; tells what happens, a line each."""

    def __init__(self, machine: Machine, study: optuna.Study, engine: Engine, trials: int, plan: Plan) -> None:
        self.machine, self.engine, self.trials, self.due = machine, engine, trials, False
        self.study = SpreadStudy(study, engine, plan, self)

    def room(self, trials: Sequence[FrozenTrial], seen: int) -> bool:
        return len(trials) < self.trials

    def next(self, running: Collection[str]) -> Attempt | None:
        return self.study.next(running)

    def is_over(self) -> bool:
        return self.study.is_over()

    def began(self, trial: FrozenTrial, attempt: Attempt) -> None:
        say("began", attempt.unit, attempt.number, attempt.token)

    def told(self, event: Told) -> None:
        pass

    def kept(self, event: Kept) -> None:
        say("kept", event.attempt.unit, event.share, event.attempt.token)
        if not self.engine.keeps:
            self._keep()

    def asked(self, event: Asked) -> object:
        return "nothing is damaged", False

    def ended(self, event: Ended) -> None:
        self.study.ended(event)

    def recorded(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], ended: Ended) -> None:
        say("done", trial.number, trial.state.name, ended.where)
        self.due = True

    def part_done(self, trial: FrozenTrial, fold: int, ended: Ended) -> None:
        raise AssertionError("no folds")

    def lost(self, event: Lost) -> None:
        say("lost", event.attempt.unit, event.why)

    def node(self, event: Node) -> None:
        say("node", event.name, event.line)

    def keep(self) -> None:
        if self.due:
            self.due = False
            self._keep()

    def finish(self) -> None:
        self._keep()

    def _keep(self) -> None:
        assert self.machine.keep.backup(HOME, progress=self.study.finished)


def say(*what: object) -> None:
    print(*what, flush=True)


def main() -> None:
    root, folder, name, trials, seconds = sys.argv[1:]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    machine = Machine(Path(root), Path(folder))
    machine.keep.ensure(HOME)
    study = open_study(machine.root)
    environment = environment_of(1)
    ground = Ground(machine.root, HOME, PARALLEL, keeper=machine.keep, environment=environment, say=say, warn=say)
    engine = Shown(ClusterEngine(ground, patience=PATIENCE, disk=0), machine.root) if name == "ray" else open_engine(name, ground)
    plan = Plan(
        home=HOME,
        place=lambda number: f"trials/trial-{number:04d}",
        root=machine.root,
        work=pickle.dumps(Trial(float(seconds), os.environ[STEPS_VARIABLE])),
        parallel=PARALLEL,
        environment=environment,
    )
    try:
        drive(engine, _Units(machine, study, engine, int(trials), plan), PARALLEL)
    finally:
        engine.close()
    say("over")


def open_study(root: Path) -> optuna.Study:
    place = root / HOME / "study.db"
    place.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(storage=f"sqlite:///{place}", study_name="cheap", direction="maximize", load_if_exists=True)


def found(root: Path) -> list[dict[str, Any]]:
    """All that a study knows of its trials, but how often each was tried."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{root / HOME / 'study.db'}")
    try:
        study = optuna.load_study(study_name="cheap", storage=storage)
        return [
            {
                "number": t.number,
                "state": t.state.name,
                "params": t.params,
                "values": t.values,
                "reports": t.intermediate_values,
                "attributes": t.user_attrs,
                "notes": {k: v for k, v in t.system_attrs.items() if not k.startswith("holdfast:attempts")},
                "is_best": t.number == study.best_trial.number,
            }
            for t in study.get_trials()
        ]
    finally:
        storage.remove_session()
        storage.engine.dispose()
