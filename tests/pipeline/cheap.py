"""A study whose trainings are arithmetic, so that it can be killed at every instant of its life, in processes that are cheap.

Everything but the training is the pipeline's own: the study, its sampler and pruner, the loop over trials, the storage, the restore
and the backup. A training has four epochs of four steps, each with a checkpoint, and goes on at its last one.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import optuna
from optuna.storages import RDBStorage

from holdfast.errors import StageFailed
from holdfast.flow.narration import Narration, Quiet
from holdfast.integrations.watching import Watcher
from holdfast.pipeline import hpo as hpo_module
from holdfast.pipeline.data.dataset import Dataset
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.hpo import run_local_hpo_sweep
from holdfast.pipeline.layout import CHECKPOINT, CHECKPOINTS
from holdfast.pipeline.study import spread as spread_module
from holdfast.pipeline.study import trial as trial_module
from holdfast.pipeline.study import trials as trials_module
from holdfast.pipeline.study.database import database_url
from holdfast.pipeline.study.sweep import KeepParts, KeepStudy
from holdfast.pipeline.training.train import Job, Trained
from holdfast.session.files import write_json
from holdfast.session.parts import parts_of
from tests.support import Machine, Rig

EPOCHS, STEPS = 4, 4
STUDY = "outputs/hpo/cheap"
STATE = "state.json"
#: The name of a file to which each step of a training adds a letter.
COUNTED = "HOLDFAST_TEST_STEPS"

Instant = Callable[[], None]


def settings(trials: int, pruner: str) -> dict[str, Any]:
    """The `hpo` section."""
    return {
        "trials": trials,
        "pruner": pruner,
        "startup_trials": 4,
        "pruner_warmup": 0,
        "search_space": {
            "learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-1},
            "batch_size": {"type": "choice", "values": [4, 8, 16]},
            "warmup": {"type": "uniform", "low": 0.0, "high": 0.5},
        },
    }


def run(
    machine: Machine,
    trials: int,
    pruner: str,
    instant: Instant = lambda: None,
    *,
    narration: Narration | None = None,
    keep: KeepStudy | None = None,
    keep_parts: KeepParts | None = None,
    sampler: str = "tpe",
    fails: Callable[[Job], None] = lambda job: None,
    train: Sequence[Document] = (),
    arguments: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Run the study to its end from wherever it is. `instant` is called at each instant at which a machine may vanish.

    `fails` may raise where a training begins; `train` are the documents, `arguments` more of those of the sweep; other keywords
    change the `hpo` section.
    """
    keeper = machine.keeper()

    def back_up(folder: Path, progress: float) -> None:
        instant()
        assert keeper.backup(folder.absolute(), progress=progress)
        instant()

    def back_up_parts(parts: Sequence[Path], progress: float) -> None:
        instant()
        folder = (machine.root / STUDY).absolute()
        assert keeper.backup(*(parts_of(keeper, folder, [p.absolute() for p in parts]) or [folder]), progress=progress)
        instant()

    with cheap(instant, fails, train), _seen(instant):
        run_local_hpo_sweep(
            dataset_path=machine.root / "data",
            config_dir=machine.root / "config",
            backbone="cheap",
            hpo_config={**settings(trials, pruner), "sampler": sampler, **changes},
            train_config={"epochs": EPOCHS},
            output_dir=machine.root / "outputs/hpo",
            restore_from_drive=keeper.ensure,
            identity="cheap",
            seed=11,
            device="cpu",
            keep=keep or back_up,
            keep_parts=keep_parts if keep is not None else back_up_parts,
            at_stake=lambda: keeper.at_stake(STUDY),
            narration=narration or Quiet(),
            keeper=keeper,
            **(arguments or {}),
        )


@contextmanager
def cheap(
    instant: Instant = lambda: None, fails: Callable[[Job], None] = lambda job: None, documents: Sequence[Document] = ()
) -> Iterator[None]:
    """No data, no model, no torch."""
    data = Dataset(tuple(documents), (), (), ("A",), "none")

    def train(job: Job, watcher: Watcher, clock: Callable[[], float]) -> Trained:
        fails(job)
        return _train(job, watcher, instant)

    modules = (hpo_module, trial_module, trials_module, spread_module)
    hpo, trial, trials, spread = (partial(mock.patch.object, module) for module in modules)
    with (
        hpo("open_dataset", return_value=data),
        spread("open_dataset", return_value=data),
        hpo("prepare"),
        hpo("trial_device", return_value="cpu"),
        trial("train", train),
        trial("evaluate", _evaluate),
        trials("train", train),
        trials("estimate_seconds", return_value=1.0),
    ):
        yield


