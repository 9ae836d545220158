"""A tiny training loop, its loaders, and machines that it is cut off on."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset, WeightedRandomSampler

from holdfast.integrations.loop import Training
from holdfast.session.keeper import Keeper

SAMPLES = 22
Made = dict[str, Any]


class Drawing(Dataset[torch.Tensor]):
    """Each look draws from all three global random states, and from a generator of its own."""

    def __init__(self) -> None:
        self.own = np.random.default_rng(3)

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, at: int) -> torch.Tensor:
        noise = random.random() + np.random.random() + float(torch.rand(())) + self.own.random()
        return torch.tensor([float(at), noise])


class Counted(BatchSampler):
    """Another order in each pass, by a count of its own that no state keeps."""

    def __init__(self) -> None:
        super().__init__(range(SAMPLES), 4, False)
        self.passes = 0

    def __iter__(self) -> Iterator[list[int]]:
        self.passes += 1
        order = random.Random(self.passes).sample(range(SAMPLES), SAMPLES)
        return iter([order[i : i + 4] for i in range(0, SAMPLES, 4)])


class Stream(IterableDataset[torch.Tensor]):
    """No length, another order by a random number, and in two workers each its share."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        info = torch.utils.data.get_worker_info()
        mine = range(0 if info is None else info.id, SAMPLES, 1 if info is None else info.num_workers)
        for at in torch.randperm(len(mine)).tolist():
            yield torch.tensor([float(mine[at]), 0.0])


class Placed(Stream):
    """Keeps its place on itself, and begins anew only at its end."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[torch.Tensor]:
        while self.at < SAMPLES:
            self.at += 1
            yield torch.tensor([float(self.at - 1), 0.0])
        self.at = 0

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def table() -> TensorDataset:
    return TensorDataset(torch.stack([torch.arange(SAMPLES).float(), torch.zeros(SAMPLES)], 1))


def stateful(*args: Any, **options: Any) -> Any:
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(*args, **options)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def streamed(buffer: int = 0) -> Any:
    import datasets

    found = datasets.Dataset.from_dict({"x": [[float(i), 0.0] for i in range(SAMPLES)]}).to_iterable_dataset().with_format("torch")
    return found.shuffle(seed=1, buffer_size=buffer) if buffer else found


class Pairs(list[torch.Tensor]):
    """Batches in a list."""


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffle": lambda: DataLoader(table(), 4, shuffle=True),
    "shuffle, generator": lambda: DataLoader(table(), 4, shuffle=True, generator=generator()),
    "with replacement, generator": lambda: DataLoader(
        table(), 4, sampler=RandomSampler(table(), True, 40, generator=generator()), drop_last=True
    ),
    "weighted": lambda: DataLoader(table(), 4, sampler=WeightedRandomSampler([1.0 + i for i in range(SAMPLES)], 30)),
    "batch sampler that counts": lambda: DataLoader(table(), batch_sampler=Counted()),
    "draws in getitem": lambda: DataLoader(Drawing(), 4, shuffle=True),
    "no batches": lambda: DataLoader(Drawing(), None, shuffle=True),
    "list": lambda: Pairs(torch.arange(SAMPLES).float().unsqueeze(1).repeat(1, 2).split(4)),
    "stream": lambda: DataLoader(Stream(), 4),
    "datasets": lambda: DataLoader(streamed(), 4),
    "datasets, buffer": lambda: DataLoader(streamed(8), 4),
    "stateful": lambda: stateful(table(), 4, shuffle=True),
    "stateful, generator": lambda: stateful(table(), 4, shuffle=True, generator=generator()),
    "stateful, batch sampler that counts": lambda: stateful(table(), batch_sampler=Counted()),
    "stateful, draws in getitem": lambda: stateful(Drawing(), 4, shuffle=True),
    "stateful, place on the data set": lambda: stateful(Placed(), 4),
    "stateful, datasets": lambda: stateful(streamed(), 4),
    "stateful, datasets, buffer": lambda: stateful(streamed(8), 4),
}
WITH_WORKERS: dict[str, Callable[[], Any]] = {
    "two workers": lambda: DataLoader(table(), 4, shuffle=True, num_workers=2),
    "two workers that last": lambda: DataLoader(table(), 4, shuffle=True, num_workers=2, persistent_workers=True),
    "two workers that last, counts": lambda: DataLoader(table(), batch_sampler=Counted(), num_workers=2, persistent_workers=True),
    "two workers, stream": lambda: DataLoader(Stream(), 4, num_workers=2),
    "two workers, generator": lambda: DataLoader(table(), 4, shuffle=True, num_workers=2, generator=generator()),
    "two workers, stateful": lambda: stateful(table(), 4, shuffle=True, num_workers=2),
    "two workers, stateful, place on the data set": lambda: stateful(Placed(), 4, num_workers=2),
}


def make(loader: Callable[[], Any]) -> Made:
    """All of it anew, as a script does when it starts."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    scheduler = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9),
        ],
        [3],
    )
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader()}


class Cut(Exception):
    """The machine is gone."""


def learn(run: Training, made: Made, seen: dict[int, list[float]], *, until: int | None = None, accumulate: int = 1) -> None:
    """The loop of a script, and what it saw."""
    model, optimizer, scheduler = made["model"], made["optimizer"], made["scheduler"]
    for batches in run.passes():
        for batch in batches:
            if until is not None and run.step > until:
                raise Cut
            x = batch[0] if isinstance(batch, list) else batch["x"] if isinstance(batch, dict) else batch
            x = x.unsqueeze(0).repeat(2, 1) if x.ndim == 1 else x
            seen[run.step] = x.flatten().tolist()
            loss = (model(x / 10) - x[:, :1] / 10 + random.random() * 0.01).square().mean()
            (loss / accumulate).backward()
            if run.step % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
        scheduler.step()
        run.notes.setdefault("rates", []).append(scheduler.get_last_lr()[0])


def weights(made: Made) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in made["model"].state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def opened(keeper: Keeper, made: Made, **options: Any) -> Training:
    return Training("outputs/run", keeper, **{"epochs": 3, "every": None, "steps": 2, **made, **options})


def cut_off(
    machines: Iterator[Keeper], loader: Callable[[], Any], cuts: list[int], **options: Any
) -> tuple[Made, dict[int, list[float]]]:
    """Train, cut off in the batch after each of these steps; each time on a machine that was never used."""
    seen: dict[int, list[float]] = {}
    accumulate = options.pop("accumulate", 1)
    for until in [*cuts, None]:
        made = make(loader)
        run = opened(next(machines), made, **options)
        run.__enter__()  # a machine that is taken away leaves nothing by its end
        try:
            learn(run, made, seen, until=until, accumulate=accumulate)
        except Cut:
            run._termination.leave()
            continue
        run.__exit__(None, None, None)
    return made, seen


def fresh(rig: Any) -> Iterator[Keeper]:
    return (rig.machine().keep for _ in itertools.count())
