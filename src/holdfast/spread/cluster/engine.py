"""The engine of a Ray cluster: attempts as tasks, each on the node that this says, watched by signs of life of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, HoldfastError, LocalError, NotRestored, StoreError
from holdfast.spread.attempt import Asked, Attempt, Ended, Event, Failed, Halted, Kept, Lost, Node, Told
from holdfast.spread.cluster import lines
from holdfast.spread.cluster.fitness import DISTRIBUTIONS, NAMING, VARIABLE, Facts
from holdfast.spread.cluster.handover import folders_of, identity_of, store_of
from holdfast.spread.cluster.link import Link, address_to_join
from holdfast.spread.cluster.node import Order
from holdfast.spread.cluster.patience import QUICK, SLOW, Patience, Pulse
from holdfast.spread.cluster.probe import look
from holdfast.spread.cluster.roster import Roster, described
from holdfast.spread.cluster.shared import Shared, unusable
from holdfast.spread.cluster.words import Broke, Forget, Machine, Machines, Put, Returned, Submit, Withdraw
from holdfast.spread.engine import Ground, NoSuchNode, Seat
from holdfast.store.backends.mounts import DISK, kind_of
from holdfast.store.format.keys import Key
from holdfast.store.format.names import SENTINEL
from holdfast.store.local.disk import local_errors
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: Bytes for temporary files that a node should have: a workspace with its checkpoints lies there.
DISK_BYTES = 1 << 30
_LOOK_SECONDS = 0.5
#: At the end it is waited so long for the study to be in the store; lines that are needless stay for the next run else.
_SETTLE_SECONDS = 60.0


@dataclass
class _Running:
    attempt: Attempt
    machine: Machine
    type: str
    pulse: Pulse
    put: tuple[str, ...]
    kept: int = 0
    line: int = -1
    told: object = None
    suspect: float | None = None  #: since when its node owes an answer


class ClusterEngine:
    """See `Engine`.

    Args:
        ground: Where the study stands. Its keeper has a store in a folder that all nodes see.
        patience: How long a node may be silent; default as the file system of the store is.
        disk: Bytes for temporary files that each node should have.

    Raises:
        HoldfastError: the cluster cannot be joined, or no node can have a part; its text says which, and why.
    """

    keeps = True

    def __init__(self, ground: Ground, *, patience: Patience | None = None, disk: int = DISK_BYTES) -> None:
        self._ground = ground
        self._keeper = store_of(ground)
        self._drive, self._store = folders_of(self._keeper)
        self._identity = identity_of(self._keeper)
        self._study = lines.of_study(self._keeper.config.outputs, ground.home)
        self._patience = patience or (QUICK if kind_of(self._drive) is DISK else SLOW)
        self._need = {"CPU": float(ground.resources.cpus), **({"GPU": ground.resources.gpus} if ground.resources.gpus else {})}
        self._waiting: list[Attempt] = []
        self._running: dict[str, _Running] = {}
        self._events: list[Event] = []
        self._put: dict[int, tuple[bytes, str]] = {}
        self._puts = 0
        self._taken: list[str] = []
        self._open: set[str] = set()
        self._began = False
        self._looked = 0.0
        self._settled = False
        self._lined: set[Key] | None = None  #: units of which there were lines before the first attempt; None where it is not known
        try:
            self._shared = Shared.make(self._store)
        except OSError as error:
            raise LocalError(error.errno, unusable(self._store, error)) from error
        self._link: Link | None = None
        try:
            self._question = self._make_question()
            here = Facts.of(look({**self._question, "variable": "", "seconds": 0.0}))
            self._roster = Roster(here, self._need, disk, self._ask, ground.node_type)
            self._link = Link(address_to_join())
            self._meet()
        except BaseException:
            self.close()
            raise

    # -- the nodes -----------------------------------------------------------------------------------------------------

    def _make_question(self) -> dict[str, Any]:
        sentinel = self._store / SENTINEL
        return {
            "drive": str(self._drive),
            "variable": VARIABLE,
            "naming": NAMING,
            "probe": str(self._shared.probe.relative_to(self._drive)),
            "sentinel": str(sentinel.relative_to(self._drive)),
            "expected": sentinel.read_text(encoding="utf-8"),
            "distributions": DISTRIBUTIONS,
            "seconds": self._patience.probe / 2,
        }

    def _ask(self, name: str, node: str) -> None:
        """In a process as an attempt has it, so that the first attempt there finds one that has begun."""
        self._joined.say(Submit(name, "probe", self._question, node, environment=dict(self._ground.environment)))

    @property
    def _in_store(self) -> Store:
        assert self._keeper.store is not None
        return self._keeper.store

    @property
    def _joined(self) -> Link:
        assert self._link is not None
        return self._link

    def _meet(self) -> None:
        """Every node that is there says what it is, before any attempt."""
        until = time.monotonic() + self._patience.probe
        heard = False
        while time.monotonic() < until and not (heard and self._roster.are_all_known):
            heard = self._hear(_LOOK_SECONDS) or heard
        if self._joined.is_alone:
            has = described(self._roster.resources)
            self._ground.warn(
                f"engine: ray: no cluster is named, so one was started on this machine, with {has}; it ends with this run"
            )
        if "GPU" not in self._need and "GPU" in self._roster.resources:
            self._ground.warn(
                "engine: ray: nodes have GPUs, and no trial is given any; hpo.resources.gpus, or gpus=, says how many each needs"
            )
        for name in self._roster.silent:
            self._ground.warn(f"engine: ray: node {name} does not answer; it has no part in this until it does")
        for event in self._take_events():
            if isinstance(event, Node):
                (self._ground.warn if event.gone else self._ground.say)(f"engine: ray: node {event.name} {event.line}")
        if not self._roster.is_any_fit:
            why = f"engine: ray: {self._roster.why_none}"
            raise NoSuchNode(why) if self._ground.node_type else ConfigurationError(why)

    # -- what the driver calls -----------------------------------------------------------------------------------------

    def start(self, attempt: Attempt) -> None:
        """See `Engine`. It begins when a node has room."""
        if not self._settled:  # what it starts from has to be in the store
            self._keeper.settle(self._keeper.config.timeout)
            self._settled = True
            with contextlib.suppress(StoreError):  # then every attempt looks for itself
                self._lined = lines.units_with_lines(self._in_store, self._study)
        self._began = True
        self._open.add(attempt.unit)
        self._waiting.append(attempt)
        self._begin()

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Engine`."""
        until = time.monotonic() + seconds
        self._let_go()
        while True:
            self._hear(min(max(until - time.monotonic(), 0.0), _LOOK_SECONDS))
            self._look()
            self._begin()
            if self._events or time.monotonic() >= until:
                return self._take_events()

    def seat(self, attempt: Attempt) -> Seat | None:
        """See `Engine`."""
        running = self._running.get(attempt.token)
        return None if running is None else Seat(running.machine.name, lines.of_attempt(self._study, attempt).value)

    def answer(self, event: Kept | Asked, value: object = None) -> None:
        """See `Engine`: nothing waits for it."""

    def take(self, ended: Ended, place: Path) -> None:
        """See `Engine`: from the attempt's line in the store."""
        key = lines.of_attempt(self._study, ended.attempt)
        scratch = self._ground.root / ".holdfast" / "taken"
        with local_errors():
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            found = self._keeper.restore(key.value, to=scratch / "new") if ended.made else None
            if found is not None and not found:
                raise NotRestored(f"{ended.attempt.unit}: what its attempt made could not be fetched: {found.error}")
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                place.rename(scratch / "old")
            if found is None:
                place.mkdir()
            else:
                (scratch / "new" / key.value).rename(place)
            shutil.rmtree(scratch, ignore_errors=True)
        if ended.kept:
            self._taken.append(ended.attempt.unit)
        self._open.discard(ended.attempt.unit)

    def halt(self) -> None:
        """See `Engine`."""
        self._shared.halt()
        self._events += [Halted(attempt) for attempt in self._waiting]
        self._waiting.clear()

    def stop(self, attempt: Attempt) -> None:
        """See `Engine`."""
        self._waiting = [a for a in self._waiting if a.token != attempt.token]
        if attempt.token in self._running:
            self._give_up(attempt.token)

    def close(self) -> None:
        """See `Engine`."""
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(HoldfastError):  # what stays in the store is let go by the next run
                if self._began:
                    self._keeper.settle(_SETTLE_SECONDS)
                    self._let_go(all_done=True)
            link.close()
        self._shared.remove()

    # -- attempts ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        while self._waiting:
            machine = self._roster.place(self._waiting[0].token)
            if machine is None:
                return
            attempt = self._waiting.pop(0)
            put = (self._named(attempt.work), *(self._named(piece) for piece in attempt.seen))
            order = Order(
                attempt=replace(attempt, work=b"", seen=()),
                config=replace(self._keeper.config, store_id=self._identity),
                drive=self._drive,
                shared=self._shared.folder.relative_to(self._drive),
                beat_seconds=self._patience.beat,
                folder=os.getcwd(),
                root=self._ground.root,
                path=tuple(os.path.abspath(place) for place in sys.path),
                fetch=self._ground.fetch,
                goes_on=not attempt.fresh or self._lined is None or lines.of_unit(self._study, attempt.unit) in self._lined,
            )
            pulse = Pulse(self._patience, time.monotonic())
            self._running[attempt.token] = _Running(attempt, machine, self._roster.type_of(machine.id), pulse, put)
            self._joined.say(
                Submit(attempt.token, "work", pickle.dumps(order), machine.id, put, self._need, dict(attempt.environment))
            )
            self._forget(put)

    def _named(self, data: bytes) -> str:
        """The name under which these bytes are in the cluster: each is put there once."""
        known = self._put.get(id(data))
        if known is None:
            self._puts += 1
            known = self._put[id(data)] = (data, f"{self._shared.folder.name}-{self._puts}")
            self._joined.say(Put(known[1], data))
        return known[1]

    def _forget(self, put: Collection[str]) -> None:
        """Those that are in no later attempt go; a piece of what is seen is in each that comes, and the rest of it in one."""
        needed = {*put, *(name for running in self._running.values() for name in running.put)}
        for key, (_, name) in list(self._put.items()):
            if name not in needed:
                del self._put[key]
                self._joined.say(Forget(name))

    def _hear(self, seconds: float) -> bool:
        """Take in what is said, for so many seconds at most. True once the nodes were told."""
        told = False
        while (word := self._joined.hear(seconds)) is not None:
            seconds = 0.0
            if isinstance(word, Machines):
                told = True
                self._events += self._roster.alive(word.alive)
                for token in [t for t, r in self._running.items() if not self._roster.has(r.machine.id)]:
                    self._lose_node(token)
            elif isinstance(word, Returned) and word.name in self._running:
                self._end(word.name, pickle.loads(word.value))  # noqa: S301 - from a node of our cluster
            elif isinstance(word, Broke) and word.name in self._running and word.process:
                self._lose(word.name, f"its process on {self._running[word.name].machine.name} {word.why}", counts=True)
            elif isinstance(word, Broke) and word.name in self._running:
                self._lose_node(word.name)
            elif isinstance(word, Returned):
                self._events += self._roster.answered(word.name, word.value)
            elif isinstance(word, Broke):
                self._events += self._roster.failed(word.name, word.why, there=word.process)
        return told

    def _end(self, token: str, end: Ended | Halted | Failed) -> None:
        self._news(token, last=True)
        running = self._running.pop(token)
        self._roster.leave(token)
        self._shared.forget(token)
        if isinstance(end, Halted):
            self._events.append(Halted(running.attempt))
        else:
            end = replace(end, attempt=running.attempt, where=running.machine.name)
            self._events.append(replace(end, node_type=running.type) if isinstance(end, Ended) else end)

    def _lose(self, token: str, why: str, *, counts: bool) -> None:
        running = self._running[token]
        self._give_up(token)
        self._events.append(Lost(running.attempt, why, counts, running.machine.name))

    def _lose_node(self, token: str) -> None:
        """Ray lists it as alive for a while; asked what it is, it is not there."""
        machine = self._running[token].machine
        self._roster.loses(machine.id)
        self._lose(token, f"node {machine.name} is lost", counts=False)

    def _give_up(self, token: str) -> None:
        """Whatever it still does, nobody hears of it any more, and it ends where it sees that."""
        del self._running[token]
        self._roster.leave(token)
        self._shared.give_up(token)
        self._joined.say(Withdraw(token))

    # -- signs of life -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < min(self._patience.beat / 2, _LOOK_SECONDS):
            return
        self._looked = now
        for token, running in list(self._running.items()):
            if running.pulse.seen(self._shared.beat_of(token), now):
                running.suspect = None
                self._news(token)
            elif running.pulse.is_over:
                self._suspect(token, running, now)

    def _suspect(self, token: str, running: _Running, now: float) -> None:
        """A process that hangs on a node that answers is another thing than a node that hangs."""
        if running.suspect is None:
            running.suspect = now
            if not self._roster.is_asked(running.machine.id):
                self._roster.question(running.machine.id)
        silent = f"no sign of life for {running.pulse.silent:.0f} s"
        if not self._roster.is_asked(running.machine.id):
            self._lose(token, f"{silent}, and its node {running.machine.name} answers", counts=True)
        elif now - running.suspect > self._patience.answer:
            self._events.append(Node(running.machine.name, f"hangs: {silent}", gone=True))
            self._lose(token, f"node {running.machine.name} hangs: {silent}", counts=False)

    def _news(self, token: str, *, last: bool = False) -> None:
        running = self._running[token]
        beat = self._shared.beat_of(token) if last else running.pulse.last
        if beat is None:
            return
        where = running.machine.name
        for number, line, warning in beat.lines:
            if number > running.line:
                running.line = number
                self._events.append(Told(running.attempt, {"line": line, "warning": warning}, where))
        if beat.told and beat.told != running.told and not last:
            running.told = beat.told
            self._events.append(Told(running.attempt, beat.told, where))
        if beat.kept > running.kept:
            running.kept = beat.kept
            self._events.append(Kept(running.attempt, beat.share, where))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # -- lines that are needed no more ---------------------------------------------------------------------------------

    def _let_go(self, *, all_done: bool = False) -> None:
        """Lines whose unit is in the study, once that is in the store.

        Args:
            all_done: Also those that a driver left which was killed right before that: of all units before the first open one,
                as the driver begins them in their order.
        """
        home = Key(self._ground.home)
        if (not self._taken and not all_done) or any(home.covers(k) for k in self._keeper.queue.waiting):
            return
        units = {lines.of_unit(self._study, unit) for unit in self._taken}
        if all_done:
            first = min((lines.of_unit(self._study, unit) for unit in self._open), default=None)
            units |= {unit for unit in lines.units_with_lines(self._in_store, self._study) if first is None or unit < first}
        lines.let_go(self._in_store, self._store, units)
        self._taken.clear()
        if all_done:
            lines.sweep(self._store, self._study)
