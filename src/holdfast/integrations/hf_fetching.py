"""The loader of a Trainer, watched: before which random states each batch is fetched, in what order, and where it goes on.

accelerate's loader fetches one batch ahead, so a batch that is trained on after a checkpoint was fetched before it, from random
states of then. What is drawn while a batch is fetched (masks of a collator, changes of a data set) is drawn again from those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import BatchSampler, IterableDataset, get_worker_info

from holdfast.integrations import hf_random
from holdfast.integrations.hf_random import State


@dataclass(frozen=True)
class Place:
    """Where in its data a training stands.

    Args:
        passes: So many passes over the data are done.
        began: Steps done when this pass began.
        done: Batches of this pass that were trained on.
        epoch: The random states as this pass began.
        before: Those before a batch was fetched, by its number in the pass, as far as it was fetched ahead.
        now: Those at the checkpoint.
    """

    passes: int
    began: int
    done: int
    epoch: State
    before: Mapping[int, State]
    now: State


class Fetches:
    """Follows what one loader fetches. `loader` is what a Trainer iterates, or skips in."""

    def __init__(self, loader: Any, ahead: int) -> None:
        self.loader = loader
        self.base = getattr(loader, "base_dataloader", loader)
        self.streamed = isinstance(self.base.dataset, IterableDataset)
        self.followed = not self.base.num_workers
        self.passes_before = 0
        self._ahead = ahead + 2
        self._before: dict[int, State] = {}
        self._resumed: Place | None = None
        self._after: State | None = None
        self._collate: Callable[[Any], Any] | None = None
        self._wrap()

    @property
    def sized(self) -> bool:
        """Whether the loader says how many batches a pass has."""
        try:
            len(self.loader)
        except (TypeError, NotImplementedError):
            return False
        return True

    def begins(self, place: Place | None = None) -> None:
        """A pass begins, or goes on at a place."""
        self._before = {}
        self._after = None
        self._resumed = place if self.followed else None
        if self._resumed is not None and self._collate is None:
            self._collate = self.base.collate_fn
            object.__setattr__(self.base, "collate_fn", _Collating(self._collate, self))

    def went_on(self) -> State | None:
        """After the first batches of a pass that goes on were fetched: the states as fetching left them."""
        if self._collate is not None:
            object.__setattr__(self.base, "collate_fn", self._collate)
            self._collate = None
        resumed, self._resumed = self._resumed, None
        after, self._after = self._after, None
        return after if resumed is None else resumed.now

    def empty(self) -> None:
        """Nothing more is given, whoever iterates."""
        kind = type(self.loader)
        empty = type(kind.__name__, (kind,), {"__iter__": lambda _: iter(())})
        vars(object)["__class__"].__set__(self.loader, empty)  # accelerate's loaders hide their own class

    def ahead_of(self, done: int) -> dict[int, State]:
        """Of the batches that were fetched and not trained on: the states before."""
        return {number: state for number, state in self._before.items() if number >= done}

    def before(self, number: int) -> None:
        """A batch is fetched next."""
        if not self.followed or get_worker_info() is not None:
            return
        resumed = self._resumed
        if resumed is not None:
            if number < resumed.done:
                return
            known = resumed.before.get(number)
            hf_random.put(resumed.now if known is None else known, self.base)
            if known is None:
                self._resumed, self._after = None, resumed.now
        self._before[number] = hf_random.take(self.base)
        self._before.pop(number - self._ahead, None)

    def after(self) -> None:
        """A batch was fetched."""
        if self._resumed is None:
            self._after = hf_random.take(self.base)

    def _wrap(self) -> None:
        base = self.base
        if self.streamed:
            kind = _SizedStream if hasattr(base.dataset, "__len__") else _Stream
            object.__setattr__(base, "dataset", kind(_unwrapped(base.dataset), self, base.batch_size or 1))
        elif base.batch_sampler is not None:
            object.__setattr__(base, "batch_sampler", _Batches(_unwrapped(base.batch_sampler), self))
        else:
            object.__setattr__(base, "sampler", _Batches(_unwrapped(base.sampler), self))


def _unwrapped(value: Any) -> Any:
    return value.stands_for if isinstance(value, _Batches | _Stream) else value


class _Batches(BatchSampler):
    """A batch sampler that says which batch is asked for next."""

    def __init__(self, inner: Any, fetches: Fetches) -> None:
        self.stands_for = inner
        self._fetches = fetches

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.stands_for)
        number = 0
        while True:
            self._fetches.before(number)
            try:
                batch = next(batches)
            except StopIteration:
                return
            yield batch
            number += 1

    def __len__(self) -> int:
        return len(self.stands_for)

    def __getattr__(self, name: str) -> Any:
        if name in ("stands_for", "_fetches"):
            raise AttributeError(name)
        return getattr(self.stands_for, name)


class _Stream(IterableDataset[Any]):
    """A streamed data set that says when a batch's first row is asked for, and knows the pass that it goes on in."""

    def __init__(self, inner: Any, fetches: Fetches, batch: int) -> None:
        self.stands_for = inner
        self._fetches = fetches
        self._batch = batch

    def __iter__(self) -> Iterator[Any]:
        rows = iter(self.stands_for)
        number = 0
        while True:
            if number % self._batch == 0:
                self._fetches.before(number // self._batch)
            try:
                row = next(rows)
            except StopIteration:
                return
            yield row
            number += 1

    def set_epoch(self, epoch: int) -> None:
        """Told to what is streamed, counted over the whole training."""
        if hasattr(self.stands_for, "set_epoch"):
            self.stands_for.set_epoch(epoch + self._fetches.passes_before)

    def __getattr__(self, name: str) -> Any:
        if name in ("stands_for", "_fetches"):
            raise AttributeError(name)
        return getattr(self.stands_for, name)


class _SizedStream(_Stream):
    def __len__(self) -> int:
        return len(self.stands_for)


class _Collating:
    """A collator that says when a batch is there."""

    def __init__(self, inner: Any, fetches: Fetches) -> None:
        self.stands_for = inner
        self._fetches = fetches

    def __call__(self, rows: Any) -> Any:
        batch = self.stands_for(rows)
        self._fetches.after()
        return batch
