"""The order of a loader's batches, and how a training comes back to its place in a pass over them.

Three ways, by what a loader is:

- a DataLoader over data that is looked up by number: the order is drawn again, and what is done is passed over without loading it;
- a loader that keeps its own place (`state_dict`): that is loaded;
- anything else: the pass is drawn again from its beginning, and what is done is thrown away.

In all three the random states are those of the pass's beginning while that happens, and those of the checkpoint after it.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from holdfast.errors import ConfigurationError, MadeOtherwise
from holdfast.integrations.sources import Sources

log = logging.getLogger(__name__)


def places_of(loader: Any, what: str) -> Places:
    """The places of a loader's batches.

    Raises:
        ConfigurationError: its batches come only once, or in an order that depends on time.
    """
    if hasattr(loader, "__next__"):
        raise ConfigurationError(
            f"{what}: loader= gives its batches only once; give what can be passed over again, as a DataLoader"
        )
    if not isinstance(loader, DataLoader):
        return OwnPlace(loader, what) if _keeps_its_place(loader) else Places(loader, what)
    if loader.num_workers > 1 and not getattr(loader, "in_order", True):
        raise ConfigurationError(f"{what}: in_order=False gives batches in the order in which workers end; leave it out")
    dataset = loader.dataset
    own = _keeps_its_place(loader)
    if own and _keeps_its_place(dataset) and not _has_buffer(dataset):
        return OwnPlace(loader, what)
    plain = type(loader).__iter__ is DataLoader.__iter__ or type(loader).__module__.startswith("torchdata.")
    if plain and not isinstance(dataset, IterableDataset):
        return Numbered(loader, what)
    return Places(loader, what)


def _keeps_its_place(part: Any) -> bool:
    return callable(getattr(part, "state_dict", None)) and callable(getattr(part, "load_state_dict", None))


def _has_buffer(dataset: Any) -> bool:
    """Whether a streamed set of `datasets` shuffles in a buffer: its state forgets what lay in it."""
    seen: list[Any] = [getattr(dataset, "_ex_iterable", None)]
    while seen:
        one = seen.pop()
        if one is None:
            continue
        if "BufferShuffled" in type(one).__name__:
            return True
        seen.append(getattr(one, "ex_iterable", None))
        seen.extend(getattr(one, "ex_iterables", None) or ())
    return False


class Places:
    """Of any loader: to come back, the pass is drawn again from its beginning."""

    def __init__(self, loader: Any, what: str) -> None:
        self.loader = loader
        self.what = what
        batch_sampler = getattr(loader, "batch_sampler", None)
        samplers = {
            "sampler": getattr(loader, "sampler", None),
            "batch_sampler": batch_sampler,
            "inner sampler": getattr(batch_sampler, "sampler", None),
        }
        parts = {"loader": loader, **samplers, "dataset": getattr(loader, "dataset", None)}
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self._sources = Sources(self._parts, samplers)
        self._began: dict[str, Any] = {}

    @property
    def length(self) -> int | None:
        """The number of batches in a pass, where it is known."""
        try:
            return len(self.loader)
        except TypeError:
            return None

    def settings(self) -> dict[str, Any]:
        """What decides the order, as far as the loader says it."""
        found: dict[str, Any] = {"batches": self.length}
        batch_size = getattr(self.loader, "batch_size", None)
        if isinstance(batch_size, int):
            found["batch_size"] = batch_size
        with contextlib.suppress(TypeError, AttributeError):
            found["samples"] = len(self.loader.dataset)
        return found

    def begin(self, epoch: int, at: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The batches of a pass, or what is left of it.

        Args:
            epoch: Passes before it.
            at: A place of that pass that was kept; None begins the pass.
        """
        if at is None:
            self._set_epoch(epoch)
            self._began = self._sources.state()
            return self._draw()
        self._wake(epoch)
        if at["number"] == 0:
            self._sources.put_back(at["now"])
            self._set_epoch(epoch)
            self._began = self._sources.state()
            return self._from_its_beginning(epoch, at)
        self._sources.put_back(at["began"])
        self._set_epoch(epoch)
        self._began = at["began"]
        batches = self._after(int(at["number"]), at)
        self._sources.put_back(at["now"])
        return batches

    def place(self) -> dict[str, Any]:
        """This place, as plain containers and tensors; the number of batches done is the caller's to add."""
        return {"began": self._began, "now": self._sources.state(), "loader": self._own(), "follows": self.follows}

    def put_back(self, at: Mapping[str, Any]) -> None:
        """The random states alone."""
        self._sources.put_back(at["now"])

    def seen(self, batch: Any) -> Any:
        """What the guard is to follow of a batch that was drawn."""
        return batch

    @property
    def follows(self) -> str:
        """What `seen` gives."""
        return "batches"

    def let_go(self) -> None:
        """The loader is as it was given."""

    # -- what differs ------------------------------------------------------------------------------------------------

    def _draw(self) -> Iterator[Any]:
        return iter(self.loader)

    def _own(self) -> Any:
        return None

    def _from_its_beginning(self, epoch: int, at: Mapping[str, Any]) -> Iterator[Any]:
        return self._draw()

    def _after(self, number: int, at: Mapping[str, Any]) -> Iterator[Any]:
        log.info("%s: %d batches of the pass are read again, to come to its place", self.what, number)
        batches = self._draw()
        for done in range(number):
            try:
                next(batches)
            except StopIteration:
                raise self._too_short(number, done) from None
        return batches

    def _wake(self, epoch: int) -> None:
        """Workers that last were started in the first pass, which drew a random number; then no later pass draws one for them."""
        if epoch and self._workers_last():
            self._set_epoch(epoch)
            self._draw()

    def _workers_last(self) -> bool:
        return bool(getattr(self.loader, "persistent_workers", False))

    def _set_epoch(self, epoch: int) -> None:
        for part in self._parts.values():
            if callable(tell := getattr(part, "set_epoch", None)):
                tell(epoch)

    def _too_short(self, number: int, there: int) -> MadeOtherwise:
        return MadeOtherwise(
            f"{self.what}: {number} batches of this pass were done, and its loader gives only {there}; put the data back as "
            f"they were, or begin anew: holdfast drop {self.what}"
        )


