"""`transformers.Trainer`: a callback that saves by steps and by time, seals every checkpoint, and tells a watcher."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from holdfast.integrations import checkpoints
from holdfast.integrations.watching import Diverged, Watcher


class Checkpointing(TrainerCallback):
    """Saves between epochs too, and declares a checkpoint whole once all of it is there.

    Saving changes nothing in the training: a run that saves more often gives the same weights.

    Args:
        watcher: Told of steps, scores and whole checkpoints.
        clock: Monotonic seconds.
        steps: Save every so many optimizer steps, or None.
        every: Save when so many seconds have passed since the last checkpoint, or None.
        made_from: Fingerprint of what is trained; stands in every checkpoint.
    """

    def __init__(
        self, watcher: Watcher, clock: Callable[[], float], *, steps: int | None, every: float | None, made_from: str
    ) -> None:
        self._made_from = made_from
        self._watcher = watcher
        self._clock = clock
        self._steps = steps
        self._every = every
        self._last = clock()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Time counts from here."""
        self._last = self._clock()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint where one is due; the end of an epoch saves by itself."""
        self._watcher.stepped(state.global_step, state.max_steps)
        if state.global_step % (state.max_steps // math.ceil(args.num_train_epochs)) == 0:
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
        folder = Path(str(args.output_dir))
        over = control.should_training_stop or state.global_step >= state.max_steps
        best = state.best_global_step or None
        checkpoints.seal(
            folder / f"checkpoint-{state.global_step}", step=state.global_step, best_step=best, over=over, made_from=self._made_from
        )
        checkpoints.rotate(folder, best)
        self._last = self._clock()
        self._watcher.saved(state.global_step, state.max_steps)
