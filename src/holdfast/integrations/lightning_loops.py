"""The loops of a Lightning training, followed: the same batches after a resume, and checkpoints where a batch is wholly done.

An epoch begins from the random states that it began from, what is done of it is drawn again and not trained on, and a checkpoint is
made where a batch or an epoch is done with everything, validation and schedules included.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from holdfast.integrations import hf_random as generators
from holdfast.integrations import lightning_place as place

#: What the library warns of where it goes on inside an epoch; here the epoch is drawn again.
_NOT_RESUMABLE = ".*ended before the epoch ended.*"


class Told(Protocol):
    """Who makes the checkpoints."""

    def due(self, step: int) -> bool:
        """Whether one is due after this step."""

    def save(self, trainer: Any, what: dict[str, Any], *, over: bool) -> None:
        """Make one of now."""

    def send(self) -> None:
        """Back up what was made."""


class FollowedLoops:
    """The loops of one fit, with something done before or after some of their steps.

    The methods are set on the loops themselves: the library calls no callback where a batch is done with its validation and its
    schedules, nor right before an iterator is made.

    Args:
        keep: Told where a checkpoint can be made.
        trainer: Its loops are followed.
        module: What is trained.
        saved: What the checkpoint that is gone on with says beyond the library's.
    """

    def __init__(self, keep: Told, trainer: Any, module: Any, saved: Any) -> None:
        self._keep, self._trainer, self._module = keep, trainer, module
        self._fit, self._epoch = trainer.fit_loop, trainer.fit_loop.epoch_loop
        self._saved = saved
        self._inside = saved is not None and saved["batches"] > 0
        self._began: dict[str, Any] | None = None
        self._step = 0
        self._streamed = False
        self._set: list[tuple[Any, str]] = []
        self._follow(self._fit, "setup_data", self._set_up)
        self._follow(self._fit, "_load_combined_loader_states", self._loaders_made)
        self._follow(self._fit, "on_advance_start", self._epoch_comes)
        self._follow(self._fit, "on_advance_end", self._epoch_ends)
        self._follow(self._epoch, "reset", self._counts)
        self._follow(self._epoch, "on_run_start", self._epoch_begins)
        self._follow(self._epoch, "on_advance_end", self._batch_ends)

    def leave(self) -> None:
        """The loops are as they were."""
        for owner, name in self._set:
            vars(owner).pop(name, None)
        self._set = []

    def begins(self) -> None:
        """The library has put back its counters. At an epoch's end nothing is left to be told apart from a plain next epoch."""
        self._step = int(self._trainer.global_step)
        if self._saved is not None and not self._inside:
            self._fit._restarting = False
            self._epoch.restarting = False

    def _follow(self, owner: Any, name: str, what: Callable[..., None]) -> None:
        real = getattr(owner, name)
        setattr(owner, name, lambda *given: what(real, *given))
        self._set.append((owner, name))

    @property
    def _loaders(self) -> list[Any]:
        return list(self._fit._combined_loader.flattened)

    # -- an epoch begins -----------------------------------------------------------------------------------------------------

    def _set_up(self, real: Callable[[], None]) -> None:
        """Loaders are made, at the beginning, or for every so many epochs anew: then from the random states of the epoch's end."""
        anew = self._trainer.reload_dataloaders_every_n_epochs
        if not anew or not (self._fit._combined_loader is None or self._fit._should_reload_train_dl):
            real()
            return
        if self._saved is not None:
            generators.put(self._saved["began"] if self._inside else self._saved["random"])
        before = None if self._began is None else generators.take()
        real()
        if before is not None:  # an iterator is made of them here, and another one when the epoch begins
            generators.put(before)

    def _loaders_made(self, real: Callable[[], None]) -> None:
        """Right before the first iterator is made of them. What says where they are is not asked: the pass is drawn again."""
        self._fit._combined_loader_states_to_load = []
        loaders = self._loaders
        place.set_epoch(loaders, self._fit.epoch_progress.current.processed)
        self._streamed = place.streamed(loaders)
        if self._saved is not None and self._streamed:  # this iterator is the one: a stream that was begun may not begin again
            place.put_random(self._saved["began"] if self._inside else self._saved["random"], loaders)
        self._began = place.random_now(loaders)

    def _epoch_comes(self, real: Callable[[], None]) -> None:
        if self._saved is not None and not self._inside and not self._streamed:
            place.put_random(self._saved["random"], self._loaders)
        real()

    def _counts(self, real: Callable[[], None]) -> None:
        if not self._inside:
            real()
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_NOT_RESUMABLE)
            real()
        # All that belongs to the last batch is done, its validation too; so nothing of it is made up for.
        self._epoch.restarting = False
        self._fit._restarting = False

    def _epoch_begins(self, real: Callable[[Any], None], fetcher: Any) -> None:
        loaders = self._loaders
        place.set_epoch(loaders, self._fit.epoch_progress.current.processed)
        saved, self._saved = self._saved, None
        inside, self._inside = self._inside, False
        if saved is not None:
            place.put_gathered(saved["gathered"], self._trainer, self._module)
        if inside:
            self._began = saved["began"]
            if not self._streamed:
                if self._fit.epoch_progress.current.processed == 0:
                    place.let_workers_go(loaders)
                place.put_random(saved["began"], loaders)
        elif not (saved is not None and self._streamed) and (self._fit.epoch_progress.current.processed > 0 or self._began is None):
            self._began = place.random_now(loaders)
        real(fetcher)
        if saved is not None and not self._streamed:
            iter(fetcher)  # the one that is there was made before the random states were put back
        elif inside:
            fetcher.fetched -= saved["batches"]
        if inside:
            for _ in range(saved["batches"]):
                next(fetcher)
            place.put_random(saved["random"], loaders)

    # -- a batch, an epoch is done -------------------------------------------------------------------------------------------

    def _batch_ends(self, real: Callable[[Any], None], fetcher: Any) -> None:
        try:
            real(fetcher)
        except SystemExit:  # SIGTERM, which the library notes and raises here
            if self._trainer.received_sigterm:
                self._save(over=False)
                self._keep.send()
            raise
        step, before = int(self._trainer.global_step), self._step
        if step == before or self._epoch._should_accumulate() or self._epoch.done:
            return
        self._step = step
        if any(self._keep.due(one) for one in range(before + 1, step + 1)):  # a batch may make several steps
            self._save(over=False)

    def _epoch_ends(self, real: Callable[[], None]) -> None:
        stopped_by_signal = None
        try:
            real()
        except SystemExit as error:
            stopped_by_signal = error
        fit, trainer = self._fit, self._trainer
        self._step = int(trainer.global_step)
        stopped = bool(trainer.should_stop and fit._can_stop_early)
        by_epochs = fit.max_epochs not in (None, -1) and fit.epoch_progress.current.processed >= fit.max_epochs
        by_steps = fit.max_steps != -1 and trainer.global_step >= fit.max_steps
        self._save(over=stopped or by_epochs or by_steps, stopped=stopped, ended=True)
        if stopped_by_signal is not None:
            self._keep.send()
            raise stopped_by_signal

    def _save(self, *, over: bool, stopped: bool = False, ended: bool = False) -> None:
        loaders = self._loaders
        done, total = self._epoch.batch_progress.current.ready, self._trainer.num_training_batches
        streams = ended and total == float("inf")
        what = {
            "batches": 0 if ended else done,
            "epoch": self._fit.epoch_progress.current.processed - ended + done / max(done if streams else total, 1),
            "stopped": stopped,
            "began": None if ended else self._began,
            "random": place.random_now(loaders),
            "gathered": place.gathered(self._trainer, self._module),
        }
        self._keep.save(self._trainer, what, over=over)
