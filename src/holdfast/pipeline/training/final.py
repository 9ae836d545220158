"""The final training as plain data, which runs in this process or as an attempt on a node, to the same end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.errors import StageFailed
from holdfast.flow.narration import Narration
from holdfast.flow.stage import Stopped
from holdfast.integrations.desk import DeskCopies, DeskNarration
from holdfast.integrations.watching import Copies, Watcher
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.data.entities import spans_of, word_tags
from holdfast.pipeline.layout import CHECKPOINT, METRICS, PREDICTIONS, TRAINING_CACHE
from holdfast.pipeline.settings import Training, changed
from holdfast.pipeline.tracking.journal import TrackedRun
from holdfast.pipeline.tracking.publishing import Publisher
from holdfast.pipeline.training.checkpoint import weights_identity
from holdfast.pipeline.training.device import (
    LONG_SECONDS,
    describe_environment,
    resolve_device,
    resolve_precision,
    resume_precision,
)
from holdfast.pipeline.training.evaluation import predict_tags
from holdfast.pipeline.training.intervals import with_intervals
from holdfast.pipeline.training.scores import score
from holdfast.pipeline.training.train import Job, estimate_seconds, prepare, train
from holdfast.session.files import write_json, write_text
from holdfast.spread.performing import Desk
from holdfast.store.reporting.amounts import duration


@dataclass(frozen=True)
class FinalTraining:
    """The final training, wherever it runs. Paths are keys, or absolute where they are not below the project.

    As the work of an attempt it is called with a desk.

    Args:
        stage: Name of the stage, for people.
        folder: What it makes goes there.
        dataset: Folder of the documents.
        model: What to load.
        is_folder: That is a folder.
        backbone: Name of the backbone.
        configuration: The parameters that won.
        learns_from: `train` or `train+validation`.
        settings: How it is trained.
        objective: The score that decides which epoch is best.
        seed: Of weights that are not pretrained, dropout and data order.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: As it is asked for; once `settled`, as it is.
        begun: What `auto` meant as number format when it was begun; empty where it begins now.
        run: What it is called by trackers; None where none follows it.
    """

    stage: str
    folder: str
    dataset: str
    model: str
    is_folder: bool
    backbone: str
    configuration: Mapping[str, Any]
    learns_from: str
    settings: Training
    objective: str
    seed: int
    max_length: int
    stride: int
    device: str
    begun: str = ""
    run: TrackedRun | None = None

    # -- before it begins ------------------------------------------------------------------------------------------------

    def look(self, root: Path) -> dict[str, Any]:
        """Check everything that can be wrong, before any time is spent. Gives the environment in which it would run here.

        Raises:
            HoldfastError: see `prepare`; or this device does not have the number format that it was begun with.
        """
        device = resolve_device(self.device)
        resume_precision(self.begun or None, self.settings.precision, device)
        here = replace(self, device=device, settings=self._with_format(self.begun))
        prepare(here.job(root))
        return describe_environment(device, resolve_precision(here.settings.precision, device))

    def settled(self, environment: Mapping[str, Any]) -> FinalTraining:
        """As it runs in this environment, wherever one like that is."""
        return replace(self, device=str(environment["device"]), settings=self._with_format(str(environment["precision"])))

    def _with_format(self, precision: str) -> Training:
        return (
            changed(self.settings, {"precision": precision}) if precision and self.settings.precision == "auto" else self.settings
        )

    def job(self, root: Path) -> Job:
        """The training.

        Args:
            root: Where keys start.
        """
        dataset = open_dataset(root / self.dataset)
        everything = self.learns_from == "train+validation"
        return Job(
            model=str(root / self.model) if self.is_folder else self.model,
            labels=dataset.labels,
            train=dataset.train + dataset.validation if everything else dataset.train,
            validation=() if everything else dataset.validation,
            settings=self.settings,
            objective=self.objective,
            seed=self.seed,
            folder=root / self.folder,
            max_length=self.max_length,
            stride=self.stride,
            device=self.device,
            run=self.run,
        )

    # -- the work ----------------------------------------------------------------------------------------------------------

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        """Run it as an attempt."""
        watcher = FinalWatcher(
            self,
            DeskNarration(desk),
            DeskCopies(desk),
            keep=lambda step, total: desk.kept(min(step / total, 0.999)),
            is_to_stop=desk.is_to_stop,
        )
        return self.make(desk.root, watcher, time.monotonic)

    def make(self, root: Path, watcher: FinalWatcher, clock: Callable[[], float]) -> dict[str, Any]:
        """Train, score on validation and test, and write down where everything is.

        Args:
            root: Where keys start.
            watcher: Follows it.
            clock: Monotonic seconds.

        Returns:
            `weights`, their identity, and `summary`.
        """
        job, folder, narration = self.job(root), root / self.folder, watcher.narration
        if job.device == "cpu":
            seconds = estimate_seconds(job)
            tell = narration.warn if seconds > LONG_SECONDS else narration.say
            tell(f"final training on the CPU, as there is no GPU here: about {duration(seconds)}")
        trained = train(job, watcher, clock)
        narration.end()
        dataset = open_dataset(root / self.dataset)
        splits = {"validation": dataset.validation, "test": dataset.test}
        predicted = {split: predict_tags(trained.folder, documents, job.device) for split, documents in splits.items()}
        true = {split: [word_tags(d) for d in documents] for split, documents in splits.items()}
        scores = {split: with_intervals(score(true[split], predicted[split]), true[split], predicted[split]) for split in splits}
        found = [spans_of(d, tags) for d, tags in zip(dataset.test, predicted["test"], strict=True)]
        rows = [json.dumps([[s.start, s.end, s.label] for s in spans], ensure_ascii=False) for spans in found]
        write_text(folder / PREDICTIONS, "".join(f"{row}\n" for row in rows))
        metrics = {
            "backbone": self.backbone,
            "learnt_from": self.learns_from,
            "steps": trained.steps,
            "best_step": trained.best_step,
            "parameters": trained.parameters,
            "learning": list(trained.learning),
            **scores,
        }
        _check_complete(metrics)
        write_json(folder / METRICS, metrics)
        weights = str(weights_identity(trained.folder))
        cache = {
            "output_dir": self.folder,
            "checkpoint": f"{self.folder}/{CHECKPOINT}",
            "metrics": f"{self.folder}/{METRICS}",
            "weights": weights,
            "backbone": self.backbone,
            "configuration": dict(self.configuration),
        }
        write_json(folder / TRAINING_CACHE, cache)
        summary = {
            "test": scores["test"],
            "validation_f1": scores["validation"]["micro"]["f1"],
            "steps": trained.steps,
            "best_step": trained.best_step,
        }
        return {"weights": weights, "summary": summary}


@dataclass(frozen=True)
class Look:
    """The work of finding out in which environment a node would train."""

    training: FinalTraining

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        """See `FinalTraining.look`."""
        return self.training.look(desk.root)


def _check_complete(metrics: Mapping[str, Any]) -> None:
    """A missing or impossible figure fails the stage: it must not look like a zero later."""
    for split in ("validation", "test"):
        figures = [metrics[split]["micro"], metrics[split]["macro"], *metrics[split]["by_label"].values()]
        for figure in figures:
            for name in ("precision", "recall", "f1"):
                if not 0.0 <= figure[name] <= 1.0:
                    raise StageFailed(f"final_training: {split} {name} is {figure[name]}, which is no score")


class FinalWatcher(Watcher):
    """Shows how far the training is, and has its checkpoints kept.

    Args:
        training: What is trained.
        narration: Tells how it goes.
        copies: Of its checkpoints.
        keep: Keeps what there is after a step, of so many.
        is_to_stop: Whether it is to save and stop.
        at_stake: What a disconnect would cost now, in words.
        publisher: Brings trackers up to what is logged; None where another process does.
    """

    def __init__(
        self,
        training: FinalTraining,
        narration: Narration,
        copies: Copies,
        keep: Callable[[int, int], object],
        is_to_stop: Callable[[], bool],
        at_stake: Callable[[], str] = lambda: "",
        publisher: Publisher | None = None,
    ) -> None:
        self._training = training
        self.narration = narration
        self._copies = copies
        self._keep = keep
        self._is_to_stop = is_to_stop
        self._at_stake = at_stake
        self._publisher = publisher or Publisher()
        self._note = ""

    @property
    def copies(self) -> Copies:
        """Those of the run."""
        return self._copies

    def told(self, line: str) -> None:
        """Say it in a line that stays."""
        self.narration.warn(f"{self._training.stage}: {line}")

    def stepped(self, step: int, total: int) -> None:
        """Move the bar."""
        self.narration.work("final training", step, total, "; ".join(filter(None, (self._note, self._at_stake()))))

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Show the score of an epoch."""
        objective = self._training.objective
        self._note = f"epoch {epoch}: {objective} {scores[objective]:.3f}"

    def logged(self, journal: Path) -> None:
        """Have trackers brought up to it."""
        self._publisher.publish(journal)

    def saved(self, step: int, total: int) -> None:
        """Have the checkpoint kept; stop here where the time is over."""
        self._keep(step, total)
        if self._is_to_stop():
            raise Stopped

    def wants_to_stop(self) -> bool:
        """Once the time is over."""
        return self._is_to_stop()
