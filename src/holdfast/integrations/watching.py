"""Who follows a training: the words between a training loop and whoever keeps what it makes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import StageFailed
from holdfast.session.files import set_aside

log = logging.getLogger(__name__)


class Diverged(StageFailed):
    """The loss is no number any more, so nothing that follows can be."""


@dataclass(frozen=True)
class Fetched:
    """What asking for the copy of a checkpoint came to. Whether it is whole now is for the asker to see.

    Args:
        why: Why nothing came, as a sentence goes on; empty where something did.
        unknown: It could not be told whether there is a copy.
    """

    why: str = ""
    unknown: bool = False


class Copies:
    """Where copies of checkpoints lie. These are nowhere."""

    def fetch(self, folder: Path, *, weights_only: bool = False, patient: bool = False) -> Fetched:
        """Bring back what is damaged or missing of a checkpoint. Whatever is in its way is moved aside.

        Args:
            folder: The checkpoint.
            weights_only: What only going on needs may stay as it is.
            patient: Without it the work would be done again: wait while it cannot be told, and raise rather than give up.

        Raises:
            NotRestored: it could not be told, and was to be.
        """
        return Fetched("there is no store to fetch it from")

    def set_aside(self, place: Path) -> Path:
        """Move out of the way what cannot be used, never deleting it. Gives its new place."""
        return set_aside(place, "damaged")


class Watcher:
    """Follows a training. Whatever a method raises ends the training there."""

    @property
    def copies(self) -> Copies:
        """Asked where a checkpoint is damaged here."""
        return Copies()

    def told(self, line: str) -> None:
        """Something about this training that a person should not miss."""
        log.warning("%s", line)

    def saved(self, step: int, total: int) -> None:
        """A whole checkpoint was saved after this optimizer step."""

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """An epoch was scored on the validation set."""

    def logged(self, journal: Path) -> None:
        """The file of what was logged has new rows, which trackers are to have before the checkpoint that has them is kept."""

    def stepped(self, step: int, total: int) -> None:
        """An optimizer step is done."""

    def wants_to_stop(self) -> bool:
        """True to have a checkpoint saved now, so that `saved` can end the training without loss."""
        return False
