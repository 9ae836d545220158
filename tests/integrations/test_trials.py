"""`keep.trials`: a study on a machine that goes, on the next one, with the trial that was cut off first."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import holdfast
from holdfast.errors import ConfigurationError, StoreError, UsageError
from holdfast.integrations.exact import Exact
from holdfast.integrations.trials import ANSWER, trials
from tests.integrations.studies import SAMPLERS, Killed, Told, told
from tests.support import Machine, Rig

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def opened(
    machine: Machine, *, name: str | None = "s", journal: bool = True, make: Any = SAMPLERS["tpe"], **more: Any
) -> optuna.Study:
    """As a script opens it."""
    assert machine.keep.ensure("outputs/study") or not (machine.outputs / "study").exists()
    (machine.outputs / "study").mkdir(parents=True, exist_ok=True)
    place = machine.outputs / "study"
    storage: Any = JournalStorage(JournalFileBackend(str(place / "journal.log"))) if journal else f"sqlite:///{place}/study.db"
    more = {"sampler": Exact(make, 7), **more}
    return optuna.create_study(study_name=name, storage=storage, load_if_exists=True, **more)


def body(study: optuna.Study, trial: Any, killed: Callable[[], None]) -> None:
    """Work that goes on in its folder, with pruning."""
    x = trial.suggest_float("x", -2, 2)
    killed()
    y = trial.suggest_int("y", 1, 9)
    done = trial.folder / "steps.txt"
    for step in range(int(done.read_text()) if done.exists() else 0, 3):
        killed()
        trial.report((x - 1) ** 2 + y - step, step)
        killed()
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
        done.write_text(str(step + 1))
    killed()
    study.tell(trial, (x - 1) ** 2 + y)


def whole(machine: Machine, n: int, **more: Any) -> Told:
    study = opened(machine, **more)
    for trial in trials(machine.keep, study, n):
        body(study, trial, lambda: None)
    return told(study)


def killed_somewhere(rig: Rig, n: int, rng: random.Random, share: float, **more: Any) -> tuple[Told, int]:
    """Killed again and again: half of the times the machine is gone, too."""
    machine, kills = rig.machine(), 0

    def maybe() -> None:
        if rng.random() < share:
            raise Killed

    while True:
        study = opened(machine, **more)
        try:
            for trial in trials(machine.keep, study, n):
                body(study, trial, maybe)
        except Killed:
            kills += 1
            if rng.random() < 0.5:
                machine = rig.machine()
            continue
        return told(study), kills


PRUNERS: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=1),
    "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3, reduction_factor=2),
}


def test_a_study_that_was_killed_is_the_uninterrupted_one(rig: Rig, tmp_path: Path, seeded: Callable[[int], random.Random]) -> None:
    (tmp_path / "other").mkdir()
    expected = whole(Rig(tmp_path / "other").machine(), 9, pruner=PRUNERS["halving"]())
    found, kills = killed_somewhere(rig, 9, seeded(5), 0.06, pruner=PRUNERS["halving"]())
    assert found == expected
    assert kills > 1
    assert {t[2] for t in found} == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_study_that_was_killed_anywhere_is_the_uninterrupted_one(
    rig: Rig, tmp_path: Path, pruner: str, seed: int, seeded: Callable[[int], random.Random]
) -> None:
    (tmp_path / "other").mkdir()
    journal = seed % 2 == 1
    expected = whole(Rig(tmp_path / "other").machine(), 25, journal=journal, pruner=PRUNERS[pruner]())
    found, _ = killed_somewhere(rig, 25, seeded(seed), 0.08, journal=journal, pruner=PRUNERS[pruner]())
    assert found == expected


def test_the_trial_that_was_cut_off_comes_first_with_its_number_its_parameters_and_its_folder(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine, journal=False)
    for trial in trials(machine.keep, study, 4):
        x = trial.suggest_float("x", -2, 2)
        if trial.number == 2:
            (trial.folder / "half.txt").write_text("half")
            machine.keep.backup("outputs/study", progress=2.5)
            break
        study.tell(trial, x)
    fresh = rig.machine()
    study = opened(fresh, journal=False)
    for trial in trials(fresh.keep, study, 4):
        if trial.number == 2:
            assert trial.params == {"x": x}
            assert trial.suggest_float("x", -2, 2) == x
            assert trial.folder == fresh.outputs / "study/trials/trial-0002"
            assert (trial.folder / "half.txt").read_text() == "half"
        study.tell(trial, trial.suggest_float("x", -2, 2))
    assert [t.number for t in study.trials] == [0, 1, 2, 3]
    assert fresh.keep.held("outputs/study")[0].progress == 4


def test_trials_of_the_whole_study_count_and_a_study_that_is_over_gives_none(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine)
    study.optimize(lambda t: t.suggest_float("x", -2, 2), n_trials=3)
    assert [t.number for t in trials(machine.keep, study, 3)] == []
    assert machine.keep.held("outputs/study")[0].progress == 3  # what was told before a kill is kept, too
    given = []
    for trial in trials(machine.keep, study, 5):
        given.append(trial.number)
        study.tell(trial, state=TrialState.FAIL)
    assert given == [3, 4]


def test_each_trial_is_kept_with_what_lies_beside_it_and_at_the_end_the_study_goes_whole_with_everything(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine, journal=False)
    place = machine.outputs / "study"
    for trial in trials(machine.keep, study, 6):
        (trial.folder / "weights").write_text(f"of {trial.number}")
        (place / "plot.svg").write_text(f"after {trial.number}")
        if trial.number == 5:
            (place / "trials/trial-0002/weights").write_text("once more")  # which nobody says
        fresh = rig.machine()
        if trial.number:
            assert fresh.keep.ensure("outputs/study")
            assert fresh.read("outputs/study/plot.svg") == f"after {trial.number - 1}".encode()
            assert fresh.read(f"outputs/study/trials/trial-{trial.number - 1:04d}/weights") == f"of {trial.number - 1}".encode()
            assert len(opened(fresh, journal=False).trials) == trial.number
        study.tell(trial, 1.0)
    assert any(p.suffix == ".pieces" for p in rig.payloads()) or len(rig.manifests()) < 3
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study")
    assert fresh.tree("outputs/study/trials") == machine.tree("outputs/study/trials")
    newest = max((p for p in rig.payloads() if p.name.startswith("study")), key=lambda p: p.name.partition("@")[2])
    assert newest.suffix == ".db"
    assert newest.read_bytes() == fresh.read("outputs/study/study.db")


def test_a_trial_that_is_not_told_counts_as_failed(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    study = opened(machine)
    for trial in trials(machine.keep, study, 2):
        if trial.number == 1:
            study.tell(trial, 1.0)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert "trial 0 was not told, and counts as failed" in caplog.text


def test_who_asks_for_no_more_has_what_was_told_kept(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine)
    for trial in trials(machine.keep, study, 9):
        study.tell(trial, 1.0)
        break
    assert machine.keep.held("outputs/study")[0].progress == 1
    next(trials(machine.keep, study, 9))
    assert study.trials[1].state is TrialState.RUNNING


def test_a_study_without_a_name_is_found_again(rig: Rig) -> None:
    """Optuna gives it a random one at every start."""
    machine = rig.machine()
    study = opened(machine, name=None)
    for trial in trials(machine.keep, study, 3):
        study.tell(trial, 1.0)
    again = opened(machine, name=None)
    assert len(again.trials) == 0
    again.set_user_attr("by", "me")
    for trial in trials(machine.keep, again, 5):
        again.tell(trial, 0.5)
    assert again.study_name == study.study_name
    assert len(again.trials) == 5
    assert again.user_attrs == {"by": "me"}
    assert again.best_value == 0.5
    assert len(optuna.get_all_study_names(again._storage)) == 1


def test_which_of_several_without_a_name_is_meant_is_not_guessed(rig: Rig) -> None:
    machine = rig.machine()
    for _ in range(2):
        study = opened(machine, name=None)
        study.tell(study.ask(), 1.0)
    with pytest.raises(UsageError, match="there are 2 studies without a name here; give this one its own"):
        trials(machine.keep, opened(machine, name=None), 3)
    assert len(whole(machine, 1, name="mine")) == 1


def test_two_studies_of_one_file_have_folders_of_their_own(rig: Rig) -> None:
    machine = rig.machine()
    places = []
    for name in ("a", "b"):
        study = opened(machine, name=name)
        for trial in trials(machine.keep, study, 1):
            places.append(trial.folder)
            study.tell(trial, 1.0)
    assert len(set(places)) == 2
    assert machine.keep.held("outputs/study")[0].progress == 2


def test_a_grid_ends_the_loop(rig: Rig) -> None:
    machine = rig.machine()
    for _ in range(2):
        study = opened(machine, make=lambda seed: optuna.samplers.GridSampler({"x": [1, 2, 3]}, seed=seed))
        for trial in trials(machine.keep, study, 50):
            study.tell(trial, trial.suggest_int("x", 1, 3))
        assert sorted(t.params["x"] for t in study.trials) == [1, 2, 3]


# -- pruning -----------------------------------------------------------------------------------------------------------------


def test_an_answer_is_that_of_the_step_that_is_asked_about_though_later_ones_were_reported(rig: Rig) -> None:
    """Optuna's pruners look at the last step that there is: after a kill it is a later one."""
    machine = rig.machine()
    study = opened(machine, pruner=optuna.pruners.ThresholdPruner(upper=5.0))
    for trial in trials(machine.keep, study, 1):
        for step, value in enumerate((1.0, 2.0, 9.0)):
            trial.report(value, step)
        break
    study = opened(machine, pruner=optuna.pruners.ThresholdPruner(upper=5.0))
    for trial in trials(machine.keep, study, 1):
        answers = []
        for step, value in enumerate((1.0, 2.0, 9.0)):
            trial.report(value, step)  # no warning that it was reported before
            answers.append(trial.should_prune())
        assert answers == [False, False, True]
        with pytest.warns(UserWarning, match="already reported"):
            trial.report(3.0, 1)
        study.tell(trial, state=TrialState.PRUNED)


