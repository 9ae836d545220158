"""The callback that keeps a `fit` of Keras: it restores when training begins, makes `fit` go on there, and saves."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import keras
import torch

from holdfast.errors import ConfigurationError, MadeOtherwise
from holdfast.integrations.checkpoints import SavedCheckpoint
from holdfast.integrations.kept import KeptTraining, newest
from holdfast.integrations.keras_data import Data, base_seed, given_seed, seed_all
from holdfast.integrations.keras_state import (
    STATE,
    captured,
    copies,
    described,
    described_value,
    keep_best,
    put_back,
    put_back_best,
    put_back_history,
    remind,
    restore_variables,
)
from holdfast.integrations.terminating import Termination
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)

#: How an optimizer was made. Its learning rate is a variable that callbacks change, so the first look counts.
_made: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class Keep(keras.callbacks.Callback):
    """Keeps a training: `model.fit(x, y, epochs=6, callbacks=[holdfast.keras.Keep("outputs/run")])`.

    Killed at any instant, also with its machine, the same script goes on at the newest whole checkpoint, in mid-epoch too, and
    ends with the weights, the history and the best scores of a run that nobody cut off. It goes back at most the interval, a
    validation that was under way and the save under way. A training that is over gives no batch and leaves the model as it
    ended. More epochs go on where it ended, unless it stopped by itself.

    Each epoch is seeded by its number and by the seed of `keras.utils.set_random_seed`. So the batches come in another order
    than without the callback, and in the same one in every run with it.

    Args:
        path: The folder of the checkpoints, below outputs.
        keeper: Default: the attached one.
        every: Seconds, or text such as `5min`, between two checkpoints; None for none by time.
        steps: A checkpoint every so many batches, or None.
        guard: Batches are told apart by what this picks of each; True takes all of it; False guards nothing.

    Raises:
        UsageError: nothing is attached, or the path cannot be kept.
        ConfigurationError: an interval cannot be used, or Keras does not run on PyTorch.
    """

    def __init__(
        self,
        path: str | PurePath,
        keeper: Keeper | None = None,
        *,
        every: float | str | None = "5min",
        steps: int | None = None,
        guard: bool | Callable[[Any], Any] = True,
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "torch":
            raise ConfigurationError(
                f"holdfast.keras.Keep: Keras runs on {keras.backend.backend()}, and only its PyTorch backend is held exactly; "
                "set KERAS_BACKEND=torch before keras is imported"
            )
        self._kept = KeptTraining(path, keeper, every=every, steps=steps, guard=guard)
        self._ending = Termination("fit")
        self._others: list[Any] = []
        self._data: Data | None = None
        self._from: tuple[SavedCheckpoint, dict[str, Any]] | None = None
        self._ended: dict[str, Any] | None = None
        self._base = 0
        self._epochs = 0
        self._reset()

    def _reset(self) -> None:
        self._epoch = self._batch = self._step = 0
        self._saved_at = -1
        self._logs: dict[str, Any] = {}
        self._merge: dict[str, Any] = {}
        self._from = self._ended = None
        self._idle = False

    # -- the beginning -------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore the newest whole checkpoint, and have `fit` go on there.

        Raises:
            MadeOtherwise: the model or a setting is another than that of the checkpoint.
            NotRestored: there is something that could not be brought back.
            ConfigurationError: what was given to `fit` cannot be held exactly.
        """
        self._reset()
        iterator, callbacks, first = _inside_fit()
        self._others = [c for c in callbacks.callbacks if c is not self]
        if any(isinstance(c, keras.callbacks.BackupAndRestore) for c in self._others):
            raise ConfigurationError("BackupAndRestore beside holdfast.keras.Keep would set other weights; leave it out")
        self._epochs = int(self.params.get("epochs") or 0)
        at = newest(self._kept.keeper, self._kept.folder)
        state = self._load(at)
        self._base = base_seed() if state is None else int(state["base"])
        self._data = Data(iterator, self._base, self._epochs, self._kept.drawn)
        self._kept.begins(self._settings(self._data), at)
        if at is None:  # nothing is gone on with, so nothing has to be as it was
            self._kept.follows_otherwise()
        # The others first, so that what they do to weights, rates and counts stands in a checkpoint of the same instant.
        callbacks.callbacks = [_First(self), *self._others, self]
        seed_all(self._base, first, "begin")
        if at is not None and state is not None:
            self._go_on(at, state, first)
        self._ending.watch()

    def _settings(self, data: Data) -> dict[str, Any]:
        optimizer = self.model.optimizer
        made = None
        if optimizer is not None:
            made = _made.setdefault(optimizer, described_value(optimizer))
        return described(self.model, made or {}, data.described(), given_seed())

    def _load(self, at: SavedCheckpoint | None) -> dict[str, Any] | None:
        if at is None:
            return None
        place = at.folder / STATE
        if not place.is_file():
            raise MadeOtherwise(
                f"{self._kept.key}: its checkpoint of step {at.step} was not made by a training of Keras; train in another folder"
            )
        found: dict[str, Any] = torch.load(place, map_location="cpu", weights_only=True)
        return found

    def _go_on(self, at: SavedCheckpoint, state: dict[str, Any], first: int) -> None:
        self._from = (at, state)
        self._step = self._saved_at = at.step
        self._epoch, self._batch = int(state["epoch"]), int(state["batch"])
        put_back_best(self._others, self._kept.keeper.workspace.root, at.folder)
        over = at.over and (bool(state["stopped"]) or self._epoch >= self._epochs)
        if over or self._epoch >= self._epochs:
            if not over:
                log.warning(
                    "%s: is in epoch %d, and %d are asked for: nothing is trained", self._kept.key, self._epoch + 1, self._epochs
                )
            self._idle = True
            restore_variables(self.model, state, metrics=False)
            self.model._initial_epoch = max(self._epochs, 1)
            return
        restore_variables(self.model, state, metrics=False)
        if self._epoch > first:
            self.model._initial_epoch = self._epoch
        assert self._data is not None
        if self._data.catches_up(first, self._epoch):
            log.info("%s: the batches of %d epochs that are done were drawn again", self._kept.key, self._epoch)

    # -- epoch by epoch ------------------------------------------------------------------------------------------------

    def before_others(self, epoch: int) -> None:
        """An epoch begins, and no other callback has heard of it."""
        self.model._initial_epoch = None  # read by then, and not meant for another `fit`
        seed_all(self._base, epoch, "begin")
        if self._from is not None:
            _, state = self._from
            restore_variables(self.model, state, metrics=False)
            remind(self._others, state["callbacks"])
            put_back_history(self._others, state["history"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The order of an epoch follows from its number. In mid-epoch all is put back that others have done at its beginning."""
        assert self._data is not None
        self._epoch = epoch
        if self._from is None or not self._batch:
            self._batch = 0
            self._data.opens(epoch)
        else:
            _, state = self._from
            restore_variables(self.model, state, metrics=True)
            remind(self._others, state["callbacks"])
            self._logs = self._merge = dict(state["logs"])
            self._data.opens(epoch, self._batch, state["random"])
        self._from = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save where a checkpoint is due, or the process is to end."""
        self._step += 1
        self._batch = batch + 1
        self._logs = dict(logs or {})
        self._merge = {}
        if self.model.stop_training:  # the epoch's end comes next
            return
        if self._ending.asked or self._kept.due(self._step):
            self._save(self._epoch, self._batch)
        self._leave_if_asked()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """A validation may be long; whoever is to end does not wait for it."""
        if self._ending.asked and self._data is not None and not self.model.stop_training:
            self._save(self._epoch, self._batch)
            self._leave_if_asked()

    def first_at_the_end(self, logs: dict[str, Any]) -> None:
        """Of an epoch of which nothing was left but its end, `fit` does not know the scores."""
        if self._merge:
            whole = {**self._merge, **logs}
            logs.clear()
            logs.update(whole)
            self._merge = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save where a checkpoint is due. The last epoch is saved when all others have ended the training."""
        if epoch + 1 >= self._epochs or self.model.stop_training:
            self._ended = self._captured(epoch + 1, 0)
            return
        if self._ending.asked or self._kept.due(self._step):
            self._save(epoch + 1, 0)
        self._leave_if_asked()

    def on_train_end(self, logs: Any = None) -> None:
        """The training is over: the weights are saved as it leaves them, and as it would go on."""
        try:
            if self._idle and self._from is not None:
                _, state = self._from
                restore_variables(self.model, state, metrics=False)
                put_back(list(self.model.variables), state.get("final") or state["model"], "model")
                remind(self._others, state["callbacks"])
                put_back_history(self._others, state["history"])
                self.model._initial_epoch = None
            elif self._ended is not None:
                final = copies(self.model.variables)
                if not all(torch.equal(a, b) for a, b in zip(final, self._ended["model"], strict=True)):
                    self._ended["final"] = final
                self._write(self._ended, over=True)
                self._ended = None
        finally:
            if self._data is not None:
                self._data.ends()
            self._data = None
            self._kept.ends()
            if self._ending.asked:
                self._ending.pass_on()
            self._ending.leave()

    # -- saving --------------------------------------------------------------------------------------------------------

    def _captured(self, epoch: int, batch: int) -> dict[str, Any]:
        return captured(
            self.model,
            self._others,
            epoch=epoch,
            batch=batch,
            base=self._base,
            logs={k: v for k, v in self._logs.items() if isinstance(v, int | float)},
            stopped=bool(self.model.stop_training),
        )

    def _save(self, epoch: int, batch: int) -> None:
        if self._saved_at != self._step:
            self._write(self._captured(epoch, batch), over=False)

    def _write(self, state: dict[str, Any], *, over: bool) -> None:
        assert self._data is not None

        def write(folder: Path) -> None:
            torch.save(state, folder / STATE)
            keep_best(self._others, self._kept.keeper.workspace.root, folder)

        steps = self._data.steps
        done = state["epoch"] + (state["batch"] / steps if steps else 0)
        self._kept.save(self._step, write, over=over, total=self._epochs * steps, epochs=(done, self._epochs))
        self._saved_at = self._step

    def _leave_if_asked(self) -> None:
        if self._ending.asked:
            self._kept.send()
            self._ending.pass_on()


class _First(keras.callbacks.Callback):
    """Stands before all other callbacks, for what they have to find as it was."""

    def __init__(self, keep: Keep) -> None:
        super().__init__()
        self._keep = keep

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._keep.before_others(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if isinstance(logs, dict):
            self._keep.first_at_the_end(logs)


def _inside_fit() -> tuple[Any, Any, int]:
    """Of the `fit` that is called: its iterator of batches, its callbacks, its first epoch. Keras hands them to no callback.

    Raises:
        ConfigurationError: whoever called is not `fit`.
    """
    frame = sys._getframe()
    above = frame.f_back
    while above is not None:
        held = above.f_locals
        if above.f_code.co_name == "fit" and hasattr(held.get("epoch_iterator"), "_enumerate_iterator"):
            return held["epoch_iterator"], held["callbacks"], int(held.get("initial_epoch") or 0)
        above = above.f_back
    raise ConfigurationError("holdfast.keras.Keep is for model.fit(callbacks=[...]); a loop of your own is kept by keep.training")
