"""A trial that runs where its study is not is shown the trials that it may see, and its process reads each of them once."""

from __future__ import annotations

from pathlib import Path

import optuna

from holdfast.integrations.account import Part, open_trial, pickled
from holdfast.spread.window import Pieces, sees

PARALLEL = 3


def test_each_trial_is_shown_what_it_may_see_and_its_process_reads_every_piece_once(tmp_path: Path) -> None:
    made = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    made.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 3), 12)
    rows, pieces = made.get_trials(), Pieces(size=4)
    first: dict[int, optuna.trial.FrozenTrial] = {}
    for number in range(12):
        count = sees(number, PARALLEL)
        seen = pieces.of(count, lambda begin, end: pickled(rows[begin:end]))
        begun = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        part = Part(number, count, count, "study", (1,), begun)
        folder = tmp_path / str(number)
        folder.mkdir()
        study, storage, trial_id = open_trial(
            part, [bytes(bytearray(piece)) for piece in seen], folder, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
        )
        shown = storage.get_all_trials(study._study_id, deepcopy=False)
        assert shown[:count] == rows[:count]
        assert [t.number for t in shown] == list(range(number + 1))
        assert all(not t.state.is_finished() for t in shown[count:])
        assert study.best_trial.number == min(rows[:count], key=lambda t: t.values[0]).number if count else True
        whole = count // 4 * 4
        for trial in shown[:whole]:
            assert first.setdefault(trial.number, trial) is trial
        storage.set_trial_user_attr(trial_id, "mine", number)
        storage.close()
    assert all(not row.user_attrs for row in first.values())
