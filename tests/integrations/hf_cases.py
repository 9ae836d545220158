"""Small trainings of a Trainer, each with one thing that a resume may lose; cut off at a step, and gone on with elsewhere."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from holdfast.integrations.kept import newest
from holdfast.pipeline.quiet import quiet
from tests.support import Machine

RUN = "outputs/run"
STEPS = 2  #: between two checkpoints


class Gone(BaseException):
    """The machine is."""


class Model(torch.nn.Module):
    """A few weights and dropout. It remembers which samples it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.dropout = torch.nn.Dropout(0.3)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor, labels: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Squared error."""
        if self.training:
            self.seen.append(tuple(ids.tolist()))
        out = self.layer(self.dropout(x)).squeeze(-1)
        return {"loss": ((out - labels) ** 2).mean(), "logits": out}


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """As many as are asked for, changed at random where that is asked for."""

    def __init__(self, count: int, draws: Callable[[], float] = lambda: 0.0) -> None:
        self.x = torch.randn(count, 3, generator=torch.Generator().manual_seed(3))
        self.draws = draws

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> dict[str, Any]:
        x = self.x[number]
        return {"x": x + self.draws(), "labels": x.sum(), "ids": number, "input_ids": [0] * (1 + number * 7 % 11)}


class Stream(IterableDataset[dict[str, Any]]):
    """Rows in the order of their pass, without a length."""

    def __init__(self, count: int) -> None:
        self.rows = Rows(count, draw_all)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(self.epoch)).tolist()
        return (self.rows[i] for i in order)


class SizedStream(Stream):
    """The same, with a length."""

    def __len__(self) -> int:
        return len(self.rows)


class Masking:
    """A collator that leaves out at random, as language modelling does."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.generator: Any = None

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = collate(rows)
        if self.generator is None and self.kind == "torch":
            self.generator = torch.Generator().manual_seed(9)
        if self.generator is None and self.kind == "numpy":
            self.generator = np.random.default_rng(9)
        shape = batch["x"].shape
        mask = torch.tensor(self.generator.random(shape)) if self.kind == "numpy" else torch.rand(shape, generator=self.generator)
        batch["x"] = batch["x"] * (mask < 0.7)
        return batch


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    columns = {name: [row[name] for row in rows] for name in ("x", "labels", "ids")}
    return {"x": torch.stack(columns["x"]), "labels": torch.stack(columns["labels"]), "ids": torch.tensor(columns["ids"])}


def draw_all() -> float:
    return random.random() + float(np.random.rand()) + float(torch.rand(()))


@dataclass(frozen=True)
class Case:
    """One training.

    Args:
        options: Of the arguments.
        data: What is trained on.
        collator: Makes batches.
        patience: Of early stopping.
        steps: Between two checkpoints.
    """

    options: dict[str, Any] = field(default_factory=dict)
    data: Callable[[], Any] = lambda: Rows(22)
    collator: Callable[[], Any] = lambda: collate
    patience: int = 0
    steps: int | None = STEPS


#: The first evaluation is the best.
_EARLY = {"eval_strategy": "epoch", "greater_is_better": True, "num_train_epochs": 6}

