"""Drive's API beside its mount: the witness of what the mount was given, and the way to go on where the mount is dead.

Opened when it is first needed, and only where there is a token: nothing of it is loaded before.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, StoreError, StoreUnreadable
from holdfast.store.reporting.durability import Durability

if TYPE_CHECKING:
    from holdfast.store.backends.api.backend import ApiBackend
    from holdfast.store.backends.api.witness import Seen

log = logging.getLogger(__name__)

#: What a mount was given before so many files is uploaded by now, or never.
_KEPT = 4000


class WayChanged(StoreUnreadable):
    """The mount died under what was being written. Its name is used up; an attempt under another one goes by the API."""


@dataclass(frozen=True)
class Given:
    """What a mount was given under one name.

    Args:
        size: Bytes.
        md5: Checksum of them, as Drive gives it too.
    """

    size: int
    md5: str


class SecondWay:
    """Drive's API for the store that a mount shows.

    Args:
        opening: Opens it; gives None where there is no token. Called once, when it is first needed.
        note: File in which this machine notes what the mount was given; None keeps that in memory.
        sent_before: This machine has sent something by the API before, which the mount may not show yet.
    """

    def __init__(self, opening: Callable[[], ApiBackend | None], note: Path | None = None, *, sent_before: bool = False) -> None:
        self._opening = opening
        self._sent_before = sent_before
        self._note = note
        self._lock = threading.Lock()
        self._opened = False
        self._backend: ApiBackend | None = None
        self._given: dict[str, Given] = _read(note)
        self._safe: set[str] = set()

    def backend(self) -> ApiBackend | None:
        """The backend over the API, or None where it cannot be opened; that is tried once."""
        with self._lock:
            if not self._opened:
                self._opened = True
                try:
                    self._backend = self._opening()
                except HoldfastError as error:
                    log.debug("Drive's API is not used (%s)", error)
            return self._backend

    def opened(self) -> ApiBackend | None:
        """The same where it was needed before, or this machine has sent something by it; nothing is opened for this."""
        return self.backend() if self._sent_before else self._backend

    def wrote(self, path: str, given: Given) -> None:
        """The mount was given a file."""
        with self._lock:
            self._given[path] = given
            if self._note is None:
                return
            try:
                self._note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                handle = os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                try:
                    os.write(handle, f"{json.dumps([path, given.size, given.md5])}\n".encode())
                finally:
                    os.close(handle)
            except OSError as error:  # costs a proof, not safety
                log.debug("what Drive's mount was given could not be noted (%s)", error.strerror)

    def gave(self, path: str) -> bool:
        """Whether the mount was given a file here."""
        return path in self._given

    def sent(self, path: str) -> bool:
        """Whether a file was sent by the API, and has arrived."""
        backend = self.opened()
        return backend is not None and backend.has_sent(path)

    def verdicts(self, paths: Sequence[str], ids: Mapping[str, str]) -> dict[str, Seen] | None:
        """What Drive says of what the mount was given; None where there is nobody to ask. What was safe once is not asked again.

        Args:
            paths: The files. One of which is not known what the mount was given is left out of the answer.
            ids: Those that the mount names an id of Drive for, and that.
        """
        backend = self.backend()
        if backend is None:
            return None
        from holdfast.store.backends.api.witness import Seen, Written

        known = dict.fromkeys((p for p in paths if p in self._safe or backend.has_sent(p)), Seen.SAFE)
        given = {p: self._given[p] for p in paths if p not in known and p in self._given}
        if not given:
            return known
        also = {p: Written(g.size, g.md5) for p, g in self._waiting_beside(next(iter(given))).items()}
        try:
            seen = backend.witness.look({p: Written(g.size, g.md5, ids.get(p)) for p, g in given.items()}, also)
        except StoreError as error:
            log.debug("Drive's API cannot be asked now (%s)", error)
            return known
        self._safe.update(p for p, how in seen.items() if how is Seen.SAFE)
        return known | {p: seen[p] for p in given}

    def _waiting_beside(self, path: str) -> dict[str, Given]:
        """What else the mount was given and is not known to be safe, what was written nearest to a file first.

        A request costs the same for one name and for a hundred, and who confirms a thousand generations asks one after the other.
        """
        from holdfast.store.backends.api.items import AT_ONCE

        with self._lock:
            waiting = [p for p in self._given if p not in self._safe]
            place = waiting.index(path) if path in waiting else 0
            nearest = sorted(range(len(waiting)), key=lambda n: abs(n - place))[:AT_ONCE]
            return {waiting[n]: self._given[waiting[n]] for n in nearest}

    def durability(self, paths: Sequence[str], ids: Mapping[str, str], mount: Callable[[str], Durability]) -> Durability | None:
        """How safe files are by Drive's own word; None where there is nobody to ask.

        What Drive confirms is safe. What it has otherwise is not there yet. Where it shows nothing, that the mount waits for an
        upload is believed, and that it is done is not.

        Args:
            paths: The files.
            ids: As of `verdicts`.
            mount: What the mount says of one.
        """
        seen = self.verdicts(paths, ids)
        if seen is None:
            return None
        from holdfast.store.backends.api.witness import Seen

        found = set()
        for path in paths:
            how = seen.get(path)
            if how is Seen.SAFE:
                continue
            waits = how is Seen.OTHER or (how is not Seen.TRASHED and mount(path) is Durability.WRITTEN)
            found.add(Durability.WRITTEN if waits else Durability.UNKNOWN)
        return next((d for d in (Durability.WRITTEN, Durability.UNKNOWN) if d in found), Durability.CONFIRMED)


def _read(note: Path | None) -> dict[str, Given]:
    found: dict[str, Given] = {}
    if note is None:
        return found
    try:
        lines = note.read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines[-_KEPT:]:
        try:
            path, size, md5 = json.loads(line)
            found[str(path)] = Given(int(size), str(md5))
        except (ValueError, TypeError):  # a line that a kill cut off
            continue
    if len(lines) > 2 * _KEPT:
        try:
            note.write_text("".join(f"{json.dumps([p, g.size, g.md5])}\n" for p, g in found.items()), encoding="utf-8")
        except OSError as error:
            log.debug("a note could not be made shorter (%s)", error.strerror)
    return found
