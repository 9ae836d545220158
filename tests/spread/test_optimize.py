"""`keep.optimize`: the study is the same whatever ends first, and whatever is killed."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from holdfast.errors import ConfigurationError, StageFailed, UsageError
from holdfast.integrations.account import ACCOUNT
from holdfast.integrations.exact import Exact
from holdfast.integrations.trials import KeptTrial
from holdfast.spread import engine as engine_module
from holdfast.spread.attempt import Attempt, Ended
from holdfast.spread.engine import Ground
from holdfast.spread.local import LocalEngine
from holdfast.spread.worker import OUTPUT
from tests.spread.costs import flat
from tests.spread.objectives import COUNTED, INTERVAL, PAUSE, climb, close, keeper_of, known, optimized, study_of, told
from tests.spread.processes import workers_of
from tests.support import Machine, Rig

TRIALS, PARALLEL = 10, 4


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The study that nobody kills."""
    rig = Rig(tmp_path_factory.mktemp("uninterrupted"))
    found = optimized(keeper_of(rig.machine()), TRIALS, PARALLEL)
    assert {t["state"] for t in found} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    return found


def test_trials_see_those_that_are_so_many_before_them_and_no_others(wanted: list[dict[str, Any]]) -> None:
    """With one at a time the same seed makes another study; up to the first that sees one, the two are equal."""
    study = optuna.create_study(direction="maximize", sampler=study_sampler())
    trials = [study.ask() for _ in range(PARALLEL)]  # none of them is told, so none sees another
    for trial, found in zip(trials, wanted, strict=False):
        assert trial.suggest_float("x", 0.0, 1.0) == found["params"]["x"]


def study_sampler() -> Exact:
    return Exact(lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3), seed=7)


