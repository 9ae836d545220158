"""What a workspace remembers about an artifact, as files in `.holdfast/` (FORMAT.md, "The workspace").

All of it is disposable: deleting it loses nothing but time. Every write is crash-safe (temporary, fsync, rename), and a
record that does not verify counts as none.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from holdfast.errors import Corrupt, LocalError
from holdfast.platform import fsync_folder
from holdfast.store.deciding.looked_last import Stamp, Stamps
from holdfast.store.format.keys import within
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.manifest_reading import parse
from holdfast.store.format.names import CommitId, parse_manifest_name

#: A hash is trusted only if it was taken this long after the file's mtime: a write within the clock's grain of the
#: hash could leave the mtime as it was (git calls such an entry racy).
RACY_NS = 2_000_000_000
#: A digest and the end of its line.
_SEAL_BYTES = 65
#: So many ancestors are remembered that a base does not name itself: a manifest names eight, and a mount may show for minutes what
#: was pruned long ago, and not what came between.
MAX_EARLIER = 64
#: So many characters of a text, and rows of a table, are written at once.
_PIECE, _ROWS = 1 << 20, 4096


class Signature(NamedTuple):
    """What a local file looked like: size in bytes, times in nanoseconds, inode. A tuple, because there are many."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Signature:
        """The signature that a stat shows."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    @property
    def of_content(self) -> tuple[int, int, int]:
        """What changes with the content: size, mtime and inode. The ctime changes as well when a hard link comes or goes."""
        return self.size, self.mtime_ns, self.inode

    def same_content(self, other: Signature) -> bool:
        """True where what changes with the content agrees."""
        return self.of_content == other.of_content


@dataclass(frozen=True, slots=True)
class Here:
    """A file of the base that was restored to, or committed from, this workspace.

    Args:
        blake3: Hash of its content in the base.
        signature: What the file looked like when it had that content.
        trusted: An unchanged signature proves unchanged content.
    """

    blake3: str
    signature: Signature
    trusted: bool


@dataclass(frozen=True)
class Record:
    """What this workspace knows of one artifact.

    Args:
        base: The generation last taken from or given to the store, or None.
        here: By path, the files of base that are or were in this workspace.
        copied: Large files that changed under a hard link once, and are copied from then on.
        chosen: The base was chosen by an explicit restore: a commit goes above every head.
        damaged: Ids of generations that this workspace proved damaged.
        looked: By path prefix, when what is there was last looked at and base held it, Unix seconds; the longest that covers a
            path counts. For people. Empty in a record that an older version wrote.
        links: Symbolic links of base that are or were in this workspace.
        passed: Generations with torn files that were passed over in favour of base. What follows base follows them too.
        stamps: By path prefix, in which order the processes of this workspace looked at what base holds.
        earlier: Ids of generations that base descends from, beyond those that it names, and of commits that were interrupted right
            before it; the nearest first. Without a base, those that what is here was made from.
    """

    base: Manifest | None = None
    here: Mapping[str, Here] = field(default_factory=dict)
    copied: frozenset[str] = frozenset()
    chosen: bool = False
    damaged: frozenset[str] = frozenset()
    looked: Mapping[str, float] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    passed: tuple[CommitId, ...] = ()
    stamps: Stamps = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    def earlier_than(self, manifest: Manifest) -> tuple[str, ...]:
        """`earlier` of a record whose base is this generation: empty where it does not descend from what is remembered here."""
        base, named = self.base, {manifest.parent, *manifest.ancestors}
        if base is not None and base.commit == manifest.commit:
            return self.earlier
        if named.isdisjoint(self.earlier if base is None else (base.commit.id,)):
            return ()
        known = dict.fromkeys((*(() if base is None else base.ancestors), *self.earlier))
        return tuple(i for i in known if i not in named)[:MAX_EARLIER]

    @property
    def was_here(self) -> bool:
        """Something of the artifact was on this machine, or it is known that nothing of it is left."""
        base = self.base
        if self.here or self.links or base is None:
            return bool(self.here or self.links)
        # Of a folder without a file nothing but the look at it is remembered.
        emptied = bool(self.looked) and base.kind is Kind.DIRECTORY and not base.files and not base.links
        return emptied or base.kind is Kind.DROPPED

    @property
    def folders(self) -> frozenset[str]:
        """Folders of base that are or were in this workspace: those that were looked at together with all that base holds there."""
        base, looked = self.base, self.looked or ({"": 0.0} if self.here else {})
        if base is None:
            return frozenset()
        never = [p for p in (*base.files, *base.links) if p not in self.here and p not in self.links]
        if "" in looked and not never:
            return frozenset(base.folders)
        whole = {prefix: not any(within(p, prefix) for p in never) for prefix in looked}
        return frozenset(f for f in base.folders if whole.get(_looked_with(looked, f), False))


@dataclass(frozen=True)
class Intent:
    """A commit that was begun. If its manifest is found later, the commit is done and becomes the base.

    Args:
        commit: Sequence and id of the commit.
        manifest_name: File name of the manifest that it will write.
        here: Signatures of the local files that it holds.
        voided: Commits of this artifact that failed just before. The last write of one may have hung, and come through later.
        looked: As the record will have it.
        links: Symbolic links that it holds and that are or were here.
        stamps: As the record will have them.
    """

    commit: CommitId
    manifest_name: str
    here: Mapping[str, Signature]
    voided: tuple[CommitId, ...] = ()
    looked: Mapping[str, float] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    stamps: Stamps = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """A restore about to be published. If the files are found in place later, it is done.

    Args:
        record: The record once it is done.
        targets: Path below the artifact to the inode of its temporary.
    """

    record: Record
    targets: Mapping[str, int]


def looked_at(looked: Mapping[str, float], path: str) -> float | None:
    """When a path was last looked at, by the longest prefix that covers it; None where none does."""
    return looked.get(_looked_with(looked, path))


def _looked_with(looked: Mapping[str, float], path: str) -> str:
    """The longest prefix that covers a path; the empty one where none does."""
    while path not in looked and path:
        path = path.rpartition("/")[0]
    return path


def write_sealed(path: Path, body: Mapping[str, Any], *, lasting: bool = True) -> None:
    """Write JSON with its digest so that a reader finds the old content or the new, never a mixture.

    Args:
        path: Where.
        body: What.
        lasting: It is to outlive a machine that loses its power. Otherwise a reader may then find nothing that verifies.

    Raises:
        LocalError: the local disk is full or denies access.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    hasher = blake3()
    try:
        with open(temporary, "wb") as handle:
            handle.write(bytes(_SEAL_BYTES))
            for piece in map(str.encode, _pieces(body)):
                hasher.update(piece)
                handle.write(piece)
            handle.seek(0)
            handle.write(f"{hasher.hexdigest()}\n".encode())
            handle.flush()
            if lasting:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
        if lasting:
            fsync_folder(path.parent)
    except OSError as error:
        raise LocalError(error.errno, error.strerror, str(path)) from error


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def _pieces(value: Any) -> Iterator[str]:
    """The JSON of plain data, bit by bit: what is remembered of many files is never in memory as text, all at once."""
    if isinstance(value, bytes):  # of a manifest, which is ASCII
        yield '"'
        yield from (_json(value[at : at + _PIECE].decode("ascii"))[1:-1] for at in range(0, len(value), _PIECE))
        yield '"'
    elif isinstance(value, dict) and len(value) > _ROWS:
        rows = iter(value.items())
        between = "{"
        while batch := dict(itertools.islice(rows, _ROWS)):
            yield between + _json(batch)[1:-1]
            between = ","
        yield "}"
    elif isinstance(value, dict) and any(isinstance(item, bytes | dict) for item in value.values()):
        between = "{"
        for name, item in value.items():
            yield f"{between}{_json(name)}:"
            yield from _pieces(item)
            between = ","
        yield "}"
    else:
        yield _json(value)