def _evaluate(checkpoint: Path, documents: object, device: str) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((checkpoint / STATE).read_text())["scores"]
    return scores


def _train(job: Job, watcher: Watcher, instant: Instant) -> Trained:
    """Value after each epoch: how good the parameters are, nearer to it the longer, and a little noise of the trial's own."""
    saves = job.folder / CHECKPOINTS
    steps = sorted(int(p.name) for p in saves.iterdir() if (p / STATE).exists()) if saves.exists() else []
    own = job.folder.name if job.folder.name.startswith("trial") else f"{job.folder.parent.name}/{job.folder.name}"
    state = json.loads((saves / str(steps[-1]) / STATE).read_text()) if steps else {"step": 0, "level": 0.0, "noise": own}
    goal = 1 - abs(math.log10(job.settings.learning_rate) + 2.5) / 3 - job.settings.warmup / 5 + job.settings.batch_size / 100
    for step in range(state["step"] + 1, EPOCHS * STEPS + 1):
        instant()
        if COUNTED in os.environ:
            with Path(os.environ[COUNTED]).open("a") as file:
                file.write(".")
        noise = random.Random(f"{state['noise']}/{step}").gauss(0, 0.05)
        state.update(step=step, level=state["level"] + (goal - state["level"]) / 8 + noise / 8)
        watcher.stepped(step, EPOCHS * STEPS)
        if step % STEPS == 0:
            scores = {"f1_macro": state["level"], "f1_micro": state["level"]}
            watcher.scored(step // STEPS, scores)
            instant()
            state["scores"] = {a: {"f1": state["level"]} for a in ("macro", "micro")}
            write_json(saves / str(step) / STATE, state)
            watcher.saved(step, EPOCHS * STEPS)
    if "scores" not in state:
        raise StageFailed("nothing was scored")
    finished = job.folder / CHECKPOINT
    shutil.rmtree(finished, ignore_errors=True)
    write_json(finished / STATE, state)
    header = json.dumps({"__metadata__": {"level": str(state["level"])}}).encode()  # whole, by its own format
    (finished / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    instant()
    return Trained(finished, EPOCHS * STEPS, EPOCHS * STEPS, 1)


WRITES = (
    "create_new_study",
    "create_new_trial",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_system_attr",
    "set_trial_user_attr",
)


@contextmanager
def _seen(instant: Instant) -> Iterator[None]:
    """An instant before and after everything that Optuna writes."""
    with ExitStack() as stack:
        for name in WRITES:
            stack.enter_context(mock.patch.object(RDBStorage, name, _around(getattr(RDBStorage, name), instant)))
        yield


def _around(method: Callable[..., Any], instant: Instant) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        instant()
        result = method(*args, **kwargs)
        instant()
        return result

    return wrapped


def killed(machine: Machine, trials: int, pruner: str, after: int | None, **options: Any) -> bool:
    """Run in a process of its own that SIGKILL ends at its n-th instant. True where it was killed before it was done."""
    child = os.fork()
    if child == 0:
        left = [after]

        def instant() -> None:
            if left[0] is not None:
                left[0] -= 1
                if left[0] <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            run(machine, trials, pruner, instant, **options)
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the study ended with {status}"
    return status != 0


def trials_of(root: Path) -> list[dict[str, Any]]:
    """Everything that a study knows of its trials but its clock times."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(database_url(root / STUDY / "study.db"))
    try:
        study = optuna.load_study(study_name="cheap", storage=storage)
        return [
            {
                "number": t.number,
                "state": t.state.name,
                "params": t.params,
                "value": t.value,
                "reports": t.intermediate_values,
                "attributes": {k: v for k, v in t.user_attrs.items() if k != "seconds"},
                "rungs": {k: v for k, v in t.system_attrs.items() if "rung" in k},
            }
            for t in study.get_trials()
        ]
    finally:
        storage.remove_session()
        storage.engine.dispose()


def uninterrupted(rig: Rig, trials: int, pruner: str, **options: Any) -> list[dict[str, Any]]:
    """The same study, on a machine that stays, with a drive of its own."""
    machine = Machine(rig.folder / "uninterrupted", rig.folder / "another-drive")
    machine.drive.mkdir()
    assert not killed(machine, trials, pruner, None, **options)
    return trials_of(machine.root)
