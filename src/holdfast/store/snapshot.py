"""The stable copy that a commit sends: taken in the caller's thread, after which the caller may go on writing.

Only what changed against the base is copied: SQLite by its online backup, small files into one spool, large ones by a
hard link, whose signature is compared again before the manifest is written.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, Refused
from holdfast.store.backend import CHUNK_BYTES
from holdfast.store.keys import Key, printable, within
from holdfast.store.local.pinned import is_database
from holdfast.store.local.side_files import promises_database, side_files
from holdfast.store.manifest import MAX_TAR_MEMBER, FileRecord, Kind
from holdfast.store.platform import BINARY, NO_BLOCK, NO_FOLLOW
from holdfast.store.records import RACY_NS, Here, Record, Signature
from holdfast.store.scan import Found, Scan, scan
from holdfast.store.sqlite import snapshot as copy_database
from holdfast.store.tars import TarWriter, read_members
from holdfast.store.workspace import Workspace, refreshed

#: At 65 MB/s a file of 1 MiB moves in 16 ms, and Drive takes 400 ms to
#: create one: below this size the create is nearly all of the cost.
SMALL_FILE = MAX_TAR_MEMBER
#: Two writes closer than the kernel's clock tick (at most 10 ms on Linux) can leave one mtime.
_TICK_NS = 50_000_000
_STABLE_READS = 3
#: The tar with the small files of one snapshot.
SPOOL = "spool.tar"
_READ = os.O_RDONLY | NO_FOLLOW | NO_BLOCK | BINARY


@dataclass(frozen=True)
class Staged:
    """One changed file, stable.

    Args:
        path: Below the artifact.
        size: Bytes.
        mode: Permission bits.
        blake3: Hash of the content; None for a large file that is hashed as it is sent.
        sqlite: Taken by the online backup.
        source: The stable copy, or None where it lies in a spool.
        linked: The signature of the original that `source` is a hard link of, or None for a copy.
        here: Signature of the original when it was taken.
        taken_ns: When it was taken, Unix nanoseconds.
        spool: The tar that holds a small file, under its path; None where it has a copy of its own.
    """

    path: str
    size: int
    mode: int
    blake3: str | None
    sqlite: bool
    source: Path | None
    linked: Signature | None
    here: Signature
    taken_ns: int
    spool: Path | None = None

    def as_here(self, digest: str) -> Here:
        """What to remember of the original once the store has this content."""
        trusted = not self.sqlite and self.taken_ns - self.here.mtime_ns > RACY_NS
        return Here(digest, self.here, trusted)


@dataclass(frozen=True)
class Known:
    """What a snapshot is taken against: the content that files here are known to have had.

    Args:
        files: By path, the records of the base, and of what is on its way to be one.
        here: By path, what each of them looked like here.
        copied: Large files that are copied, because they changed under a hard link once.
    """

    files: Mapping[str, FileRecord]
    here: Mapping[str, Here]
    copied: frozenset[str] = frozenset()

    @classmethod
    def of(cls, record: Record) -> Known:
        """What a workspace remembers."""
        return cls({} if record.base is None else record.base.files, record.here, record.copied)


@dataclass(frozen=True)
class Snapshot:
    """What is here now, against the base.

    Args:
        key: The artifact.
        kind: What it is here.
        scope: The relative paths that were looked at; `("",)` is all of it.
        owned: Relative paths that inner artifacts own, not looked at.
        found: Every file here, within scope.
        folders: Folders without a file, within scope.
        kept: Files whose content is that of the base.
        staged: Files whose content is new, by path.
        refused: What cannot be kept, by name, with the reason.
        merged: Made of several, so that its tars may hold more than is staged.
    """

    key: Key
    kind: Kind
    scope: tuple[str, ...]
    owned: tuple[str, ...]
    found: Mapping[str, Found]
    folders: tuple[str, ...]
    kept: Mapping[str, Here]
    staged: Mapping[str, Staged]
    refused: Mapping[str, str]
    merged: bool = False

    @property
    def spools(self) -> set[Path]:
        """The tars that hold the small files."""
        return {s.spool for s in self.staged.values() if s.spool is not None}

    def unlink(self) -> None:
        """Drop the hard links. Without them the snapshot does not stand any more."""
        for staged in self.staged.values():
            if staged.linked is not None and staged.source is not None:
                staged.source.unlink(missing_ok=True)

    def covers(self, path: str) -> bool:
        """True where the path was looked at."""
        if any(within(path, prefix) for prefix in self.owned):
            return False
        return any(within(path, prefix) for prefix in self.scope)


def take(
    workspace: Workspace,
    key: Key,
    known: Known,
    folder: Path,
    *,
    scope: tuple[str, ...] = ("",),
    owned: tuple[str, ...] = (),
    force: frozenset[str] = frozenset(),
    hash_all: bool = False,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Snapshot:
    """Take the stable copy of an artifact, or of a part of it.

    Args:
        workspace: Where from.
        key: The artifact.
        known: What is known of it.
        folder: An empty folder on the file system of outputs; the copies are made there.
        scope: Relative paths within it; the empty one is all.
        owned: Relative paths that inner artifacts own, left out.
        force: Paths to stage although they are unchanged.
        hash_all: Hash large files here, because they will be compared to the store's.
        clock_ns: Unix nanoseconds.

    Raises:
        LocalError: something cannot be read, or the local disk is full.
        Refused: the artifact itself is neither a regular file nor a directory.
    """
    root = workspace.local(key)
    found = scan(root, scope, owned, len(key.parts))
    if "" in found.refused:
        raise Refused(errno.EINVAL, f"it {found.refused['']}; nothing was backed up", printable(str(root)))
    try:
        kind = _kind(root)
        return _Taking(folder, root, known, clock_ns, hash_all).run(key, kind, scope, owned, found, force)
    except FileNotFoundError as error:
        raise LocalError(errno.ENOENT, "it vanished while it was read", printable(str(root))) from error
    except (Refused, LocalError):
        raise
    except OSError as error:
        raise LocalError(error.errno, f"{error.strerror} (while the local copy was taken)", error.filename) from error


def settle(snapshot: Snapshot, record: Record, force: frozenset[str], *, hash_all: bool) -> Snapshot | None:
    """The snapshot as it stands against what is remembered now, or None where it has to be taken anew.

    Args:
        snapshot: Taken against what was expected then.
        record: What is remembered now.
        force: Paths that have to be sent, because the store lost them.
        hash_all: Every hash has to be known.
    """
    if not force <= snapshot.staged.keys():
        return None
    staged = snapshot.staged.values()
    if hash_all and any(s.blake3 is None or (s.size == 0 and promises_database(snapshot.key.join(s.path).name)) for s in staged):
        return None
    if not all(copy.exists() for copy in (*snapshot.spools, *(s.source for s in snapshot.staged.values() if s.source))):
        return None
    kept = {}
    for path, here in snapshot.kept.items():
        base, known = Known.of(record).files.get(path), record.here.get(path)
        if base is None or known is None:
            return None
        if known.signature.same_content(here.signature) and here.blake3 in ("", known.blake3):
            # The later of two looks: a link that came or went between them moved the ctime.
            kept[path] = replace(here, blake3=known.blake3) if here.signature.ctime_ns > known.signature.ctime_ns else known
        elif here.blake3 == base.blake3:
            kept[path] = here
        else:
            return None
    return replace(snapshot, kept=kept)


def spooled(staged: Iterable[Staged]) -> Iterator[tuple[Staged, bytes]]:
    """The small files among these, with their content.

    Raises:
        Corrupt: a spool is not as it was written.
    """
    by_spool: dict[Path, dict[str, Staged]] = {}
    for one in staged:
        if one.spool is not None:
            by_spool.setdefault(one.spool, {})[one.path] = one
    for spool, members in by_spool.items():
        for path, data in read_members(spool, {p: s.size for p, s in members.items()}):
            yield members[path], data


def _kind(root: Path) -> Kind:
    if stat.S_ISDIR(os.lstat(root).st_mode):
        return Kind.DIRECTORY
    return Kind.SQLITE if is_database(root) else Kind.FILE


class _Taking:
    """One snapshot in the making."""

    def __init__(self, folder: Path, root: Path, known: Known, clock_ns: Callable[[], int], hash_all: bool) -> None:
        self._folder = folder
        self._root = root
        self._known = known
        self._clock_ns = clock_ns
        self._hash_all = hash_all
        self._spool: TarWriter | None = None
        self._kept: dict[str, Here] = {}
        self._staged: dict[str, Staged] = {}
        self._refused: dict[str, str] = {}

    def run(
        self, key: Key, kind: Kind, scope: tuple[str, ...], owned: tuple[str, ...], found: Scan, force: frozenset[str]
    ) -> Snapshot:
        self._refused.update(found.refused)
        try:
            for path, file in found.files.items():
                try:
                    self._one(path, file, kind, forced=path in force)
                except FileNotFoundError:
                    if not path:
                        raise
                    continue  # gone between the walk and here: the same as if it had gone just before
                except PermissionError as error:
                    self._refused[path] = f"cannot be read ({error.strerror})"
                except Refused as refusal:
                    self._refused[path] = refusal.strerror or str(refusal)
        finally:
            if self._spool is not None:
                self._spool.close()
        present = {p: f for p, f in found.files.items() if p in self._kept or p in self._staged or p in self._refused}
        return Snapshot(key, kind, scope, owned, present, found.folders, self._kept, self._staged, self._refused)

    def _one(self, path: str, file: Found, kind: Kind, *, forced: bool) -> None:
        base = self._known.files.get(path)
        known = self._known.here.get(path)
        was_database = base is not None and base.sqlite
        trusted = base is not None and known is not None and known.trusted and not was_database and not forced
        if trusted and known is not None and known.signature == file.signature:
            self._kept[path] = known
            return
        place = self._root / path if path else self._root
        if is_database(place):
            staged = self._database(path, place, file)
        elif was_database:
            raise Refused(0, "it should be a database and is empty or damaged; the last good version is kept", str(place))
        elif file.signature.size == 0 and promises_database(place.name) and (self._hash_all or side_files(place)):
            # What a connection leaves before its first commit is an empty file, and is kept as one where no database was.
            first = "no transaction of it is finished yet; back up again after the first commit"
            unknown = "it is empty, and the store may hold a database there that this workspace does not know; `ensure` it first"
            raise Refused(0, first if side_files(place) else unknown, str(place))
        elif file.signature.size <= SMALL_FILE:
            staged = self._small(path, place, file, alone=kind is not Kind.DIRECTORY, forced=forced)
        else:
            compare = self._hash_all or (base is not None and base.size == file.signature.size)
            staged = self._large(path, place, file, compare=compare)
        if not forced and base is not None and known is not None and staged.blake3 == base.blake3:
            if staged.source is not None:
                staged.source.unlink()
            # Dropping a hard link moves the ctime of the original, so its signature is taken once more.
            self._kept[path] = refreshed(staged.as_here(base.blake3), os.lstat(place))
        else:
            self._staged[path] = staged

    def _database(self, path: str, place: Path, file: Found) -> Staged:
        target = self._folder / str(len(self._staged) + len(self._kept))
        taken = self._clock_ns()
        copy_database(place, target)
        digest, size = hash_file(target)
        return Staged(path, size, file.mode, digest, True, target, None, file.signature, taken)

    def _small(self, path: str, place: Path, file: Found, *, alone: bool, forced: bool) -> Staged:
        for _ in range(_STABLE_READS):
            taken = self._clock_ns()
            with open(os.open(place, _READ), "rb") as handle:
                data = handle.read(SMALL_FILE + 1)
                after = Found.of(os.fstat(handle.fileno()))
            if len(data) > SMALL_FILE:
                return self._large(path, place, after, compare=True)
            if after.signature.size == len(data) and after.signature.same_content(file.signature):
                break
            file = after
        else:
            raise Refused(0, "it is being written to without a pause; close it and back up again", str(place))
        digest = blake3(data).hexdigest()
        base = self._known.files.get(path)
        unchanged = base is not None and base.blake3 == digest and path in self._known.here
        source = spool = None
        if alone:
            source = self._folder / "file"
            source.write_bytes(data)
        elif forced or not unchanged:
            spool = self._folder / SPOOL
            if self._spool is None:
                self._spool = TarWriter(spool)
            self._spool.add(path, data, file.mode, file.signature.mtime_ns)
        return Staged(path, len(data), file.mode, digest, False, source, None, file.signature, taken, spool)

    def _large(self, path: str, place: Path, file: Found, *, compare: bool) -> Staged:
        target = self._folder / str(len(self._staged) + len(self._kept))
        taken = self._clock_ns()
        linked = None if path in self._known.copied else self._link(place, target, taken)
        if linked is None:
            linked_now, here = None, self._copy(place, target)
        else:
            linked_now = here = linked
        digest = hash_file(target)[0] if compare else None
        return Staged(path, here.size, file.mode, digest, False, target, linked_now, here, taken)

    def _link(self, place: Path, target: Path, now_ns: int) -> Signature | None:
        """Hard-link a large file; None where the file system cannot, or where its clock is too coarse to trust."""
        before = os.lstat(place)
        age = now_ns - before.st_mtime_ns
        if before.st_mtime_ns % 1_000_000_000 == 0 and age < RACY_NS:
            return None  # whole seconds: a rewrite within the same second would not show
        if 0 <= age < _TICK_NS:
            time.sleep((_TICK_NS - age) / 1e9)  # from here on a rewrite gets another mtime
        try:
            os.link(place, target, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT):
                raise
            return None
        return Signature.of(os.lstat(target))

    def _copy(self, place: Path, target: Path) -> Signature:
        for _ in range(_STABLE_READS):
            with open(os.open(place, _READ), "rb") as source, open(target, "wb") as copy:
                before = Signature.of(os.fstat(source.fileno()))
                shutil.copyfileobj(source, copy, CHUNK_BYTES)
                after = Signature.of(os.fstat(source.fileno()))
            if before.same_content(after) and target.stat().st_size == after.size:
                return after
        raise Refused(0, "it is being written to without a pause; close it and back up again", str(place))


def hash_file(path: Path) -> tuple[str, int]:
    """BLAKE3 and length in bytes of a file."""
    hasher, size = blake3(), 0
    with open(path, "rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
    return hasher.hexdigest(), size