class OwnPlace(Places):
    """Of a loader that keeps its own place."""

    def _own(self) -> Any:
        return self.loader.state_dict()

    def _from_its_beginning(self, epoch: int, at: Mapping[str, Any]) -> Iterator[Any]:
        batches = self._loaded(at)
        if isinstance(self.loader, DataLoader):
            # One random number is drawn for the workers of a pass, or of all where they last; loading one that is over draws two.
            self._sources.put_back(at["now"])
            if not self._workers_last():
                torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)
        return batches

    def _after(self, number: int, at: Mapping[str, Any]) -> Iterator[Any]:
        return self._loaded(at)

    def _wake(self, epoch: int) -> None:
        """Loading its place starts its workers anew."""

    def _loaded(self, at: Mapping[str, Any]) -> Iterator[Any]:
        try:
            self.loader.load_state_dict(at["loader"])
            return self._draw()
        except (AssertionError, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise MadeOtherwise(
                f"{self.what}: the loader does not take the place that it was at ({why}); give it the workers and the data "
                f"that it had, or begin anew: holdfast drop {self.what}"
            ) from error


class Numbered(Places):
    """Of a DataLoader over data that is looked up by number. Its sampler is followed as long as the training lasts."""

    def __init__(self, loader: Any, what: str) -> None:
        super().__init__(loader, what)
        # A loader says which of the two it goes by; it refuses to be given another one after it was made.
        self._name = "batch_sampler" if loader.batch_sampler is not None else "sampler"
        self._followed = _Followed(getattr(loader, self._name))
        self._numbers: _Numbers | None = None
        object.__setattr__(loader, self._name, self._followed)

    def seen(self, batch: Any) -> Any:
        """The numbers of its samples where workers load them, as what workers draw at random may differ; else all of it."""
        taken = None if self._numbers is None else self._numbers.taken.popleft()
        return batch if self.follows == "batches" else taken

    @property
    def follows(self) -> str:
        """See `seen`."""
        return "numbers" if self.loader.num_workers else "batches"

    def let_go(self) -> None:
        """The loader has its own sampler again."""
        if getattr(self.loader, self._name) is self._followed:
            object.__setattr__(self.loader, self._name, self._followed.inner)

    def _draw(self) -> Iterator[Any]:
        batches: Iterator[Any] = iter(self.loader)
        self._numbers = self._followed.newest
        return batches

    def _after(self, number: int, at: Mapping[str, Any]) -> Iterator[Any]:
        self._followed.skip = number
        try:
            batches = self._draw()
            assert self._numbers is not None
            self._numbers.pass_over()  # with workers that has happened, as they were given work
        finally:
            self._followed.skip = 0
        if self._numbers.lacking:
            raise self._too_short(number, number - self._numbers.lacking)
        return batches


class _Followed:
    """A sampler that tells what it gave, and passes over what is done."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.skip = 0
        self.newest: _Numbers | None = None

    def __iter__(self) -> _Numbers:
        self.newest = _Numbers(iter(self.inner), self.skip)
        return self.newest

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "state_dict", "load_state_dict"):  # its place is kept here
            raise AttributeError(name)
        return getattr(self.inner, name)


class _Numbers:
    """One pass of a sampler."""

    def __init__(self, inner: Iterator[Any], skip: int) -> None:
        self._inner = inner
        self._skip = skip
        self.taken: deque[Any] = deque()
        self.lacking = 0

    def __iter__(self) -> _Numbers:
        return self

    def __next__(self) -> Any:
        self.pass_over()
        numbers = next(self._inner)
        self.taken.append(numbers)
        return numbers

    def pass_over(self) -> None:
        """What is done is drawn, and nothing is loaded for it."""
        while self._skip:
            try:
                next(self._inner)
            except StopIteration:
                self.lacking, self._skip = self._skip, 0
                return
            self._skip -= 1
