"""What the work of a stage of this pipeline is given."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.flow.bench import Bench
from holdfast.integrations.watching import Copies
from holdfast.pipeline.settings import Experiment
from holdfast.pipeline.stages import Pipeline


@dataclass(frozen=True)
class Workbench(Bench):
    """A stage about to run, as `Bench` has it, and beside that what this pipeline needs.

    Args:
        pipeline: All stages.
        copies: Where checkpoints that are damaged here come back from.
    """

    pipeline: Pipeline
    copies: Copies

    @property
    def experiment(self) -> Experiment:
        """The settings."""
        return self.pipeline.experiment