def test_what_a_pruner_noted_is_there_though_it_was_killed_before_it_was_written(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine, journal=False, pruner=PRUNERS["halving"]())
    first = next(t := trials(machine.keep, study, 2))
    first.report(1.0, 1)
    assert not first.should_prune()
    attributes = study._storage.get_trial_system_attrs(first._trial_id)
    notes = [name for name in attributes if name.startswith("completed_rung")]
    assert notes
    del t
    import sqlite3

    database = sqlite3.connect(machine.outputs / "study/study.db")
    database.execute("delete from trial_system_attributes where key like 'completed_rung%'")
    database.commit()
    database.close()
    study = opened(machine, journal=False, pruner=PRUNERS["halving"]())
    again = next(iter(trials(machine.keep, study, 2)))
    again.report(1.0, 1)
    assert not again.should_prune()
    found = study._storage.get_trial_system_attrs(again._trial_id)
    assert {k: v for k, v in found.items() if not k.startswith(ANSWER)}.keys() == set(notes)


# -- refused in one line -------------------------------------------------------------------------------------------------------


def test_a_study_in_memory_or_elsewhere_or_outside_outputs_is_refused_in_one_line(machine: Machine) -> None:
    (machine.root / "there").mkdir()
    machine.outputs.mkdir()
    for storage, says in (
        (None, "is in memory, and kept is one in a file below outputs: optuna.create_study"),
        ("sqlite://", "is in memory"),
        (f"sqlite:///{machine.root}/there/study.db", "is kept only in a folder of its own below outputs"),
        (f"sqlite:///{machine.outputs}/study.db", "is kept only in a folder of its own below outputs"),
        (JournalStorage(NoFile()), r"is in no file of this machine \(NoFile\)"),
    ):
        study = optuna.create_study(study_name="s", storage=storage)
        with pytest.raises(UsageError, match=says) as caught:
            trials(machine.keep, study, 5)
        assert "\n" not in str(caught.value)
    assert len(whole(machine, 1)) == 1  # one in a folder of its own is taken


