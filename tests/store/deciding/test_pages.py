"""What of a grown database is sent, by plain data: put together from pieces it is what it was, and little of it is sent."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from blake3 import blake3

from holdfast.store.deciding.pages import (
    MARK_BYTES,
    MOST_PIECES,
    SMALLEST,
    TOGETHER,
    WHOLE_EVERY,
    Changed,
    Stored,
    as_stored,
    block_of,
    may_go_on_from,
    plan_pages,
)
from holdfast.store.format.entries import FileRecord, Piece


def hashes(data: bytes, length: int) -> bytes:
    return b"".join(blake3(data[at : at + length]).digest(length=MARK_BYTES) for at in range(0, len(data), length))


def whole(data: bytes, number: int) -> Stored:
    name, block = f"outputs/d/study@{number:06d}-0000000a.db", block_of(len(data))
    marks, coarse = hashes(data, block), hashes(data, block * TOGETHER)
    return Stored(
        blake3(data).hexdigest(), len(data), marks, coarse, (Piece(name, len(data), 0, len(data)),), name, 0, (), frozenset()
    )


def record(state: Stored) -> FileRecord:
    if state.steps:
        return FileRecord("study.db", state.size, state.blake3, 0o644, sqlite=True, pieces=state.pieces)
    return FileRecord("study.db", state.size, state.blake3, 0o644, payload=state.whole, sqlite=True)


def sent(changed: Changed, data: bytes) -> bytes:
    return b"".join(data[start : start + length] for start, length in changed.runs)


def put_together(pieces: tuple[Piece, ...], payloads: dict[str, bytes]) -> bytes:
    for piece in pieces:
        assert piece.size == len(payloads[piece.payload])
    return b"".join(payloads[p.payload][p.offset : p.offset + p.length] for p in pieces)


def grown(data: bytearray, rng: random.Random) -> None:
    """As a database grows: a few blocks change, a few come behind them, and now and then it is cut."""
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(1, 3000)] = rng.randbytes(rng.randrange(1, 3000)) if rng.random() < 0.1 else b""
    while len(data) < SMALLEST * 2 or rng.random() < 0.5:
        data += rng.randbytes(rng.choice((1, 511, 512, 4096, 20_000)))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) - 600)
        data[at : at + 600] = rng.randbytes(600)
    if rng.random() < 0.05:
        del data[rng.randrange(SMALLEST, len(data)) :]


def test_whatever_changes_what_is_put_together_is_the_file_in_few_payloads_and_pieces(
    seeded: Callable[[int], random.Random],
) -> None:
    rng = seeded(19)
    steps = 0
    for _ in range(6):
        data = bytearray(rng.randbytes(rng.choice((SMALLEST, 300_000, 900_001))))
        state, payloads = whole(bytes(data), 1), {}
        payloads[state.whole] = bytes(data)
        for number in range(2, 60):
            if rng.random() < 0.8:
                for _ in range(rng.randrange(1, 4)):
                    at = rng.randrange(len(data))
                    data[at : at + 700] = rng.randbytes(len(data[at : at + 700]))
                data += rng.randbytes(rng.choice((0, 1, 512, 5000)))
            else:
                grown(data, rng)
            now = bytes(data)
            changed = (
                plan_pages(state, len(now), hashes(now, block_of(len(now)))) if block_of(len(now)) == block_of(state.size) else None
            )
            if changed is None:
                state = whole(now, number)
                payloads[state.whole] = now
                continue
            steps += 1
            name = f"outputs/d/study.db@{number:06d}-0000000a.pieces"
            payloads[name] = sent(changed, now)
            assert changed.size == len(payloads[name]) <= len(now) // 4
            block = block_of(len(now))
            state = as_stored(changed, name, len(now), blake3(now).hexdigest(), hashes(now, block), hashes(now, block * TOGETHER))
            assert put_together(state.pieces, payloads) == now
            assert len(state.pieces) <= MOST_PIECES
            assert len(state.places) <= 4
            assert {p for p, _ in state.levels} == state.places.keys() - {state.whole}
    assert steps > 100


def test_a_file_that_differs_in_more_than_a_quarter_or_in_too_many_places_is_sent_whole(
    seeded: Callable[[int], random.Random],
) -> None:
    rng = seeded(20)
    data = bytearray(rng.randbytes(1 << 20))
    state = whole(bytes(data), 1)
    for share, expected in ((0.2, True), (0.3, False)):
        now = bytearray(data)
        now[: int(len(data) * share)] = rng.randbytes(int(len(data) * share))
        assert (plan_pages(state, len(now), hashes(bytes(now), 512)) is not None) is expected
    for at in range(0, len(data), 4096):
        data[at] ^= 1
    assert plan_pages(state, len(data), hashes(bytes(data), 512)) is None
    assert plan_pages(state, len(data), state.marks) is None  # nothing differs, and an empty payload says nothing


def test_two_databases_that_follow_each_other_never_share_a_payload_and_none_is_far_from_a_whole_one(
    seeded: Callable[[int], random.Random],
) -> None:
    rng = seeded(21)
    data = bytearray(rng.randbytes(400_000))
    states: list[Stored] = []
    wholes = []
    for number in range(1, 400):
        at = rng.randrange(len(data) - 900)
        data[at : at + 900] = rng.randbytes(900)
        data += rng.randbytes(700)
        now = bytes(data)
        known = states[:-3:-1]
        onto = None
        if states:
            onto = may_go_on_from(known, record(states[-1]), number, size=len(now), damaged=frozenset(), lost=frozenset())
        changed = None if onto is None else plan_pages(onto, len(now), hashes(now, block_of(len(now))))
        if changed is None:
            state = whole(now, number)
            wholes.append(number)
        else:
            name = f"outputs/d/study.db@{number:06d}-0000000a.pieces"
            block = block_of(len(now))
            state = as_stored(changed, name, len(now), blake3(now).hexdigest(), hashes(now, block), hashes(now, block * TOGETHER))
        if states:
            assert state.places.keys().isdisjoint(states[-1].places), number
        states.append(state)
    assert wholes[:3] == [1, 2, 2 + WHOLE_EVERY]
    assert max(b - a for a, b in itertools.pairwise(wholes)) <= WHOLE_EVERY


@pytest.mark.parametrize("what", ["content", "damage", "lost", "block", "shared", "old"])
def test_what_is_in_doubt_is_no_state_to_go_on_from(what: str) -> None:
    first, second = whole(b"a" * 100_000, 1), whole(b"b" * 100_000, 2)
    base = record(second)
    size, sequence, lost, damaged = 100_000, 3, frozenset[str](), frozenset[str]()

    def found() -> Stored | None:
        return may_go_on_from([second, first], base, sequence, size=size, damaged=damaged, lost=lost)

    assert found() == first
    if what == "content":
        base = replace(base, blake3=blake3(b"other").hexdigest())
    elif what == "damage":
        damaged = frozenset({"0000000b"})
    elif what == "lost":
        lost = frozenset({first.whole})
    elif what == "block":
        size = 1 << 25
    elif what == "shared":
        first = replace(first, pieces=second.pieces)
    else:
        sequence = 2 + WHOLE_EVERY
    assert found() is None
