"""The scenarios of the restore plan: what a notebook meets on the day after, each once."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import restore_if_missing
from holdfast.errors import BadData, NotRestored, StoreTimeout, UsageError
from holdfast.pipeline.benchmark import BENCHMARK_FILENAME, run_benchmarking_local
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.hpo import run_local_hpo_sweep, setup_checkpoint_storage
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.steps.model import find_checkpoint
from holdfast.pipeline.study.folds import digest
from holdfast.session import functions
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Faulty
from tests.pipeline.project import Lines, Project, experiment, lose, settings, trials
from tests.pipeline.tracking import stores
from tests.support import Machine, Rig, make_database, rows_in

CONFIG = {"enabled": True, "storage_path": "{backbone}/study.db", "auto_resume": True}


def hpo_dir(machine: Machine) -> Path:
    return machine.root / "outputs" / "hpo"


def sweep(machine: Machine, count: int, restore: Callable[[Path], Any] | None, **changes: Any) -> Any:
    """The plan's own call, as a notebook makes it."""
    document = settings(hpo__trials=count)
    return run_local_hpo_sweep(
        dataset_path=machine.root / "data",
        config_dir=machine.root / "config",
        backbone="micro",
        hpo_config=document["hpo"],
        train_config=document["training"],
        output_dir=hpo_dir(machine),
        checkpoint_config=CONFIG,
        restore_from_drive=restore,
        **{"model": "encoder", "max_length": 48, "stride": 8, "device": "cpu", **changes},
    )


@pytest.fixture
def notebook(rig: Rig, finished: tuple[Project, Machine]) -> Iterator[Callable[[], Machine]]:
    """Fresh machines, each with the keeper attached as in a notebook's first cell."""
    project = Project(rig, finished[0].template)

    def open_one() -> Machine:
        machine = project.machine()
        (machine.root / "config").mkdir()
        (machine.root / "config" / "paths.yaml").write_text("drive: {backup_base_dir: proj}\n")
        holdfast.attach(machine.root, rig.drive)
        return machine

    yield open_one
    holdfast.detach()


# -- HPO -----------------------------------------------------------------------------------------------------------------


def test_hpo_resumes_from_the_store_on_a_fresh_machine(notebook: Callable[[], Machine]) -> None:
    first = notebook()
    keeper = holdfast.attach(first.root, first.drive)
    assert len(sweep(first, 1, keeper.ensure).trials) == 1  # backed up trial by trial, by the attached keeper
    one = trials(first)
    second = notebook()
    keeper = holdfast.attach(second.root, second.drive)
    study = sweep(second, 2, keeper.ensure)
    assert [t.number for t in study.trials] == [0, 1]
    assert trials(second)[:1] == one


def test_hpo_without_a_restore_function_works_as_on_a_laptop(notebook: Callable[[], Machine]) -> None:
    machine = notebook()
    holdfast.detach()
    assert setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=None) == (
        hpo_dir(machine) / "micro/study.db",
        f"sqlite:///{hpo_dir(machine)}/micro/study.db",
        False,
    )
    assert len(sweep(machine, 1, None).trials) == 1
    path, _, resume = setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro")
    assert resume
    assert path is not None
    assert path.is_file()


def test_a_checkpoint_that_is_off_keeps_no_study(machine: Machine) -> None:
    assert setup_checkpoint_storage(hpo_dir(machine), None, "micro") == (None, None, False)
    assert setup_checkpoint_storage(hpo_dir(machine), {"enabled": False}, "micro") == (None, None, False)
    assert not hpo_dir(machine).exists()


def test_names_are_filled_into_the_storage_path(machine: Machine) -> None:
    config = {"enabled": True, "storage_path": "{backbone}/{study_name}.db", "study_name": "night"}
    path, uri, resume = setup_checkpoint_storage(hpo_dir(machine), config, "micro")
    assert path == hpo_dir(machine) / "micro/night.db"
    assert uri == f"sqlite:///{path}"
    assert not resume
    path, _, _ = setup_checkpoint_storage(hpo_dir(machine), config, "micro", study_name="day")
    assert path == hpo_dir(machine) / "micro/day.db"


def test_a_local_study_wins_and_the_backup_is_not_asked(machine: Machine) -> None:
    make_database(hpo_dir(machine) / "micro/study.db")
    asked: list[Path] = []
    _, _, resume = setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=asked.append)
    assert resume
    assert asked == []


def test_a_callback_that_answers_no_begins_a_new_study(machine: Machine) -> None:
    path, _, resume = setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=lambda path: False)
    assert path is not None
    assert not resume


