"""What is wanted of files that are looked into, and what was found: plain data, because it goes to another process and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.store.copies.proofs import Proof
from holdfast.store.format.manifest import MAX_TAR_MEMBER
from holdfast.store.local.records import Signature

#: At 65 MB/s a file of 1 MiB moves in 16 ms, and Drive takes 400 ms to
#: create one: below this size the create is nearly all of the cost.
SMALL_FILE = MAX_TAR_MEMBER
#: The tar with the small files of one snapshot.
SPOOL = "spool.tar"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to look into.

    Args:
        path: Below the artifact.
        place: Where it lies.
        signature: What the walk saw.
        base: Hash of what the store has of it, empty where it has nothing or that is to be replaced in any case.
        base_sparse: The store has it with its holes.
        was_database: The store has a database there.
        hashed: Its hash has to be known, whatever its size.
        alone: It is an artifact of its own: it does not travel with others.
        copied: A hard link of it did not hold.
        followed: The place is a symbolic link that is to be followed.
        unknown: The store has generations of the artifact, and nothing is remembered of them.
        later: The hash of a large file may be left to whoever sends it, where that is not the one who waits for the look.
    """

    path: str
    place: str
    signature: Signature
    base: str = ""
    base_sparse: bool = False
    was_database: bool = False
    hashed: bool = False
    alone: bool = False
    copied: bool = False
    followed: bool = False
    unknown: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    """What was found in a file, and its copy.

    Args:
        path: Below the artifact.
        refused: Why it was not taken, empty where it was.
        gone: It was there no more.
        size: Bytes.
        blake3: Hash; empty for a large file that is hashed as it is sent.
        sqlite: Copied by SQLite.
        here: Signature of the original when it was taken.
        taken_ns: When.
        proven: The same signature will prove the same content.
        same: Its content is that of the base; there is no copy.
        source: The copy; empty where it lies in the spool.
        linked: The copy is a hard link of the original.
        torn: Why it is no whole file of its own format.
        sparse: It travels with its holes.
        kind: What kind of file it is, empty where it is none that is known.
    """

    path: str
    refused: str = ""
    gone: bool = False
    size: int = 0
    blake3: str = ""
    sqlite: bool = False
    here: Signature = field(default_factory=lambda: Signature(0, 0, 0, 0))
    taken_ns: int = 0
    proven: bool = False
    same: bool = False
    source: str = ""
    linked: bool = False
    torn: str = ""
    sparse: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How files are looked into.

    Args:
        folder: Where copies are made, empty at first, on the file system of outputs.
        proofs: By device, what times prove.
        links: Large files may be hard-linked: whoever waits guards them, or sends them at once.
        waiting: Bytes that copies take already.
    """

    folder: str
    proofs: Mapping[int, Proof]
    links: bool
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a file came to whose signature is unchanged and proves nothing.

    Args:
        path: Below the artifact.
        same: Its content is that of the base.
        proven: From now on this signature proves it.
        here: Its signature.
    """

    path: str
    same: bool
    proven: bool
    here: Signature
