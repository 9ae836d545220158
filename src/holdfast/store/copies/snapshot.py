"""The stable copy that a commit sends, as data: what is here against the base, and where the copies of it lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.store.deciding.looked_last import Stamps, Standing, standing
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import Key, within
from holdfast.store.format.manifest import Kind
from holdfast.store.local.records import Here, Record, Signature
from holdfast.store.local.scan import Found, Scan


@dataclass(frozen=True, slots=True)
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
        spool: The tar that holds a small file; None where it has a copy of its own.
        member: Its name in there, where that is not its path: hard links of one file share one copy.
        same_as: A file of the base that it is a hard link of. It has no copy: the store has the content, under that path.
        torn: Why it is no whole file of its own format; empty where nothing says so.
        proven: The same signature will prove the same content.
        sparse: It is sent with its holes.
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
    member: str | None = None
    same_as: str | None = None
    torn: str = ""
    proven: bool = False
    sparse: bool = False

    @property
    def copy(self) -> tuple[Path, str] | None:
        """The stable copy: a file, or a tar and a member; None where there is none."""
        if self.source is not None:
            return self.source, ""
        return None if self.spool is None else (self.spool, self.path if self.member is None else self.member)

    def as_here(self, digest: str) -> Here:
        """What to remember of the original once the store has this content."""
        return Here(digest, self.here, self.proven)


@dataclass(frozen=True)
class Known:
    """What a snapshot is taken against: the content that files here are known to have had.

    Args:
        files: By path, the records of the base, and of what is on its way to be one.
        here: By path, what each of them looked like here.
        copied: Large files that are copied, because they changed under a hard link once.
        was_here: Something of it was on this machine, or it is known that nothing is left: where nothing is now, it was removed.
    """

    files: Mapping[str, FileRecord]
    here: Mapping[str, Here]
    copied: frozenset[str] = frozenset()
    was_here: bool = False

    @classmethod
    def of(cls, record: Record) -> Known:
        """What a workspace remembers."""
        return cls({} if record.base is None else record.base.files, record.here, record.copied, record.was_here)


@dataclass(frozen=True)
class Snapshot:
    """What is here now, against the base.

    Args:
        key: The artifact.
        kind: What it is here.
        scope: The relative paths that were looked at; `("",)` is all of it.
        owned: Relative paths that inner artifacts own, not looked at.
        found: Every file here, within scope.
        folders: Every folder here, within scope and above it.
        links: Every symbolic link here that is kept, within scope, with its target.
        kept: Files whose content is that of the base.
        staged: Files whose content is new, by path.
        refused: What cannot be kept, by name, with the reason.
        left_out: What patterns leave out.
        merged: Made of several, so that its tars may hold more than is staged.
        stamps: By path prefix, when what is there was looked at.
        later: Those of what was committed since, of which this is only what nobody has looked at later.
        beyond: What is remembered, where a glance found everything outside of scope to be so. None: nobody looked there.
    """

    key: Key
    kind: Kind
    scope: tuple[str, ...]
    owned: tuple[str, ...]
    found: Mapping[str, Found] = field(default_factory=dict)
    folders: Mapping[str, FolderRecord] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Here] = field(default_factory=dict)
    staged: Mapping[str, Staged] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    merged: bool = False
    stamps: Stamps = field(default_factory=dict)
    later: Stamps = field(default_factory=dict)
    beyond: Record | None = None

    @property
    def still(self) -> bool:
        """True where nothing differs from the base, and nothing had to be looked into."""
        return self.beyond is not None and not self.scope

    @property
    def seen(self) -> tuple[str, ...]:
        """The relative paths of which it says something."""
        return self.scope if self.beyond is None else ("",)

    @property
    def is_all(self) -> bool:
        """True where all of it was looked at and can be kept: what an earlier generation holds besides was removed here."""
        return "" in self.seen and not self.refused

    @property
    def not_kept(self) -> tuple[str, ...]:
        """Paths of which nothing new is taken, for whatever reason: what the base has of them stays."""
        return (*self.refused, *self.left_out)

    @property
    def hard_links(self) -> tuple[tuple[str, ...], ...]:
        """Groups of paths that are one file here."""
        return Scan(self.found).hard_links

    @property
    def spools(self) -> set[Path]:
        """The tars that hold the small files."""
        return {s.spool for s in self.staged.values() if s.spool is not None}

    def spelled_out(self) -> Snapshot:
        """The same without `beyond`: all that a glance told stands in it, path by path."""
        record = self.beyond
        if record is None or record.base is None:
            return self
        base, names = record.base, {path: len(group) for group in record.base.hard_links for path in group}

        def outside(path: str) -> bool:
            return not any(within(path, prefix) for prefix in self.scope)

        kept = {path: here for path, here in record.here.items() if outside(path)}
        found = {p: Found(h.signature, base.files[p].mode, links=names.get(p, 1)) for p, h in kept.items()}
        return replace(
            self,
            scope=("",),
            found={**found, **self.found},
            folders={**{p: f for p, f in base.folders.items() if outside(p)}, **self.folders},
            links={**{p: target for p, target in base.links.items() if outside(p)}, **self.links},
            kept={**kept, **self.kept},
            beyond=None,
        )

    def unlink(self) -> None:
        """Drop the hard links. Without them the snapshot does not stand any more."""
        for staged in self.staged.values():
            if staged.linked is not None and staged.source is not None:
                staged.source.unlink(missing_ok=True)

    def covers(self, path: str) -> bool:
        """True where the path was looked at, and by nobody later."""
        if any(within(path, prefix) for prefix in self.owned) or self.is_overtaken(path):
            return False
        return any(within(path, prefix) for prefix in self.scope)

    def is_overtaken(self, path: str) -> bool:
        """True where another process looked at the path later, and has committed what it found."""
        return bool(self.later) and standing(self.stamps, self.later, path) is Standing.OVERTAKEN
