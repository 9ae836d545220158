"""The lines of attempts in the store: each attempt keeps what it made under a key of its own, so none can harm another.

An attempt that was given up may wake and write on. It writes to its own line; nobody reads that but the next attempt, and the
driver takes the one that counts. Once the study is in the store with what was taken, the lines of its unit go.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.errors import HoldfastError, StoreError
from holdfast.session.keeper import Keeper
from holdfast.spread.attempt import Attempt
from holdfast.store.format.keys import Key
from holdfast.store.format.names import mark_folder, payload_folder
from holdfast.store.looking.view import View
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: The folder below outputs under which the lines lie.
FOLDER = "attempts"
_SHOWN = 40


def of_study(outputs: str, home: str) -> Key:
    """Above the lines of all units of a study."""
    digest = blake3(home.encode()).hexdigest(length=4)
    return Key(f"{outputs}/{FOLDER}/{home.rpartition('/')[2][:_SHOWN]}-{digest}")


def of_unit(study: Key, unit: str) -> Key:
    """Above the lines of one unit."""
    return study.join(unit.replace("/", "."))


def of_attempt(study: Key, attempt: Attempt) -> Key:
    """The line of an attempt. A number may come again, and a token does not."""
    return of_unit(study, attempt.unit).join(f"{attempt.number:03d}-{attempt.token}")


@dataclass(frozen=True)
class Line:
    """A line that is in the store.

    Args:
        key: Its key.
        progress: How far its attempt had come with the unit.
    """

    key: Key
    progress: float

    @property
    def order(self) -> tuple[float, str]:
        """The further the better; of two that are as far, the later attempt."""
        return self.progress, self.key.name


def furthest_first(store: Store, unit: Key) -> list[Line]:
    """The lines of a unit that hold anything whole.

    Raises:
        StoreError: it cannot be told now.
    """
    found = []
    view = store.look()
    for key in _below(view, unit):
        heads = store.heads(view.of(key))
        if heads and heads[0].files:
            found.append(Line(key, heads[0].progress or 0.0))
    return sorted(found, key=lambda line: line.order, reverse=True)


def units_with_lines(store: Store, study: Key) -> set[Key]:
    """The units of a study of which there are lines.

    Raises:
        StoreError: it cannot be told now.
    """
    return {key.parents()[0] for key in _below(store.look(), study)}


def let_go(store: Store, place: Path, units: Collection[Key]) -> None:
    """Remove the lines of units. What is in the study's own folder takes their place, so that it fails costs room alone.

    Args:
        store: The store.
        place: The folder that it lies in.
        units: See `of_unit`.
    """
    try:
        names = store.relist().names if units else ()
        for unit in sorted(units):
            shutil.rmtree(place / mark_folder(unit), ignore_errors=True)  # what is gone on purpose is not missed
            for name in [n for n in names if n.key is not None and unit.covers(n.key)]:
                store.backend.remove(name.path)
            shutil.rmtree(place / payload_folder(unit, "x"), ignore_errors=True)
    except HoldfastError as error:
        log.info("lines of attempts that are done are not removed yet (%s)", error)


def let_go_of_rest(keeper: Keeper, homes: Collection[str], *, look: bool) -> None:
    """Remove lines of what is done. A driver was killed before they went, or a node wrote on that had been given up.

    Args:
        keeper: The project's, which has a store.
        homes: The folders of what is done, as `of_study` takes them. One that waits to be sent is left alone.
        look: Look at the store where no look is shared; else nothing is asked of it then.
    """
    store = keeper.store
    assert store is not None
    try:
        view = store.shared or (store.look() if look else None)
        if view is None or next(_below(view, Key(f"{keeper.config.outputs}/{FOLDER}")), None) is None:
            return
        place, waiting = Path(store.backend.location), keeper.queue.waiting
        for home in sorted(homes):
            study = of_study(keeper.config.outputs, home)
            units = set() if any(Key(home).covers(k) for k in waiting) else {k.parents()[0] for k in _below(view, study)}
            let_go(store, place, units)
            if units:
                sweep(place, study)
    except StoreError as error:
        log.info("lines of attempts that are done are not removed yet (%s)", error)


def sweep(place: Path, study: Key) -> None:
    """Remove the folders above lines that are gone."""
    for folder in (place / mark_folder(study), place / payload_folder(study, "x")):
        for empty in (folder, *folder.parents[:1]):
            with contextlib.suppress(OSError):  # it is not empty, or it is not there
                empty.rmdir()


def _below(view: View, above: Key) -> Iterator[Key]:
    """The keys of what is in a store below another one, each once."""
    yield from {name.key: None for name in view.names if name.key is not None and above.covers(name.key)}
