"""Each of Optuna's samplers suggests in a study that was killed what it suggests in one that was not, to the last digit."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.samplers import (
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState

from holdfast.errors import MadeOtherwise, UsageError
from holdfast.integrations.exact import Exact
from holdfast.integrations.sampler import ExactSampler
from tests.integrations.studies import SAMPLERS, Fused, Killed, Make, begin, killed_again_and_again, told, uninterrupted, work

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def memory() -> optuna.storages.BaseStorage:
    return optuna.storages.InMemoryStorage()


def cut_off(study: optuna.Study, x: float = 0.0) -> None:
    """A trial that a kill left behind, with all of its suggestions."""
    study.enqueue_trial({"x": x, "y": 5})
    trial = study.ask()
    trial.suggest_float("x", -2, 2)
    trial.suggest_int("y", 1, 9)


# -- every sampler, whatever happened ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_that_was_killed_is_the_uninterrupted_one(name: str, seeded: Callable[[int], random.Random]) -> None:
    n = 9 if name == "gp" else 26
    found, kills = killed_again_and_again(SAMPLERS[name], n, seeded(3))
    assert found == uninterrupted(SAMPLERS[name], n)
    assert kills > 2


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_that_was_killed_anywhere_is_the_uninterrupted_one(
    name: str, seed: int, seeded: Callable[[int], random.Random]
) -> None:
    n = 14 if name == "gp" else 40
    if name == "gp" and seed >= 3:
        n = 8
    found, _ = killed_again_and_again(SAMPLERS[name], n, seeded(seed), share=0.25)
    assert found == uninterrupted(SAMPLERS[name], n)


@pytest.mark.parametrize("name", ["tpe", "gp", "cma-es with margin", "nsga-iii", "scrambled halton"])
def test_a_trial_that_was_killed_at_any_write_of_its_sampler_gets_the_same(name: str) -> None:
    """What it had written does not count as the work of another process, and what others draw on with it is not drawn anew."""
    fuse = [math.inf]

    def maybe() -> None:
        fuse[0] -= 1
        if fuse[0] < 0:
            raise Killed

    storage = Fused(maybe)
    study = begin(SAMPLERS[name], storage)
    for _ in range(8):
        work(study, study.ask(), lambda: None)
    before, drawn = copy.deepcopy(storage.__getstate__()), []
    for killed_at in range(30):
        storage = Fused(maybe)
        storage.__setstate__(copy.deepcopy(before))
        fuse[0] = killed_at or math.inf
        try:
            trial = begin(SAMPLERS[name], storage).ask()
            trial.suggest_float("x", -2, 2)
            over = killed_at > 0
        except Killed:
            over = False
        fuse[0] = math.inf
        study = begin(SAMPLERS[name], storage)
        left = study.get_trials(states=(TrialState.RUNNING,))
        again = optuna.Trial(study, left[0]._trial_id) if left else study.ask()
        drawn.append((again.suggest_float("x", -2, 2), again.suggest_int("y", 1, 9)))
        if over:
            break
    assert len(drawn) >= 3
    assert len(set(drawn)) == 1


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_what_was_drawn_together_stays_though_another_process_told_a_trial_meanwhile(name: str) -> None:
    found = []
    for killed in (False, True):
        storage = memory()
        study = begin(SAMPLERS[name], storage)
        for _ in range(8):
            work(study, study.ask(), lambda: None)
        other = study.ask()
        trial = study.ask()
        x = trial.suggest_float("x", -2, 2)
        if killed:
            other.suggest_float("x", -2, 2)
            other.suggest_int("y", 1, 9)
            study.tell(other, -100.0)  # the best of all
            study = begin(SAMPLERS[name], storage)
            trial = optuna.Trial(study, trial._trial_id)
        found.append((x, trial.suggest_int("y", 1, 9), trial.relative_params))
    assert found[0] == found[1]
    assert found[0][2].keys() == {"x", "y"}


def test_hyperbands_brackets_are_drawn_exactly_too(seeded: Callable[[int], random.Random]) -> None:
    def study(storage: optuna.storages.BaseStorage) -> optuna.Study:
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
        sampler = Exact(SAMPLERS["tpe"], 7)
        return optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler, pruner=pruner)

    whole = study(memory())
    for _ in range(26):
        work(whole, whole.ask(), lambda: None)
    storage = memory()
    for number in range(26):  # a new session for every trial, which was cut off between its suggestions
        if number % 10 != 3:
            study(storage).ask().suggest_float("x", -2, 2)
        again = study(storage)
        cut = again.get_trials(states=(TrialState.RUNNING,))
        work(again, optuna.Trial(again, cut[0]._trial_id) if cut else again.ask(), lambda: None)
    assert told(study(storage)) == told(whole)


def test_what_is_drawn_one_by_one_is_what_exactsampler_drew() -> None:
    """So studies that were begun with it go on."""
    made: list[Any] = []
    for sampler in (Exact, ExactSampler):
        study = optuna.create_study(sampler=sampler(SAMPLERS["tpe one by one"], 7))
        for _ in range(20):
            work(study, study.ask(), lambda: None)
        made.append(told(study))
    assert made[0] == made[1]


# -- what a killed trial does to Optuna's own ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tpe", "tpe one by one", "gp", "cma-es", "nsga-ii", "sobol"])
def test_a_trial_that_was_left_behind_changes_no_suggestion(name: str) -> None:
    """TPE counts it as a bad one for ever, since 5.0 by default, and a Gaussian process keeps away from it."""
    found = []
    for left in (None, -1.9, 1.9):
        study = begin(SAMPLERS[name], memory())
        for _ in range(8):
            work(study, study.ask(), lambda: None)
        cut_off(study, left or 0.0)
        if left is None:
            study.tell(8, state=TrialState.FAIL)
        for _ in range(2 if name == "gp" else 8):
            work(study, study.ask(), lambda: None)
        found.append(told(study)[9:])
    assert found[0] == found[1] == found[2]


def test_a_trial_that_was_left_behind_does_change_what_tpe_itself_suggests() -> None:
    found = []
    for left in (-1.9, 1.9):
        study = optuna.create_study(sampler=TPESampler(seed=1, n_startup_trials=5))
        for _ in range(8):
            work(study, study.ask(), lambda: None)
        cut_off(study, left)
        for _ in range(8):
            work(study, study.ask(), lambda: None)
        found.append(told(study)[9:])
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["random", "tpe", "nsga-ii"])
def test_trials_after_a_restart_are_no_copies_of_the_first(name: str) -> None:
    def drawn(sampler: Callable[[], optuna.samplers.BaseSampler]) -> list[float]:
        storage, found = memory(), []
        for _ in range(4):
            study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler())
            trial = study.ask()
            found.append(trial.suggest_float("x", -2, 2))
            study.tell(trial, found[-1])
        return found

    assert len(set(drawn(lambda: SAMPLERS[name](7)))) == 1
    assert len(set(drawn(lambda: Exact(SAMPLERS[name], 7)))) == 4


@pytest.mark.parametrize("killed", [False, True])
def test_brute_force_leaves_nothing_out_for_a_trial_that_failed_or_was_killed(killed: bool) -> None:
    study = begin(SAMPLERS["brute force"], memory())
    done: list[dict[str, Any]] = []
    for number in range(40):
        trial = study.ask()
        trial.suggest_categorical("kind", ["a", "b", "c"])
        if number in (0, 5):  # the first one, which ends a study half-way, and one in the middle, which ends it for good
            if not killed:
                study.tell(trial, state=TrialState.FAIL)
            continue
        trial.suggest_int("y", 1, 4)
        if number == 7:
            study.tell(trial, state=TrialState.FAIL)
            continue
        study.tell(trial, 0.0)
        done.append(trial.params)
        if study.sampler.is_over(study):  # type: ignore[attr-defined]
            break
    assert len(done) == 12
    assert len({tuple(p.items()) for p in done}) == 12


def test_a_grid_is_gone_through_once_whatever_seed_the_sampler_was_made_with() -> None:
    storage = memory()
    sampler = Exact(lambda seed: GridSampler({"x": [1, 2, 3], "y": [1, 2, 3, 4]}, seed=seed), 7)
    whole = optuna.create_study(sampler=sampler)
    whole.optimize(lambda t: float(t.suggest_int("x", 1, 3) * t.suggest_int("y", 1, 4)), n_trials=50)
    for _ in range(12):
        study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler)
        trial = study.ask()
        x = trial.suggest_int("x", 1, 3)
        again = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
        assert not sampler.is_over(again)
        again.tell(optuna.Trial(again, trial._trial_id), x * trial.suggest_int("y", 1, 4))  # and its end is no error
    assert sampler.is_over(again)
    assert told(again) == told(whole)
    assert len({tuple(t.params.values()) for t in whole.trials}) == 12
    other = optuna.load_study(study_name="s", storage=storage, sampler=Exact(lambda seed: GridSampler({"x": [1]}, seed=seed), 8))
    with pytest.raises(MadeOtherwise, match="in the order of seed 7"):
        other.ask()


def test_a_sequence_skips_no_point_for_a_trial_that_was_killed() -> None:
    study = optuna.create_study(sampler=QMCSampler(seed=7, warn_independent_sampling=False))
    for _ in range(6):
        work(study, study.ask(), lambda: None)
    points = [t.params["x"] for t in study.trials]
    exact = begin(SAMPLERS["sobol"], memory())
    for _ in range(6):
        trial = exact.ask()
        trial.suggest_float("x", -2, 2)  # it is killed here
        work(exact, optuna.Trial(exact, trial._trial_id), lambda: None)
    assert [t.params["x"] for t in exact.trials][1:] == points[1:]
    # Optuna counts the points in an attribute of the study, under a name that begins so.
    assert any(name.startswith("qmc:") for name in study._storage.get_study_system_attrs(study._study_id))


# -- what may be handed in -----------------------------------------------------------------------------------------------------

INSTANCES: dict[str, tuple[Callable[[], optuna.samplers.BaseSampler], Make]] = {
    "random": (lambda: RandomSampler(seed=1), lambda seed: RandomSampler(seed=seed)),
    "unseeded": (RandomSampler, lambda seed: RandomSampler(seed=seed)),
    "tpe": (lambda: TPESampler(n_startup_trials=5, seed=1), SAMPLERS["tpe"]),
    "nsga-ii": (lambda: NSGAIISampler(population_size=5), SAMPLERS["nsga-ii"]),
    "brute force": (lambda: BruteForceSampler(seed=1), SAMPLERS["brute force"]),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_a_sampler_that_is_made_already_draws_what_made_ones_draw(name: str) -> None:
    """So this version of Optuna holds its random states where they are looked for."""
    instance, make = INSTANCES[name]
    study = optuna.create_study(study_name="s", sampler=Exact(instance(), 7))
    for _ in range(24):
        work(study, study.ask(), lambda: None)
    assert told(study) == uninterrupted(make, 24)


class Own(RandomSampler):
    """Of a third party."""


def own_of(seed: int) -> optuna.samplers.BaseSampler:
    return Own(seed=seed)


def fixed_of(seed: int) -> optuna.samplers.BaseSampler:
    return PartialFixedSampler({"x": 1.0}, RandomSampler(seed=seed))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda: GPSampler(seed=1), r"GPSampler that is made already cannot be seeded .*lambda seed: GPSampler\(..., seed=seed\)"),
        (lambda: CmaEsSampler(seed=1), "CmaEsSampler that is made already"),
        (lambda: Own(seed=1), r"test_exact.Own is none of Optuna's own samplers.*exact=False"),
        (lambda: own_of, "none of Optuna's own samplers"),
        (lambda: fixed_of, "PartialFixedSampler .* cannot be exact"),
        (lambda: lambda seed: TPESampler(), "TPESampler draws without the seed that it is given"),
        (
            lambda: lambda seed: RandomSampler(seed=42),
            "RandomSampler is made the same for every seed, so all trials would be copies",
        ),
        (lambda: lambda seed: QMCSampler(seed=seed, independent_sampler=Own(seed=seed)), "Own is none of Optuna's"),
        (lambda: lambda seed: CmaEsSampler(seed=seed, independent_sampler=RandomSampler()), "CmaEsSampler draws without the seed"),
    ],
)
def test_a_sampler_that_cannot_be_exact_is_refused_with_the_reason(given: Callable[[], Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Exact(given(), seed=7)
    assert len(uninterrupted(SAMPLERS["tpe"], 1)) == 1  # one that can be is taken


def test_one_that_has_drawn_for_a_study_is_refused() -> None:
    used = TPESampler()
    study = optuna.create_study(sampler=used)
    study.tell(study.ask(), 1.0)
    study.ask().suggest_float("x", 0, 1)
    with pytest.raises(UsageError, match="has drawn for a study"):
        Exact(used)


@pytest.mark.parametrize("make", [Own(seed=1), fixed_of])
def test_whoever_does_not_need_it_exact_takes_any_sampler(make: Any) -> None:
    study = optuna.create_study(sampler=Exact(make, 7, exact=False))
    for _ in range(5):
        work(study, study.ask(), lambda: None)
    assert len(study.trials) == 5


def test_threads_and_optimize_work_with_it() -> None:
    study = optuna.create_study(sampler=Exact(SAMPLERS["tpe"], 7))
    study.optimize(lambda t: t.suggest_float("x", -2, 2) ** 2, n_trials=12, n_jobs=2)
    assert len({t.params["x"] for t in study.trials}) == 12
    assert str(study.sampler) == "Exact(TPESampler)"
