"""The local side: the root, its outputs, and the memory and scratch space in `.holdfast/` beside them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
import stat
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, TypeVar

from blake3 import blake3

from holdfast.errors import Corrupt, HoldfastError, LocalError, OutsideOutputs, WorkspaceBusy
from holdfast.platform import real_path
from holdfast.store.apart.reading import InProcess, Reader
from holdfast.store.copies.proofs import Proof, Proofs
from holdfast.store.deciding.ignore import Rules
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.names import decode_key, key_code
from holdfast.store.local import locks, records
from holdfast.store.local.folding import Names
from holdfast.store.local.keeping import IGNORE_FILE, Keeping
from holdfast.store.local.links import MOST_LINKS, Outputs, joined, kept_target
from holdfast.store.local.records import Here, Intent, Publication, Record, Signature
from holdfast.store.local.turns import next_turn
from holdfast.store.looking.view import View

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A look into files has so long, and so much more for what they hold: a disk that is slower than this is not working.
_READ_SECONDS, _READ_BYTES_PER_SECOND = 300.0, 1e6
#: So long a process waits for others that make a folder for their copies, or sweep what ended ones left.
_QUEUE_SECONDS = 30.0
STATE_FOLDER = ".holdfast"
ASIDE_FOLDER = "holdfast-aside"


class Workspace:
    """A project folder on this machine.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        lock_seconds: How long to wait for another process that works in this workspace.
        clock: Unix seconds; names what is moved aside, decides nothing.
        ignore: Patterns of what is left out, in gitignore's syntax, beside those of `.holdfastignore`.
        follow: Paths of symbolic links that are followed.
        accept: Paths of what cannot be kept and may be lost.
        reader: Opens files of outputs; by default this process, which then must not have any of them open itself.
    """

    def __init__(
        self,
        root: Path,
        outputs: str = "outputs",
        *,
        lock_seconds: float = 600.0,
        clock: Callable[[], float] = time.time,
        ignore: tuple[str, ...] = (),
        follow: tuple[str, ...] = (),
        accept: tuple[str, ...] = (),
        reader: Reader | None = None,
    ) -> None:
        self.root = Path(os.path.abspath(root))
        self.outputs = Key.parse(outputs)
        # Beside the real outputs, so that hard links and renames stay on one file system when outputs is a link.
        place = self.root / self.outputs.value
        self._real = real_path(place)  # of which the project may be reached through a link as well
        self._outputs = self._real if place.is_symlink() else place
        self._beside = self._outputs.parent
        # Several projects may link to outputs on one disk; each remembers by itself.
        mark = f"-{blake3(str(self.root).encode()).hexdigest(length=4)}" if place.is_symlink() else ""
        self._state = self._beside / f"{STATE_FOLDER}{mark}"
        self._lock_seconds = lock_seconds
        self._clock = clock
        self._records: dict[Key, tuple[Signature, Record]] = {}
        self._reader = reader or InProcess()
        self.proofs = Proofs(self.read)
        self._scratch: tuple[int, Path] | None = None  # a forked child needs its own
        #: What was found out of files whose signature proved nothing when they were last taken, for as long as this lives.
        self.proven: dict[tuple[Key, str], Here] = {}
        self._ignore = ignore
        self._rules: tuple[Signature | None, Rules] = (None, Rules.parse(b"", ignore))
        self._follow = frozenset(Key.parse(path) for path in follow)
        self._accept = tuple(Key.parse(path) for path in accept)

    @property
    def identity(self) -> str:
        """Which project folder of this machine it is, for as long as the machine runs; empty where there is none."""
        found = lstat_or_none(self._beside)
        return "" if found is None else f"{found.st_dev:x}-{found.st_ino:x}{self._state.name}"

    # -- paths -------------------------------------------------------------------------------------------------------

    def key(self, path: str | PurePath) -> Key:
        """The key of a path; a relative one is taken from the root.

        Raises:
            OutsideOutputs: it does not lie below outputs, has `..`, or reaches its place through a symbolic link.
        """
        text = os.fspath(path)
        shown = printable(text)
        pure = PurePath(text)
        if ".." in pure.parts:
            raise OutsideOutputs(f"{shown}: has '..'; give the plain path below {self.outputs}/")
        if pure.is_absolute():
            pure = self._below_root(Path(text), shown)
        key = Key.parse(pure.as_posix())
        if not self.outputs.covers(key):
            raise OutsideOutputs(f"{shown}: not below {self.outputs}/ of {self.root}; only what is there is kept")
        key = self._through_links(key)
        place = self.local(key)
        if is_link(lstat_or_none(place)) and key not in self._follow:
            with local_errors():
                problem = kept_target(str(place), key, self.places)[1]
            if problem:
                raise OutsideOutputs(f"{key}: {problem}; follow it (drive.follow in config/paths.yaml), or put the real file there")
        return key

    def _through_links(self, key: Key) -> Key:
        """The key of the same place where no folder on the way to it is a symbolic link that stays inside outputs.

        Raises:
            OutsideOutputs: a link on the way leads out, or they go round.
        """
        for _ in range(MOST_LINKS):
            on_the_way = [k for k in reversed(key.parents()) if self.outputs.covers(k) and k != self.outputs]
            link = next((k for k in on_the_way if k not in self._follow and is_link(lstat_or_none(self.local(k)))), None)
            if link is None:
                return key
            with local_errors():
                target, problem = kept_target(str(self.local(link)), link, self.places)
            if problem:
                break
            key = joined(link, target).join(link.relative(key))
        self.refuse_links([key], only_above=True, following=True)
        return key

    def leads_to(self, key: Key) -> Key | None:
        """Where a symbolic link that is here leads in the end; None where that is no other place in outputs."""
        with local_errors():
            found = self.places.key_of(os.path.realpath(self.local(key)))
        return None if found == key else found

    def refuse_links(self, keys: Iterable[Key], *, only_above: bool = False, following: bool = False) -> None:
        """Return where none of these, and no folder on the way to them below outputs, is a symbolic link.

        Args:
            keys: The paths.
            only_above: They may be links themselves.
            following: Links that are to be followed count as folders. Never where something is written.

        Raises:
            OutsideOutputs: one is, so what is written there would leave outputs, or what is read would come from elsewhere.
            LocalError: a folder on the way may not be looked into.
        """
        seen: set[str] = set()
        base = len(self.outputs.parts)
        for key in keys:
            for end in range(base + 1, len(key.parts) + (0 if only_above else 1)):
                part = "/".join(key.parts[:end])
                if part in seen or (following and Key(part) in self._follow):
                    continue
                seen.add(part)
                found = lstat_or_none(self.root / part)
                if found is not None and stat.S_ISLNK(found.st_mode):
                    raise OutsideOutputs(
                        f"{key}: goes through the symbolic link {printable(str(self.root / part))}; give the real path"
                    )

    @property
    def places(self) -> Outputs:
        """Where outputs lie on this machine."""
        return Outputs(self.outputs, self.root / self.outputs.value, self._real)

    @property
    def keeping(self) -> Keeping:
        """What the user says of what is kept. `.holdfastignore` is read anew where it has changed.

        Raises:
            LocalError: it cannot be read.
        """
        place = self.root / IGNORE_FILE
        found = lstat_or_none(place)
        seen = None if found is None else Signature.of(found)
        if seen != self._rules[0]:
            with local_errors():
                rules = Rules.parse(b"" if found is None else place.read_bytes(), self._ignore)
            for line in rules.unread:
                where = f"{place}, line {line.number}" if line.number else "drive.ignore"
                log.warning("%s: the pattern %s %s; it leaves nothing out", where, printable(line.text), line.why)
            self._rules = (seen, rules)
        return Keeping(self._rules[1], self._follow, self._accept)

    def _below_root(self, path: Path, shown: str) -> PurePath:
        for given, root in ((path, self.root), (path, real_path(self.root))):
            if given.is_relative_to(root):
                return given.relative_to(root)
        parent = real_path(path.parent) / path.name
        real_root = real_path(self.root)
        if parent.is_relative_to(real_root) and path.parent.is_symlink() is False:
            return parent.relative_to(real_root)
        raise OutsideOutputs(f"{shown}: not below {self.outputs}/ of {self.root}; only what is there is kept")

    def local(self, key: Key) -> Path:
        """Where a key lies on this machine."""
        relative = self.outputs.relative(key)
        return self._outputs / relative if relative else self._outputs

    def names(self) -> Names:
        """A fresh look at the names in outputs, by paths below them."""
        return Names(str(self._outputs))

    @property
    def has_outputs(self) -> bool:
        """The outputs folder is there. Without it nothing that is missing was removed by anybody: a disk may be away."""
        return is_folder(lstat_or_none(self.local(self.outputs)))

    def was_here(self, key: Key) -> bool:
        """What is at a path was on this machine as a part of what the store has, or is known to be dropped; by memory."""
        if key == self.outputs or not self.has_outputs:
            return False
        owner = next((k for k in (key, *key.parents()) if k in set(self.known_keys())), None)
        if owner is None:
            return False
        record, prefix = self.record(owner), owner.relative(key)
        return any(within(p, prefix) for p in (*record.here, *record.links, *record.folders)) or (not prefix and record.was_here)

    def has_folder(self, key: Key) -> bool:
        """True where a folder is here under that key, or a link to one that is to be followed."""
        place = self.local(key)
        found = lstat_or_none(place)
        return is_folder(found) or (is_link(found) and key in self._follow and place.is_dir())

    def has(self, key: Key) -> bool:
        """True where anything is here under that key, a link that leads nowhere included."""
        return lstat_or_none(self.local(key)) is not None

    def read(self, function: Callable[..., T], *args: object, size: int = 0) -> T:
        """Run a function that opens files of outputs, where that costs no program its locks.

        Args:
            function: At the top of a module.
            args: Plain data.
            size: Bytes that it may have to read, which decides how long it may take.

        Raises:
            LocalError: it took too long.
        """
        return self._reader.call(function, *args, seconds=_READ_SECONDS + size / _READ_BYTES_PER_SECOND)

    @property
    def times_prove(self) -> bool:
        """True where a file that is published here cannot change later without its times."""
        return self.proof_at(self.new_folder(self._state / "tmp"))[1].maps_move_times

    def proof_at(self, folder: Path) -> tuple[int, Proof]:
        """What times prove where a scratch folder lies: the device, and the proof."""
        with local_errors():
            self.proofs.learn(folder)
            device = os.lstat(folder).st_dev
        return device, self.proofs.of(device)

    @property
    def claims(self) -> Path:
        """The folder in which processes of this workspace say what they work on."""
        return self._state / "claims"

    # -- lock and scratch --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[None]:
        """Hold the workspace. The system drops the lock when the process dies, however it dies.

        What a killed run left in the scratch space is removed, and its finished publications are recorded.

        Args:
            seconds: How long to wait at the most, where that is less than `lock_seconds`.

        Raises:
            WorkspaceBusy: another process held it too long.
            LocalError: the folder beside outputs cannot be written.
        """
        limit = self._lock_seconds if seconds is None else min(seconds, self._lock_seconds)
        with self._in_turn(limit):
            self._finish_publications()
            shutil.rmtree(self._state / "tmp", ignore_errors=True)
            yield

    @contextlib.contextmanager
    def _in_turn(self, seconds: float) -> Iterator[None]:
        """Hold the lock. Whoever waits holds a place in front of it, so that one who is busy lets others in between."""
        until = time.monotonic() + seconds
        try:
            self._make_state()
            front = locks.hold(self._state / "lock.next", seconds, self._say_waiting)
            try:
                left = max(0.0, until - time.monotonic())
                handle = None if front is None else locks.hold(self._state / "lock", left, self._say_waiting)
            finally:
                if front is not None:
                    locks.release(front)
        except OSError as error:
            raise LocalError(error.errno, error.strerror, str(self._state)) from error
        if handle is None:
            raise WorkspaceBusy(errno.EBUSY, f"another process works here for more than {seconds:g} s", str(self._state))
        try:
            yield
        finally:
            locks.release(handle)

    def _say_waiting(self) -> None:
        log.info("waiting for another process that works in %s", self.root)

    def turn(self) -> tuple[str, int]:
        """The next turn of the count that all processes of this workspace share: which count, and its number. No count: empty."""
        try:
            if not self._state.is_dir():
                self._make_state()
            return next_turn(self._state / "turns")
        except OSError as error:
            log.debug("the order of what is taken here cannot be told (%s)", error)
            return "", 0

    def _make_state(self) -> None:
        for name in ("records", "intents", "publications"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        ignore = self._state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")

    def temporary(self) -> Path:
        """A new empty folder on the file system of outputs. Only while the lock is held."""
        return self.new_folder(self._state / "tmp")

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder of this process's own on the file system of outputs, which needs no lock and is removed afterwards."""
        if self._scratch is None or self._scratch[0] != os.getpid() or not self._scratch[1].is_dir():
            self._scratch = (os.getpid(), self.queue_folder())
        folder = self.new_folder(self._scratch[1])
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def new_folder(self, above: Path) -> Path:
        """A new empty folder in a folder of this workspace's scratch space."""
        folder = above / secrets.token_hex(4)
        with local_errors():
            folder.mkdir(parents=True)
        return folder

    def queue_folder(self) -> Path:
        """A folder for copies that wait to be sent, this process's own until it ends, however it ends.

        What ended processes left there is removed: nobody knows what it was, and what is here is backed up anew.
        """
        queues = self._state / "queue"
        with local_errors():
            self._make_state()
            # One at a time: what another process has just made has no owner yet.
            with locks.holding(self._state / "queue.lock", _QUEUE_SECONDS) as alone:
                for left in sorted(queues.iterdir()) if alone and queues.is_dir() else []:
                    owner = locks.hold(left / "owner") if left.is_dir() else None
                    if owner is not None:
                        shutil.rmtree(left, ignore_errors=True)
                        locks.release(owner)
                folder = self.new_folder(queues)
                owner = locks.hold(folder / "owner")
                if owner is not None:
                    weakref.finalize(self, locks.release, owner)  # held as long as this workspace or its process lives
        return folder

    def set_aside(self, *places: Path) -> Path:
        """Move files or folders out of outputs, never deleting them. Gives the folder where they are now.

        Args:
            places: Absolute paths below the root; a database before its side files, so that a kill in between leaves
                side files without a database, which every restore moves aside first.

        Raises:
            LocalError: the disk refuses.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        folder = self._beside / ASIDE_FOLDER / f"{stamp}-{secrets.token_hex(2)}"
        for source in places:
            target = folder / self.outputs.value / source.relative_to(self._outputs)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(source, target)
            except OSError as error:
                raise LocalError(error.errno, f"cannot move it aside: {error.strerror}", str(source)) from error
        log.warning("%s was moved aside to %s", places[0], folder)
        return folder

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
        place = self._place("records", key)
        found = lstat_or_none(place)
        if found is None:
            return Record()
        known = self._records.get(key)
        if known is not None and known[0] == Signature.of(found):
            return known[1]
        try:
            body = self._read("records", key)
            record = Record() if body is None else records.record_from_json(body)
        except (Corrupt, KeyError, TypeError, ValueError) as error:
            log.warning("%s: what was remembered of it is damaged and is ignored (%s)", key, error)
            return Record()
        self._records[key] = (Signature.of(found), record)
        return record

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
        place = self._place("records", key)
        records.write_sealed(place, {"key": key.value, **records.record_to_json(record)})
        self._records[key] = (Signature.of(os.lstat(place)), record)

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
        return self._state / kind / f"{key_code(key)}.json"

    def _read(self, kind: str, key: Key) -> Any | None:
        try:
            return records.read_sealed(self._place(kind, key))
        except (Corrupt, ValueError) as error:
            log.warning("%s: what was remembered of it is damaged and is ignored (%s)", key, error)
            return None


def refreshed(here: Here, found: os.stat_result) -> Here:
    """The same content under the signature that the file has now (its ctime may have moved).

    Another size, mtime or inode is another file: then the old signature stays, which the file no longer has.
    """
    now = Signature.of(found)
    return Here(here.blake3, now, here.trusted) if here.signature.same_content(now) else here


@contextlib.contextmanager
def local_errors() -> Iterator[None]:
    """Errors of this machine's disk, as ours."""
    try:
        yield
    except HoldfastError:
        raise
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename or "the local disk") from error


def lstat_or_none(path: Path) -> os.stat_result | None:
    """What is at a path, not following a link, or None where nothing is."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise LocalError(error.errno, error.strerror, str(path)) from error


def is_folder(found: os.stat_result | None) -> bool:
    """True for a folder, not for a link to one."""
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_link(found: os.stat_result | None) -> bool:
    """True for a symbolic link."""
    return found is not None and stat.S_ISLNK(found.st_mode)


def is_file(found: os.stat_result | None) -> bool:
    """True for a regular file, not for a link to one."""
    return found is not None and stat.S_ISREG(found.st_mode)