#: 22 samples, batches of 4: 6 a pass.
CASES = {
    "shuffled": Case(),
    "accumulation with a partial last batch": Case({"gradient_accumulation_steps": 4, "num_train_epochs": 5}),
    "length grouping": Case({"train_sampling_strategy": "group_by_length"}),
    "an order of the global random state": Case({"accelerator_config": {"use_seedable_sampler": False}}),
    "masks of the collator": Case(collator=lambda: Masking("global")),
    "masks of the collator, accumulated": Case({"gradient_accumulation_steps": 2}, collator=lambda: Masking("global")),
    "masks under the collator's own seed": Case(collator=lambda: Masking("torch")),
    "masks under the collator's own seed of numpy": Case(collator=lambda: Masking("numpy")),
    "drawn with a sample": Case(data=lambda: Rows(22, draw_all)),
    "a stream without a length": Case({"max_steps": 18}, data=lambda: Stream(22)),
    "a stream without a length, accumulated": Case({"max_steps": 12, "gradient_accumulation_steps": 2}, data=lambda: Stream(22)),
    "a stream with a length": Case(data=lambda: SizedStream(22)),
    "evaluated at each epoch's end": Case({"eval_strategy": "epoch", "save_strategy": "steps", "save_steps": 3}, steps=None),
    "the best at the end": Case(
        {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True, "save_total_limit": 1}
    ),
    "a schedule": Case({"lr_scheduler_type": "cosine", "warmup_steps": 4, "max_grad_norm": 0.5}),
    "bfloat16": Case({"bf16": True}),
    "early stopping": Case({**_EARLY}, patience=3),
    "early stopping amid an epoch, the best at the end": Case(
        {
            **_EARLY,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_strategy": "steps",
            "save_steps": 2,
            "load_best_model_at_end": True,
        },
        patience=5,
        steps=None,
    ),
    "steps that end amid an epoch": Case({"max_steps": 10}),
}
#: What a resume loses without `Keep`, as many at once as go together.
MANY = {
    "grouped by length, masked, drawn with the sample, accumulated with a partial last batch": Case(
        {"train_sampling_strategy": "group_by_length", "gradient_accumulation_steps": 4, "num_train_epochs": 5},
        data=lambda: Rows(22, draw_all),
        collator=lambda: Masking("numpy"),
    ),
    **{
        name: CASES[name]
        for name in ("a stream without a length, accumulated", "early stopping", "masks under the collator's own seed")
    },
}
WORKERS = {
    "shuffled, 2 workers": Case({"dataloader_num_workers": 2}),
    "a stream, 2 workers": Case({"dataloader_num_workers": 2, "max_steps": 18}, data=lambda: Stream(22)),
}


@dataclass
class Outcome:
    """What a training came to."""

    weights: dict[str, torch.Tensor]
    seen: list[tuple[int, ...]]
    started: int
    reached: int
    evaluated: list[tuple[int, float]]
    best: int | None = None


def train(machine: Machine, case: Case, until: int | None = None, **more: Any) -> Outcome:
    """From where it was left on, to its end or until this step is under way."""
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

    from holdfast.hf import Keep

    class Cut(TrainerCallback):  # type: ignore[misc]
        started = reached = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.started = self.reached = state.global_step
            self.evaluated: list[tuple[int, float]] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.reached = state.global_step
            if tell is not None:
                tell(state.global_step)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step + 1 == terminated:
                signal.raise_signal(signal.SIGTERM)
            if state.global_step + 1 == until:
                raise Gone

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            self.evaluated.append((state.global_step, metrics["eval_loss"]))

    keep = more.pop("keep", True)
    tell = more.pop("tell", None)
    terminated = more.pop("terminated", None)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_seed(5)
        settings = {
            "num_train_epochs": 3,
            "per_device_train_batch_size": 4,
            "learning_rate": 0.05,
            "save_strategy": "no",
            "metric_for_best_model": "loss",
            "greater_is_better": False,
            "logging_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "remove_unused_columns": False,
            "dataloader_pin_memory": False,
        }
        cut = Cut()
        callbacks: list[Any] = [cut]
        if case.patience:
            callbacks.append(EarlyStoppingCallback(case.patience))
        path = more.pop("path", RUN)
        if keep:
            callbacks.append(Keep(path, machine.keep, every=None, steps=case.steps, guard=more.pop("guard", True)))
        data, collator = more.pop("data", case.data), more.pop("collator", case.collator)
        model = more.pop("model", Model)()
        trainer = Trainer(
            model,
            TrainingArguments(output_dir=str(machine.root / RUN), **{**settings, **case.options, **more}),
            train_dataset=data(),
            eval_dataset=Rows(4),
            data_collator=collator(),
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)
        found = newest(machine.keep, RUN) if keep else None
        with contextlib.suppress(Gone):
            trainer.train(resume_from_checkpoint=None if found is None else str(found.place))
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return Outcome(weights, model.seen, cut.started, cut.reached, cut.evaluated, trainer.state.best_global_step)


def main(root: str, drive: str, name: str, until: str = "0") -> None:
    """A process of its own: says each step, and goes on only when it is told to. At the end a rank leaves its weights."""

    def tell(step: int) -> None:
        print(step, flush=True)
        sys.stdin.readline()

    outcome = train(Machine(Path(root), Path(drive)), {**CASES, **MANY, **WORKERS}[name], int(until) or None, tell=tell)
    torch.save((outcome.weights, outcome.seen), Path(root) / f"rank-{os.environ.get('RANK', '0')}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
