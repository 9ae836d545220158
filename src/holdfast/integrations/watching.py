"""Who follows a training: the words between a training loop and whoever keeps what it makes."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import StageFailed


class Diverged(StageFailed):
    """The loss is no number any more, so nothing that follows can be."""


class Stopped(Exception):
    """The time that the run was given is over; everything is saved."""


class Watcher:
    """Follows a training. Whatever a method raises ends the training there."""

    def saved(self, step: int, total: int) -> None:
        """A whole checkpoint was saved after this optimizer step."""

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """An epoch was scored on the validation set."""

    def stepped(self, step: int, total: int) -> None:
        """An optimizer step is done."""

    def wants_to_stop(self) -> bool:
        """True to have a checkpoint saved now, so that `saved` can end the training without loss."""
        return False