def read_sealed(path: Path) -> Any | None:
    """The JSON that `write_sealed` wrote, or None where there is no file.

    Raises:
        Corrupt: the file does not verify.
    """
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalError(error.errno, error.strerror, str(path)) from error
    if blake3(text).hexdigest().encode() != digest:
        raise Corrupt(f"{path}: damaged")
    return json.loads(text)


def seal_of(path: Path) -> str:
    """The digest that a sealed file begins with, unverified; empty where there is none."""
    try:
        with open(path, "rb") as handle:
            return handle.readline(_SEAL_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def digest_of(manifest: Manifest) -> str:
    """The digest that stands in a manifest."""
    return manifest.encoded[len(b'{"digest":"') :][:64].decode()


def record_to_json(record: Record) -> dict[str, Any]:
    """The record as plain data, its manifest as bytes."""
    base = record.base
    return {
        "base": None if base is None else {"name": base.name.file, "manifest": base.encoded},
        "here": {path: [h.blake3, *_signature_to_json(h.signature), h.trusted] for path, h in record.here.items()},
        "copied": sorted(record.copied),
        "chosen": record.chosen,
        "damaged": sorted(record.damaged),
        "looked": dict(record.looked),
        "links": sorted(record.links),
        "passed": [[v.sequence, v.id] for v in record.passed],
        "stamps": _stamps_to_json(record.stamps),
        "earlier": list(record.earlier),
    }


def record_from_json(body: Mapping[str, Any]) -> Record:
    """The record that `record_to_json` wrote. Raises Corrupt, KeyError or TypeError for anything else."""
    base = None
    if body["base"] is not None:
        name = parse_manifest_name(body["base"]["name"])
        if name is None:
            raise Corrupt("a record names no manifest")
        base = parse(body["base"]["manifest"].encode(), name)
    here = {path: Here(row[0], _signature_from_json(row[1:5]), row[5]) for path, row in body["here"].items()}
    looked = dict(body.get("looked", {}))
    links = frozenset(body.get("links", ()))
    passed = tuple(CommitId(sequence, id_) for sequence, id_ in body.get("passed", ()))
    damaged, stamps = frozenset(body["damaged"]), _stamps_from_json(body.get("stamps", {}))
    copied, earlier = frozenset(body["copied"]), tuple(body.get("earlier", ()))
    return Record(base, here, copied, body["chosen"], damaged, looked, links, passed, stamps, earlier)


def looks_to_json(seal: str, looked: Mapping[str, float], stamps: Stamps) -> dict[str, Any]:
    """When what a record says was last found to be so, as plain data. The seal says which record."""
    return {"record": seal, "looked": dict(looked), "stamps": _stamps_to_json(stamps)}


def with_looks(record: Record, seal: str, body: Mapping[str, Any]) -> Record:
    """The record with what `looks_to_json` wrote since; as it is where that was of another one."""
    if body["record"] != seal:
        return record
    return replace(record, looked={str(p): float(at) for p, at in body["looked"].items()}, stamps=_stamps_from_json(body["stamps"]))


def intent_to_json(intent: Intent) -> dict[str, Any]:
    """The intent as plain data."""
    return {
        "sequence": intent.commit.sequence,
        "id": intent.commit.id,
        "manifest": intent.manifest_name,
        "here": {path: _signature_to_json(s) for path, s in intent.here.items()},
        "voided": [[v.sequence, v.id] for v in intent.voided],
        "looked": dict(intent.looked),
        "links": sorted(intent.links),
        "stamps": _stamps_to_json(intent.stamps),
    }


def intent_from_json(body: Mapping[str, Any]) -> Intent:
    """The intent that `intent_to_json` wrote."""
    here = {path: _signature_from_json(row) for path, row in body["here"].items()}
    voided = tuple(CommitId(sequence, id_) for sequence, id_ in body.get("voided", ()))
    looked, links = dict(body.get("looked", {})), frozenset(body.get("links", ()))
    stamps = _stamps_from_json(body.get("stamps", {}))
    return Intent(CommitId(body["sequence"], body["id"]), body["manifest"], here, voided, looked, links, stamps)


def publication_to_json(publication: Publication) -> dict[str, Any]:
    """The publication as plain data."""
    return {"record": record_to_json(publication.record), "targets": dict(publication.targets)}


def publication_from_json(body: Mapping[str, Any]) -> Publication:
    """The publication that `publication_to_json` wrote."""
    return Publication(record_from_json(body["record"]), dict(body["targets"]))


def _stamps_to_json(stamps: Stamps) -> dict[str, list[Any] | None]:
    return {path: None if s is None else [s.count, s.begun, s.ended] for path, s in stamps.items()}


def _stamps_from_json(body: Mapping[str, Any]) -> Stamps:
    return {path: None if row is None else Stamp(str(row[0]), int(row[1]), int(row[2])) for path, row in body.items()}


def _signature_to_json(signature: Signature) -> list[int]:
    return list(signature)


def _signature_from_json(row: list[int]) -> Signature:
    return Signature(*row)


def refreshed(here: Here, found: os.stat_result) -> Here:
    """The same content under the signature that the file has now (its ctime may have moved).

    Another size, mtime or inode is another file: then the old signature stays, which the file no longer has.
    """
    now = Signature.of(found)
    return Here(here.blake3, now, here.trusted) if now != here.signature and here.signature.same_content(now) else here
