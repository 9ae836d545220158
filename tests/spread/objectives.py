"""Cheap objectives that go on where they were cut off, and what a study came to. For tests, in this process and in others.

python -m tests.spread.objectives ROOT DRIVE TRIALS PARALLEL
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import optuna

from holdfast.integrations.exact import Exact
from holdfast.integrations.trials import KeptTrial
from holdfast.keeper import Keeper
from holdfast.spread.performing import Desk
from tests.support import Machine

STEPS, INTERVAL = 6, 2
#: The name of a file to which each step that is run adds a letter.
COUNTED = "HOLDFAST_TEST_STEPS"
#: Seconds of a step.
PAUSE = "HOLDFAST_TEST_PAUSE"


def climb(trial: KeptTrial) -> float:
    """Six steps towards how good the parameters are, with a state that is kept every two."""
    x = trial.suggest_float("x", 0.0, 1.0)
    kind = trial.suggest_categorical("kind", ["left", "right"])
    y = trial.suggest_int("y", 1, 9) if kind == "left" else 5
    goal = 1 - (x - 0.3) ** 2 - abs(y - 4) / 20
    place = trial.folder / "state.json"
    state: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {"step": 0, "level": 0.0}
    for step in range(state["step"] + 1, STEPS + 1):
        time.sleep(float(os.environ.get(PAUSE, "0")))
        if COUNTED in os.environ:
            with Path(os.environ[COUNTED]).open("a") as file:
                file.write(".")
        noise = random.Random(f"{trial.number}/{step}").gauss(0, 0.05)
        state = {"step": step, "level": state["level"] + (goal - state["level"]) / 3 + noise}
        trial.report(state["level"], step)
        if trial.should_prune():  # asked before the step is saved: what is saved is not asked again
            raise optuna.TrialPruned
        if step % INTERVAL == 0:
            part = place.with_name("state.part")
            part.write_text(json.dumps(state))
            part.replace(place)
            trial.keep()
    return float(state["level"])


def known(desk: Desk) -> dict[str, Any]:
    """The work of an attempt that gives what it may know of others."""
    return {"known": list(desk.attempt.seen)}


def study_of(root: Path, *, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    """The study of a project folder, begun or gone on with."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = root / "outputs" / "study"
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name="climb",
        storage=f"sqlite:///{folder}/study.db",
        load_if_exists=True,
        direction="maximize",
        sampler=Exact(lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3), seed=7),
        pruner=pruner or optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    )


def told(study: optuna.Study) -> list[dict[str, Any]]:
    """Everything that a study knows of its trials but clock times and attempts."""
    return [
        {
            "number": t.number,
            "state": t.state.name,
            "params": t.params,
            "values": t.values,
            "reports": t.intermediate_values,
            "rungs": {k: v for k, v in t.system_attrs.items() if "rung" in k},
        }
        for t in study.get_trials()
    ]


def close(study: optuna.Study) -> None:
    """Let go of the file."""
    storage: Any = study._storage
    storage.remove_session()
    getattr(storage, "_backend", storage).engine.dispose()


def keeper_of(machine: Machine) -> Keeper:
    """The keeper of a machine, as a notebook has it."""
    plain = machine.keeper()
    return Keeper(plain.config, plain.store, plain.workspace)


def optimized(keeper: Keeper, trials: int, parallel: int, engine: str = "local") -> list[dict[str, Any]]:
    """Run the study of a keeper's project to its end."""
    study = study_of(keeper.root)
    try:
        keeper.optimize(study, climb, trials, parallel=parallel, engine=engine)
        return told(study)
    finally:
        close(study)


def main() -> None:
    root, drive, trials, parallel = sys.argv[1:]
    keeper = keeper_of(Machine(Path(root), Path(drive)))
    keeper.ensure("outputs/study")
    optimized(keeper, int(trials), int(parallel))


if __name__ == "__main__":
    main()
