"""Trainings of Lightning, small ones: kept, cut off, and gone on with from objects made anew."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler
from torchdata.stateful_dataloader import StatefulDataLoader

from holdfast.integrations.kept import newest
from tests.support import Machine

RUN = "outputs/run"
SAMPLES = 22


class Gone(BaseException):
    """The machine is."""


class Rows(Dataset[Any]):
    """Samples with their numbers. Some draw from random states when they are read."""

    def __init__(self, count: int = SAMPLES, *, draws: bool = False) -> None:
        generator = torch.Generator().manual_seed(1)
        self.values = torch.randn(count, 4, generator=generator)
        self.draws = draws

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, number: int) -> Any:
        noise = float(torch.rand(())) + random.random() + float(np.random.rand()) if self.draws else 0.0
        return self.values[number] + noise, torch.tensor(number)


class Stream(IterableDataset[Any]):
    """As they come, in an order of the pass."""

    def __init__(self) -> None:
        self.rows, self.epoch = Rows(), 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        return (self.rows[n] for n in torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(self.epoch)).tolist())


class StatefulStream(Stream):
    """The same, and says where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def __iter__(self) -> Iterator[Any]:
        order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        while self.at < SAMPLES:
            self.at += 1
            yield self.rows[order[self.at - 1]]
        self.at = 0

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


class ByEpoch(Sampler[int]):
    """Draws by the number of the pass."""

    def __init__(self) -> None:
        self.epoch = 0

    def __len__(self) -> int:
        return SAMPLES

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(self.epoch)).tolist())


def shuffled(kind: Any = DataLoader, **more: Any) -> Any:
    return kind(more.pop("rows", None) or Rows(), batch_size=4, shuffle=True, **more)


@dataclass(frozen=True)
class Case:
    """One training.

    Args:
        loader: Makes its loader.
        options: Of the Trainer.
        model: Of the model.
        patience: Of early stopping, by the training loss where a pass ends, or by the validation's.
        valid: Whether there is validation.
    """

    loader: Callable[[], Any] = shuffled
    options: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    stops: dict[str, Any] | None = None
    valid: bool = False


CASES = {
    "shuffled": Case(),
    "accumulated, with a partial last batch": Case(options={"accumulate_grad_batches": 4}),
    "drawn with a sample": Case(lambda: shuffled(rows=Rows(draws=True))),
    "a generator of its own": Case(lambda: shuffled(generator=torch.Generator().manual_seed(3))),
    "a sampler by the epoch": Case(lambda: DataLoader(Rows(), batch_size=4, sampler=ByEpoch())),
    "a sampler by the epoch, stateful": Case(lambda: StatefulDataLoader(Rows(), batch_size=4, sampler=ByEpoch())),
    "stateful, a generator of its own": Case(lambda: shuffled(StatefulDataLoader, generator=torch.Generator().manual_seed(3))),
    "stateful": Case(lambda: shuffled(StatefulDataLoader)),
    "streamed": Case(lambda: DataLoader(Stream(), batch_size=4)),
    "streamed, stateful": Case(lambda: StatefulDataLoader(StatefulStream(), batch_size=4)),
    "validated inside a pass": Case(options={"val_check_interval": 2}, valid=True),
    "a plateau by steps": Case(options={"val_check_interval": 2}, model={"plateau": "step"}, valid=True),
    "a plateau by passes": Case(model={"plateau": "epoch"}, valid=True),
    "stopped by a validation of the pass before": Case(
        options={"check_val_every_n_epoch": 2, "max_epochs": 5},
        valid=True,
        stops={"monitor": "valid", "patience": 1, "min_delta": 9.0, "check_on_train_epoch_end": True, "strict": False},
    ),
    "stopped early": Case(stops={"monitor": "train", "patience": 1, "min_delta": 9.0, "check_on_train_epoch_end": True}),
    "stopped by the validation": Case(valid=True, stops={"monitor": "valid", "patience": 1, "min_delta": 9.0}),
    "ended by steps": Case(options={"max_steps": 9}),
    "by steps over passes": Case(options={"max_steps": 18, "max_epochs": -1}),
    "optimized by hand": Case(model={"by_hand": True}),
    "mixed precision": Case(options={"precision": "bf16-mixed"}),
    "loaders made anew": Case(options={"reload_dataloaders_every_n_epochs": 1}),
}
#: Those that are cut off once in CI; all of them, and the workers', in `make torture`.
MANY = (
    "shuffled",
    "accumulated, with a partial last batch",
    "drawn with a sample",
    "a generator of its own",
    "a sampler by the epoch, stateful",
    "streamed, stateful",
    "a plateau by steps",
    "stopped by a validation of the pass before",
    "stopped by the validation",
    "ended by steps",
    "mixed precision",
)
WORKERS = {
    "two workers": Case(lambda: shuffled(num_workers=2)),
    "two workers, drawn with a sample": Case(lambda: shuffled(num_workers=2, rows=Rows(draws=True))),
    "two workers, a sampler by the epoch": Case(lambda: DataLoader(Rows(), batch_size=4, sampler=ByEpoch(), num_workers=2)),
    "two workers that stay": Case(lambda: shuffled(num_workers=2, persistent_workers=True)),
    "two workers, stateful": Case(lambda: shuffled(StatefulDataLoader, num_workers=2)),
}


