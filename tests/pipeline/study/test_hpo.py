"""A study: which trials fail alone, which stay, what is kept, and where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from holdfast.flow.stage import Stopped
from holdfast.pipeline.hpo import run_local_hpo_sweep
from holdfast.pipeline.study.trial import SmallerDevice
from tests.pipeline.project import Lines, make_project, settings
from tests.support import Machine, Rig, read_tree


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    make_project(folder)
    return folder


def sweep(template: Path, output: Path, trials: int, *, told: Any = None, keep: Any = None, **changes: Any) -> optuna.Study:
    document = settings(hpo__trials=trials, **changes)
    return run_local_hpo_sweep(
        dataset_path=template / "data",
        config_dir=template / "config",
        backbone="micro",
        hpo_config=document["hpo"],
        train_config=document["training"],
        output_dir=output,
        checkpoint_config={"enabled": True, **document["hpo"].get("checkpoint", {})},
        model="encoder",
        max_length=48,
        stride=8,
        device="cpu",
        keep=keep or (lambda folder, progress: None),
        narration=told or Lines(),
    )


class Failing(Lines):
    """Runs out of memory at a step of a trial, as the allocator of torch would say it."""

    def __init__(self, trial: int, step: int) -> None:
        super().__init__()
        self._at = (trial, step)

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        if what.startswith(f"micro: trial {self._at[0]} ") and done == self._at[1]:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")


class Interrupted(Lines):
    """Somebody stops the cell at the first step."""

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt


def states(study: optuna.Study) -> list[str]:
    return [t.state.name for t in study.get_trials(deepcopy=False)]


def test_a_trial_that_runs_out_of_memory_fails_alone(template: Path, tmp_path: Path) -> None:
    told = Failing(trial=1, step=3)
    study = sweep(template, tmp_path, 3, told=told)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "out of memory" in study.trials[1].user_attrs["failed"]
    assert "trial 1: failed: out of memory" in str(told)


def test_a_trial_that_began_on_a_larger_device_stays_and_goes_on_there(template: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sweep(template, tmp_path, 1, told=Interrupted())
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/micro/study.db")  # as a machine of a petabyte would have left it
    storage.set_trial_user_attr(1, "device", {"type": "cpu", "name": "large", "memory": 2**50})
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(
        SmallerDevice, match=r"trial 0 began on large .* it stays as it is, and goes on where the device is as large"
    ):
        sweep(template, tmp_path, 1, told=Failing(trial=0, step=5))
    assert states(sweep(template, tmp_path, 1)) == ["COMPLETE"]


def test_only_the_best_weights_are_kept_here_and_in_the_store(template: Path, rig: Rig) -> None:
    machine = rig.machine()

    def keep(folder: Path, progress: float) -> None:
        assert machine.keep.backup(folder, progress=progress)

    def weights(machine: Machine) -> tuple[set[str], set[str]]:
        here = {p for p in read_tree(machine.root) if p.endswith("checkpoint/model.safetensors")}
        stored = {p for p in machine.keep.held("outputs/hpo/micro")[0].files if p.endswith("checkpoint/model.safetensors")}
        return here, stored

    study = sweep(template, machine.outputs / "hpo", 3, keep=keep)
    best = f"outputs/hpo/micro/trials/trial-{study.best_trial.number:04d}/checkpoint/model.safetensors"
    assert weights(machine) == ({best}, {best})
    other = rig.machine()
    study = sweep(
        template,
        other.outputs / "hpo",
        3,
        keep=lambda folder, progress: other.keep.backup(folder),
        hpo__checkpoint={"save_only_best": False},
    )
    assert len(weights(other)[0]) == 3


def test_a_study_ends_at_its_time_limit_and_counts_work_only(template: Path, tmp_path: Path) -> None:
    study = sweep(template, tmp_path, 50, hpo__timeout=1e-6)
    assert states(study) == ["COMPLETE"]
    assert study.trials[0].user_attrs["seconds"] > 0
    assert states(sweep(template, tmp_path, 50, hpo__timeout=1e-6)) == ["COMPLETE"]


def test_a_pruned_trial_counts_and_keeps_nothing(template: Path, tmp_path: Path) -> None:
    told = Lines()
    study = sweep(
        template,
        tmp_path,
        4,
        told=told,
        hpo__pruner="median",
        hpo__startup_trials=1,
        hpo__search_space={"learning_rate": {"type": "choice", "values": [1e-2, 1e-7]}},
        training__epochs=3,
    )
    assert len(study.trials) == 4
    assert "PRUNED" in states(study)
    assert "pruned" in str(told)
    for trial in study.trials:
        if trial.state.name == "PRUNED":
            assert not list((tmp_path / f"micro/trials/trial-{trial.number:04d}").rglob("*.safetensors"))


def test_stopped_between_steps_everything_is_saved(template: Path, tmp_path: Path) -> None:
    calls = [0]

    def over() -> bool:
        calls[0] += 1
        return calls[0] > 4

    document = settings(hpo__trials=1)
    arguments: dict[str, Any] = {
        "dataset_path": template / "data",
        "config_dir": template / "config",
        "backbone": "micro",
        "hpo_config": document["hpo"],
        "train_config": document["training"],
        "output_dir": tmp_path,
        "checkpoint_config": {"enabled": True},
        "model": "encoder",
        "max_length": 48,
        "stride": 8,
        "device": "cpu",
    }
    with pytest.raises(Stopped):
        run_local_hpo_sweep(**arguments, time_is_over=over)
    saved = sorted(p.name for p in (tmp_path / "micro/trials/trial-0000/checkpoints").iterdir())
    assert saved
    assert states(run_local_hpo_sweep(**arguments)) == ["COMPLETE"]
