"""The page of a run: the one that it ended with, or one of how far it is now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.flow.examination import Examiner
from holdfast.flow.found import Found, State
from holdfast.pipeline.layout import PAGE
from holdfast.pipeline.report.gathering import Known, gather, kept_by
from holdfast.pipeline.report.page import page
from holdfast.pipeline.runner import open_pipeline
from holdfast.pipeline.settings import Experiment
from holdfast.pipeline.stages import Pipeline
from holdfast.session.files import write_text
from holdfast.session.keeper import Keeper
from holdfast.store.local.state import STATE_FOLDER


@dataclass(frozen=True)
class Opened:
    """A page.

    Args:
        place: The file.
        over: The run ended with it; else it tells how far the run is, and the next look makes another.
    """

    place: Path
    over: bool


def open_report(keeper: Keeper, experiment: Experiment) -> Opened:
    """The page of a run, from the store where it is not here. Where the run is not over, one is made beside what is kept.

    Nothing in outputs is changed, so it may be called while a run works.

    Raises:
        NotRestored: the store cannot be read.
    """
    settings = experiment.run.model_copy(update={"on_restore_failure": "stop"})  # who asks does not want to wait
    pipeline = open_pipeline(keeper, experiment)
    found = Examiner(keeper, pipeline, settings).all()
    last = found[-1]
    if last.state is State.DONE and last.stage is not None and last.record is not None and PAGE in last.record.files:
        return Opened(keeper.require(f"{last.stage.folder}/{PAGE}"), over=True)
    known = [Known(f.name, _how_far(f, pipeline), f.state is State.DONE, f.stage, f.record) for f in found]
    facts = gather(experiment, known, kept_by(keeper), keeper.status if keeper.enabled else None, time.time())
    place = keeper.root / STATE_FOLDER / PAGE
    write_text(place, page(facts))
    return Opened(place, over=False)


def _how_far(found: Found, pipeline: Pipeline) -> str:
    return (
        pipeline.how_far(found) if found.state is State.BEGUN else found.state.value if found.state is not State.LATER else "to do"
    )
