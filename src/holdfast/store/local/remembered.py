"""What a workspace remembers in `.holdfast/`: stores, artifacts, commits and restores under way, restores that failed."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.errors import Corrupt, LocalError
from holdfast.store.format.keys import Key, within
from holdfast.store.format.names import decode_key, key_code
from holdfast.store.local import records
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.records import Intent, Publication, Record, Signature, refreshed
from holdfast.store.local.since import changes_to_json, with_changes
from holdfast.store.local.state import StateFolder
from holdfast.store.looking.view import View

log = logging.getLogger(__name__)


#: Where a record is: as it was written whole, what changed in it since, and when it was last found to be so.
_KINDS = ("records", "since", "looks")
_HOUR = 3600.0


@dataclass(frozen=True)
class _Known:
    """A record that was read or written.

    Args:
        seen: What its files looked like then.
        whole: What the first of them says.
        record: What all of them say.
        seal: The digest of the last of them that says something of files.
    """

    seen: tuple[Signature | None, ...]
    whole: Record
    record: Record
    seal: str


class Remembered(StateFolder):
    """A project folder with what is remembered of it. What does not verify is as if nothing were remembered."""

    def __init__(
        self,
        root: Path,
        outputs: str = "outputs",
        *,
        lock_seconds: float = 600.0,
        ignore: tuple[str, ...] = (),
        follow: tuple[str, ...] = (),
        accept: tuple[str, ...] = (),
    ) -> None:
        super().__init__(root, outputs, lock_seconds=lock_seconds, ignore=ignore, follow=follow, accept=accept)
        self._known: dict[Key, _Known] = {}

    # -- the store that this workspace knows -------------------------------------------------------------------------

    def known_store(self, location: str) -> str | None:
        """Identity of the store that this workspace met at a location, or None."""
        known = self._stores().get(location)
        return None if known is None else known[0]

    def knows_as_safe(self, location: str) -> bool:
        """True where the store that was met there was known to have arrived."""
        return self._stores().get(location, ("", False))[1]

    def meet(self, location: str, store_id: str, *, safe: bool) -> None:
        """Remember which store lies at a location.

        Args:
            location: Where.
            store_id: Its identity.
            safe: It has arrived there. One that has not may go with its mount.
        """
        stores = self._stores()
        if stores.get(location) != (store_id, safe):
            records.write_sealed(self._state / "stores.json", {**stores, location: (store_id, safe)})

    def forget_unsafe_stores(self) -> None:
        """The mount was made anew, and what had not arrived is gone with the old one: stores that may be are not expected."""
        stores = self._stores()
        safe = {location: known for location, known in stores.items() if known[1]}
        if safe != stores:
            records.write_sealed(self._state / "stores.json", safe)

    def _stores(self) -> dict[str, tuple[str, bool]]:
        with contextlib.suppress(Corrupt, ValueError, TypeError, AttributeError):
            body = records.read_sealed(self._state / "stores.json") or {}
            return {str(location): (str(store_id), bool(safe)) for location, (store_id, safe) in body.items()}
        return {}

    # -- what went to Drive ------------------------------------------------------------------------------------------

    def sent_since(self, since: float) -> tuple[int, float]:
        """How many bytes went to Drive from here since then, by this workspace's record, and when the first of them did."""
        sent = {at: size for at, size in self._sent().items() if at > since}
        return sum(sent.values()), min(sent, default=since)

    def note_sent(self, size: int, now: float) -> None:
        """Remember that bytes went to Drive. By the hour's end, and for two days: it is to say what a day may still take."""
        hour = (now // _HOUR + 1) * _HOUR
        kept = {at: bytes_ for at, bytes_ in self._sent().items() if now - 48 * _HOUR < at <= hour}
        kept[hour] = kept.get(hour, 0) + size
        body = {"sent": [[at, bytes_] for at, bytes_ in sorted(kept.items())]}
        records.write_sealed(self._state / "sent.json", body, lasting=False)

    def _sent(self) -> dict[float, int]:
        with contextlib.suppress(Corrupt, ValueError, TypeError, KeyError):
            body = records.read_sealed(self._state / "sent.json") or {"sent": []}
            return {float(at): int(size) for at, size in body["sent"]}
        return {}

    # -- failed restores ---------------------------------------------------------------------------------------------

    def restore_failed(self, key: Key) -> None:
        """Remember that this path was asked for and could not be restored: a commit without base then begins a fresh line."""
        self._make_state()
        marks = self._failures()
        if key.value not in marks:
            records.write_sealed(self._state / "failures.json", {"keys": sorted({*marks, key.value})})

    def has_failed(self, artifact: Key) -> bool:
        """True where a restore of this artifact, of a part of it, or of what holds it failed and none has succeeded since."""
        marks = [Key(m) for m in self._failures()]
        return any(artifact.covers(m) or m.covers(artifact) for m in marks)

    def forgive(self, key: Key) -> None:
        """Forget failures of what this key covers: it is here, or in the store, now."""
        marks = self._failures()
        left = {m for m in marks if not key.covers(Key(m))}
        if left != marks:
            records.write_sealed(self._state / "failures.json", {"keys": sorted(left)})

    def _failures(self) -> set[str]:
        try:
            body = records.read_sealed(self._state / "failures.json")
            return set() if body is None else set(body["keys"])
        except (Corrupt, ValueError, KeyError, TypeError):
            return set()

    # -- memory ------------------------------------------------------------------------------------------------------

    def record(self, key: Key) -> Record:
        """What is remembered of an artifact; an empty record where nothing is, or where it does not verify."""
        seen = tuple(_signature_or_none(self._place(kind, key)) for kind in _KINDS)
        if seen[0] is None:
            return Record()
        known = self._known.get(key)
        if known is not None and known.seen == seen:
            return known.record
        try:
            known = self._read_record(key, seen, None if known is None or known.seen[0] != seen[0] else known.whole)
        except (Corrupt, KeyError, TypeError, ValueError) as error:
            log.warning("%s: what was remembered of it is damaged and is ignored (%s)", key, error)
            return Record()
        if known is None:
            return Record()
        self._known[key] = known
        return known.record

    def _read_record(self, key: Key, seen: tuple[Signature | None, ...], whole: Record | None) -> _Known | None:
        """What is remembered of an artifact, from the files that were seen.

        Args:
            key: The artifact.
            seen: What the files look like.
            whole: What the first of them says, where that is known.
        """
        place, since, looks = (self._place(kind, key) for kind in _KINDS)
        if whole is None:
            body = self._read("records", key)
            if body is None:
                return None
            whole = records.record_from_json(body)
        seal, record = records.seal_of(place), whole
        changes = None if seen[1] is None else records.read_sealed(since)
        changed = None if changes is None else with_changes(whole, seal, changes)
        if changed is not None:
            seal, record = records.seal_of(since), changed
        with contextlib.suppress(Corrupt, KeyError, TypeError, ValueError, AttributeError):  # then the record's own are older
            found = None if seen[2] is None else records.read_sealed(looks)
            record = record if found is None else records.with_looks(record, seal, found)
        return _Known(seen, whole, record, seal)

    def record_in(self, key: Key, view: View) -> Record:
        """What is remembered of an artifact, as far as it is about the store in view: another store's base is no base."""
        record = self.record(key)
        base = record.base
        if base is None or base.store_id == view.store_id or any(n.commit == base.commit for n in view.of(key)):
            return record
        return Record()

    def known_keys(self) -> tuple[Key, ...]:
        """The artifacts of which something is remembered."""
        found = []
        for path in self._remembered("records"):
            key = None
            with contextlib.suppress(Corrupt, ValueError, KeyError, TypeError):
                key = decode_key(path.name.removesuffix(".json"))
                if key is None:  # the name was cut, so the content has to tell
                    body = records.read_sealed(path)
                    key = None if body is None else Key(body["key"])
            if key is not None:
                found.append(key)
        return tuple(found)

    def save(self, key: Key, record: Record) -> None:
        """Remember. Raises LocalError where the disk is full."""
        place, since, known = self._place("records", key), self._place("since", key), self._known.get(key)
        if known is not None and known.seen[0] == _signature_or_none(place):
            changes = changes_to_json(record, known.whole, records.seal_of(place))
            if changes is not None:
                records.write_sealed(since, changes)
                self._knows(key, known.whole, record, records.seal_of(since))
                return
        records.write_sealed(place, {"key": key.value, **records.record_to_json(record)})
        since.unlink(missing_ok=True)  # it is of another record; a damaged one would be taken for damage to this one
        self._knows(key, record, record, records.seal_of(place))

    def found_again(self, key: Key, record: Record) -> None:
        """Remember when all was found to be as a record says; but for that, it is what is remembered already.

        Nothing hangs on it once the machine has lost its power: who looked before whom matters to processes that live.
        """
        self.record(key)
        known = self._known[key]
        body = records.looks_to_json(known.seal, record.looked, record.stamps)
        records.write_sealed(self._place("looks", key), body, lasting=False)
        self._knows(key, known.whole, record, known.seal)

    def _knows(self, key: Key, whole: Record, record: Record, seal: str) -> None:
        self._known[key] = _Known(tuple(_signature_or_none(self._place(kind, key)) for kind in _KINDS), whole, record, seal)

    def looked(self, key: Key, record: Record) -> Mapping[str, float]:
        """`Record.looked`; for a record that an older version wrote, when it wrote it. For people."""
        found = None if record.looked or record.base is None else lstat_or_none(self._place("records", key))
        return record.looked if found is None else {"": found.st_mtime}

    def intent(self, key: Key) -> Intent | None:
        """The commit of this artifact that was begun and not finished, or None."""
        body = self._read("intents", key)
        return None if body is None else records.intent_from_json(body)

    def begin(self, key: Key, intent: Intent) -> None:
        """Record that a commit is about to be sent."""
        records.write_sealed(self._place("intents", key), records.intent_to_json(intent))

    def end(self, key: Key) -> None:
        """Forget the commit that was begun: it is done, or void."""
        self._place("intents", key).unlink(missing_ok=True)

    def publishing(self, key: Key, publication: Publication) -> None:
        """Record that a restore is about to be published."""
        body = {"key": key.value, **records.publication_to_json(publication)}
        records.write_sealed(self._place("publications", key), body)

    def published(self, key: Key, record: Record) -> None:
        """The restore is published: remember its record."""
        self.save(key, record)
        self._place("publications", key).unlink(missing_ok=True)

    def _finish_publications(self) -> None:
        """Record what a killed restore had already put in place. Runs before its temporaries are removed."""
        for path in self._remembered("publications"):
            try:
                body = records.read_sealed(path)
                if body is not None:
                    key = Key(body["key"])
                    self._finish(key, records.publication_from_json(body))
            except (Corrupt, KeyError, TypeError, ValueError) as error:
                log.warning("%s is damaged and is ignored (%s)", path, error)
            path.unlink(missing_ok=True)

    def _finish(self, key: Key, publication: Publication) -> None:
        before = self.record(key)
        base, wanted = publication.record.base, publication.record.here
        arrived = {}
        for path, inode in publication.targets.items():
            with contextlib.suppress(OSError):
                found = os.lstat(self.local(key.join(path)))
                if found.st_ino == inode and path in wanted:
                    arrived[path] = refreshed(wanted[path], found)
        if not arrived or base is None:
            return
        same = before.base is not None and before.base.commit == base.commit
        kept = {p: h for p, h in (before.here if same else wanted).items() if p not in publication.targets}
        self.save(key, replace(publication.record, here={**kept, **arrived}, copied=before.copied, chosen=False))

    def _remembered(self, kind: str) -> list[Path]:
        try:
            return sorted(self._state / kind / name for name in os.listdir(self._state / kind) if name.endswith(".json"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LocalError(error.errno, error.strerror, str(self._state)) from error

    def _place(self, kind: str, key: Key) -> Path:
        if kind == "since":  # one is worth nothing without the other
            return self._state / "records" / f"{key_code(key)}.since"
        return self._state / kind / f"{key_code(key)}.json"

    def _read(self, kind: str, key: Key) -> Any | None:
        try:
            return records.read_sealed(self._place(kind, key))
        except (Corrupt, ValueError) as error:
            log.warning("%s: what was remembered of it is damaged and is ignored (%s)", key, error)
            return None

    def was_here(self, key: Key) -> bool:
        """What is at a path was on this machine as a part of what the store has, or is known to be dropped; by memory."""
        if key == self.outputs or not self.has_outputs:
            return False
        owner = next((k for k in (key, *key.parents()) if k in set(self.known_keys())), None)
        if owner is None:
            return False
        record, prefix = self.record(owner), owner.relative(key)
        return any(within(p, prefix) for p in (*record.here, *record.links, *record.folders)) or (not prefix and record.was_here)


def _signature_or_none(place: Path) -> Signature | None:
    found = lstat_or_none(place)
    return None if found is None else Signature.of(found)
