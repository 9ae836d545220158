"""Where a training goes on: at the newest checkpoint that serves, here or from the store; from the beginning only aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.integrations.checkpoints import (
    Damage,
    SavedCheckpoint,
    damage,
    is_cut_off,
    remove,
    sealed,
    steps,
    why_unsealed,
)
from holdfast.integrations.watching import Copies
from holdfast.store.reporting.amounts import duration, many

#: So many reasons are told; a person needs to know of the newest most of all.
_TOLD = 3


@dataclass(frozen=True)
class Wanted:
    """What a training needs of its checkpoints.

    Args:
        ours: Whether a fingerprint is this training's; None takes any.
        best: The best weights are what it is made for, so a checkpoint whose best weights are lost does not serve.
        finish: Of a training that is over only the weights are needed. Without it the library goes on with it as with any other.
        own: The folder is nobody else's, so what a kill left of a checkpoint in the making may be deleted.
    """

    ours: Callable[[str], bool] | None = None
    best: bool = True
    finish: bool = False
    own: bool = False


@dataclass(frozen=True)
class Passed:
    """A checkpoint that cannot be gone on with.

    Args:
        step: Its number.
        why: What is wrong with it, as a sentence goes on.
        saved: What its marker says, where that can be read.
        reached: Training is known to have come as far as its number.
    """

    step: int
    why: str
    saved: SavedCheckpoint | None
    reached: bool

    def __str__(self) -> str:
        return f"checkpoint-{self.step} {self.why}"


@dataclass(frozen=True)
class Search:
    """What was found.

    Args:
        start: The newest checkpoint that serves, or None.
        passed: Those after it, newest first.
        unknown: Of one of them it could not be told whether the store has a copy.
    """

    start: SavedCheckpoint | None
    passed: tuple[Passed, ...] = ()
    unknown: bool = False


class _Unusable(Exception):
    """Why a checkpoint does not serve, as a sentence goes on."""


class _Looking:
    """One search: it remembers whether the store could be asked."""

    def __init__(self, folder: Path, copies: Copies, told: Callable[[str], None], wanted: Wanted, *, patient: bool) -> None:
        self.folder = folder
        self.copies = copies
        self.told = told
        self.wanted = wanted
        self.patient = patient
        self.unknown = False

    def is_ours(self, saved: SavedCheckpoint) -> bool:
        """Whether it is a checkpoint of this training."""
        return self.wanted.ours is None or self.wanted.ours(saved.made_from)

    def judge(self, step: int) -> SavedCheckpoint:
        """The checkpoint of this step, mended where it has to be.

        Raises:
            _Unusable: it does not serve.
        """
        place = self.folder / f"checkpoint-{step}"
        saved = self._ours(sealed(place) or self._mend(place, why_unsealed(place), weights_only=False))
        only_weights = self.wanted.finish and saved.over
        source = saved.best_step if self.wanted.best and saved.best_step is not None else step
        if not only_weights:
            saved = self._whole(place, weights_only=False)
        if only_weights or source != step:
            try:
                self._whole(self.folder / f"checkpoint-{source}", weights_only=True)
            except _Unusable as lost:
                raise lost if source == step else _Unusable(f"needs the best weights, and checkpoint-{source} {lost}") from lost
        return saved

    def _ours(self, saved: SavedCheckpoint) -> SavedCheckpoint:
        if not self.is_ours(saved):
            raise _Unusable("was saved by a training under other settings")
        return saved

    def _whole(self, place: Path, *, weights_only: bool) -> SavedCheckpoint:
        saved = sealed(place)
        if saved is None:
            return self._mend(place, why_unsealed(place), weights_only=weights_only)
        found = damage(saved, weights_only=weights_only)
        if found and all(d.extra for d in found):
            for extra in found:
                self.copies.set_aside(place / extra.name)
            self.told(f"{place.name}: {_few(found)} and is moved aside")
            return saved
        return self._mend(place, f"is damaged ({_few(found)})", weights_only=weights_only) if found else saved

    def _mend(self, place: Path, problem: str, *, weights_only: bool) -> SavedCheckpoint:
        fetched = self.copies.fetch(place, weights_only=weights_only, patient=self.patient)
        self.unknown = self.unknown or fetched.unknown
        saved = sealed(place)
        if saved is None or damage(saved, weights_only=weights_only):
            raise _Unusable(f"{problem}, and {fetched.why or 'what the store has of it is no better'}")
        self._ours(saved)
        self.told(f"{place.name} {problem}: fetched from the store")
        return saved


def search(
    folder: Path, copies: Copies, told: Callable[[str], None], wanted: Wanted | None = None, *, patient: bool = False
) -> Search:
    """Find the newest checkpoint that serves. What is damaged is mended by its copy, if there is one; nothing else is touched.

    Args:
        folder: Where the checkpoints lie.
        copies: Where else they may be.
        told: Takes one line for whatever was mended.
        wanted: What the training needs.
        patient: See `Copies.fetch`.

    Raises:
        NotRestored: see `Copies.fetch`.
    """
    looking = _Looking(folder, copies, told, wanted or Wanted(), patient=patient)
    passed: list[Passed] = []
    for step in steps(folder):
        try:
            return Search(looking.judge(step), tuple(passed), looking.unknown)
        except _Unusable as why:
            place = folder / f"checkpoint-{step}"
            saved = sealed(place)
            ours = saved is not None and looking.is_ours(saved)
            passed.append(Passed(step, str(why), saved if ours else None, ours or is_cut_off(place)))
    return Search(None, tuple(passed), looking.unknown)


def clear_the_way(folder: Path, found: Search, copies: Copies, told: Callable[[str], None], wanted: Wanted | None = None) -> None:
    """Say what is done again, then move what comes after the start aside: it will be made anew. See `search`."""
    if found.passed:
        told(what_it_costs(found))
    for step in steps(folder):
        place = folder / f"checkpoint-{step}"
        if found.start is None or step > found.start.step:
            if wanted is not None and wanted.own and is_cut_off(place):
                remove(place)
            else:
                copies.set_aside(place)


def what_it_costs(found: Search) -> str:
    """One line: why the newest checkpoints do not serve, where training goes on, and what is done again for it."""
    reasons = "; ".join(str(p) for p in found.passed[:_TOLD])
    reasons += f"; and {len(found.passed) - _TOLD} more" if len(found.passed) > _TOLD else ""
    start = found.start
    begins = 0 if start is None else start.step
    lost = max((p.step - begins for p in found.passed if p.reached), default=0)
    again = f"{many(lost, 'step')} to be done again{_of_it(found)}" if lost else "nothing is to be done again"
    if start is None:
        return f"no checkpoint can be gone on with ({reasons}). Training begins FROM THE BEGINNING: {again}"
    return f"{reasons}. Training goes on at step {begins}: {again}"


def _of_it(found: Search) -> str:
    """What is known of the work that is done again, in brackets."""
    start = found.start
    furthest = next((p.saved for p in found.passed if p.saved is not None), None)
    if furthest is None:
        return ""
    words = []
    if start is None and furthest.total:
        words.append(f"of {furthest.total}")
    if start is None and furthest.epochs is not None:
        words.append(f"{furthest.epochs[0]:.3g} of {furthest.epochs[1]:.3g} epochs")
    before = 0.0 if start is None else start.seconds
    if furthest.seconds is not None and before is not None and furthest.seconds >= before:
        words.append(f"about {duration(furthest.seconds - before)} of work")
    return f" ({', '.join(words)})" if words else ""


def _few(found: Sequence[Damage]) -> str:
    return ", ".join(str(d) for d in found[:2]) + (f" and {len(found) - 2} more" if len(found) > 2 else "")
