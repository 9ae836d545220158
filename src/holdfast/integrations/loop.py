"""A training loop of one's own in PyTorch, which goes on where it was cut off.

outputs/run/checkpoint-120/
  state.pt        model, optimizer and whatever else was handed in
  rank-0.pt       of each process its random states and its place in the data
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import torch

from holdfast.errors import ConfigurationError, MadeOtherwise, UsageError
from holdfast.integrations import checkpoints
from holdfast.integrations.checkpoints import SavedCheckpoint
from holdfast.integrations.kept import EVERY_SECONDS, KeptTraining, newest, number_of
from holdfast.integrations.parts import Parts
from holdfast.integrations.places import places_of
from holdfast.integrations.plain_state import back, keepable
from holdfast.integrations.ranks import Ranks
from holdfast.integrations.terminating import Termination
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)

STATE = "state.pt"


class Training:
    """A training loop that is kept. `keep.training` makes it; it gives the batches that are still to be trained on.

    A batch is done when the next one is asked for: there, and at the end of each pass, a checkpoint is saved where one is due.

    Attributes:
        epoch: The pass under way, counted from 0 as `set_epoch` does.
        step: The batch under way, counted from 1 over all passes; 0 before the first.
        notes: Plain data of one's own, such as scores, kept with each checkpoint.
        over: There is nothing left to train.
    """

    def __init__(
        self,
        path: str | PurePath,
        keeper: Keeper,
        *,
        loader: Any,
        epochs: int,
        every: float | str | None = EVERY_SECONDS,
        steps: int | None = None,
        guard: bool | Callable[[Any], Any] = True,
        **parts: Any,
    ) -> None:
        key = str(keeper.workspace.key(path))
        self._epochs = number_of(epochs, f"{key}: epochs={epochs!r}")
        self.epoch = self.step = 0
        self.notes: dict[str, Any] = {}
        self.over = False
        self._number = 0
        self._asked = self._stopped = self._given = self._open = False
        self._saved = -1
        self._at: dict[str, Any] | None = None
        self._ranks = Ranks(key)
        self._kept = KeptTraining(path, keeper, every=every, steps=steps, guard=guard, rank=self._ranks.rank)
        self._whole_batches = guard is not True
        self._parts = Parts(parts, key)
        self._loader = loader
        self._termination = Termination()

    # -- the block -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Training:
        """Everything that was handed in is as the newest whole checkpoint has it; without one it is left alone.

        Raises:
            MadeOtherwise: the checkpoint was made from another model, optimizer, data or settings; the text says which.
            NotRestored: whether there is one could not be told, or it could not be brought back.
            ConfigurationError: something cannot be kept; the text says what.
        """
        key = str(self._kept.key)
        step = self._ranks.told(self._newest)
        self._places = places_of(self._loader, key)
        self._open = True
        try:
            at = None if step is None else checkpoints.sealed(self._kept.folder / f"checkpoint-{step}")
            if at is not None and STATE not in at.files:
                raise MadeOtherwise(f"{key}: what lies there was not saved by keep.training; train in another folder")
            settings = {**self._parts.settings(), "loader": self._places.settings(), "ranks": self._ranks.count}
            self._kept.begins(settings, at)
            if at is not None:
                self._restore(at)
        except BaseException:
            self._close()
            raise
        self._termination.watch()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """What was saved is sent. Without an error before its end it is said that it is not over."""
        if kind is None and not self.over:
            log.warning(
                "%s: left after step %d before its end; the next start goes on from its newest checkpoint, at step %d. run.stop() "
                "ends a training for good",
                self._kept.key,
                self.step,
                max(self._saved, 0),
            )
        self._close()
        if self._termination.asked:
            self._termination.pass_on()
            self._termination.leave()

    def _close(self) -> None:
        self._open = False
        self._places.let_go()
        self._parts.let_go()
        self._kept.ends()
        if not self._termination.asked:
            self._termination.leave()

    def _newest(self) -> int | None:
        found = newest(self._kept.keeper, self._kept.folder)
        return None if found is None else found.step

    def _restore(self, at: SavedCheckpoint) -> None:
        common, own = _read(at.folder / STATE), _read(at.folder / f"rank-{self._ranks.rank}.pt")
        self._parts.load(common["parts"], own, buffers=self._ranks.rank > 0)
        self.notes = back(common["notes"])
        self.step = self._saved = at.step
        self.epoch, self._number = own["epoch"], own["number"]
        self._places.put_back(own)
        self._stopped = common["stopped"]
        self.over = self._stopped or self.epoch >= self._epochs
        key = self._kept.key
        if self.over and self.epoch + (self._number > 0) > self._epochs:
            log.warning("%s: was trained for %d epochs, and %d are asked for; it is as it ended", key, self.epoch, self._epochs)
        if self.over and self._stopped and common["epochs"] < self._epochs:
            log.warning("%s: it was stopped in epoch %d of %d, and stays so", key, self.epoch, common["epochs"])
        if at.over and not self.over:
            log.info("%s: was over after %d epochs, and goes on to %d", key, common["epochs"], self._epochs)
        if not self._whole_batches and own["follows"] != self._places.follows:
            self._kept.follows_otherwise()
        if not self.over:
            self._at = own

    # -- the batches ---------------------------------------------------------------------------------------------------

    @property
    def last_of_epoch(self) -> bool:
        """Whether the batch under way is the last one of its pass.

        Raises:
            UsageError: the loader does not say how many there are.
        """
        length = self._places.length
        if length is None:
            raise UsageError(
                f"{self._kept.key}: the loader has no length, so the last batch of a pass is not known before its end; write "
                "`for batches in run.passes():` around `for x, y in batches:`, and what ends an epoch after the inner loop"
            )
        return self._number >= length

    def save(self) -> None:
        """Ask for a checkpoint as soon as the batch under way is done."""
        self._asked = True

    def stop(self) -> None:
        """End the training for good once the batch under way is done, as early stopping does: no later start goes on."""
        self._stopped = True

    def __iter__(self) -> Iterator[Any]:
        """The batches of all passes that are still to be trained on.

        Raises:
            WrongOrder: one is not the one that was there before the training was cut off.
        """
        for batches in self.passes():
            yield from batches

    def passes(self) -> Iterator[Iterator[Any]]:
        """The passes one by one, each as its batches. What is done between two of them is done once, and kept."""
        if not self._open:
            raise UsageError(f"{self._kept.key}: a training gives its batches inside of its `with` block only")
        while not self.over:
            yield self._pass()
            self._pass_is_done()

    def _pass(self) -> Iterator[Any]:
        at, self._at = self._at, None
        batches = self._places.begin(self.epoch, at)
        done = False
        while not self._stopped:
            place = self._place() if done and self._due() else None
            try:
                batch = next(batches)
            except StopIteration:
                if not self._number:
                    raise ConfigurationError(f"{self._kept.key}: loader= gave no batch for epoch {self.epoch}") from None
                return  # the end of the pass saves
            if place is not None:
                self._save(place)
            if not self._given:
                self._parts.refuse_what_is_missing()
            self._kept.drawn(batch if self._whole_batches else self._places.seen(batch))
            self.step += 1
            self._number += 1
            self._given, self._parts.stepped = True, False
            yield batch
            done = True

    def _pass_is_done(self) -> None:
        if not self._stopped:
            self.epoch += 1
            self._number = 0
        self.over = self._stopped or self.epoch >= self._epochs
        self._save(self._place())

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def _due(self) -> bool:
        return self._ranks.any(self._asked or self._termination.asked or self._kept.due(self.step))

    def _place(self) -> dict[str, Any]:
        """What is this process's own, before the next batch is drawn."""
        where = {"epoch": self.epoch, "number": self._number, **self._places.place()}
        own: dict[str, Any] = keepable({**where, **self._parts.own()}, f"{self._kept.key}: loader=")
        return own

    def _save(self, place: Mapping[str, Any]) -> None:
        mine = f"rank-{self._ranks.rank}.pt"
        folder = self._kept.folder / f"checkpoint-{self.step}"

        def write(into: Path) -> None:
            torch.save(
                {
                    "parts": self._parts.state(),
                    "notes": keepable(self.notes, f"{self._kept.key}: notes"),
                    "stopped": self._stopped,
                    "epochs": self._epochs,
                },
                into / STATE,
            )
            torch.save(place, into / mine)
            self._ranks.meet()  # the folder is there
            self._ranks.meet()  # and all have written into it

        if self._ranks.first:
            self._kept.save(self.step, write, **self._said())
        else:
            self._ranks.meet()
            torch.save(place, folder / mine)
            self._ranks.meet()
            self._kept.sealed_by_the_first(self.step)
        self._saved = self.step
        self._asked = False
        if self._termination.asked:
            self._kept.send()
            self._termination.pass_on()

    def _said(self) -> dict[str, Any]:
        length = self._places.length
        done = self.epoch + (self._number / length if length else 0.0)
        return {"over": self.over, "total": (length or 0) * self._epochs, "epochs": (float(done), float(self._epochs))}


def _read(place: Path) -> Any:
    return torch.load(place, map_location="cpu", weights_only=True)
