"""`transformers.Trainer`: a callback that saves by steps and by time, seals every checkpoint, and tells a watcher.

With a Trainer of your own::

    trainer = Trainer(..., callbacks=[Checkpointing()])
    trainer.train(resume_from_checkpoint=resume_from(args.output_dir, keep))
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from holdfast.errors import ConfigurationError, NotRestored
from holdfast.integrations import checkpoints
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.resuming import Wanted, clear_the_way, search
from holdfast.integrations.watching import Copies, Diverged, Watcher
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)


def resume_from(folder: str | Path, keeper: Keeper | None = None, *, made_from: str | None = None, best: bool = True) -> str | None:
    """Where a Trainer goes on: what to give `trainer.train(resume_from_checkpoint=...)`; None to begin from the beginning.

    It is the newest checkpoint that `Checkpointing` sealed and that is whole, here or in the store. Whatever is newer and does not
    serve is moved aside, and what has to be done again for it is said before.

    Args:
        folder: The Trainer's `output_dir`.
        keeper: What is damaged here is fetched from its store.
        made_from: The fingerprint that was given to `Checkpointing`; checkpoints of another do not serve. None takes any.
        best: A checkpoint whose best weights are lost does not serve.

    Raises:
        NotRestored: nothing serves here, and the store cannot be read now.
    """
    place, wanted = Path(folder), Wanted(None if made_from is None else made_from.__eq__, best)
    copies, told = Copies() if keeper is None else KeptCopies(keeper), Watcher().told
    found = search(place, copies, told, wanted)
    if found.start is None and found.unknown:
        why = "; ".join(str(p) for p in found.passed)
        raise NotRestored(f"{place}: no checkpoint can be gone on with ({why}); run again when the store can be read")
    clear_the_way(place, found, copies, told, wanted)
    return None if found.start is None else str(found.start.folder)


class Checkpointing(TrainerCallback):
    """Saves between epochs too, and declares a checkpoint whole once all of it is there.

    Saving changes nothing in the training: a run that saves more often gives the same weights.

    Args:
        watcher: Told of steps, scores and whole checkpoints. Default: nobody.
        clock: Monotonic seconds.
        steps: Save every so many optimizer steps, or None.
        every: Save when so many seconds have passed since the last checkpoint, or None.
        made_from: Fingerprint of what is trained; stands in every checkpoint.
    """

    def __init__(
        self,
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        steps: int | None = None,
        every: float | None = None,
        made_from: str = "",
    ) -> None:
        self._made_from = made_from
        self._watcher = watcher or Watcher()
        self._clock = clock
        self._steps = steps
        self._every = every
        self._last = self._began = clock()
        self._before: float | None = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Time counts from here. Rotation is ours: the Trainer's goes by the times of files, and may leave one checkpoint.

        Raises:
            ConfigurationError: checkpoints would hold nothing but weights.
        """
        if args.save_only_model:
            raise ConfigurationError("save_only_model: nobody could go on with such checkpoints; leave it out")
        if args.save_total_limit is not None:
            log.warning("save_total_limit is left to Holdfast, which keeps the newest two checkpoints and the best of each")
            args.save_total_limit = None
        self._last = self._began = self._clock()
        self._before = 0.0
        folder = Path(str(args.output_dir))
        if state.global_step:
            gone_on_with = checkpoints.sealed(folder / f"checkpoint-{state.global_step}")
            self._before = None if gone_on_with is None else gone_on_with.seconds
        best = folder / f"checkpoint-{state.best_global_step}"
        if state.best_global_step and best.is_dir():  # its path is of this machine, so no checkpoint holds it
            state.best_model_checkpoint = str(best)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint where one is due; the end of an epoch saves by itself."""
        self._watcher.stepped(state.global_step, state.max_steps)
        if state.global_step % max(state.max_steps // math.ceil(args.num_train_epochs), 1) == 0:
            return
        by_steps = self._steps is not None and state.global_step % self._steps == 0
        by_time = self._every is not None and self._clock() - self._last >= self._every
        if by_steps or by_time or self._watcher.wants_to_stop():
            control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Stop where the loss is no number: every later step would be lost time.

        Raises:
            Diverged: it is.
        """
        for name in ("loss", "eval_loss", "train_loss"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(value):
                raise Diverged(f"{name} is {value} at step {state.global_step}; a smaller learning rate may help")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Hand on the scores of an epoch."""
        scores = {k.removeprefix("eval_"): float(v) for k, v in (metrics or {}).items()}
        self._watcher.scored(round(state.epoch or 0), scores)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal what the Trainer has just written, let old checkpoints go, and hand on."""
        folder, now = Path(str(args.output_dir)), self._clock()
        over = control.should_training_stop or state.global_step >= state.max_steps
        checkpoints.seal(
            folder / f"checkpoint-{state.global_step}",
            step=state.global_step,
            best_step=state.best_global_step or None,
            over=over,
            made_from=self._made_from,
            total=state.max_steps,
            epochs=(float(state.epoch or 0), float(args.num_train_epochs)),
            seconds=None if self._before is None else self._before + now - self._began,
        )
        checkpoints.rotate(folder, state.global_step)
        self._last = self._clock()
        self._watcher.saved(state.global_step, state.max_steps)
