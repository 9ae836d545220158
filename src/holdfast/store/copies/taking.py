"""Taking the stable copy that a commit sends: in the caller's thread, after which the caller may go on writing.

Only what changed against the base is copied: SQLite by its online backup, small files into one spool, large ones by a
hard link, whose signature is compared again before the manifest is written.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from holdfast.errors import LocalError, Refused
from holdfast.store.copies.capture import capture
from holdfast.store.copies.guard import Guard
from holdfast.store.copies.snapshot import Known, Snapshot, Staged
from holdfast.store.copies.wanted import SMALL_FILE, SPOOL, Captured, Terms, Wanted
from holdfast.store.deciding.looked_last import Stamp
from holdfast.store.deciding.together import Together, together, with_logs
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.manifest import Kind
from holdfast.store.local.collecting import uncollected
from holdfast.store.local.disk import below, is_file, lstat_or_none
from holdfast.store.local.records import Here, Record, Signature
from holdfast.store.local.scan import Found, Scan, walk
from holdfast.store.local.still import glance
from holdfast.store.local.workspace import Workspace

#: So often files that belong together are looked at again, and what moved is taken again.
_TAKES = 4
#: So many bytes are copied a second time because they changed while others were copied.
_CHEAP_BYTES = 64 << 20
#: Copied in one state by its library, whatever moves.
_OWN_COPY = ("LMDB",)


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
    guard: Guard | None = None,
    waits: bool = False,
    waiting: Callable[[], int] = int,
) -> Snapshot:
    """Take the stable copy of an artifact, or of a part of it.

    Args:
        workspace: Where from.
        key: The artifact.
        known: What is known of it.
        folder: An empty folder on the file system of outputs; the copies are made there.
        scope: Relative paths within it; the empty one is all. A torn file of the base that is gone here is always within it.
        owned: Relative paths that inner artifacts own, left out.
        force: Paths to stage although they are unchanged.
        hash_all: Hash large files here, because they will be compared to the store's.
        guard: Holds hard links of large files as they are, where the snapshot waits.
        waits: It is not sent at once.
        waiting: Tells how many bytes copies take already. Asked only where a large file is to be copied.

    Raises:
        LocalError: something cannot be read, or the local disk is full.
        Refused: the artifact itself is neither a regular file nor a directory nor a link that is kept.
    """
    root, scope = workspace.local(key), with_logs((*scope, *_torn_and_gone(workspace, key, known, scope)))
    if known.was_here and "" in scope and lstat_or_none(root) is None and workspace.has_outputs:
        return nothing_left(workspace, key, scope, owned)
    count, begun = workspace.turn()
    with uncollected():
        found = walk(workspace, key, scope, owned)
    if "" in found.refused:
        raise Refused(errno.EINVAL, f"it {found.refused['']}; nothing was backed up", printable(str(root)))
    try:
        os.stat(root) if "" not in found.links else os.lstat(root)  # what is not there is no empty folder
        taking = _Taking(workspace, key, known, found, folder, guard, waits=waits, waiting=waiting, hash_all=hash_all)
        with uncollected():
            snapshot = taking.run(scope, owned, force)
        return replace(snapshot, stamps=dict.fromkeys(scope, Stamp(count, begun, workspace.turn()[1])))
    except FileNotFoundError as error:
        raise LocalError(errno.ENOENT, "it vanished while it was read", printable(str(root))) from error
    except (Refused, LocalError):
        raise
    except OSError as error:
        raise LocalError(error.errno, f"{error.strerror} (while the local copy was taken)", error.filename) from error


def take_differing(
    workspace: Workspace, key: Key, record: Record, owned: tuple[str, ...], taking: Callable[[tuple[str, ...]], Snapshot]
) -> Snapshot | None:
    """The stable copy of what a glance finds to be other than it is remembered; None where all has to be looked into.

    Args:
        workspace: Where from.
        key: The artifact.
        record: What is remembered of it.
        owned: As for `take`.
        taking: Takes the stable copy of a scope against what is remembered.

    Raises:
        LocalError, Refused: as `take`.
    """
    if workspace.keeping.follow or (expected := workspace.expected(key, record)) is None:
        return None
    count, begun = workspace.turn()
    differing = glance(str(workspace.local(key)), key, workspace.places, expected, owned)
    if differing is None:
        return None
    try:
        snapshot = taking(differing.scope) if differing.scope else Snapshot(key, Kind.DIRECTORY, (), owned)
    except LocalError as error:
        if error.errno != errno.ENOENT:
            raise
        return None  # a folder went behind the glance, as a checkpoint does that its training removes: the glance is no word on it
    return replace(
        snapshot,
        folders={**differing.folders, **snapshot.folders},
        stamps={"": Stamp(count, begun, workspace.turn()[1])},
        beyond=record,
    )


def _torn_and_gone(workspace: Workspace, key: Key, known: Known, scope: tuple[str, ...]) -> list[str]:
    """Torn files of the base that were here and are no more: looked at whatever the scope is.

    As long as a generation carries one on, a fresh machine passes that generation over, with all that is backed up beside it.
    """
    torn = [p for p, r in known.files.items() if r.torn and p in known.here and not any(within(p, s) for s in scope)]
    return [p for p in torn if lstat_or_none(workspace.local(key.join(p))) is None]


def nothing_left(workspace: Workspace, key: Key, scope: tuple[str, ...] = ("",), owned: tuple[str, ...] = ()) -> Snapshot:
    """The snapshot that says that nothing is left of an artifact."""
    count, begun = workspace.turn()
    return Snapshot(key, Kind.DROPPED, scope, owned, stamps=dict.fromkeys(scope, Stamp(count, begun, workspace.turn()[1])))


class _Taking:
    """One snapshot in the making: what is unchanged is decided here, what is not is looked into where a reader does."""

    def __init__(
        self,
        workspace: Workspace,
        key: Key,
        known: Known,
        found: Scan,
        folder: Path,
        guard: Guard | None,
        *,
        waits: bool,
        waiting: Callable[[], int],
        hash_all: bool,
    ) -> None:
        self._workspace = workspace
        self._key = key
        self._known = known
        self._found = found
        self._folder = folder
        self._root = str(workspace.local(key))
        self._guard = guard
        self._waits = waits
        self._waiting = waiting
        self._hash_all = hash_all
        self._follow = workspace.keeping.follow
        self._alone = "" in found.files
        self._kept: dict[str, Here] = {}
        self._staged: dict[str, Staged] = {}
        self._refused: dict[str, str] = dict(found.refused)
        self._files = dict(found.files)
        self._kinds: dict[str, str] = {}
        self._owned: tuple[str, ...] = ()
        self._taken_twice = False

    def run(self, scope: tuple[str, ...], owned: tuple[str, ...], force: frozenset[str]) -> Snapshot:
        found, self._owned = self._found, owned
        also = {path: first for group in found.hard_links for path in group if path != (first := self._first(group))}
        changed = [p for p, f in found.files.items() if p not in also and not self._is_unchanged(p, f, forced=p in force)]
        if changed:
            self._look_into(changed, force)
        for path, first in also.items():
            self._also(path, first, found.files[path], forced=path in force)
        groups = together(self._files)
        for group in groups:
            self._of_one_moment(group)
        self._once_more(groups)
        present = {p: f for p, f in self._files.items() if p in self._kept or p in self._staged or p in self._refused}
        return Snapshot(
            self._key,
            self._kind(),
            scope,
            owned,
            present,
            found.folders,
            found.links,
            self._kept,
            self._staged,
            self._refused,
            found.left_out,
            merged=self._taken_twice,
        )

    def _place(self, path: str) -> str:
        """Where a path of the artifact lies."""
        return below(self._root, path)

    def _kind(self) -> Kind:
        if "" in self._found.links:
            return Kind.LINK
        if not self._alone:
            return Kind.DIRECTORY
        staged, base = self._staged.get(""), self._known.files.get("")
        sqlite = staged.sqlite if staged is not None else base is not None and base.sqlite
        return Kind.SQLITE if sqlite else Kind.FILE

    def _is_unchanged(self, path: str, file: Found, *, forced: bool) -> bool:
        """Whether an unchanged signature proves that the content is the base's."""
        base, known = self._known.files.get(path), self._known.here.get(path)
        if base is None or known is None or not known.trusted or base.sqlite or forced or known.signature != file.signature:
            return False
        if base.torn:  # it may have been so beside others only
            return False
        self._kept[path] = known
        return True

    def _of_one_moment(self, group: Together) -> None:
        """Take what moved again, until all of it is as it was at one moment, or the head is named as torn."""
        members = group.members(self._files)
        if all(p in self._kept for p in members) or not group.kinds_fit(self._kinds.get(p, "") for p in members):
            return
        for _ in range(_TAKES):
            taken = {p: s for p in group.members(self._files) if (s := self._taken(p)) is not None}
            lost = group.appended and any(p not in taken and p not in self._refused for p in group.members(self._files))
            if group.rest_seconds:
                written = max((s.mtime_ns for p, s in taken.items() if p in self._staged), default=0)
                time.sleep(min(max(written / 1e9 + group.rest_seconds - time.time(), 0), group.rest_seconds))
            now = walk(self._workspace, self._key, group.scope, self._owned).files
            signatures = {p: f.signature for p, f in now.items() if p not in self._refused}
            again, gone = group.moved(taken, signatures)
            if lost:
                again, gone = [p for p in group.members(signatures) if p not in taken], [p for p in taken if p not in now]
            for path in (*gone, *again):
                self._drop(path)
            if not again and not gone:
                return
            self._files.update({p: now[p] for p in again})
            self._look_into(again, frozenset(), anew=True)
            if group.appended and not lost:
                return
        self._mark(group.head, group.why)

    def _once_more(self, groups: Iterable[Together]) -> None:
        """Take again, once, what was written to while others were copied, so that files that belong together are of one moment.

        What grows, what cannot be had whole and what its library copies is left as it is, and so is what takes long.
        """
        inside = {p for group in groups for p in group.members(self._files)}
        moved = {}
        for path, staged in self._staged.items():
            if path in inside or staged.torn or staged.sqlite or self._files[path].links > 1:  # other names share its copy
                continue
            found = lstat_or_none(self._place(path))
            if found is None or (found.st_size, found.st_mtime_ns, found.st_ino) == staged.here.of_content:
                continue
            now = Found.of(found) if is_file(found) else None
            if now is None or self._kinds.get(path) in _OWN_COPY:
                continue
            same_file = now.signature.inode == staged.here.inode
            if not same_file or (staged.linked is None and now.signature.size <= staged.here.size):
                moved[path] = now
        if not moved or sum(found.signature.size for found in moved.values()) > _CHEAP_BYTES:
            return
        before = {p: self._staged[p] for p in moved}
        files = {p: self._files[p] for p in moved}
        self._files.update(moved)
        self._look_into(list(moved), frozenset(), anew=True)
        for path, staged in before.items():
            again = self._staged.get(path)
            if path not in self._kept and (again is None or again.torn):  # the first copy was whole
                self._refused.pop(path, None)
                self._staged[path], self._files[path] = staged, files[path]
            elif again is not staged and staged.source is not None:
                staged.source.unlink(missing_ok=True)

    def _taken(self, path: str) -> Signature | None:
        """What a file looked like when it was copied or found unchanged."""
        if path in self._staged:
            return self._staged[path].here
        return self._kept[path].signature if path in self._kept else None

    def _drop(self, path: str) -> None:
        """Forget what was taken of a path."""
        staged = self._staged.pop(path, None)
        if staged is not None and staged.source is not None:
            staged.source.unlink(missing_ok=True)
        self._kept.pop(path, None)
        self._refused.pop(path, None)
        self._files.pop(path, None)

    def _mark(self, path: str, why: str) -> None:
        """Name a file as torn. One that is unchanged is taken for it, because a base's record is never changed."""
        if path in self._kept:
            self._drop_kept(path)
        staged = self._staged.get(path)
        if staged is not None and not staged.torn:
            self._staged[path] = replace(staged, torn=why, proven=False)

    def _drop_kept(self, path: str) -> None:
        self._kept.pop(path)
        self._look_into([path], frozenset({path}), anew=True)

    def _look_into(self, paths: list[str], force: frozenset[str], *, anew: bool = False) -> None:
        device, proof = self._workspace.proof_at(self._folder)
        links = not self._waits or self._guard is not None
        folder = self._folder
        if anew:
            folder, self._taken_twice = self._workspace.new_folder(self._folder), True
        wanted = tuple(self._wanted(path, forced=path in force) for path in paths)
        large = any(one.signature.size > SMALL_FILE for one in wanted)
        terms = Terms(str(folder), {device: proof}, links, self._waiting() if large else 0)
        again, spool = [], folder / SPOOL
        for one, captured in zip(wanted, self._captured(wanted, terms), strict=True):
            if captured.linked and self._waits and not self._is_held(captured, source := Path(captured.source)):
                source.unlink(missing_ok=True)  # nobody would see it change
                again.append(replace(one, copied=True))
            else:
                self._take(one, captured, spool)
        if again:
            folder = self._workspace.new_folder(self._folder)
            terms = replace(terms, folder=str(folder), links=False)
            for one, captured in zip(again, self._captured(tuple(again), terms), strict=True):
                self._take(one, captured, folder / SPOOL)

    def _is_held(self, captured: Captured, source: Path) -> bool:
        """Whether a hard link is guarded, and was still what was described when that began."""
        if self._guard is None or not self._guard.hold(source):
            return False
        found = lstat_or_none(source)
        now = None if found is None else Signature.of(found)
        if now is not None and now.same_content(captured.here) and now.size == captured.size:
            return True
        self._guard.release(source)
        return False

    def _captured(self, wanted: tuple[Wanted, ...], terms: Terms) -> list[Captured]:
        size = sum(one.signature.size for one in wanted)
        return self._workspace.read(capture, wanted, terms, size=size)

    def _wanted(self, path: str, *, forced: bool) -> Wanted:
        file, base, known = self._files[path], self._known.files.get(path), self._known.here.get(path)
        comparable = base is not None and not base.torn and known is not None and not forced
        if base is not None and base.sqlite and self._workspace.goes_whole(self._key.join(path)):  # the store may have it in pieces
            comparable = False
        same_size = base is not None and base.size == file.signature.size
        return Wanted(
            path,
            self._place(path),
            file.signature,
            base=base.blake3 if comparable and base is not None and (same_size or base.sqlite or base.size <= SMALL_FILE) else "",
            base_sparse=base is not None and base.sparse is not None,
            was_database=base is not None and base.sqlite,
            hashed=self._hash_all or (base is not None and same_size),
            alone=self._alone,
            copied=path in self._known.copied,
            followed=bool(self._follow) and self._key.join(path) in self._follow,
            unknown=self._hash_all,
            later=self._waits and not self._hash_all,
        )

    def _take(self, wanted: Wanted, captured: Captured, spool: Path) -> None:
        path, base = wanted.path, self._known.files.get(wanted.path)
        if captured.kind:
            self._kinds[path] = captured.kind
        else:
            self._kinds.pop(path, None)
        if captured.refused:
            self._staged.pop(path, None)
            self._refused[path] = captured.refused
        elif captured.gone and not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), wanted.place)
        elif captured.same and base is not None:
            self._staged.pop(path, None)
            self._kept[path] = Here(base.blake3, captured.here, captured.proven)
        elif not captured.gone:  # gone between the walk and the look: the same as if it had gone just before
            source, file = Path(captured.source) if captured.source else None, self._files[path]
            here = file.signature if file.signature == captured.here else captured.here  # one of the two, as they are many
            self._staged[path] = Staged(
                path,
                captured.size,
                file.mode,
                captured.blake3 or None,
                captured.sqlite,
                source,
                here if captured.linked else None,
                here,
                captured.taken_ns,
                None if source is not None else spool,
                torn=captured.torn,
                proven=captured.proven,
                sparse=captured.sparse,
            )

    def _first(self, group: tuple[str, ...]) -> str:
        """The name under which a file of several is looked into: one that the store has, so that a new name costs nothing."""
        return next((p for p in group if p in self._known.files and p in self._known.here), group[0])

    def _also(self, path: str, first: str, file: Found, *, forced: bool) -> None:
        """Another name of a file that was taken: it is what that one is."""
        known, base = self._known.here.get(path), self._known.files.get(path)
        taken, kept = self._staged.get(first), self._kept.get(first)
        if first in self._refused:
            self._refused[path] = self._refused[first]
        elif taken is not None and (forced or base is None or known is None or taken.blake3 is None or taken.blake3 != base.blake3):
            self._staged[path] = replace(taken, path=path, member=first)
        elif taken is not None and base is not None:
            self._kept[path] = taken.as_here(base.blake3)
        elif kept is not None and not forced and base is not None and known is not None and base.blake3 == kept.blake3:
            self._kept[path] = kept
        elif kept is not None:
            size, now = file.signature.size, kept.signature.mtime_ns
            self._staged[path] = Staged(path, size, file.mode, kept.blake3, False, None, None, kept.signature, now, same_as=first)