def test_a_callback_that_raises_stops_before_a_trial_is_spent(machine: Machine) -> None:
    def broken(path: Path) -> bool:
        raise RuntimeError("token expired")

    with pytest.raises(NotRestored, match="restore_from_drive raised RuntimeError: token expired"):
        setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=broken)
    assert not (hpo_dir(machine) / "micro").exists()
    config = {**CONFIG, "on_restore_failure": "continue"}
    assert setup_checkpoint_storage(hpo_dir(machine), config, "micro", restore_from_drive=broken)[2] is False


def test_a_callback_that_claims_what_is_not_so_is_caught(machine: Machine) -> None:
    with pytest.raises(UsageError, match="said that it is present, and it is not"):
        setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=lambda path: True)


@pytest.mark.parametrize("callback", [lambda path, is_directory: True, lambda *, path: True, "restore", 3])
def test_a_callback_of_another_signature_is_refused_at_once(machine: Machine, callback: Any) -> None:
    with pytest.raises(UsageError, match="should be a function of one path"):
        setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=callback)
    assert not hpo_dir(machine).exists()
    path, _, resume = setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro", restore_from_drive=machine.keep.ensure)
    assert path is not None
    assert not resume


def made_for(checkpoint_path: Path) -> Callable[[], bool]:
    """As the restore plan makes it in its notebook: a function without an argument, for one path."""

    def restore_fn_inner() -> bool:
        return restore_if_missing(checkpoint_path, is_directory=False)

    return restore_fn_inner


def test_a_callback_that_was_made_for_the_path_restores_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = rig.machine(), rig.machine()
    make_database(hpo_dir(first) / "micro/study.db", rows=7)
    assert first.keep.backup("outputs/hpo/micro/study.db")
    monkeypatch.setattr(functions, "_current", [second.keep])
    restore_fn = made_for(hpo_dir(second) / "micro/study.db")
    path, _, resume = setup_checkpoint_storage(hpo_dir(second), CONFIG, "micro", restore_from_drive=restore_fn)
    assert resume
    assert path is not None
    assert rows_in(path) == 7


def test_a_callback_that_says_no_because_its_restore_failed_begins_no_study(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = rig.machine(), rig.machine(failing)
    make_database(hpo_dir(first) / "micro/study.db")
    assert first.keep.backup("outputs/hpo/micro/study.db")
    monkeypatch.setattr(functions, "_current", [second.keep])
    restore_fn = made_for(hpo_dir(second) / "micro/study.db")
    with pytest.raises(NotRestored, match="its restore failed"):
        setup_checkpoint_storage(hpo_dir(second), {**CONFIG, "restore_patience": 0.1}, "micro", restore_from_drive=restore_fn)


def failing(backend: Backend) -> Backend:
    """A store whose every read of content times out."""

    def fault(operation: str, path: str) -> None:
        if operation == "read" and path.startswith(("generations/", "outputs/")):
            raise StoreTimeout(110, "no answer in 120 s", path)

    return Faulty(backend, fault)


def test_a_restore_that_times_out_is_tried_again_and_then_stops(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    first = rig.machine()
    make_database(hpo_dir(first) / "micro/study.db")
    assert first.keep.backup("outputs/hpo/micro/study.db")
    second = rig.machine(failing)
    config = {**CONFIG, "restore_patience": 0.5}
    with pytest.raises(NotRestored, match="nothing was begun, because it may hold finished work"):
        setup_checkpoint_storage(hpo_dir(second), config, "micro", restore_from_drive=second.keep.ensure)
    assert "trying again" in caplog.text
    # It passes, and the next run goes on.
    third = rig.machine()
    assert setup_checkpoint_storage(hpo_dir(third), CONFIG, "micro", restore_from_drive=third.keep.ensure)[2] is True


def test_a_restore_that_times_out_once_is_got_over(rig: Rig) -> None:
    first = rig.machine()
    make_database(hpo_dir(first) / "micro/study.db")
    assert first.keep.backup("outputs/hpo/micro/study.db")
    left = [1]

    def once(backend: Backend) -> Backend:
        def fault(operation: str, path: str) -> None:
            if operation == "read" and path.startswith("outputs/") and left[0]:
                left[0] -= 1
                raise StoreTimeout(110, "no answer in 120 s", path)

        return Faulty(backend, fault)

    second = rig.machine(once)
    assert setup_checkpoint_storage(hpo_dir(second), CONFIG, "micro", restore_from_drive=second.keep.ensure)[2] is True
    assert left == [0]


def test_the_plans_function_does_not_hide_a_failed_restore(
    rig: Rig, notebook: Callable[[], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = notebook()
    make_database(hpo_dir(first) / "micro/study.db")
    assert holdfast.backup_to_drive(hpo_dir(first) / "micro/study.db")
    for payload in rig.payloads():
        payload.write_bytes(b"damaged" * 10)
    second = notebook()
    config = {**CONFIG, "restore_patience": 0.1}
    with pytest.raises(NotRestored):
        setup_checkpoint_storage(hpo_dir(second), config, "micro", restore_from_drive=holdfast.restore_from_drive)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 and then nothing", b"half of something else"])
def test_a_damaged_study_is_set_aside_and_the_backup_serves(rig: Rig, content: bytes) -> None:
    first = rig.machine()
    make_database(hpo_dir(first) / "micro/study.db", rows=7)
    assert first.keep.backup("outputs/hpo/micro/study.db")
    second = rig.machine()
    second.write("outputs/hpo/micro/study.db", content)
    path, _, resume = setup_checkpoint_storage(hpo_dir(second), CONFIG, "micro", restore_from_drive=second.keep.ensure)
    assert resume
    assert path is not None
    assert sqlite3.connect(path).execute("select count(*) from trials").fetchone() == (7,)
    assert path.with_name("study.db.damaged-1").read_bytes() == content


def test_auto_resume_off_refuses_what_is_there(machine: Machine) -> None:
    make_database(hpo_dir(machine) / "micro/study.db")
    with pytest.raises(UsageError, match="auto_resume is false"):
        setup_checkpoint_storage(hpo_dir(machine), {**CONFIG, "auto_resume": False}, "micro")
    assert setup_checkpoint_storage(hpo_dir(machine), CONFIG, "micro")[2], "auto_resume: true goes on with it"
    named = {**CONFIG, "auto_resume": False, "storage_path": "{backbone}/{study_name}.db", "study_name": "day"}
    assert setup_checkpoint_storage(hpo_dir(machine), named, "micro")[2] is False, "another name begins beside it"


def test_the_plans_mlflow_experiment_has_a_run_for_each_trial(notebook: Callable[[], Machine]) -> None:
    machine = notebook()
    sweep(machine, 1, None, mlflow_experiment_name="names/of people")
    runs = stores.mlflow_runs(hpo_dir(machine) / "micro")
    assert {name: (experiment, status) for name, (experiment, status, _) in runs.items()} == {
        "micro-trial-0000": ("names/of people", "FINISHED")
    }
    assert "eval/f1_micro" in {name for _, name, _ in runs["micro-trial-0000"][2]}


def test_the_plans_folds_are_trained_on_the_splits_that_are_given_and_seen_nowhere_else(
    notebook: Callable[[], Machine], tmp_path: Path
) -> None:
    machine = notebook()
    documents = open_dataset(machine.root / "data").train
    names = sorted({digest(d) for d in documents})
    given = tmp_path / "mine.json"
    given.write_text(json.dumps({"format": 1, "folds": [names[:10], names[10:]]}))
    study = sweep(machine, 1, None, k_folds=2, fold_splits_file=given)
    (trial,) = study.get_trials()
    scores = [row["score"] for row in trial.user_attrs["folds"]]
    assert (len(scores), trial.value) == (2, sum(scores) / 2)
    kept = json.loads((hpo_dir(machine) / "micro/folds.json").read_text())
    assert kept == json.loads(given.read_text())
    assert sweep(machine, 1, None, k_folds=2).get_trials()[0].value == trial.value, "its own splits are gone on with"
    given.write_text(json.dumps({"format": 1, "folds": [names[:9], names[9:]]}))
    with pytest.raises(UsageError, match=r"made under other settings: folds: .* then, .* now"):
        sweep(machine, 2, None, k_folds=2, fold_splits_file=given)
    with pytest.raises(UsageError, match=r"made under other settings: folds: .* then, not set now; hpo.folds: 2 then, not set now"):
        sweep(machine, 2, None)


def test_a_study_of_other_settings_is_not_mixed_with(notebook: Callable[[], Machine]) -> None:
    machine = notebook()
    sweep(machine, 1, None)
    with pytest.raises(UsageError, match="made under other settings: seed: 0 then, 1 now"):
        sweep(machine, 2, None, seed=1)


# -- benchmark, selection, conversion ------------------------------------------------------------------------------------


def copy_of(finished: tuple[Project, Machine], rig: Rig) -> tuple[Project, Machine]:
    project = finished[0]
    shutil.copytree(project.rig.drive, rig.drive, dirs_exist_ok=True)
    mine = Project(rig, project.template)
    return mine, mine.machine()


def test_a_benchmark_is_restored_and_skipped(finished: tuple[Project, Machine], rig: Rig) -> None:
    _, machine = copy_of(finished, rig)
    keeper = machine.keeper()
    held = [k for k in keeper.held("outputs/hpo/micro")[0].files if k.endswith(BENCHMARK_FILENAME)]
    assert len(held) == 1
    place = keeper.require(held[0])
    before = place.read_bytes()
    checkpoint = keeper.require(f"{Path(held[0]).parent}/checkpoint")
    test = keeper.require("outputs/data/test.jsonl")
    run_benchmarking_local(checkpoint, test, place, batch_sizes=(1, 2), iterations=2, warmup_iterations=1, device="cpu")
    assert json.loads(place.read_bytes())["results"] == json.loads(before)["results"]  # measured anew, it would differ


def test_selection_comes_from_the_restored_cache(finished: tuple[Project, Machine], rig: Rig) -> None:
    project, machine = copy_of(finished, rig)
    for manifest in (rig.store / "generations").glob("outputs~final_training*"):
        manifest.unlink()
    shutil.rmtree(rig.store / "artifacts/outputs/final_training")  # or it would be known by name, and not absent
    summary = project.run(machine)
    assert "selection" not in summary.ran
    assert "final_training" in summary.ran
    assert not (machine.root / "outputs/hpo/micro/study.db").exists()  # nobody needed the study again


def test_a_trials_checkpoint_is_restored_before_it_is_used(finished: tuple[Project, Machine], rig: Rig) -> None:
    project, machine = copy_of(finished, rig)
    project.run(machine)
    (next(hpo_dir(machine).rglob(BENCHMARK_FILENAME))).unlink()
    changed = {"benchmark__iterations": 3}
    summary = project.run(machine, changed=changed, only=["benchmark"], fork=True)
    assert summary.ran == ("benchmark/micro",)
    assert list(hpo_dir(machine).rglob("checkpoint/model.safetensors"))


@pytest.fixture
def conversion(finished: tuple[Project, Machine], rig: Rig) -> tuple[Machine, Path]:
    """A fresh machine before conversion, and the place of its cache."""
    _, machine = copy_of(finished, rig)
    return machine, machine.root / "outputs/final_training/micro/training_cache.json"


def test_conversion_works_from_restored_cache_and_checkpoint_and_no_more(conversion: tuple[Machine, Path]) -> None:
    machine, cache = conversion
    found = find_checkpoint(cache, machine.root, machine.keep.ensure)
    assert found == machine.root / "outputs/final_training/micro/checkpoint"
    assert sorted(machine.tree()) == sorted(
        [
            "final_training/micro/training_cache.json",
            *(f"final_training/micro/checkpoint/{p.name}" for p in found.iterdir()),
        ]
    )


def test_the_same_restore_repeated_asks_the_store_no_more(finished: tuple[Project, Machine], rig: Rig) -> None:
    shutil.copytree(finished[0].rig.drive, rig.drive, dirs_exist_ok=True)
    machine, counting = rig.counted()
    cache = machine.root / "outputs/final_training/micro/training_cache.json"
    find_checkpoint(cache, machine.root, machine.keep.ensure)
    asked = sum(counting.counts.values())
    for _ in range(3):
        find_checkpoint(cache, machine.root, machine.keep.ensure)
    assert sum(counting.counts.values()) == asked


def test_a_checkpoint_that_is_missing_comes_with_its_output_directory(finished: tuple[Project, Machine], rig: Rig) -> None:
    """The cache is an artifact of its own, and only the directory around the checkpoint was ever backed up."""
    _, machine = finished
    old = rig.machine()
    shutil.copytree(machine.root / "outputs/final_training", old.root / "outputs/runs")
    cache = old.root / "outputs/cache/training_cache.json"
    cache.parent.mkdir()
    document = json.loads((old.root / "outputs/runs/micro/training_cache.json").read_bytes())
    document |= {"output_dir": "outputs/runs/micro", "checkpoint": "outputs/runs/micro/epoch-2"}  # the name it had that day
    cache.write_text(json.dumps(document))
    assert old.keep.backup("outputs/cache/training_cache.json")
    assert old.keep.backup("outputs/runs/micro")
    fresh = rig.machine()
    found = find_checkpoint(fresh.root / "outputs/cache/training_cache.json", fresh.root, fresh.keep.ensure)
    assert found == fresh.root / "outputs/runs/micro/checkpoint"


def test_a_partial_checkpoint_is_completed(conversion: tuple[Machine, Path]) -> None:
    machine, cache = conversion
    checkpoint = find_checkpoint(cache, machine.root, machine.keep.ensure)
    (checkpoint / "model.safetensors").unlink()
    assert find_checkpoint(cache, machine.root, machine.keep.ensure) == checkpoint
    assert (checkpoint / "model.safetensors").is_file()


def test_other_weights_under_the_same_name_are_not_converted(conversion: tuple[Machine, Path]) -> None:
    machine, cache = conversion
    checkpoint = find_checkpoint(cache, machine.root, machine.keep.ensure)
    weights = checkpoint / "model.safetensors"
    trained = weights.read_bytes()
    content = bytearray(trained)
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(NotRestored, match="holds other weights than those that were trained"):
        find_checkpoint(cache, machine.root, lambda path: path.exists())
    assert weights.read_bytes() == content
    # Where the backup has those that were trained, they are taken, and the others are moved aside.
    assert find_checkpoint(cache, machine.root, machine.keep.ensure) == checkpoint
    assert weights.read_bytes() == trained
    assert checkpoint.with_name(f"{checkpoint.name}.damaged-1").joinpath(weights.name).read_bytes() == content


def test_no_backup_anywhere_is_one_clear_line(machine: Machine) -> None:
    with pytest.raises(NotRestored, match="neither here nor in the backup; run the final training first"):
        find_checkpoint(machine.root / "outputs/training_cache.json", machine.root, machine.keep.ensure)


def test_a_cache_that_is_no_cache_is_one_clear_line(machine: Machine) -> None:
    place = machine.write("outputs/training_cache.json", b"{}")
    with pytest.raises(BadData, match=r"is no training_cache\.json"):
        find_checkpoint(place, machine.root, machine.keep.ensure)


def test_the_chain_of_cache_and_checkpoint_is_restored_for_a_conversion(finished: tuple[Project, Machine], rig: Rig) -> None:
    project, machine = copy_of(finished, rig)
    for manifest in (rig.store / "generations").glob("outputs~conversion*"):
        manifest.unlink()
    assert project.run(machine).ran == ("conversion",)
    assert machine.read("outputs/conversion/micro/onnx/model.onnx") == finished[1].read("outputs/conversion/micro/onnx/model.onnx")


# -- around everything ---------------------------------------------------------------------------------------------------


def test_without_a_store_everything_runs(finished: tuple[Project, Machine], tmp_path: Path) -> None:
    root = tmp_path / "laptop"
    for name in ("data", "encoder"):
        shutil.copytree(finished[0].template / name, root / name)
    keeper = holdfast.session.attach.open_keeper(root)
    told = Lines()
    summary = Runner(keeper, experiment(), narration=told).run()
    assert summary.finished
    assert summary.safe == "NO STORE"
    assert Runner(holdfast.session.attach.open_keeper(root), experiment()).run().ran == ()


def test_a_store_that_cannot_be_read_stops_before_hours_are_spent(finished: tuple[Project, Machine], rig: Rig) -> None:
    shutil.copytree(finished[0].rig.drive, rig.drive, dirs_exist_ok=True)
    project = Project(rig, finished[0].template)
    machine = project.machine()
    broken = rig.machine(failing)
    for name in ("data", "encoder"):
        shutil.copytree(machine.root / name, broken.root / name)
    with pytest.raises(NotRestored, match="Stopped before it would be made again"):
        Runner(broken.keep, experiment(run__restore_patience=0.2)).run()
    assert not (broken.root / "outputs/hpo/micro/trials").exists()
    lose(broken)
    # The store is as it was: nothing of what could not be read was replaced.
    assert project.run(machine).ran == ()


def test_every_restore_and_backup_of_a_run_is_logged_once(
    finished: tuple[Project, Machine], rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    _, machine = copy_of(finished, rig)
    with caplog.at_level(logging.INFO, logger="holdfast"):
        machine.keep.ensure("outputs/final_training/micro/metrics.json")
        machine.keep.ensure("outputs/final_training/micro/metrics.json")
    restored = [r for r in caplog.records if "metrics.json" in r.getMessage()]
    assert len(restored) == 1
    assert restored[0].levelno == logging.INFO
