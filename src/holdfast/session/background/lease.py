"""One writing workspace: while a session works on an artifact, a lease in the store says so, and its beats say that it lives.

It keeps other machines out, and other project folders of this one. Sessions in one project folder are siblings: they share what
they stand on, so each of them writes, one after the other, and what they hold they hold together.

A lease is advice. It spares a second session hours that would end as a fork, and safety never depends on it: leases may be late,
lost or lying, and what two sessions write is kept as two lines. So whatever goes wrong with a lease is no error.

A beat is a small file of a new name, `sessions/<session>-<beat>.json`; the one before it is removed. On this machine a process is
alive or it is not. Of another machine only a new beat proves life: a session that was seen a minute ago may be on a machine that
was taken away since, and whoever opens the notebook again must not wait for it. So that one is gone on beside, and watched.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.errors import AnotherSession, HoldfastError, StoreNotFound
from holdfast.session.background.process import Process
from holdfast.store.backends.backend import Backend
from holdfast.store.format.keys import Key
from holdfast.store.format.names import SESSIONS
from holdfast.store.reporting.amounts import ago

log = logging.getLogger(__name__)

#: A beat is one file made and one removed; Drive's trash keeps what is removed, so they are few.
BEAT_SECONDS = 120.0
#: A session that gave no sign for so long is gone. Uploads are late, so that one lost beat is no death.
DEAD_SECONDS = 3 * BEAT_SECONDS
#: A lease is given back where nothing was backed up for so long.
IDLE_SECONDS = 1800.0
#: How often others are looked for while there are backups: one listing.
LOOK_SECONDS = 30.0
#: Beats of sessions that are gone are swept away after a day.
SWEPT_SECONDS = 86_400.0
MAX_LEASE_BYTES = 1 << 16

_NAME = re.compile(r"(?P<session>[0-9a-f]{8})-(?P<beat>[0-9]{6,9})\.json")


@dataclass(frozen=True)
class Other:
    """What another session says of itself.

    Args:
        session: Its identity.
        beat: Number of its newest beat.
        process: What it runs in.
        at: When it gave that beat, by its own clock, Unix seconds.
        keys: What it works on, and since when.
        forced: It was told to write beside others, so it keeps nobody from going on who was at work.
        workspace: Which project folder of its machine it works in; empty where it does not say.
    """

    session: str
    beat: int
    process: Process
    at: float
    keys: Mapping[Key, float]
    forced: bool
    workspace: str = ""

    def since(self, key: Key) -> float | None:
        """When it began with an artifact at, above or below this one; None where it works on none."""
        return min((t for k, t in self.keys.items() if k.covers(key) or key.covers(k)), default=None)

    def described(self, now: float) -> str:
        """For a person."""
        return f"on {self.process.host}, process {self.process.number}, seen {ago(now - self.at)}"


@dataclass
class _Watched:
    other: Other
    since: float  #: when this beat was first seen, monotonic
    beats: bool = False  #: it was seen to give a new one


@dataclass
class Lease:
    """What this session works on, and who else does.

    Args:
        force: Write beside others all the same.
        beat: Seconds between beats.
        dead: Seconds without a sign after which a session is gone.
        process: What this session runs in; None for this one.
        clock: Monotonic seconds.
        wall: Unix seconds.
        workspace: Which project folder of this machine it works in (`Workspace.identity`). Sessions in the same one are siblings.
    """

    force: bool = False
    beat: float = BEAT_SECONDS
    dead: float = DEAD_SECONDS
    process: Process | None = None
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    workspace: str = ""
    _session: str = field(default_factory=lambda: secrets.token_hex(4))
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _keys: dict[Key, float] = field(default_factory=dict)
    _others: dict[str, _Watched] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)
    _number: int = 0
    _written: str | None = None
    _beat_at: float = 0.0
    _looked: float | None = None
    _used: float = 0.0
    _closed: bool = False

    @property
    def due(self) -> float | None:
        """When `keep` wants to be called next, monotonic; None where nothing is held."""
        return self._beat_at if self._keys and self._written else None

    def rival(self, keys: Iterable[Key]) -> str:
        """Why these may not be written by this session, from what was seen last; empty where they may. Never waits."""
        for key in keys:
            for watched in tuple(self._others.values()):
                if not self._is_before(watched, key):
                    continue
                text = f"{key}: another session works on it ({watched.other.described(self.wall())})"
                if not self.force:
                    return (
                        f"{text}; this one writes nothing there, so that no work is done twice. End one of them, or write beside "
                        "it with attach(force=True) or holdfast run --force: both lines are kept then, as a fork"
                    )
                self._tell(watched.other, "beside", logging.WARNING, f"{text}; this one writes beside it, and both lines are kept")
        return ""

    def look(self, backend: Backend, keys: Iterable[Key]) -> None:
        """See who else works on these, unless that was seen just now.

        Args:
            backend: The store.
            keys: What this session is about to write.

        Raises:
            AnotherSession: another one, which is alive, was there first.
        """
        wanted = tuple(keys)
        with self._lock:
            self._used = self.clock()
            fresh = self._looked is not None and self._used - self._looked < min(LOOK_SECONDS, self.beat)
            if not fresh or any(k not in self._keys for k in wanted):
                self._watch(backend)
            if text := self.rival(wanted):
                raise AnotherSession(text)

    def refuse(self, backend: Backend, keys: Iterable[Key]) -> None:
        """As `look`, and asks the store only where the answer would be no and is not from just now.

        Raises:
            AnotherSession: another one, which is alive, was there first.
        """
        wanted = tuple(keys)
        if not self.rival(wanted):
            return
        with self._lock:
            if self._looked is None or self.clock() - self._looked >= min(LOOK_SECONDS, self.beat):
                self._watch(backend)
            if text := self.rival(wanted):
                raise AnotherSession(text)

    def hold(self, backend: Backend, keys: Iterable[Key]) -> None:
        """Say that this session works on these. There is a store: it was written to, or it was seen.

        Args:
            backend: The store.
            keys: The artifacts.
        """
        with self._lock:
            if self._closed:  # meanwhile, by another thread
                return
            new = [k for k in keys if k not in self._keys]
            self._keys.update(dict.fromkeys(new, self.wall()))
            if new or self.clock() >= self._beat_at:
                self._beat(backend)

    def keep(self, backend: Backend) -> None:
        """Give a beat, and look at the others; or give the lease back where nobody needs it any more."""
        with self._lock:
            if self.clock() - self._used >= IDLE_SECONDS:
                self.release(backend)
            elif self._keys:
                self._watch(backend)
                self._beat(backend)

    def close(self, backend: Backend | None) -> None:
        """This session is over. Without a store that can be written its lease is left to be found dead."""
        with self._lock:
            self._closed = True
            if backend is not None:
                self.release(backend)

    def release(self, backend: Backend) -> None:
        """Work on nothing any more."""
        with self._lock:
            written, self._written = self._written, None
            self._keys.clear()
            if written is not None:
                with contextlib.suppress(HoldfastError, OSError):
                    backend.remove(written)

    # -- below: with the lock held ----------------------------------------------------------------------------------

    def _me(self) -> Process:
        if self.process is None:
            self.process = Process.this()
        return self.process

    def _is_sibling(self, other: Other) -> bool:
        """It works in the same project folder, so that what it writes is what this session stands on."""
        return bool(self.workspace) and other.workspace == self.workspace and self._me().is_on_the_machine_of(other.process)

    def _since(self, key: Key) -> tuple[float, str] | None:
        """When this project folder began with an artifact, by the sibling that was first; None where it works on none there."""
        siblings = [w.other for w in tuple(self._others.values()) if self._is_sibling(w.other) and self._is_alive(w)]
        begun = [(since, o.session) for o in siblings if (since := o.since(key)) is not None]
        mine = self._keys.get(key)
        return min([*begun, *([(mine, self._session)] if mine is not None else [])], default=None)

    def _is_before(self, watched: _Watched, key: Key) -> bool:
        """The other one is alive, works on this, is no sibling, and began before this project folder did."""
        theirs = watched.other.since(key)
        if theirs is None or self._is_sibling(watched.other) or not self._is_alive(watched):
            return False
        mine = self._since(key)
        if mine is None or (self.force and not watched.other.forced):
            return True
        return not watched.other.forced and (theirs, watched.other.session) < mine

    def _is_alive(self, watched: _Watched) -> bool:
        known = self._me().lives(watched.other.process)
        return watched.beats and self.clock() - watched.since < self.dead if known is None else known

    def _watch(self, backend: Backend) -> None:
        try:
            listed = [(match, e.name) for e in backend.list(SESSIONS) if (match := _NAME.fullmatch(e.name))]
        except StoreNotFound:
            listed = []
        except (HoldfastError, OSError) as error:
            log.debug("who else works here is not known (%s)", error)
            return
        self._looked = self.clock()
        newest: dict[str, tuple[int, str]] = {}
        for match, name in listed:
            newest[match["session"]] = max(newest.get(match["session"], (-1, "")), (int(match["beat"]), name))
        newest.pop(self._session, None)
        for gone in set(self._others) - set(newest):
            del self._others[gone]
        for session, (beat, name) in newest.items():
            before = self._others.get(session)
            if before is not None and before.other.beat >= beat:
                continue
            other = _read(backend, session, beat, f"{SESSIONS}/{name}")
            if other is None or other.process == self._me():  # another keeper of this process is no other session
                continue
            self._others[session] = _Watched(other, self.clock(), beats=before is not None)
        self._judge(backend, {s: f"{SESSIONS}/{n}" for s, (_, n) in newest.items()})

    def _judge(self, backend: Backend, places: Mapping[str, str]) -> None:
        """Say once what was found, and sweep away what the dead left."""
        now = self.wall()
        for session, watched in list(self._others.items()):
            other, age = watched.other, now - watched.other.at
            known = self._me().lives(other.process)
            if known is False or (known is None and not watched.beats and age > SWEPT_SECONDS):
                del self._others[session]
                with contextlib.suppress(HoldfastError, OSError):
                    backend.remove(places[session])
            elif known is None and not watched.beats and age < self.dead:
                what = ", ".join(sorted(k.value for k in other.keys))
                before = f"another session worked on {what} ({other.described(now)})"
                self._tell(other, "perhaps", logging.INFO, f"{before}; if it still lives, this one will stop writing there")

    def _tell(self, other: Other, what: str, level: int, text: str) -> None:
        if (other.session, what) not in self._told:
            self._told.add((other.session, what))
            log.log(level, "%s", text)

    def _beat(self, backend: Backend) -> None:
        self._beat_at = self.clock() + self.beat
        self._number += 1
        place, before = f"{SESSIONS}/{self._session}-{self._number:06d}.json", self._written
        me = self._me()
        body = {
            "host": me.host,
            "place": me.place,
            "process": me.number,
            "born": me.born,
            "at": self.wall(),
            "forced": self.force,
            "workspace": self.workspace,
            "keys": {k.value: t for k, t in self._keys.items()},
        }
        try:
            backend.create(place, lambda: [json.dumps(body, sort_keys=True).encode()])
            self._written = place
            if before is not None:
                backend.remove(before)
        except (HoldfastError, OSError) as error:
            log.debug("no sign of life could be given (%s)", error)


def _read(backend: Backend, session: str, beat: int, path: str) -> Other | None:
    """Untrusted input: whatever is wrong with it, it is no lease."""
    try:
        text = b""
        for chunk in backend.read(path):
            text += chunk
            if len(text) > MAX_LEASE_BYTES:
                return None
        body = json.loads(text)
        process = Process(str(body["host"]), str(body["place"]), int(body["process"]), int(body["born"]))
        keys = {Key.parse(str(k)): float(t) for k, t in dict(body["keys"]).items()}
        return Other(session, beat, process, float(body["at"]), keys, bool(body["forced"]), str(body.get("workspace", "")))
    except (HoldfastError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.debug("%s is no lease (%s)", path, error)
        return None
