"""Gathers what a report is about, from records and from what the stages made. What is not there is left out, never guessed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import BadData, StoreError
from holdfast.flow.life import LIFE, read_life
from holdfast.flow.record import Record
from holdfast.flow.stage import Stage
from holdfast.pipeline import layout
from holdfast.pipeline.data.documents import Document, Span
from holdfast.pipeline.data.entities import spans_of, word_tags
from holdfast.pipeline.data.reading import read_documents
from holdfast.pipeline.report.facts import Facts, Life, Safety, Speed, Study, Trial
from holdfast.pipeline.report.mistakes import Mistakes, compare
from holdfast.pipeline.settings import Experiment
from holdfast.pipeline.study.database import OtherOptuna, database_url, open_storage
from holdfast.pipeline.study.search import fold_scores, spread_of
from holdfast.session.keeper import Keeper
from holdfast.session.seeing.sight import Sight
from holdfast.session.seeing.status import Status

if TYPE_CHECKING:
    import optuna

#: Makes a key present, and says where it is; None where it is not to be had.
Here = Callable[[str], Path | None]


@dataclass(frozen=True)
class Known:
    """What is known of a stage.

    Args:
        name: Its name.
        how_far: In a word or two.
        finished: It is done.
        stage: Its declaration; None where an earlier stage decides it.
        record: What it says of itself, if anything.
    """

    name: str
    how_far: str
    finished: bool
    stage: Stage | None
    record: Record | None


def gather(experiment: Experiment, known: Sequence[Known], here: Here, status: Callable[[], Status] | None, now: float) -> Facts:
    """Everything that there is to show.

    Args:
        experiment: The settings.
        known: The stages in their order.
        here: See `Here`. It is asked for small files only.
        status: What is safe; None where there is no store.
        now: Unix seconds.
    """
    stages = {k.name: k for k in known if k.stage is not None}
    data = _json(stages, "data", layout.DATASET, here)
    metrics = _json(stages, "final_training", layout.METRICS, here)
    conversion = _json(stages, "conversion", f"{layout.ONNX}/{layout.CONVERSION}", here)
    test, mistakes = _mistakes(stages, here)
    final = stages.get("final_training")
    studies = tuple(s for k in known if k.name.startswith("hpo/") and (s := _study(experiment, k, here)) is not None)
    return Facts(
        name=experiment.name,
        made=now,
        stages=tuple((k.name, k.how_far) for k in known),
        over=all(k.finished for k in known if k.name != "report"),
        documents=data.get("documents", {}),
        labels=tuple(data.get("labels", ())),
        notes=tuple(data.get("notes", ())),
        floor=_summary(stages, "data").get("baseline_f1"),
        environment={} if final is None or final.record is None else final.record.environment,
        studies=studies,
        selection=_summary(stages, "selection"),
        scores={split: metrics[split] for split in ("test", "validation") if split in metrics},
        learning=tuple(metrics.get("learning", ())),
        objective=experiment.hpo.objective,
        mistakes=mistakes,
        test=test,
        conversion=conversion,
        speeds=tuple(v for k in known if k.name.startswith("benchmark/") and (v := _speed(k, studies, here)) is not None),
        lives=tuple(life for k in known if (life := _life(k, here)) is not None),
        safety=_safety(status),
    )


def kept_by(keeper: Keeper) -> Here:
    """What lies here, or comes from the store; without waiting where that cannot be read, since a report is worth no wait."""

    def here(key: str) -> Path | None:
        keeper.ensure(key)
        place = keeper.root / key
        return place if place.is_file() else None

    return here


def _summary(stages: Mapping[str, Known], name: str) -> Mapping[str, Any]:
    known = stages.get(name)
    return {} if known is None or known.record is None else known.record.summary


def _place(known: Known | None, name: str, here: Here) -> Path | None:
    return None if known is None or known.stage is None else here(f"{known.stage.folder}/{name}")


def _json(stages: Mapping[str, Known], stage: str, name: str, here: Here) -> Mapping[str, Any]:
    known = stages.get(stage)
    if known is None or not known.finished:
        return {}
    place = _place(known, name, here)
    try:
        found = {} if place is None else json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# -- studies -------------------------------------------------------------------------------------------------------------


def _study(experiment: Experiment, known: Known, here: Here) -> Study | None:
    if known.stage is None or known.record is None:
        return None
    backbone = known.name.partition("/")[2]
    place = here(known.stage.outputs[0])
    if place is None:
        return None
    import optuna

    try:
        with open_storage(database_url(place), place) as storage:
            study = optuna.load_study(study_name=experiment.hpo.checkpoint.study_name or backbone, storage=storage)
            trials = study.get_trials(deepcopy=False)
    except (KeyError, OtherOptuna):  # nothing was begun in it yet; or another Optuna reads it, and selection says so
        return None
    importances, untold = _importances(trials)
    return Study(
        backbone,
        experiment.hpo.objective,
        experiment.hpo.trials,
        tuple(_trial(t) for t in trials),
        importances,
        untold,
        frozenset(n for n, p in experiment.hpo.search_space.items() if p.type == "loguniform"),
        experiment.hpo.folds or 0,
    )


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    reports = tuple(sorted((int(epoch), float(value)) for epoch, value in trial.intermediate_values.items()))
    attributes = trial.user_attrs
    value = trial.value if trial.state.name == "COMPLETE" else None
    spent, failed = float(attributes.get("seconds", 0.0)), str(attributes.get("failed", ""))
    folds = tuple(fold_scores(trial))
    return Trial(trial.number, trial.state.name, value, dict(trial.params), reports, spent, failed, folds, spread_of(folds))


def _importances(trials: Sequence[optuna.trial.FrozenTrial]) -> tuple[Mapping[str, float], str]:
    """By PED-ANOVA, which takes 0.03 s for 1,000 trials where fANOVA takes 21 s."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    complete = [t for t in trials if t.state is optuna.trial.TrialState.COMPLETE]
    if len({t.value for t in complete}) < 2:
        return {}, "it takes two trials with different scores"
    study = optuna.create_study(direction="maximize")
    study.add_trials(complete)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError) as error:
        return {}, " ".join(str(error).split())
    return {n: float(v) for n, v in found.items()}, "" if found else "no parameter varies"