@pytest.mark.parametrize(("kills", "wipes"), [(3, 1), pytest.param(24, 6, marks=pytest.mark.torture)])
def test_killed_workers_and_drivers_change_nothing_and_nothing_is_done_twice(
    rig: Rig, wanted: list[dict[str, Any]], tmp_path: Path, kills: int, wipes: int
) -> None:
    chance = random.Random(f"spread {kills}")
    counted = tmp_path / "steps"
    machine = rig.machine()
    environment = {**os.environ, COUNTED: str(counted), PAUSE: "0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    lost = 0
    while True:
        driver = subprocess.Popen(
            [sys.executable, "-m", "tests.spread.objectives", str(machine.root), str(rig.drive), str(TRIALS), str(PARALLEL)],
            env=environment,
        )
        whole = kills <= 0
        while driver.poll() is None and kills > 0:
            time.sleep(chance.uniform(0.5, 1.5))
            workers = workers_of(driver.pid)
            if not workers or not counted.exists():
                continue
            kills -= 1
            if kills % 3 == 0:
                lost += len(workers)
                driver.kill()
                break
            lost += 1
            try:
                os.kill(chance.choice(workers), signal.SIGKILL)
            except ProcessLookupError:
                continue
        code = driver.wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert not whole, "nobody killed it"
        if wipes > 0:  # the machine is gone with its disk
            wipes -= 1
            machine = rig.machine()
            lost += PARALLEL
    study = study_of(machine.root)
    assert told(study) == wanted
    close(study)
    needed = sum(len(t["reports"]) for t in wanted)
    assert needed <= len(counted.read_text()) <= needed + INTERVAL * lost
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study")
    again = study_of(fresh.root)
    assert told(again) == wanted
    close(again)
    assert not [place for root in (machine.root, fresh.root) for place in root.rglob(ACCOUNT)], "what is in the study is kept once"


def test_one_at_a_time_is_the_same_in_this_process_and_in_others(rig: Rig) -> None:
    here = optimized(keeper_of(rig.machine()), 6, 1)
    machine = Machine(rig.folder / "spread", rig.folder / "another-drive")
    machine.drive.mkdir()
    study = study_of(machine.root)
    from holdfast.integrations import optimizing

    trials = optimizing.Trials(keeper_of(machine), study, 6)
    optimizing._Spread(trials, climb, None, (), 1, "local", optimizing.Resources()).run()
    assert told(study) == here
    assert study.trials[0].user_attrs["environment"] == {"threads": 1, "hash_seed": 0}
    close(study)


def test_a_trial_that_may_begin_does_not_wait_until_the_one_before_it_is_backed_up(rig: Rig) -> None:
    from holdfast.integrations import optimizing

    happened: list[str] = []

    class Noting(optimizing._Spread):
        def began(self, trial: Any, attempt: Any) -> None:
            super().began(trial, attempt)
            happened.append(f"{trial.number} begins")

        def recorded(self, trial: Any, *more: Any) -> None:
            super().recorded(trial, *more)
            happened.append(f"{trial.number} is written")

        def _keep(self, attempts: Any) -> None:
            super()._keep(attempts)
            happened.extend(f"{attempt.unit} is kept" for attempt in attempts)

    machine = rig.machine()
    study = study_of(machine.root)
    Noting(optimizing.Trials(keeper_of(machine), study, 3), flat, None, (), 1, "local", optimizing.Resources()).run()
    close(study)
    trials = [f"{n} begins, {n} is written, {n + 1} begins, trial-000{n} is kept, {n + 1} is written" for n in range(2)]
    assert ", ".join(happened) == f"{trials[0].rpartition(', ')[0]}, {trials[1].partition(', ')[2]}, trial-0002 is kept"
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study")


def test_a_process_is_sent_what_it_may_know_of_other_trials_once(rig: Rig) -> None:
    root = rig.machine().root
    engine = LocalEngine(Ground(root, "outputs/study", 1))
    seen, sent = [f"piece {n}".encode() * 1000 for n in range(4)], []
    try:
        for number, shown in enumerate((seen[:1], seen[:3], seen, [b"another"])):
            attempt = Attempt(
                f"trial-{number}",
                1,
                str(number),
                "outputs/study",
                f"outputs/study/{number}",
                pickle.dumps(known),
                seen=tuple(shown),
            )
            engine.start(attempt)
            (worker,) = engine._workers
            if not isinstance(worker.line, _Weighed):
                worker.line = _Weighed(worker.line)  # type: ignore[assignment]
            else:
                sent.append(worker.line.weight)
            while not (ended := [event for event in engine.wait(10.0) if isinstance(event, Ended)]):
                pass
            assert ended[0].result["known"] == shown
    finally:
        engine.close()
    assert sent == [2, 1, 0]


class _Weighed:
    """A line to a process that knows how many whole pieces were sent last."""

    def __init__(self, line: Any) -> None:
        self._line, self.weight = line, 0

    def send(self, said: Any) -> None:
        self.weight = len(pickle.dumps(said)) // 7000
        self._line.send(said)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


def test_trials_from_before_it_go_on_and_more_at_a_time_may_follow(rig: Rig) -> None:
    machine = rig.machine()
    study = study_of(machine.root)
    for number, trial in enumerate(keeper_of(machine).trials(study, 3)):
        study.tell(trial, climb_here(trial))
        if number == 1:
            break
    cut_off = study.ask()
    x = cut_off.suggest_float("x", 0.0, 1.0)
    keeper_of(machine).optimize(study, climb, 5, parallel=2)
    assert len(study.trials) == 5
    assert study.trials[cut_off.number].params["x"] == x
    assert all(t.state.is_finished() for t in study.trials)
    left = machine.root / "outputs" / "study" / "trials" / "trial-0004" / ACCOUNT
    left.parent.mkdir()  # nothing was in it
    left.write_text("", encoding="utf-8")  # a kill came between the trial's end and the end of its account
    keeper_of(machine).optimize(study, climb, 6, parallel=2)
    assert not left.parent.exists()
    close(study)


def test_a_study_begun_in_processes_goes_on_in_them_also_one_at_a_time_and_is_refused_by_name_elsewhere(
    rig: Rig, wanted: list[dict[str, Any]], tmp_path: Path
) -> None:
    counted, machine = tmp_path / "steps", rig.machine()
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.spread.objectives", str(machine.root), str(rig.drive), str(TRIALS), str(PARALLEL)],
        env={**os.environ, COUNTED: str(counted), PAUSE: "0.1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not counted.exists() or counted.stat().st_size < 10:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    study = study_of(machine.root)
    running = [t.number for t in study.trials if t.state.name == "RUNNING"]
    assert running
    keep = keeper_of(machine)
    with pytest.raises(UsageError, match=rf"trial {running[0]} was begun in a process of its own, .*, parallel={PARALLEL}\)"):
        next(keep.trials(study, TRIALS))
    keep.optimize(study, climb, TRIALS, parallel=1)
    begun = running[-1] + 1
    assert told(study)[:begun] == wanted[:begun]
    assert [t.user_attrs["environment"]["threads"] for t in study.trials] == [1] * TRIALS
    close(study)


def climb_here(trial: KeptTrial) -> float:
    try:
        return climb(trial)
    except optuna.TrialPruned:
        return 0.0


def test_what_an_objective_raises_is_one_line_and_the_trial_comes_again(rig: Rig) -> None:
    machine = rig.machine()
    study = study_of(machine.root)

    def breaks(trial: KeptTrial) -> float:
        raise ZeroDivisionError("of trial " + str(trial.number))

    with pytest.raises(StageFailed, match=r"trial-000[01]: ZeroDivisionError: of trial [01]; run again to go on"):
        keeper_of(machine).optimize(study, breaks, 4, parallel=2)
    assert any("ZeroDivisionError" in p.read_text() for p in machine.outputs.glob(f"study/trials/*/{OUTPUT}"))
    keeper_of(machine).optimize(study, breaks, 4, parallel=2, catch=ZeroDivisionError)
    assert [t.state.name for t in study.trials] == ["FAIL"] * 4
    assert study.trials[3].user_attrs["failed"] == "ZeroDivisionError: of trial 3"
    close(study)


def test_a_process_that_ends_by_itself_again_and_again_ends_the_run_in_one_line(rig: Rig) -> None:
    machine = rig.machine()
    study = study_of(machine.root)

    def ends(trial: KeptTrial) -> float:
        os._exit(3)

    with pytest.raises(StageFailed, match="its process ended by itself, with exit code 3, for the 5th time"):
        keeper_of(machine).optimize(study, ends, 1, parallel=2)
    close(study)


def test_samplers_and_objectives_that_cannot_be_spread_are_refused_in_one_line(rig: Rig) -> None:
    keep = keeper_of(rig.machine())
    study = study_of(keep.root)
    study.sampler = optuna.samplers.TPESampler()
    with pytest.raises(UsageError, match=r"TPESampler: .* depend on which ends first; give create_study sampler=holdfast"):
        keep.optimize(study, climb, 4, parallel=2)
    study.sampler = Exact(lambda seed: optuna.samplers.NSGAIISampler(seed=seed), seed=7)
    with pytest.raises(UsageError, match='its trials follow one after the other; give parallel=1 and engine="local"'):
        keep.optimize(study, climb, 4, parallel=2)
    study.sampler = study_sampler()
    lock = threading.Lock()
    with pytest.raises(UsageError, match="the objective cannot go to other processes"):
        keep.optimize(study, lambda trial: float(lock.locked()), 4, parallel=2)
    for name in ("n_trials", "parallel", "cpus"):
        with pytest.raises(ConfigurationError, match=f"keep.optimize: {name}=0: should be a whole number, at least 1"):
            keep.optimize(study, climb, **{"n_trials": 4, name: 0})
    for gpus in ("one", -1):
        with pytest.raises(
            ConfigurationError, match=f"keep.optimize: gpus={gpus!r}: should be a number of GPUs, or a share of one"
        ):
            keep.optimize(study, climb, 4, gpus=gpus)
    with pytest.raises(
        ConfigurationError, match=r"keep.optimize: timeout='soon': should be a number of seconds, or a duration such as"
    ):
        keep.optimize(study, climb, 4, timeout="soon")
    with pytest.raises(ConfigurationError, match="engine: 'slurm' is none; give local, or ray"):
        keep.optimize(study, climb, 4, engine="slurm")
    assert not study.trials
    close(study)


def test_without_ray_the_engine_is_one_line_with_the_command(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = keeper_of(rig.machine())
    study = study_of(keep.root)
    monkeypatch.setattr(engine_module, "is_installed", lambda name: False)
    with pytest.raises(ConfigurationError, match=r'engine: ray is not installed; pip install "holdfast\[ray\]"'):
        keep.optimize(study, climb, 4, engine="ray")
    close(study)


def test_once_the_time_is_over_no_trial_begins(rig: Rig) -> None:
    keep = keeper_of(rig.machine())
    study = study_of(keep.root)
    keep.optimize(study, climb, 4, timeout=0.0)
    keep.optimize(study, climb, 4, timeout=0.0, parallel=2)
    assert not study.trials
    close(study)
