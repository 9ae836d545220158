"""The pipeline on the engine: opened from an experiment, and run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.flow import runner as engine
from holdfast.flow.narration import Narration
from holdfast.flow.runner import Summary
from holdfast.pipeline.data.sources import find_sources
from holdfast.pipeline.settings import Experiment
from holdfast.pipeline.stages import Pipeline
from holdfast.pipeline.tracking.publishing import need_trackers
from holdfast.pipeline.training.device import share_cores
from holdfast.session.keeper import Keeper
from holdfast.store.local.state import STATE_FOLDER

__all__ = ["Runner", "Summary", "open_pipeline"]


def open_pipeline(keeper: Keeper, experiment: Experiment) -> Pipeline:
    """The pipeline of an experiment, with its data files on the local disk."""
    share_cores()
    need_trackers({*experiment.trial_training().report_to, *experiment.final({}).report_to})
    for backbone in experiment.backbones:
        folder = keeper.root / Path(backbone.model).expanduser()
        if backbone.model.startswith((".", "/", "~")) and not folder.is_dir():
            raise ConfigurationError(f"backbone {backbone.model}: there is no such folder; relative paths start at {keeper.root}")
    sources = find_sources(experiment.data, keeper.root, keeper.config.mount_point, keeper.root / STATE_FOLDER / "data")
    return Pipeline(experiment, keeper.root, keeper.config.outputs, sources)


class Runner(engine.Runner):
    """Runs an experiment to its end, from wherever it is. Arguments as of the engine, the experiment in place of the stages."""

    def __init__(
        self,
        keeper: Keeper,
        experiment: Experiment,
        *,
        fork: bool = False,
        only: Sequence[str] = (),
        stop_after: float | None = None,
        narration: Narration | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pipeline = open_pipeline(keeper, experiment)
        super().__init__(
            keeper, self.pipeline, experiment.run, fork=fork, only=only, stop_after=stop_after, narration=narration, clock=clock
        )
