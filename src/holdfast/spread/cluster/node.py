"""An attempt on a node: a workspace of its own, what was kept before, the work, and a line in the store.

::

    <temporary files>/holdfast-node-<token>/
      lock                                   held while the attempt lives
      project/                               `Desk.root`
        outputs/attempts/…/003-<token>/      the folder of the unit, kept as the attempt's line
        outputs/study/trials/trial-0003      a link to it: where the work looks for its folder
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, LocalError, NotRestored
from holdfast.platform import host_name
from holdfast.session.attach import keeper_at
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.spread.attempt import Attempt, Ended, Failed, Halted
from holdfast.spread.cluster import lines
from holdfast.spread.cluster.fitness import VARIABLE
from holdfast.spread.cluster.scratch import scratch
from holdfast.spread.cluster.shared import Beat, Shared
from holdfast.spread.performing import perform, problem_of
from holdfast.spread.printing import OUTPUT, printing
from holdfast.store.format.keys import Key
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.transfer.progress import Silent

log = logging.getLogger(__name__)

_PREFIX = "holdfast-node-"
#: Asks a keeper for the copy of what is damaged: path, whether its weights are enough, whether to wait. As `Desk.fetch`.
Fetch = Callable[[Keeper, Path, bool, bool], tuple[str, bool]]


@dataclass(frozen=True)
class Order:
    """What a node needs to know of an attempt.

    Args:
        attempt: Without its work, and without what it has seen: these come by themselves, once for all.
        config: Of the project, with the identity of its store.
        drive: The folder in which the store lies on the driver's machine.
        shared: See `Shared`; below that folder.
        beat_seconds: Between signs of life.
        folder: Where the driver works; relative paths of the work start there.
        root: Its project folder. What is in it and not below outputs is read there, where nodes see it.
        path: Where the driver's Python looks for modules.
        fetch: Asks for copies of what is damaged; None for none.
        goes_on: Something may have been kept of the unit. Else the store is not asked for it.
    """

    attempt: Attempt
    config: Config
    drive: Path
    shared: Path
    beat_seconds: float
    folder: str
    root: Path
    path: tuple[str, ...] = ()
    fetch: Fetch | None = None
    goes_on: bool = True


def run(order: Order, work: bytes, seen: tuple[bytes, ...]) -> Ended | Halted | Failed:
    """Run an attempt on this node to its end."""
    attempt = replace(order.attempt, work=work, seen=seen)
    sys.path += [place for place in order.path if place not in sys.path]
    with contextlib.suppress(OSError):  # it is the driver's, and may be nowhere else
        os.chdir(order.folder)
    try:
        with scratch(Path(tempfile.gettempdir()), _PREFIX, attempt.token) as place, _Pulse(order) as pulse:
            desk = _settle(order, attempt, place / "project", pulse)
            with printing(desk.folder / OUTPUT):
                end = perform(attempt, desk)
            return desk.close(end)
    except HoldfastError as error:
        return Failed(attempt, problem_of(error))
    except OSError as error:
        return Failed(attempt, problem_of(LocalError(error.errno, error.strerror, error.filename)))


# -- where it works --------------------------------------------------------------------------------------------------------


def _drive(order: Order) -> Path:
    """The folder in which this node sees the store."""
    return Path(os.environ.get(VARIABLE) or order.drive)


def _settle(order: Order, attempt: Attempt, root: Path, pulse: _Pulse) -> _Desk:
    """What the work needs is there, and what earlier attempts had saved."""
    root.mkdir()
    keeper = keeper_at(replace(order.config, root=root), _drive(order), progress=Silent(), background=True)
    study = lines.of_study(order.config.outputs, attempt.home)
    key = lines.of_attempt(study, attempt)
    folder = root / key.value
    folder.parent.mkdir(parents=True)
    if order.goes_on:
        _go_on(keeper, lines.of_unit(study, attempt.unit), Key(attempt.folder), folder, root.parent / "earlier")
    folder.mkdir(exist_ok=True)
    link = root / attempt.folder
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder)
    for given in attempt.inputs:
        if Key(order.config.outputs).covers(Key(given)):
            keeper.require(given)
            continue
        there = order.root / given  # an absolute path stays what it is
        if not there.exists():
            raise NotRestored(f"{there}: is not on {host_name()}, where a trial is to read it; have it on every node")
        if not os.path.isabs(given):
            (root / given).parent.mkdir(parents=True, exist_ok=True)
            (root / given).symlink_to(there)
    return _Desk(order, attempt, keeper, root, key, link, pulse)


def _go_on(keeper: Keeper, unit: Key, own: Key, folder: Path, scratch: Path) -> None:
    """Bring what was kept of the unit: by the attempt that had come furthest, else what the study's own folder has of it."""
    store = keeper.store
    assert store is not None
    candidates = [line.key for line in lines.furthest_first(store, unit)]
    if not candidates and keeper.held(own.value)[0]:
        candidates = [own]
    for number, key in enumerate(candidates):
        found = keeper.restore(key.value, to=scratch / str(number))
        if found:
            (scratch / str(number) / key.value).rename(folder)
            return
        if found.outcome is Outcome.FAILED and not found.damaged:
            raise NotRestored(found.error)
        log.warning("%s; going on with what was kept before it", found.error)


