"""The selection stage: the best configuration, with every parameter from the study itself."""

from __future__ import annotations

import json
from typing import Any

from holdfast.errors import StageFailed
from holdfast.flow.fingerprint import fingerprint
from holdfast.flow.stage import Finished, Made
from holdfast.pipeline.layout import BEST_CONFIGURATION
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.study.crossing import with_deviation
from holdfast.pipeline.study.database import database_url, open_storage
from holdfast.pipeline.study.search import fold_scores, spread_of
from holdfast.pipeline.study.selection import Candidate, choose
from holdfast.session.files import write_json


def select(bench: Workbench) -> Made:
    """Choose among the complete trials of all studies."""
    candidates: list[Candidate] = []
    for name, finished in bench.done.items():
        kind, _, backbone = name.partition("/")
        if kind == "hpo":
            candidates += _candidates(bench, backbone, finished)
    settings = bench.experiment.selection
    chosen = choose(candidates, by=settings.by, tolerance=settings.tolerance)
    best = chosen["best"]
    write_json(bench.folder / BEST_CONFIGURATION, chosen)
    decided = {"backbone": best["backbone"], "parameters": best["parameters"]}
    shown = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(best["parameters"].items()))
    score = f"{bench.experiment.hpo.objective} {best['value']:.4f}{with_deviation(best.get('folds', ()))}"
    bench.narration.say(f"  {best['backbone']} trial {best['trial']} ({score}; {shown or 'nothing varied'}): {best['reason']}")
    shown_too = {k: best[k] for k in ("trial", "value", "deviation", "folds", "reason") if k in best}
    return Made(fingerprint(decided), {**decided, **shown_too})


def _candidates(bench: Workbench, backbone: str, finished: Finished) -> list[Candidate]:
    import optuna

    latency = _latency(bench, backbone)
    place = bench.path(finished.stage.outputs[0])
    with open_storage(database_url(place), place) as storage:
        name = bench.experiment.hpo.checkpoint.study_name or backbone
        study = optuna.load_study(study_name=name, storage=storage)
        found = []
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
            missing = sorted(set(bench.experiment.hpo.search_space) - set(trial.params))
            if missing or trial.value is None or "parameters" not in trial.user_attrs:
                what = f"the parameter {missing[0]}" if missing else "its score or size"
                raise StageFailed(
                    f"selection: trial {trial.number} of {backbone} lacks {what}, so nothing is trained with a default in its place"
                )
            size = int(trial.user_attrs["parameters"])
            scores = tuple(fold_scores(trial))
            found.append(
                Candidate(backbone, trial.number, trial.value, size, dict(trial.params), latency, scores, spread_of(scores))
            )
        return found


def _latency(bench: Workbench, backbone: str) -> float | None:
    finished = bench.done.get(f"benchmark/{backbone}")
    if finished is None:
        return None
    document: dict[str, Any] = json.loads(bench.path(finished.stage.record).read_bytes())
    first = min(document["results"], key=lambda r: int(r["batch_size"]))
    return float(first["mean_ms"])
