"""The store and what lies beside it: can it be read and listed, are there twins of it, and other stores."""

from __future__ import annotations

import functools
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.platform import NO_BLOCK, NO_FOLLOW
from holdfast.session.doctor.patience import Answer, Patience
from holdfast.session.doctor.places import Place, shown
from holdfast.store.format.names import GENERATIONS, SENTINEL, twin_of
from holdfast.store.format.sentinel import MAX_SENTINEL_BYTES, parse_sentinel

_CHUNK = 4096


@dataclass(frozen=True)
class Own:
    """First touches of the store folder.

    Args:
        sentinel: Reading `holdfast.json`: whether it holds anything.
        listed: Whether a listing of the store folder shows it.
        generations: Listing the manifests: how many names there are.
    """

    sentinel: Answer[bool]
    listed: Answer[bool]
    generations: Answer[int]

    @property
    def answers(self) -> tuple[Answer[bool] | Answer[int], ...]:
        """All of them."""
        return self.sentinel, self.listed, self.generations


@dataclass(frozen=True)
class Neighbour:
    """A folder beside the store that matters.

    Args:
        name: Of the folder.
        store_id: Of the store in it; None where there is none.
        torn: Whether there is a sentinel that cannot be read.
    """

    name: str
    store_id: str | None = None
    torn: bool = False

    @property
    def is_store(self) -> bool:
        """Whether it is, or was, a store."""
        return self.store_id is not None or self.torn


@dataclass(frozen=True)
class Beside:
    """What lies beside the store.

    Args:
        folder: The folder that was listed, in words.
        listing: How many folders it holds.
        names: Of these folders.
        twins: Folders that Drive made of the store folder's name.
        stores: Other stores.
        looked: So many folders were looked into.
    """

    folder: str
    listing: Answer[int]
    names: tuple[str, ...] = ()
    twins: tuple[Neighbour, ...] = ()
    stores: tuple[Neighbour, ...] = ()
    looked: int = 0


def touch(place: Place, patience: Patience) -> Own:
    """Read the sentinel and list the two folders that everything depends on."""
    store = place.store
    return Own(
        patience.ask(f"reading {SENTINEL}", lambda: bool(_head(store / SENTINEL))),
        patience.ask("listing the store folder", lambda: SENTINEL in os.listdir(store)),
        patience.ask(f"listing {GENERATIONS}/ of the store", lambda: len(os.listdir(store / GENERATIONS))),
    )


def look_around(place: Place, patience: Patience) -> Beside:
    """List the folder in which the store folder lies, and look for stores in its folders, for as long as one call may take."""
    above = place.store.parent
    if above != place.folder and not patience.ask("stat of the folder above the store", lambda: os.path.isdir(above)).value:
        above = place.folder
    listing = patience.ask(f"listing {shown(above)}", lambda: _folders(above))
    names = listing.got() if listing.came else []
    own = place.store.name if above == place.store.parent else place.project.split("/")[0]
    twins = [n for n in names if twin_of(n) == own]
    # Twins first: they matter most, and the time for looking is limited.
    found = []
    looked = 0
    started = time.monotonic()
    for name in (*twins, *(n for n in names if n not in twins and n != own)):
        if time.monotonic() - started > patience.seconds:
            break
        answer = patience.ask("looking into a folder beside the store", functools.partial(_neighbour, above, name))
        looked += 1
        if answer.came:
            found.append(answer.got())
        if answer.hung:
            break
    known = {n.name: n for n in found}
    return Beside(
        shown(above),
        Answer(listing.what, listing.state, len(names) if listing.came else None, listing.error, listing.text, listing.seconds),
        tuple(names),
        tuple(known.get(n, Neighbour(n)) for n in twins),
        tuple(n for n in found if n.is_store and n.name not in twins),
        looked + (own in names),
    )


def _folders(place: Path) -> list[str]:
    with os.scandir(place) as found:
        return sorted(e.name for e in found if e.is_dir(follow_symlinks=False))


def _neighbour(above: Path, name: str) -> Neighbour:
    sentinel = above / name / SENTINEL
    try:
        if not stat.S_ISREG(os.lstat(sentinel).st_mode):
            return Neighbour(name)
    except (FileNotFoundError, NotADirectoryError):
        return Neighbour(name)
    try:
        return Neighbour(name, parse_sentinel(_head(sentinel), SENTINEL))
    except (OSError, HoldfastError):
        return Neighbour(name, torn=True)


def _head(place: Path) -> bytes:
    handle = os.open(place, os.O_RDONLY | NO_FOLLOW | NO_BLOCK)
    try:
        data = b""
        while stat.S_ISREG(os.fstat(handle).st_mode) and len(data) < MAX_SENTINEL_BYTES and (more := os.read(handle, _CHUNK)):
            data += more
        return data
    finally:
        os.close(handle)
