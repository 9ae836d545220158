"""One study, ready to run: what decides its outcome, and who is told how it goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.flow.narration import Narration, Quiet
from holdfast.integrations.watching import Copies
from holdfast.pipeline.data.dataset import Dataset
from holdfast.pipeline.identity import study_made_from
from holdfast.pipeline.layout import TRACKING, fold_folder, trial_folder, weights_folder
from holdfast.pipeline.settings import Hpo, Training, changed
from holdfast.pipeline.study.folds import Folds
from holdfast.pipeline.tracking.journal import TrackedRun
from holdfast.pipeline.tracking.publishing import Publisher
from holdfast.pipeline.training.train import Job
from holdfast.session.background.stake import AtStake
from holdfast.session.keeper import Keeper
from holdfast.session.parts import Parts

#: Hands a folder to the backup, with how far it is: finished trials, and the share of the one that runs.
KeepStudy = Callable[[Path, float], Any]
#: Hands over only what was changed in it since the last time.
KeepParts = Callable[[Sequence[Path], float], Any]


@dataclass(frozen=True)
class Sweep:
    """One study, ready to run.

    Args:
        backbone: Name of the backbone.
        model: What to load for it.
        identity: What it is called in fingerprints.
        hpo: The search.
        training: Settings of a trial before its parameters.
        data: The documents.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `cpu` or `cuda`.
        precision: What `auto` meant when the study was begun; None where it begins now.
        folder: Where the study and its trials lie.
        keep: Hands the folder to the backup.
        keep_parts: Hands over what was changed in it; None where `keep` is all there is.
        file: The study's own file, if it has one.
        is_over: Told once the study is at its end, before the last backup.
        at_stake: What a disconnect would cost now.
        copies: Where checkpoints that are damaged here come back from.
        narration: Tells how it goes.
        time_is_over: True once no more work should begin.
        clock: Monotonic seconds.
        claim: Begins work on the folder of a trial, by this process alone. Raises AnotherSession where a live one works on it.
        dataset: Folder of the documents, for processes that open it themselves.
        keeper: Keeps it; None for the attached one.
        series: By this its runs are known to trackers; empty where there are none.
        experiment: What trackers call experiment or project.
        publisher: Brings trackers up to what is logged.
        folds: What each trial is trained on, one after the other; None where it is trained once, and scored on validation.
    """

    backbone: str
    model: str
    identity: Any
    hpo: Hpo
    training: Training
    data: Dataset
    seed: int
    max_length: int
    stride: int
    device: str
    precision: str | None
    folder: Path
    keep: KeepStudy
    at_stake: Callable[[], AtStake | None] = lambda: None
    copies: Copies = field(default_factory=Copies)
    narration: Narration = field(default_factory=Quiet)
    time_is_over: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    claim: Callable[[Path], AbstractContextManager[Any]] = contextlib.nullcontext
    keep_parts: KeepParts | None = None
    file: Path | None = None
    is_over: Callable[[], None] = lambda: None
    parts: Parts = field(default_factory=Parts)
    dataset: Path | None = None
    keeper: Keeper | None = None
    folds: Folds | None = None
    series: str = ""
    experiment: str = ""
    publisher: Publisher = field(default_factory=Publisher)

    def hand_over(self, progress: float, numbers: Collection[int], *, alone: bool) -> None:
        """Hand the study to the backup. Where no other process works on it, only what was changed of it is looked at.

        Args:
            progress: How far it is.
            numbers: Trials of which something was changed.
            alone: No other process works on the study.
        """
        if not alone:
            self.parts.all_is_due()
        if self.keep_parts is None or self.file is None or not self.parts.are_enough():
            kept = self.keep(self.folder, progress)
        else:
            tracked = [self.folder / TRACKING] if (self.folder / TRACKING).is_dir() else []
            kept = self.keep_parts([self.file, *(self.folder / trial_folder(n) for n in sorted(numbers)), *tracked], progress)
        if kept is False:
            self.parts.all_is_due()

    def made_from(self) -> dict[str, Any]:
        """What decides the study's outcome. Not how long it may go on: a study may be given more trials."""
        return study_made_from(
            self.hpo,
            self.training,
            self.identity,
            self.data.identity,
            seed=self.seed,
            max_length=self.max_length,
            stride=self.stride,
            folds=None if self.folds is None else self.folds.identity,
        )

    def weights(self, number: int) -> Path:
        """The folder of that training of a trial whose weights later stages use: with folds that of the first."""
        return self.folder / weights_folder(number, self.hpo.folds)

    def run(self, number: int, fold: int | None = None) -> TrackedRun | None:
        """What a trial, or a fold of one, is called by trackers; None where there are none."""
        if not self.series:
            return None
        name = f"{self.backbone}-{Path(trial_folder(number)).name}{'' if fold is None else f'-{fold_folder(fold)}'}"
        return TrackedRun(f"{self.series}-{number}{'' if fold is None else f'-{fold}'}", name, self.experiment, self.backbone)

    def job(self, settings: Training, folder: Path, fold: int = 1, run: TrackedRun | None = None) -> Job:
        """The training of one trial, or of one fold of it. What it is scored on is the job's validation."""
        train, validation = (
            (self.data.train, self.data.validation) if self.folds is None else self.folds.split(self.data.train, fold)
        )
        if settings.precision == "auto" and self.precision is not None:
            settings = changed(settings, {"precision": self.precision})
        return Job(
            model=self.model,
            labels=self.data.labels,
            train=train,
            validation=validation,
            settings=settings,
            objective=self.hpo.objective,
            seed=self.seed,
            folder=folder,
            max_length=self.max_length,
            stride=self.stride,
            device=self.device,
            run=run,
        )