class NoFile(optuna.storages.journal.BaseJournalBackend):
    """A journal that lies in no file, such as that of Redis."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Any:
        return iter(self.logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "5"])
def test_a_number_of_trials_that_is_none_is_refused(machine: Machine, n: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"keep.trials\(study, .*\): should be a whole number, at least 1"):
        trials(machine.keep, optuna.create_study(), n)
    assert len(whole(machine, 1)) == 1


def begun_empty(machine: Machine) -> optuna.Study:
    (machine.outputs / "study").mkdir(parents=True)
    storage = JournalStorage(JournalFileBackend(f"{machine.outputs}/study/journal.log"))
    return optuna.create_study(study_name="s", storage=storage)


def test_a_study_that_was_begun_empty_beside_a_stored_one_is_refused_with_both_counts(rig: Rig) -> None:
    whole(rig.machine(), 3)
    fresh = rig.machine()
    with pytest.raises(UsageError, match=r"has 0 trials, and the store's has 3; keep.ensure\('outputs/study'\) comes before"):
        trials(fresh.keep, begun_empty(fresh), 5)
    (fresh.outputs / "study/journal.log").rename(fresh.root / "aside.log")
    assert fresh.keep.ensure("outputs/study")
    assert [t[2] for t in whole(fresh, 4)].count(TrialState.COMPLETE) == 4


def test_likewise_where_whoever_backed_it_up_counted_nothing(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine)
    study.tell(study.ask(), 1.0)
    assert machine.keep.backup("outputs/study")
    fresh = rig.machine()
    with pytest.raises(UsageError, match="this study has 0 trials, and the store's has an unknown number"):
        trials(fresh.keep, begun_empty(fresh), 5)


def test_where_it_cannot_be_told_whether_the_store_has_one_none_is_begun(rig: Rig) -> None:
    whole(rig.machine(), 2)
    fresh = rig.machine()
    study = begun_empty(fresh)
    rig.drive.rename(rig.folder / "away")
    with pytest.raises(StoreError):
        trials(fresh.keep, study, 5)


def test_another_sampler_is_taken_and_what_it_costs_is_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    whole(machine, 2, sampler=optuna.samplers.RandomSampler(seed=1))
    assert "begins its random numbers anew" not in caplog.text
    with caplog.at_level(logging.INFO):
        whole(machine, 3, sampler=optuna.samplers.RandomSampler(seed=1))
    assert "goes on with 2 of 3 trials finished" in caplog.text
    assert "RandomSampler begins its random numbers anew at every start" in caplog.text


# -- several at once -------------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, optuna, holdfast
optuna.logging.set_verbosity(optuna.logging.ERROR)
keep = holdfast.attach(quiet=True, background=False)
keep.ensure("outputs/study")
__import__("os").makedirs("outputs/study", exist_ok=True)
sampler = holdfast.optuna.Exact(lambda seed: optuna.samplers.RandomSampler(seed=seed), seed=7)
study = optuna.create_study(storage="sqlite:///outputs/study/study.db", load_if_exists=True, sampler=sampler)
for trial in keep.trials(study, int(sys.argv[1])):
    x = trial.suggest_float("x", -2, 2)
    print(trial.number, flush=True)
    if sys.stdin.readline().strip() == "tell":
        study.tell(trial, x)
print("over", len(study.trials), flush=True)
"""


