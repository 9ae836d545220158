"""Ways in which an earlier attempt lost GPU hours or trained the wrong thing, each impossible here. Numbers as in ARCHITECTURE.md.

Lesson 22 (logic in notebook cells) is held here by the functions that a notebook calls; those of lesson 23 that are a setting
ignored have a test for each setting in tests/pipeline/test_settings_used.py.
"""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest

from holdfast.errors import BadData, MadeOtherwise, StageFailed
from holdfast.integrations.sampler import ExactSampler
from holdfast.pipeline import benchmark, hpo
from holdfast.pipeline.data.dataset import load_dataset
from holdfast.pipeline.data.reading import read_documents
from holdfast.pipeline.data.splits import find_splits
from holdfast.pipeline.study.selection import Candidate, choose
from tests.pipeline.project import Lines, Project, lose, trials
from tests.support import Machine, Rig


def test_lesson_18_studies_are_told_apart_by_what_they_were_made_from(finished: tuple[Project, Machine], rig: Rig) -> None:
    project, _ = finished
    shutil.copytree(project.rig.drive, rig.drive, dirs_exist_ok=True)
    mine = Project(rig, project.template)
    changed = {"hpo__search_space__batch_size__values": [8]}
    with pytest.raises(MadeOtherwise):
        mine.run(mine.machine(), changed=changed)
    machine = mine.machine()
    mine.run(machine, changed=changed, fork=True, only=["hpo"])
    assert len(list((machine.root / "outputs/hpo").iterdir())) == 2
    again = mine.machine()  # found again by its content, with no name given by hand
    assert mine.run(again, changed=changed, only=["hpo"]).ran == ()


def test_lesson_19_a_new_session_finds_everything_by_content_and_trial_number(finished: tuple[Project, Machine]) -> None:
    project, first = finished
    second = project.machine()
    assert project.run(second).ran == ()
    for path, content in second.tree().items():
        assert first.tree()[path] == content


def test_lesson_19_an_interrupted_study_suggests_what_an_uninterrupted_one_does() -> None:
    def ask(study: optuna.Study) -> float:
        trial = study.ask()
        x = trial.suggest_float("x", -5, 5)
        y = trial.suggest_int("y", 1, 9)
        study.tell(trial, x * x + y)
        return x

    def make(seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=3)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole = optuna.create_study(sampler=ExactSampler(make, 7))
    expected = [ask(whole) for _ in range(12)]
    storage = optuna.storages.InMemoryStorage()
    found = []
    for _ in range(12):  # a new session for every trial, killed once between two suggestions
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True, sampler=ExactSampler(make, 7))
        trial = study.ask()
        x = trial.suggest_float("x", -5, 5)
        session = optuna.load_study(storage=storage, study_name="s", sampler=ExactSampler(make, 7))
        resumed = optuna.Trial(session, trial._trial_id)
        assert resumed.suggest_float("x", -5, 5) == x
        session.tell(resumed, x * x + resumed.suggest_int("y", 1, 9))
        found.append(x)
    assert found == expected
    assert [t.params for t in whole.trials] == [t.params for t in optuna.load_study(storage=storage, study_name="s").trials]


