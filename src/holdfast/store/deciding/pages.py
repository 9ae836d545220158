"""What of a database is sent that grew since the store took it last: the blocks that differ, and where the rest lies already. Pure.

Two lines of payloads take turns, each from a whole copy of its own, so that no two databases that follow each other have a payload
in common: what rots in the store costs the newest generation, and never the one before it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.store.format.entries import FileRecord, Piece
from holdfast.store.format.names import parse_payload_name

#: A smaller database is sent whole: nothing is to be gained.
SMALLEST = 64 << 10
#: Generations from one whole copy to the next, at most. Whoever has nothing but a browser loses no more than what came since.
WHOLE_EVERY = 50
#: Of one file: its description may not grow with its history.
MOST_PIECES = 256
#: More than this share of it is sent whole.
_SHARE = 4
#: A block is this long, in bytes; of a larger database it is so long that there are no more than so many. A page of SQLite's holds
#: several: a row that is added changes two short stretches of one.
_BLOCK, _MOST_BLOCKS = 512, 1 << 15
#: Blocks are hashed one by one only where as many together differ.
TOGETHER = 64
#: BLAKE3, cut to 128 bits: what of two states of a file is the same is decided by it.
MARK_BYTES = 16
#: Each step sends anew what those since the last 4th did, every 4th what all since the last 16th did, every 16th what all since the
#: whole copy did: so a file never lies in more than four payloads, and what is sent stays small (benchmarks/study.md).
_RADIX, _LEVELS = 4, 2


@dataclass(frozen=True)
class Stored:
    """One state of a database as the store has it.

    Args:
        blake3: Of the whole file.
        size: Of it, in bytes.
        marks: A hash of each block, one after the other.
        coarse: A hash of each `TOGETHER` blocks.
        pieces: Where its content lies. Of a whole copy it is one piece.
        whole: The payload that is a whole copy.
        steps: How many times since that what differs was sent.
        levels: Of every other payload: 0, 1 where it stands for 4 steps, 2 for 16.
        damaged: Ids of generations that were proven damaged before this state was sent.
    """

    blake3: str
    size: int
    marks: bytes
    coarse: bytes
    pieces: tuple[Piece, ...]
    whole: str
    steps: int
    levels: tuple[tuple[str, int], ...]
    damaged: frozenset[str]

    @property
    def places(self) -> dict[str, int]:
        """Its payloads, with their lengths."""
        return {piece.payload: piece.size for piece in self.pieces}

    @property
    def since(self) -> int:
        """The sequence of the commit that sent the whole copy."""
        commit = parse_payload_name(self.whole.rpartition("/")[2])
        return 0 if commit is None else commit.sequence


@dataclass(frozen=True)
class Changed:
    """What is sent of a database, and how it is put together from that and from what the store has.

    Args:
        onto: The state that it goes on from.
        level: Of what is sent.
        runs: Offset and length of each stretch that is sent, in the order of the file.
        layout: The file, part by part: a piece that the store has, or the length of the next part of what is sent.
    """

    onto: Stored
    level: int
    runs: tuple[tuple[int, int], ...]
    layout: tuple[Piece | int, ...]

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        return sum(length for _, length in self.runs)

    def pieces(self, payload: str) -> tuple[Piece, ...]:
        """Where the content lies once it is sent."""
        made, offset = [], 0
        for part in self.layout:
            if isinstance(part, Piece):
                made.append(part)
            else:
                made.append(Piece(payload, self.size, offset, part))
                offset += part
        return tuple(made)


def block_of(size: int) -> int:
    """Bytes of a block of a file of this size."""
    block = _BLOCK
    while size > block * _MOST_BLOCKS:
        block *= 2
    return block


def may_go_on_from(
    known: Iterable[Stored], base: FileRecord, sequence: int, *, size: int, damaged: frozenset[str], lost: frozenset[str]
) -> Stored | None:
    """The state that a database is sent against, or None where it is sent whole.

    Args:
        known: States that this workspace has sent, the newest first.
        base: What the generation before holds: one of them, or nothing is known.
        sequence: Of the commit.
        size: Of the database now.
        damaged: Ids of generations that were proven damaged.
        lost: Payloads that are gone from the store.
    """
    states = list(known)
    if not any((s.blake3, s.size, s.places) == (base.blake3, base.size, base.places) for s in states):
        return None
    if not lost.isdisjoint(base.places) or sequence - max(s.since for s in states) >= WHOLE_EVERY:
        return None
    for state in states:
        sound = state.damaged == damaged and lost.isdisjoint(state.places) and block_of(state.size) == block_of(size)
        if sound and state.places.keys().isdisjoint(base.places) and sequence - state.since < 2 * WHOLE_EVERY:
            return state
    return None


def plan_pages(onto: Stored, size: int, marks: bytes) -> Changed | None:
    """Decide what is sent, or None where the file is better sent whole.

    Args:
        onto: What it goes on from.
        size: Of the file now.
        marks: Of its blocks.
    """
    block, steps, levels = block_of(size), onto.steps + 1, dict(onto.levels)
    level = next(n for n in range(_LEVELS, -1, -1) if steps % _RADIX**n == 0)
    fresh = _differing(onto, marks, {p for p, n in levels.items() if n <= level}, block)
    runs = [(start * block, min(end * block, size) - start * block) for start, end in _runs(fresh)]
    layout = tuple(_layout(onto.pieces, fresh, block, size))
    if not runs or len(layout) > MOST_PIECES or sum(length for _, length in runs) * _SHARE > size:
        return None
    return Changed(onto, level, tuple(runs), layout)


def as_stored(changed: Changed, payload: str, size: int, digest: str, marks: bytes, coarse: bytes) -> Stored:
    """The state that is in the store once this is sent."""
    onto, pieces = changed.onto, changed.pieces(payload)
    levels = {**dict(onto.levels), payload: changed.level}
    named = {piece.payload for piece in pieces}
    kept = tuple((p, n) for p, n in levels.items() if p in named)
    return Stored(digest, size, marks, coarse, pieces, onto.whole, onto.steps + 1, kept, onto.damaged)


def _differing(onto: Stored, marks: bytes, folded: set[str], block: int) -> bytearray:
    """A byte for each block, 1 where it is sent: it differs, or lies in a payload that is not named any more."""
    count, known = len(marks) // MARK_BYTES, len(onto.marks) // MARK_BYTES
    fresh = bytearray(count)
    if count > known:
        fresh[known:] = b"\1" * (count - known)
    at = 0
    for piece in onto.pieces:
        first, end = at // block, min(-(-(at + piece.length) // block), count)
        if piece.payload in folded and end > first:
            fresh[first:end] = b"\1" * (end - first)
        at += piece.length
    for start in range(0, min(count, known), TOGETHER):
        end = min(start + TOGETHER, count, known)
        if onto.marks[start * MARK_BYTES : end * MARK_BYTES] != marks[start * MARK_BYTES : end * MARK_BYTES]:
            for at in range(start * MARK_BYTES, end * MARK_BYTES, MARK_BYTES):
                if onto.marks[at : at + MARK_BYTES] != marks[at : at + MARK_BYTES]:
                    fresh[at // MARK_BYTES] = 1
    # One block between two that are sent is sent as well: it is shorter than the two pieces that it would cost.
    return bytearray(fresh.replace(b"\1\0\1", b"\1\1\1").replace(b"\1\0\1", b"\1\1\1"))


def _runs(fresh: bytearray) -> Iterator[tuple[int, int]]:
    """First block, and the one after the last, of each stretch that is sent."""
    start = fresh.find(1)
    while start >= 0:
        end = fresh.find(0, start)
        end = len(fresh) if end < 0 else end
        yield start, end
        start = fresh.find(1, end)


def _layout(pieces: Sequence[Piece], fresh: bytearray, block: int, size: int) -> Iterator[Piece | int]:
    """The file, part by part, in its order."""
    runs = [(start * block, min(end * block, size)) for start, end in _runs(fresh)]
    at = 0
    for start, end in [*runs, (size, size)]:
        yield from _between(pieces, at, start)
        if end > start:
            yield end - start
        at = end


def _placed(pieces: Sequence[Piece]) -> Iterator[tuple[int, Piece]]:
    at = 0
    for piece in pieces:
        yield at, piece
        at += piece.length


def _between(pieces: Sequence[Piece], start: int, end: int) -> Iterator[Piece]:
    """The parts of pieces that make up a stretch of the file."""
    for at, piece in _placed(pieces) if end > start else ():
        first, last = max(at, start), min(at + piece.length, end)
        if first < last:
            yield Piece(piece.payload, piece.size, piece.offset + first - at, last - first)