def begun(machine: Machine, n: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "HOLDFAST_DRIVE": str(machine.drive)}
    command = [sys.executable, "-c", SCRIPT, str(n)]
    return subprocess.Popen(
        command, cwd=machine.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def line(process: subprocess.Popen[str], say: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    if say:
        process.stdin.write(f"{say}\n")
        process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_trial_of_a_live_process_is_not_cut_off_and_one_of_a_killed_one_is(rig: Rig) -> None:
    """With a real `kill -9`, and after it on a fresh machine."""
    machine = rig.machine()
    one = begun(machine, 4)
    assert line(one) == "0"
    assert line(one, "tell") == "1"
    two = begun(machine, 4)
    assert line(two) == "2"
    two.send_signal(signal.SIGKILL)
    two.communicate()
    three = begun(machine, 4)
    assert line(three) == "2"  # not 1, which lives
    assert line(three, "tell") == "3"
    for process in (one, three):
        process.send_signal(signal.SIGKILL)
        process.communicate()
    fresh = Machine(rig.folder / "fresh" / machine.root.name, rig.drive)  # the project has the name that its store has
    last = begun(fresh, 4)
    told_by, _ = last.communicate("tell\n" * 4)
    assert last.returncode == 0
    assert told_by.splitlines()[-2:] == ["3", "over 4"]


def test_threads_of_one_process_work_on_different_trials(rig: Rig) -> None:
    machine = rig.machine()
    study = opened(machine)
    other: list[int] = []
    for trial in trials(machine.keep, study, 2):
        if not other:
            thread = threading.Thread(target=lambda: other.append(next(iter(trials(machine.keep, study, 2))).number))
            thread.start()
            thread.join()
            assert other[0] != trial.number
        study.tell(trial, 1.0)
    again = [t.number for t in study.trials]
    assert again == [0, 1]


def test_attach_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "project/outputs/study").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    keep = holdfast.attach(drive=tmp_path / "drive", quiet=True, background=False)
    try:
        study = optuna.create_study(
            storage="sqlite:///outputs/study/study.db", sampler=holdfast.optuna.Exact(SAMPLERS["random"], 7)
        )
        for trial in keep.trials(study, 2):
            assert isinstance(trial, optuna.Trial)
            study.tell(trial, 1.0)
        assert keep.held("outputs/study")[0].progress == 2
    finally:
        holdfast.detach()