# -- signs of life ---------------------------------------------------------------------------------------------------------


@dataclass
class _News:
    kept: int = 0
    share: float = 0.0
    told: Mapping[str, Any] = field(default_factory=dict)
    lines: list[tuple[int, str, bool]] = field(default_factory=list)


class _Pulse:
    """Gives a sign of life until it is closed, and ends the process where nobody waits for its attempt any more."""

    def __init__(self, order: Order) -> None:
        self.news = _News()
        self.halts = False
        self._shared = Shared(_drive(order) / order.shared)
        self._token = order.attempt.token
        self._seconds = order.beat_seconds
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="holdfast: signs of life", daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.set()
        self._thread.join()

    def _beat(self) -> None:
        number = 0
        while True:
            number += 1
            news = self.news
            if self._shared.is_given_up(self._token):
                os._exit(0)  # in the middle of whatever it does: another attempt goes on with its unit, and it can harm nothing
            self._shared.live(self._token, Beat(number, news.kept, news.share, news.told, list(news.lines)))
            self.halts = self.halts or self._shared.is_to_halt()
            if self._ends.wait(self._seconds):
                return


# -- what the work has around it -------------------------------------------------------------------------------------------


class _Desk:
    """See `Desk`."""

    def __init__(self, order: Order, attempt: Attempt, keeper: Keeper, root: Path, line: Key, folder: Path, pulse: _Pulse) -> None:
        self._order = order
        self._attempt = attempt
        self._keeper = keeper
        self._root = root
        self._line = line
        self._pulse = pulse
        self._has_kept = order.goes_on
        self.folder = folder

    @property
    def attempt(self) -> Attempt:
        """See `Desk`."""
        return self._attempt

    @property
    def root(self) -> Path:
        """See `Desk`."""
        return self._root

    def kept(self, share: float) -> None:
        """See `Desk`. The copy is sent in the background."""
        self._keep(share)
        news = self._pulse.news
        news.share, news.kept = share, news.kept + 1

    def _keep(self, share: float) -> None:
        self._has_kept = True
        done = self._keeper.backup(self._line.value, progress=share)
        if not done:
            raise LocalError(errno.EIO, next((r.error for r in done.results if r.error), "not backed up"), self._line.value)

    def tell(self, what: Mapping[str, Any]) -> None:
        """See `Desk`. What changes from step to step goes with the next sign of life."""
        news = self._pulse.news
        line = what.get("line")
        if line is not None:
            news.lines.append((len(news.lines), str(line), bool(what.get("warning"))))
        else:
            news.told = dict(what)

    def is_to_stop(self) -> bool:
        """See `Desk`."""
        return self._pulse.halts

    def fetch(self, path: Path, *, weights_only: bool, patient: bool) -> tuple[str, bool]:
        """See `Desk`. The path is in the attempt's own line."""
        if self._order.fetch is None:
            return "there is no other copy of it", False
        place = self._root / self._line.value / path.relative_to(self.folder)
        return self._order.fetch(self._keeper, place, weights_only, patient)

    def close(self, end: Ended | Halted | Failed) -> Ended | Halted | Failed:
        """All that the attempt made is in the store before anybody hears of its end. What it came to is told, and needs none."""
        try:
            if isinstance(end, Ended):
                made = any(place.name != self._attempt.account for place in self.folder.iterdir())
                if made:
                    self._keep(1.0)
                end = replace(end, made=made, kept=self._has_kept)
            self._keeper.flush(patient=isinstance(end, Ended), seconds=self._order.config.timeout)
        finally:
            if self._keeper.worker is not None:
                self._keeper.worker.close()
        return end
