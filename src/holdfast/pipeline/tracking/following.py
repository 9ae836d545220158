"""Follows a `transformers.Trainer`: what it logs goes into the journal, and the journal into each checkpoint.

The loss is counted here once more. The Trainer means it over the steps since the last log, and forgets what it had when it is cut
off; here the sum lies in the checkpoint, so the next figure is that of a training that was never interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from holdfast.integrations.checkpoints import STATE
from holdfast.pipeline.layout import JOURNAL
from holdfast.pipeline.tracking.journal import (
    Journal,
    TrackedRun,
    Window,
    from_history,
    metrics_of,
    read_journal,
    write_journal,
)


def journal_at(checkpoint: Path | None, run: TrackedRun, parameters: Mapping[str, Any]) -> Journal:
    """The journal as far as a checkpoint has come; an empty one without it.

    Args:
        checkpoint: Its folder.
        run: What the training is called.
        parameters: How it is trained.
    """
    if checkpoint is None:
        return Journal(run, parameters)
    kept = read_journal(checkpoint / JOURNAL)
    if kept is not None:
        return replace(kept, run=run, parameters=parameters)
    try:
        history = json.loads((checkpoint / STATE).read_bytes())["log_history"]
        return from_history(run, parameters, history, time.time())
    except (OSError, ValueError, KeyError, TypeError):
        return Journal(run, parameters)


class Following(TrainerCallback):
    """Keeps the journal of one training. It comes before the callback that seals checkpoints, as its file is in them.

    Args:
        journal: As far as the training has come.
        folder: Of the training; the journal lies there, too, once its checkpoints are gone.
        logged: Told where the journal lies when it has new rows, before the checkpoint that has them is sealed.
    """

    def __init__(self, journal: Journal, folder: Path, logged: Callable[[Path], None]) -> None:
        self._journal = journal
        self._folder = folder
        self._logged = logged
        self._sum: Any = None

    def counting(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """The loss function of the Trainer, counted. Without gradients it is an evaluation."""
        import torch

        def counted(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
            loss = compute(outputs, labels, num_items_in_batch)
            if loss.requires_grad:
                step = loss.detach()
                if self._sum is None:
                    self._sum = torch.tensor(self._journal.window.loss, dtype=step.dtype, device=step.device)
                self._sum = self._sum + step
            return loss

        return counted

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Write down what was logged, with the loss over all steps since it was logged last."""
        found = dict(logs or {})
        if "loss" in found:
            window = self._window()
            found["loss"] = window.loss / max(state.global_step - window.since, 1)
            self._journal = replace(self._journal, window=Window(state.global_step))
            self._sum = None
        self._journal = self._journal.with_logged(state.global_step, time.time(), metrics_of(found))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Put the journal into the checkpoint that was written just now, and tell of it."""
        self._journal = replace(self._journal, window=self._window())
        write_journal(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / JOURNAL, self._journal)
        self.write()
        self._logged(self._folder / JOURNAL)

    def write(self) -> None:
        """Write the journal beside the checkpoints, with all that was logged, also after the last of them."""
        write_journal(self._folder / JOURNAL, self._journal)

    def finish(self) -> None:
        """The training is over: its run is, too."""
        self._journal = replace(self._journal, ended="FINISHED")
        self.write()
        self._logged(self._folder / JOURNAL)

    def _window(self) -> Window:
        window = self._journal.window
        return window if self._sum is None else Window(window.since, float(self._sum))