class Model(pl.LightningModule):
    """A linear layer behind dropout, which logs its loss."""

    def __init__(self, plateau: str | None = None, *, by_hand: bool = False, lr: float = 0.05, width: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Dropout(0.3), torch.nn.Linear(width, 1))
        self.automatic_optimization = not by_hand
        self.seen: list[tuple[int, ...]] = []
        self.until: int | None = None
        self.tell: Callable[[int], None] | None = None

    def training_step(self, batch: Any, number: int) -> torch.Tensor | None:
        x, ids = batch
        if self.tell is not None:
            self.tell(self.global_step + 1)
        if self.until is not None and self.global_step + 1 >= self.until:
            raise Gone
        self.seen.append(tuple(ids.tolist()))
        loss = ((self.net(x) - x.sum(1, keepdim=True)) ** 2).mean()
        self.log("train", loss, on_step=False, on_epoch=True)
        if self.automatic_optimization:
            return loss
        self.manual_backward(loss)  # two batches for one step
        if number % 2:
            optimizer = self.optimizers()
            optimizer.step()
            optimizer.zero_grad()
        return None

    def validation_step(self, batch: Any, number: int) -> None:
        x, _ = batch
        self.log("valid", ((self.net(x + torch.randn_like(x)) - x.sum(1, keepdim=True)) ** 2).mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams["lr"])
        if not (by := self.hparams["plateau"]):
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
        every = {"interval": by, "frequency": 2 if by == "step" else 1, "monitor": "valid", "scheduler": schedule}
        return {"optimizer": optimizer, "lr_scheduler": every}


@dataclass
class Outcome:
    """What a training came to."""

    weights: dict[str, torch.Tensor]
    optimizer: Any
    seen: list[tuple[int, ...]]
    started: int
    reached: int
    metrics: dict[str, float]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "pytorch_lightning", "lightning.fabric")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.setLevel(logging.ERROR)
        yield
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


def train(machine: Machine, case: Case, until: int | None = None, **more: Any) -> Outcome:
    """From where it was left on, to its end or until this step is under way."""
    from holdfast.lightning import Keep

    with quiet():
        pl.seed_everything(5)
        model = more.pop("module", None) or Model(**{**case.model, **more.pop("model", {})})
        model.until, model.tell = until, more.pop("tell", None)
        callbacks = [] if case.stops is None else [EarlyStopping(**case.stops)]
        callbacks += more.pop("callbacks", [])
        keep = Keep(more.pop("path", RUN), machine.keep, every=None, steps=2, guard=more.pop("guard", True))
        found = newest(machine.keep, RUN)
        options = {
            "max_epochs": 3,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "accelerator": "cpu",
        }
        trainer = pl.Trainer(
            callbacks=[keep, *callbacks],
            default_root_dir=machine.root,
            **{**options, "num_sanity_val_steps": 1, **case.options, **more.pop("options", {})},
        )
        started = 0 if found is None else found.step
        valid = DataLoader(Rows(6), batch_size=3) if case.valid else None
        loader = more.pop("loader", case.loader)()
        at = more.pop("ckpt_path", None if found is None else str(found.place))
        with contextlib.suppress(Gone):
            trainer.fit(model, loader, valid, ckpt_path=at)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    state = trainer.optimizers[0].state_dict() if trainer.optimizers else None
    return Outcome(weights, state, model.seen, started, trainer.global_step, metrics)


def main(root: str, drive: str, name: str) -> None:
    """A process of its own: says each step, and goes on only when it is told to."""

    def tell(step: int) -> None:
        print(step, flush=True)
        sys.stdin.readline()

    train(Machine(Path(root), Path(drive)), {**CASES, **WORKERS}[name], tell=tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
