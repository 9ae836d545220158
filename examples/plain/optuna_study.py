"""The study of examples/optuna_study.py as it is usually written: a database, and `load_if_exists`. It loses work."""

import json
import time
from pathlib import Path

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_valid, y_train, y_valid = train_test_split(X, y, random_state=0)
classes = np.unique(y)


def objective(trial):
    """One model, pruned where it is worse than half of the others."""
    alpha = trial.suggest_float("alpha", 1e-6, 1.0, log=True)
    penalty = trial.suggest_categorical("penalty", ["l1", "l2"])
    rate = trial.suggest_float("eta0", 1e-4, 1.0, log=True)
    model = SGDClassifier(alpha=alpha, penalty=penalty, learning_rate="constant", eta0=rate, random_state=0)
    for step in range(20):
        model.partial_fit(X_train, y_train, classes)
        time.sleep(0.2)  # as larger models take
        trial.report(model.score(X_valid, y_valid), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return model.score(X_valid, y_valid)


Path("outputs/study").mkdir(parents=True, exist_ok=True)
study = optuna.create_study(
    study_name="digits",
    storage="sqlite:///outputs/study/study.db",
    load_if_exists=True,
    direction="maximize",
    sampler=optuna.samplers.TPESampler(multivariate=True, seed=7),
)
study.optimize(objective, n_trials=24 - len(study.trials))

trials = [{"number": t.number, "state": t.state.name, "value": t.value, **t.params} for t in study.trials]
Path("outputs/trials.json").write_text(json.dumps(trials, indent=1))
print(f"best of {len(trials)}: {study.best_value:.4f}, trial {study.best_trial.number}")
