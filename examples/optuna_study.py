"""A study with pruning, as in Optuna's tutorial of its ask-and-tell interface: killed at any instant, the same trials.

`holdfast drill --kills 5 --simulate-drive --varies study.db -- python examples/optuna_study.py` says so; the times of trials,
in study.db, vary.
"""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import holdfast

warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
X, y = load_digits(return_X_y=True)
X_train, X_valid, y_train, y_valid = train_test_split(X, y, random_state=0)
classes = np.unique(y)

keep = holdfast.attach()
keep.ensure("outputs/study")  # holdfast: what there is of the study comes back
Path("outputs/study").mkdir(parents=True, exist_ok=True)
study = optuna.create_study(
    study_name="digits",
    storage="sqlite:///outputs/study/study.db",
    load_if_exists=True,
    direction="maximize",
    sampler=holdfast.optuna.Exact(lambda seed: optuna.samplers.TPESampler(multivariate=True, seed=seed), seed=7),  # holdfast
)
for trial in keep.trials(study, 24):  # holdfast: in place of `for _ in range(24): trial = study.ask()`
    alpha = trial.suggest_float("alpha", 1e-6, 1.0, log=True)
    penalty = trial.suggest_categorical("penalty", ["l1", "l2"])
    rate = trial.suggest_float("eta0", 1e-4, 1.0, log=True)
    model = SGDClassifier(alpha=alpha, penalty=penalty, learning_rate="constant", eta0=rate, random_state=0)
    pruned = False
    for step in range(20):
        model.partial_fit(X_train, y_train, classes)
        time.sleep(0.2)  # as larger models take
        trial.report(model.score(X_valid, y_valid), step)
        if trial.should_prune():
            pruned = True
            break
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, model.score(X_valid, y_valid))

trials = [{"number": t.number, "state": t.state.name, "value": t.value, **t.params} for t in study.trials]
Path("outputs/trials.json").write_text(json.dumps(trials, indent=1))
print(f"best of {len(trials)}: {study.best_value:.4f}, trial {study.best_trial.number}")
