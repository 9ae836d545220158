"""The final training: the best configuration on the chosen data, checkpoint by checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.flow.life import LIFE
from holdfast.flow.stage import FORK_DIGITS, RECORD, Made
from holdfast.pipeline.elsewhere import Errand, at_stake, device_for, is_spread, open_errands, take_up, threads_of
from holdfast.pipeline.layout import BEST_CONFIGURATION, CHECKPOINT, CHECKPOINTS, JOURNAL, TRACKING
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.study.spread import key_of
from holdfast.pipeline.tracking.journal import Journal, TrackedRun, read_journal, write_journal
from holdfast.pipeline.tracking.publishing import Publisher
from holdfast.pipeline.training.checkpoint import weights_identity
from holdfast.pipeline.training.final import FinalTraining, FinalWatcher, Look
from holdfast.pipeline.training.intervals import SHARE
from holdfast.platform import random_hex
from holdfast.spread.attempt import Ended

#: The unit that says what a node is.
_LOOK = "look"


def train_final(bench: Workbench) -> Made:
    """Train, score on validation and test, and write down where everything is."""
    training = _training(bench)
    with Publisher(training.settings.report_to, bench.folder / TRACKING, bench.narration.warn) as publisher:
        spread = is_spread(bench.experiment.hpo, bench.environment)
        made = _elsewhere(bench, training) if spread else _here(bench, training, publisher)
        publisher.publish_the_rest(bench.folder)
    summary = made["summary"]
    test = summary["test"]
    bench.narration.say(f"  test entity F1 {test['micro']['f1']:.4f} ({_interval(test['micro'])}macro {test['macro']['f1']:.4f})")
    return Made(str(made["weights"])[:32], summary)


def _training(bench: Workbench) -> FinalTraining:
    experiment, made_from = bench.experiment, bench.stage.made_from
    selection = bench.done["selection"].stage
    best = json.loads((bench.path(selection.folder) / BEST_CONFIGURATION).read_bytes())["best"]
    bench.expect(
        best["parameters"] == made_from["parameters"],
        f"{selection.folder}/{BEST_CONFIGURATION} does not say what its record says; restore the folder",
    )
    model = bench.pipeline.model(bench.pipeline.chosen(bench.done), bench.done["data"])
    is_folder = Path(model).is_dir()
    settings = experiment.final(dict(made_from["parameters"]))
    return FinalTraining(
        stage=bench.stage.name,
        folder=bench.stage.folder,
        dataset=bench.done["data"].stage.folder,
        model=key_of(Path(model), bench.keeper.root) if is_folder else model,
        is_folder=is_folder,
        backbone=best["backbone"],
        configuration=best["parameters"],
        learns_from=experiment.final_training.data,
        settings=settings,
        objective=experiment.hpo.objective,
        seed=experiment.seed,
        max_length=experiment.data.max_length,
        stride=experiment.data.stride,
        device=device_for(experiment),
        begun=str(bench.environment.get("precision", "")),
        run=_run(bench) if settings.report_to else None,
    )


def _run(bench: Workbench) -> TrackedRun:
    """What trackers call it. Its key is drawn once, and kept in the journal, which is backed up before anything is trained."""
    known = read_journal(bench.folder / JOURNAL)
    key = random_hex(8) if known is None else known.run.key
    return TrackedRun(key, bench.stage.name, bench.experiment.name, bench.stage.name)


def _begin(bench: Workbench, training: FinalTraining, environment: Mapping[str, Any]) -> None:
    if training.run is not None and not (bench.folder / JOURNAL).exists():
        bench.folder.mkdir(parents=True, exist_ok=True)
        write_journal(bench.folder / JOURNAL, Journal(training.run))
    bench.begin(environment)


def _here(bench: Workbench, training: FinalTraining, publisher: Publisher) -> Mapping[str, Any]:
    """In this process."""
    environment = training.look(bench.keeper.root)
    _begin(bench, training, environment)
    watcher = FinalWatcher(
        training,
        bench.narration,
        bench.copies,
        keep=lambda step, _: bench.keep(float(step)),
        is_to_stop=bench.time_is_over,
        at_stake=lambda: at_stake(bench),
        publisher=publisher,
    )
    return training.settled(environment).make(bench.keeper.root, watcher, bench.clock)


def _elsewhere(bench: Workbench, training: FinalTraining) -> Mapping[str, Any]:
    """As an attempt of the engine of trials, with as many threads as they have."""
    given = training.model if training.is_folder and not training.model.startswith(f"{training.dataset}/") else None
    inputs = (training.dataset, *(() if given is None else (given,)))
    folder = bench.stage.folder
    unit = f"training-{bench.stage.fingerprint[:FORK_DIGITS]}"  # what was kept of one with other settings is none of this

    def arrived(ended: Ended, brought: Path) -> None:
        if brought.is_dir():  # else it was made in place, and is kept with the stage
            _move(brought, bench.folder)
            bench.keep(float(ended.result["summary"]["steps"]))
        bench.expect(
            weights_identity(bench.folder / CHECKPOINT) == ended.result["weights"],
            f"{folder}/{CHECKPOINT} does not hold what was trained; run again",
        )

    with open_errands(bench, folder) as errands:
        if errands.engine.keeps:  # another machine: only it can say what it is
            environment = dict(errands.run(Errand(_LOOK, f"{folder}/{_LOOK}", Look(training), inputs)).result)
        else:
            take_up(bench, unit)
            environment = training.look(bench.keeper.root)
        _begin(bench, training, {**environment, **threads_of(errands.ground)})
        if errands.engine.keeps:  # a node's checkpoints are never in the store before it is there with what they were begun
            bench.keeper.settle(bench.keeper.config.timeout)
        return errands.run(Errand(unit, folder, training.settled(environment), inputs, arrived)).result


def _move(brought: Path, folder: Path) -> None:
    """What an attempt made takes the place of what is here. A kill in between costs nothing: it is brought once more.

    The record and the life of the stage are written here alone, and what was unfinished is needed no more.
    """
    for made in sorted(brought.iterdir()):
        if made.name in (RECORD, LIFE, CHECKPOINTS):
            continue
        place = folder / made.name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        os.replace(made, place)


def _interval(figures: Mapping[str, Any]) -> str:
    low, high = figures.get("intervals", {}).get("f1", (None, None))
    return "" if low is None else f"{SHARE} % interval {low:.4f} to {high:.4f}; "
