"""Where `fit` is in its data: an epoch is opened under seeds of its own, and what was trained on is drawn and let go.

Keras' iterator of batches knows no place. What decides an epoch's order is drawn when the epoch begins, so seeds that follow from
its number make it the same again, in whatever process; then as many batches are drawn as were trained on.
"""

from __future__ import annotations

import contextlib
import queue
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import torch
from blake3 import blake3

from holdfast.errors import ConfigurationError, MadeOtherwise

#: Where Keras holds the generator that is drawn from where no seed was given.
_GLOBAL = "global_seed_generator"


def seed_all(base: int, epoch: int, part: str) -> None:
    """The random states of this process follow from these three. The seed that `get_random_seed` names stays."""
    seed = _seed(base, epoch, part)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _keras_state().set_global_attribute(_GLOBAL, None)  # made anew from Python's random numbers


def _seed(base: int, epoch: int, part: str) -> int:
    return int.from_bytes(blake3(f"{base} {epoch} {part}".encode()).digest(length=4))


def random_now() -> dict[str, Any]:
    """The random states of this process, as `torch.load` takes them back."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    held = _keras_state().get_global_attribute(_GLOBAL)
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "keras": None if held is None else held.state.value.detach().cpu().clone(),
    }


def put_back_random(saved: dict[str, Any]) -> None:
    """The random states are as they were. Those of a device count only where there are as many."""
    random.setstate(saved["python"])
    kind, keys, *rest = saved["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
    held = None
    if saved["keras"] is not None:
        held = keras.random.SeedGenerator(seed=0)
        with torch.no_grad():
            held.state.value.copy_(saved["keras"])
    _keras_state().set_global_attribute(_GLOBAL, held)


def _keras_state() -> Any:
    from keras.src.backend.common import global_state

    return global_state


class Data:
    """The batches of one `fit`.

    Args:
        iterator: Keras' `EpochIterator`.
        base: What the seeds of all epochs follow from.
        epochs: So many there will be.
        drawn: Told of each batch before it is trained on.
    """

    def __init__(self, iterator: Any, base: int, epochs: int, drawn: Callable[[Any], None]) -> None:
        self._iterator = iterator
        self._adapter = iterator.data_adapter
        self._base = base
        self._drawn = drawn
        self._epoch = 0
        self._skip = 0
        self._then: dict[str, Any] | None = None
        self._silent = False
        kind = type(self._adapter).__name__
        if kind == "GeneratorDataAdapter" and not iterator.steps_per_epoch and epochs > 1:
            raise ConfigurationError(
                "a generator without steps_per_epoch: Keras itself does not know where an epoch of it begins, so nobody could go "
                "on there; give steps_per_epoch, or an array, a PyDataset or a DataLoader"
            )
        if kind == "TFDatasetAdapter":
            raise ConfigurationError(
                "a tf.data data set shuffles by itself, and its order cannot be drawn again; give an array, a PyDataset or a "
                "DataLoader"
            )
        self._original = iterator._enumerate_iterator
        iterator._enumerate_iterator = self._enumerate

    @property
    def steps(self) -> int:
        """Batches of an epoch, 0 where nobody knows."""
        return int(self._iterator.num_batches or 0)

    def described(self) -> dict[str, Any]:
        """What of the data decides the weights, as far as it can be told without drawing."""
        shuffle = getattr(self._adapter, "_shuffle", getattr(self._adapter, "shuffle", None))
        return {
            "kind": type(self._adapter).__name__,
            "batch_size": self._adapter.batch_size,
            "samples": getattr(self._adapter, "_num_samples", None),
            "steps_per_epoch": self._iterator.num_batches,
            "shuffle": shuffle if shuffle is None or isinstance(shuffle, str) else bool(shuffle),
        }

    def opens(self, epoch: int, skip: int = 0, then: dict[str, Any] | None = None) -> None:
        """An epoch begins.

        Args:
            epoch: Its number.
            skip: So many of its batches were trained on.
            then: The random states after the last of them.
        """
        self._epoch, self._skip, self._then = epoch, skip, then
        seed_all(self._base, epoch, "data")
        self._forget_stale()
        for held in self._parts():
            generator = getattr(held, "generator", None)
            if isinstance(generator, torch.Generator):  # it knows of no other seeds
                generator.manual_seed(_seed(self._base, epoch, "generator"))
            if callable(getattr(held, "set_epoch", None)):
                held.set_epoch(epoch)

    def catches_up(self, first: int, epoch: int) -> bool:
        """Before an epoch is opened that is not the first: what goes on over epochs is brought where it would be.

        Returns:
            Whether batches of earlier epochs were drawn for that.
        """
        if epoch <= first:
            return False
        if self._iterator.steps_per_epoch or type(self._adapter).__name__ == "GeneratorDataAdapter":
            self._silent = True
            for number in range(first, epoch):
                self.opens(number)
                for _ in self._iterator:
                    pass
            self._silent = False
            return True
        told = getattr(self._adapter, "py_dataset", None)
        if told is not None:  # it may put its samples in another order between epochs
            for number in range(first, epoch):
                self.opens(number)
                told.on_epoch_begin()
                seed_all(self._base, number, "end")
                told.on_epoch_end()
        return False

    def ends(self) -> None:
        """The iterator is Keras' own again."""
        self._iterator._enumerate_iterator = self._original

    def _enumerate(self) -> Iterator[tuple[int, int, Any]]:
        skip, then = self._skip, self._then
        self._skip, self._then = 0, None
        for begin, end, source in self._original():
            if end < skip:
                try:
                    next(source)
                except StopIteration as over:
                    raise MadeOtherwise(
                        f"epoch {self._epoch + 1} had at least {skip} batches when it was cut off, and has {end} now; put the data "
                        "back"
                    ) from over
                if end + 1 == skip and then is not None:
                    put_back_random(then)
            else:
                yield begin, end, source if self._silent else _Watched(source, self._drawn)
            if end + 1 == self.steps:  # what is drawn between epochs follows from the number too
                seed_all(self._base, self._epoch, "end")

    def _forget_stale(self) -> None:
        """Keras' workers leave what they fetched too early for the next epoch, in the order of the one before."""
        workers = getattr(self._adapter, "enqueuer", None)
        if workers is not None and not self._iterator.steps_per_epoch and not workers.is_running():
            with contextlib.suppress(queue.Empty):
                while True:
                    workers.ready_queue.get(block=False)

    def _parts(self) -> list[Any]:
        """What of a DataLoader may draw an order."""
        loader = getattr(self._adapter, "_dataloader", None)
        if loader is None:
            return []
        sampler, batches = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
        found: list[Any] = []
        for part in (loader, sampler, batches, getattr(batches, "sampler", None), loader.dataset):
            if part is not None and not any(part is other for other in found):
                found.append(part)
        return found


class _Watched:
    """The batches of a source; each is told of before it is handed on."""

    def __init__(self, source: Any, drawn: Callable[[Any], None]) -> None:
        self._source = source
        self._drawn = drawn

    def __next__(self) -> Any:
        batch = next(self._source)
        self._drawn(batch)
        return batch


def base_seed() -> int:
    """The seed that was set for Keras, else one drawn from Python's random numbers."""
    found = given_seed()
    return random.getrandbits(31) if found is None else found


def given_seed() -> int | None:
    """The seed that was set by `keras.utils.set_random_seed`."""
    found = _keras_state().get_global_attribute("global_random_seed")
    return None if found is None else int(found)