def _speed(known: Known, studies: Sequence[Study], here: Here) -> Speed | None:
    backbone = known.name.partition("/")[2]
    best = next((s.best for s in studies if s.backbone == backbone), None)
    place = here(known.stage.record) if known.stage is not None and known.finished else None
    if place is None or best is None:
        return None
    document = json.loads(place.read_bytes())
    machine = document.get("environment", {})
    node_type = str(machine.get("node_type") or machine.get("device_name", ""))
    device = f"node {machine['node']} ({node_type})" if machine.get("node") else node_type
    return Speed(backbone, best.number, best.value or 0.0, device, node_type, tuple(document["results"]))


# -- the model on test ---------------------------------------------------------------------------------------------------


def _mistakes(stages: Mapping[str, Known], here: Here) -> tuple[Sequence[Document], Mistakes | None]:
    final, data = stages.get("final_training"), stages.get("data")
    if final is None or not final.finished:
        return (), None
    predictions, documents = _place(final, layout.PREDICTIONS, here), _place(data, "test.jsonl", here)
    if predictions is None or documents is None:
        return (), None
    try:
        test = read_documents(documents).documents
        rows = [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]
        found = [[Span(*span) for span in row] for row in rows]
    except (OSError, ValueError, TypeError, BadData):
        return (), None
    if len(found) != len(test):
        return (), None
    return test, compare([spans_of(d, word_tags(d)) for d in test], found)


# -- the run -------------------------------------------------------------------------------------------------------------


def _life(known: Known, here: Here) -> Life | None:
    if known.record is None or not (known.name.startswith("hpo/") or known.name == "final_training"):
        return None
    place = _place(known, LIFE, here)
    sessions = [] if place is None else read_life(place)
    return Life(known.name, "trial" if known.name.startswith("hpo/") else "step", tuple(sessions)) if sessions else None


def _safety(status: Callable[[], Status] | None) -> Safety:
    if status is None:
        return Safety("There is no store: all of it is on this machine only")
    try:
        found = status()
    except StoreError as error:
        return Safety(f"It cannot be told now: {error.strerror or type(error).__name__}")
    sight: Sight = found.sight
    return Safety(sight.verdict.title, found.place or "", sight.heads, sight.lines)
