"""The final training: the best configuration on the chosen data, checkpoint by checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from holdfast.errors import StageFailed
from holdfast.flow.stage import Made, Stopped
from holdfast.integrations.watching import Copies, Watcher
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.data.entities import spans_of, word_tags
from holdfast.pipeline.layout import BEST_CONFIGURATION, CHECKPOINT, METRICS, PREDICTIONS, TRAINING_CACHE
from holdfast.pipeline.settings import changed
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.training.checkpoint import weights_identity
from holdfast.pipeline.training.device import (
    LONG_SECONDS,
    describe_environment,
    resolve_device,
    resolve_precision,
    resume_precision,
)
from holdfast.pipeline.training.evaluation import predict_tags
from holdfast.pipeline.training.intervals import SHARE, with_intervals
from holdfast.pipeline.training.scores import score
from holdfast.pipeline.training.train import Job, estimate_seconds, prepare, train
from holdfast.session.files import write_json, write_text
from holdfast.store.reporting.amounts import duration


def train_final(bench: Workbench) -> Made:
    """Train, score on validation and test, and write down where everything is."""
    experiment, folder = bench.experiment, bench.folder
    selection = bench.done["selection"].stage
    best = json.loads((bench.path(selection.folder) / BEST_CONFIGURATION).read_bytes())["best"]
    bench.expect(
        best["parameters"] == bench.stage.made_from["parameters"],
        f"{selection.folder}/{BEST_CONFIGURATION} does not say what its record says; restore the folder",
    )
    job = _job(bench)
    prepare(job)
    bench.begin(describe_environment(job.device, resolve_precision(job.settings.precision, job.device)))
    if job.device == "cpu":
        seconds = estimate_seconds(job)
        tell = bench.narration.warn if seconds > LONG_SECONDS else bench.narration.say
        tell(f"final training on the CPU, as there is no GPU here: about {duration(seconds)}")
    watcher = FinalWatcher(bench, job.objective)
    trained = train(job, watcher, bench.clock)
    bench.narration.end()
    dataset = open_dataset(bench.path(bench.done["data"].stage.folder))
    splits = {"validation": dataset.validation, "test": dataset.test}
    predicted = {split: predict_tags(trained.folder, documents, job.device) for split, documents in splits.items()}
    true = {split: [word_tags(d) for d in documents] for split, documents in splits.items()}
    scores = {split: with_intervals(score(true[split], predicted[split]), true[split], predicted[split]) for split in splits}
    found = [spans_of(d, tags) for d, tags in zip(dataset.test, predicted["test"], strict=True)]
    rows = [json.dumps([[s.start, s.end, s.label] for s in spans], ensure_ascii=False) for spans in found]
    write_text(folder / PREDICTIONS, "".join(f"{row}\n" for row in rows))
    metrics = {
        "backbone": best["backbone"],
        "learnt_from": experiment.final_training.data,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "parameters": trained.parameters,
        "learning": list(trained.learning),
        **scores,
    }
    _check_complete(metrics)
    write_json(folder / METRICS, metrics)
    weights = weights_identity(trained.folder)
    cache = {
        "output_dir": bench.stage.folder,
        "checkpoint": f"{bench.stage.folder}/{CHECKPOINT}",
        "metrics": f"{bench.stage.folder}/{METRICS}",
        "weights": weights,
        "backbone": best["backbone"],
        "configuration": best["parameters"],
    }
    write_json(folder / TRAINING_CACHE, cache)
    test = scores["test"]
    bench.narration.say(f"  test entity F1 {test['micro']['f1']:.4f} ({_interval(test['micro'])}macro {test['macro']['f1']:.4f})")
    summary = {
        "test": test,
        "validation_f1": scores["validation"]["micro"]["f1"],
        "steps": trained.steps,
        "best_step": trained.best_step,
    }
    return Made(weights[:32], summary)


def _job(bench: Workbench) -> Job:
    experiment, made_from = bench.experiment, bench.stage.made_from
    dataset = open_dataset(bench.path(bench.done["data"].stage.folder))
    settings = experiment.final(dict(made_from["parameters"]))
    resume_precision(bench.environment.get("precision"), settings.precision, resolve_device(experiment.run.device))
    if settings.precision == "auto" and bench.environment.get("precision"):
        settings = changed(settings, {"precision": bench.environment["precision"]})
    everything = experiment.final_training.data == "train+validation"
    return Job(
        model=bench.pipeline.model(bench.pipeline.chosen(bench.done), bench.done["data"]),
        labels=dataset.labels,
        train=dataset.train + dataset.validation if everything else dataset.train,
        validation=() if everything else dataset.validation,
        settings=settings,
        objective=experiment.hpo.objective,
        seed=experiment.seed,
        folder=bench.folder,
        max_length=experiment.data.max_length,
        stride=experiment.data.stride,
        device=resolve_device(experiment.run.device),
    )


def _interval(figures: Mapping[str, Any]) -> str:
    low, high = figures.get("intervals", {}).get("f1", (None, None))
    return "" if low is None else f"{SHARE} % interval {low:.4f} to {high:.4f}; "


def _check_complete(metrics: Mapping[str, Any]) -> None:
    """A missing or impossible figure fails the stage: it must not look like a zero later."""
    for split in ("validation", "test"):
        figures = [metrics[split]["micro"], metrics[split]["macro"], *metrics[split]["by_label"].values()]
        for figure in figures:
            for name in ("precision", "recall", "f1"):
                if not 0.0 <= figure[name] <= 1.0:
                    raise StageFailed(f"final_training: {split} {name} is {figure[name]}, which is no score")


class FinalWatcher(Watcher):
    """Shows how far the training is, and hands its checkpoints to the backup.

    Args:
        bench: Where the work is done.
        objective: The score to show.
    """

    def __init__(self, bench: Workbench, objective: str) -> None:
        self._bench = bench
        self._objective = objective
        self._note = ""

    @property
    def copies(self) -> Copies:
        """Those of the run."""
        return self._bench.copies

    def told(self, line: str) -> None:
        """Say it in a line that stays."""
        self._bench.narration.warn(f"{self._bench.stage.name}: {line}")

    def stepped(self, step: int, total: int) -> None:
        """Move the bar."""
        self._bench.narration.work("final training", step, total, "; ".join(filter(None, (self._note, self._at_stake()))))

    def _at_stake(self) -> str:
        stake = self._bench.at_stake()
        return "" if stake is None else stake.words(f"from step {stake.progress:.0f}" if stake.progress else "from its beginning")

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Show the score of an epoch."""
        self._note = f"epoch {epoch}: {self._objective} {scores[self._objective]:.3f}"

    def saved(self, step: int, total: int) -> None:
        """Back the checkpoint up; stop here where the time is over."""
        self._bench.keep(float(step))
        if self._bench.time_is_over():
            raise Stopped

    def wants_to_stop(self) -> bool:
        """Once the time is over."""
        return self._bench.time_is_over()