def test_lesson_20_the_final_training_uses_the_parameters_of_the_study(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    best = json.loads(machine.read("outputs/best_configuration/best_configuration.json"))["best"]
    study = trials(machine)[best["trial"]]
    assert best["parameters"] == study["params"]
    record = json.loads(machine.read("outputs/final_training/micro/stage.json"))
    for name, value in study["params"].items():
        assert record["made_from"]["training"][name] == value


def test_lesson_20_a_missing_parameter_is_an_error_and_no_default(finished: tuple[Project, Machine], rig: Rig) -> None:
    import sqlite3

    project, machine = finished
    mine = Project(rig, project.template)
    fresh = mine.machine()
    shutil.copytree(machine.root / "outputs", fresh.root / "outputs")
    shutil.rmtree(fresh.root / "outputs/best_configuration")
    connection = sqlite3.connect(fresh.root / "outputs/hpo/micro/study.db")
    connection.execute("delete from trial_params where param_name = 'learning_rate' and trial_id = 1")
    connection.commit()
    connection.close()
    with pytest.raises(StageFailed, match="lacks the parameter learning_rate, so nothing is trained with a default"):
        mine.run(fresh)


def test_lesson_21_nothing_is_written_outside_outputs(finished: tuple[Project, Machine]) -> None:
    project, machine = finished
    given = {p.relative_to(project.template).as_posix() for p in project.template.rglob("*")}
    made = {p.relative_to(machine.root).as_posix() for p in machine.root.rglob("*")} - given
    assert {p.split("/")[0] for p in made} == {"outputs", ".holdfast"}


def test_lesson_21_records_hold_keys_and_work_on_a_machine_of_another_path(
    finished: tuple[Project, Machine], tmp_path: Path
) -> None:
    project, machine = finished
    cache = json.loads(machine.read("outputs/final_training/micro/training_cache.json"))
    assert cache["checkpoint"] == "outputs/final_training/micro/checkpoint"
    moved = tmp_path / "elsewhere" / "deeper"
    shutil.copytree(machine.root, moved)
    elsewhere = Machine(moved, project.rig.drive)
    assert project.run(elsewhere).ran == ()


def parameters(function: Any) -> list[str]:
    return [n for n, p in inspect.signature(function).parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]


def test_lesson_22_a_notebook_only_calls_and_the_plans_names_are_functions() -> None:
    assert parameters(hpo.setup_checkpoint_storage) == [
        "output_dir",
        "checkpoint_config",
        "backbone",
        "study_name",
        "restore_from_drive",
    ]
    assert parameters(hpo.run_local_hpo_sweep) == [
        "dataset_path",
        "config_dir",
        "backbone",
        "hpo_config",
        "train_config",
        "output_dir",
        "mlflow_experiment_name",
        "k_folds",
        "fold_splits_file",
        "checkpoint_config",
        "restore_from_drive",
    ]
    assert parameters(benchmark.run_benchmarking_local)[:3] == ["checkpoint_dir", "test_data_path", "output_path"]
    assert benchmark.BENCHMARK_FILENAME == "benchmark.json"


def test_lesson_23_labels_without_b_and_i_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "train.conll"
    place.write_text("Ada\tPERSON\nwalked\tO\n")
    with pytest.raises(BadData, match="PERSON"):
        read_documents(place)


def test_lesson_23_a_validation_set_that_is_split_off_leaves_training(finished: tuple[Project, Machine], tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        shutil.copy(finished[0].template / "data" / name, tmp_path / name)
    splits = find_splits(tmp_path)
    dataset = load_dataset(splits, validation_share=0.25)
    whole = read_documents(splits.train).documents
    assert len(dataset.validation) == 8
    assert sorted(d.text for d in (*dataset.train, *dataset.validation)) == sorted(d.text for d in whole)


def test_lesson_23_speed_can_decide_and_is_compared_with_speed() -> None:
    slow = Candidate("large", 0, 0.80, 90, {}, latency=9.0)
    fast = Candidate("small", 1, 0.79, 95, {}, latency=2.0)
    assert choose([slow, fast], by="latency", tolerance=0.02)["best"]["backbone"] == "small"
    assert choose([slow, fast], by="quality", tolerance=0.02)["best"]["backbone"] == "large"
    assert choose([slow, fast], by="latency", tolerance=0.0)["best"]["backbone"] == "large"
    with pytest.raises(StageFailed, match="was not measured"):
        choose([slow, Candidate("small", 1, 0.80, 95, {})], by="latency", tolerance=0.02)


def test_lesson_23_why_a_stage_failed_is_not_swallowed(finished: tuple[Project, Machine], rig: Rig) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    told = Lines()
    space = {"learning_rate": {"type": "choice", "values": [1e30]}}  # at which the loss is soon no number
    with pytest.raises(StageFailed, match="no trial is complete") as failed:
        project.run(machine, told=told, changed={"hpo__search_space": space, "training__max_grad_norm": 1e30})
    assert "loss is" in str(failed.value)
    assert "failed" in str(told)
    lose(machine)
