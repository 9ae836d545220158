"""A study never gets stuck: on a trial that raises, on a search space that was too wide, on how a number was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import optuna
import pytest

from holdfast.errors import AnotherSession, ConfigurationError, LocalError, StageFailed
from holdfast.flow.fingerprint import fingerprint
from holdfast.pipeline.failing import is_out_of_memory, may_pass
from holdfast.pipeline.identity import study_made_from
from holdfast.pipeline.sameness import differing, narrowed, same
from holdfast.pipeline.settings import Hpo, Training
from holdfast.pipeline.study.database import OtherOptuna, database_url, open_storage
from holdfast.pipeline.study.search import most_epochs, summarize
from holdfast.pipeline.training.train import Job
from tests.pipeline import cheap
from tests.pipeline.project import Lines
from tests.support import Machine, Rig

Space = dict[str, dict[str, Any]]

RATES = {"type": "choice", "values": [3e-3, 1e-8]}


def schedule(job: Job) -> None:
    """What a library says of a schedule that cannot be."""
    if job.settings.learning_rate < 1e-7:
        raise ValueError(f"lr_end (1e-07) must be smaller than initial lr ({job.settings.learning_rate})")


def frozen(machine: Machine) -> list[optuna.trial.FrozenTrial]:
    place = machine.root / cheap.STUDY / "study.db"
    with open_storage(database_url(place), place) as storage:
        return optuna.load_study(study_name="cheap", storage=storage).get_trials()


def states(machine: Machine) -> list[str]:
    return [t["state"] for t in cheap.trials_of(machine.root)]


def run(machine: Machine, trials: int, **changes: Any) -> str:
    told = Lines()
    cheap.run(machine, trials, "none", narration=told, keep=lambda folder, progress: None, **changes)
    return str(told)


# -- a trial that raises ---------------------------------------------------------------------------------------------------


RAISED = (
    ValueError("lr_end (1e-07) must be smaller"),
    TypeError("unsupported operand"),
    RuntimeError("expected scalar type Half but found Float"),
    ConfigurationError("a setting that does not go with another"),
    AssertionError(),
    RecursionError("maximum recursion depth exceeded"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ValueError("half a character \ud800"),
)


def test_a_trial_that_raises_fails_with_its_reason_and_the_study_goes_on(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine, left = rig.machine(), list(RAISED)

    def fails(job: Job) -> None:
        if left:
            raise left.pop(0)

    told = run(machine, len(RAISED) + 1, fails=fails, failures_in_a_row=None)
    assert states(machine) == ["FAIL"] * len(RAISED) + ["COMPLETE"]
    for number, (error, trial) in enumerate(zip(RAISED, cheap.trials_of(machine.root), strict=False)):
        reason = trial["attributes"]["failed"]
        assert (type(error).__name__ in reason) != is_out_of_memory(error)
        assert f"trial {number}: failed: {reason}" in told
        assert f"trial {number} failed: {reason}" in caplog.messages


#: What says nothing about a trial, but about machine, store or study. The trial stays, and a later run finishes it.
OTHERS: dict[str, Callable[[], Exception]] = {
    "the disk is full": lambda: OSError(28, "No space left on device"),
    "the disk, in words of torch": lambda: RuntimeError(
        "[enforce fail at inline_container.cc:672] PytorchStreamWriter failed writing file"
    ),
    "the disk, in words of Rust": lambda: ValueError("I/o error: No space left on device (os error 28)"),
    "a library": lambda: ModuleNotFoundError("No module named 'sentencepiece'"),
    "the store": lambda: AnotherSession("another session works on it"),
    "this disk": lambda: LocalError(13, "denied"),
    "the study's file": lambda: sqlite3.OperationalError("database is locked"),
    "the network": lambda: ConnectionError("hub"),
}


def test_what_is_not_the_trials_own_ends_the_run_and_the_trial_goes_on_next_time(rig: Rig) -> None:
    machine = rig.machine()
    for make in OTHERS.values():

        def fails(job: Job, make: Callable[[], Exception] = make) -> None:
            raise make()

        with pytest.raises(type(make())):
            run(machine, 1, fails=fails)
        assert states(machine) == ["RUNNING"]
    assert "trial 0 goes on" in run(machine, 1)
    assert states(machine) == ["COMPLETE"]


def test_many_in_a_row_end_the_run_in_one_line_and_each_way_on_that_it_names_leads_on(rig: Rig) -> None:
    machine = rig.machine()
    run(machine, 1)

    def all_fail(job: Job) -> None:
        raise ValueError("no such attention")

    with pytest.raises(StageFailed) as caught:
        run(machine, 20, fails=all_fail, failures_in_a_row=3)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("cheap: 3 trials in a row failed, the last with ValueError: no such attention. All trials stay.")
    assert states(machine) == ["COMPLETE"] + ["FAIL"] * 3
    # run again: one more is tried, and the run ends again
    with pytest.raises(StageFailed, match="4 trials in a row failed"):
        run(machine, 20, fails=all_fail, failures_in_a_row=3)
    # more room
    with pytest.raises(StageFailed, match="5 trials in a row failed"):
        run(machine, 20, fails=all_fail, failures_in_a_row=5)
    run(machine, 6, fails=all_fail, failures_in_a_row=None)
    # the end with what there is
    assert "end with the 1 that are complete (hpo.trials: 4)" in line
    run(machine, 4)
    assert states(machine) == ["COMPLETE"] + ["FAIL"] * 5
    # mended
    run(machine, 7, failures_in_a_row=3)
    assert states(machine)[-1] == "COMPLETE"


def test_a_study_of_which_no_trial_is_complete_goes_on_with_more_trials_in_a_narrower_space(rig: Rig) -> None:
    machine, rates = rig.machine(), {"learning_rate": {"type": "choice", "values": [1e-8, 3e-3]}}

    def stuck(job: Job) -> None:
        raise ValueError("no schedule")

    run(machine, 2, fails=stuck, search_space=rates)
    with pytest.raises(StageFailed, match=r"no trial is complete \(ValueError: no schedule\); narrow the search space"):
        summarize(frozen(machine))
    run(machine, 3, fails=schedule, search_space={"learning_rate": {"type": "choice", "values": [3e-3]}})
    assert summarize(frozen(machine))["best_trial"] == 2


def test_a_gpu_that_a_trial_left_of_no_use_fails_that_trial_alone_and_a_new_process_goes_on(rig: Rig) -> None:
    machine, calls = rig.machine(), []

    def fails(job: Job) -> None:
        calls.append(job)
        if len(calls) >= 2:
            raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(StageFailed, match=r"trial 1 failed and left the GPU of no use .* run again"):
        run(machine, 3, fails=fails)
    assert states(machine) == ["COMPLETE", "FAIL"]
    run(machine, 3)
    assert states(machine) == ["COMPLETE", "FAIL", "COMPLETE"]


# -- a search space that is narrowed -----------------------------------------------------------------------------------------

WIDE: Space = {
    "learning_rate": RATES,
    "warmup": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "int", "low": 4, "high": 16, "step": 4},
    "weight_decay": {"type": "loguniform", "low": 1e-5, "high": 1e-1},
}


NARROW: Space = {
    "learning_rate": {"type": "choice", "values": ["3e-3"]},
    "warmup": {"type": "uniform", "low": 0.1, "high": 0.2},
    "batch_size": {"type": "int", "low": 8, "high": 12, "step": 4},
    "weight_decay": {"type": "loguniform", "low": 1e-3, "high": 1e-3},
}


def test_a_search_space_may_be_narrowed_in_a_study_that_goes_on(rig: Rig) -> None:
    machine = rig.machine()
    options: dict[str, Any] = {"fails": schedule, "failures_in_a_row": None, "startup_trials": 2}
    run(machine, 3, search_space=WIDE, **options)
    assert "goes on within a narrower search space" in run(machine, 5, search_space=NARROW, **options)
    assert "narrower" not in run(machine, 6, search_space=NARROW, **options)
    trials = cheap.trials_of(machine.root)
    assert [t["state"] for t in trials[3:]] == ["COMPLETE"] * 3
    for trial in trials[3:]:
        assert trial["params"]["learning_rate"] == 3e-3
        assert all(r["low"] <= trial["params"][k] <= r["high"] for k, r in NARROW.items() if "low" in r)


def made_from(space: Space, **hpo: Any) -> dict[str, Any]:
    settings = Hpo.model_validate({"search_space": space, **hpo})
    return study_made_from(settings, Training(), "b", "d", seed=0, max_length=256, stride=64)


@pytest.mark.parametrize("name", NARROW)
def test_one_parameter_that_is_narrower_is_enough(name: str) -> None:
    assert narrowed(made_from(WIDE), made_from({**WIDE, name: NARROW[name]}))
    assert not narrowed(made_from({**WIDE, name: NARROW[name]}), made_from(WIDE))
    assert not narrowed(made_from(WIDE), made_from({**WIDE, name: NARROW[name]}, sampler="random"))


def test_a_trial_that_was_cut_off_goes_on_with_what_it_was_given_in_the_wider_space(rig: Rig) -> None:
    machine = rig.machine()

    def killed(job: Job) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(machine, 2, search_space=WIDE, fails=killed)
    given = cheap.trials_of(machine.root)[0]["params"]
    run(machine, 2, search_space={**WIDE, "warmup": {"type": "uniform", "low": 0.5, "high": 0.5}})
    first, second = cheap.trials_of(machine.root)
    assert first["params"] == given
    assert second["params"]["warmup"] == 0.5


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("learning_rate", {"type": "choice", "values": [3e-3, 1e-3]}),
        ("warmup", {"type": "uniform", "low": 0.0, "high": 0.6}),
        ("warmup", {"type": "choice", "values": [0.1]}),
        ("batch_size", {"type": "int", "low": 4, "high": 16}),
        ("batch_size", {"type": "int", "low": 5, "high": 13, "step": 4}),
        ("dropout", {"type": "uniform", "low": 0.0, "high": 0.1}),
    ],
)
def test_any_other_search_space_is_another_study(name: str, other: dict[str, Any]) -> None:
    then, now = made_from(WIDE), made_from({**WIDE, name: other})
    assert not narrowed(then, now)
    assert not same(then, now)
    assert any(line.startswith(f"hpo.search_space.{name}") for line in differing(then, now))


# -- how numbers are written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "written", "again"),
    [
        ("learning_rate", ["1e-3", "5e-3"], [1e-3, 5e-3]),
        ("batch_size", [8, 16], [8.0, 16.0]),
        ("batch_size", ["8", 16], [8, "16"]),
        ("warmup", [0, 0.1], [0.0, "0.1"]),
        ("learning_rate", [5e-5, "5.0e-5", 1e-3], [5e-5, 1e-3]),
        ("batch_size", [8, 8, 4], [8, 4]),
        ("scheduler", ["linear", "linear", "cosine"], ["linear", "cosine"]),
    ],
)
def test_the_same_numbers_are_the_same_study_however_they_are_written(key: str, written: list[Any], again: list[Any]) -> None:
    first, second = (made_from({key: {"type": "choice", "values": v}}) for v in (written, again))
    assert fingerprint(first) == fingerprint(second)
    # as a version wrote it that took them as they came
    first["hpo"]["search_space"][key]["values"] = written
    assert same(first, second)
    assert differing(first, second) == []


def test_the_step_of_whole_numbers_that_is_1_in_any_case_may_be_written_out() -> None:
    first, second = (made_from({"epochs": {"type": "int", "low": 2, "high": 4, **step}}) for step in ({}, {"step": 1}))
    assert fingerprint(first) == fingerprint(second)
    first["hpo"]["search_space"]["epochs"]["step"] = 1.0
    assert same(first, second)


def test_the_largest_of_numbers_is_the_largest_number() -> None:
    assert most_epochs(Hpo.model_validate({"search_space": {"epochs": {"type": "choice", "values": ["9", "10"]}}}), 3) == 10
    assert most_epochs(Hpo.model_validate({"search_space": {"epochs": {"type": "choice", "values": ["1", 2]}}}), 3) == 2


def test_a_study_whose_choices_an_older_version_took_as_text_goes_on(rig: Rig) -> None:
    """Optuna keeps the choices of a study for good."""
    machine, space = rig.machine(), {"learning_rate": {"type": "choice", "values": [1e-3, 5e-3]}}
    run(machine, 1, search_space=space)
    with closing(sqlite3.connect(machine.root / cheap.STUDY / "study.db")) as database, database:
        for table, column in (("study_user_attributes", "value_json"), ("trial_params", "distribution_json")):
            for row, text in database.execute(f"select rowid, {column} from {table}").fetchall():
                old = text.replace("[0.001, 0.005]", '["1e-3", "5e-3"]')
                database.execute(f"update {table} set {column} = ? where rowid = ?", (old, row))
    run(machine, 2, search_space=space)
    trials = cheap.trials_of(machine.root)
    assert [t["state"] for t in trials] == ["COMPLETE"] * 2
    assert {t["params"]["learning_rate"] for t in trials} <= {"1e-3", "5e-3"}


def test_numbers_of_numpy_are_numbers_in_settings() -> None:
    import numpy

    values = [1e-3, 5e-3]
    plain = made_from({"learning_rate": {"type": "choice", "values": values}}, startup_trials=3)
    for kind in (numpy.float64, numpy.longdouble):
        of_numpy = [kind(v) for v in values]
        assert made_from({"learning_rate": {"type": "choice", "values": of_numpy}}, startup_trials=numpy.int64(3)) == plain


# -- another Optuna ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["v3.0.0.d", "v9.9.9.a"])
def test_a_study_of_another_optuna_is_left_as_it_is_and_what_to_do_is_said(rig: Rig, revision: str) -> None:
    machine = rig.machine()
    run(machine, 1)
    place = machine.root / cheap.STUDY / "study.db"
    with closing(sqlite3.connect(place)) as database, database:
        (before,) = database.execute("select version_num from alembic_version").fetchone()
        database.execute("update alembic_version set version_num = ?", (revision,))
    with pytest.raises(OtherOptuna) as caught:
        run(machine, 2)
    line = str(caught.value)
    assert "run again" not in line
    assert str(place) in line
    if revision.startswith("v3"):
        assert f"`optuna storage upgrade --storage {database_url(place)}`" in line
    else:
        assert "install the newer Optuna" in line
    with closing(sqlite3.connect(place)) as database, database:
        assert database.execute("select count(*) from trials").fetchone() == (1,)
        database.execute("update alembic_version set version_num = ?", (before,))
    run(machine, 2)
    assert states(machine) == ["COMPLETE"] * 2


# -- which errors may pass ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(28, "No space left on device"), True),
        (ConnectionResetError("hub"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (sqlite3.OperationalError("database is locked"), True),
        (FileNotFoundError(2, "no such file"), False),
        (ModuleNotFoundError("No module named 'x'"), False),
        (ValueError("lr_end (1e-07) must be smaller than initial lr (1e-08)"), False),
        (TypeError("'>' not supported between instances of 'int' and 'str'"), False),
        (KeyError("x"), False),
    ],
)
def test_only_what_may_pass_is_worth_a_second_run(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes
