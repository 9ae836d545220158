"""A hash that is made beside the writing is the same, and only a large file that is alone has a thread for it."""

from __future__ import annotations

import threading

import pytest
from blake3 import blake3

from holdfast.store.transfer.hashing import BESIDE_BYTES, Hashing


def threads() -> int:
    return sum(t.name.startswith("holdfast: hashing") for t in threading.enumerate())


@pytest.mark.parametrize("size", [0, 1, BESIDE_BYTES - 1, BESIDE_BYTES, BESIDE_BYTES + 1, 3 * BESIDE_BYTES + 7])
def test_the_hash_is_that_of_all_that_was_handed_over(size: int) -> None:
    data = (b"holdfast" * (size // 8 + 1))[:size]
    with Hashing() as hashing:
        for at in range(0, size, 1 << 20):
            hashing.update(data[at : at + (1 << 20)])
        assert (hashing.hexdigest(), threads()) == (blake3(data).hexdigest(), int(size > BESIDE_BYTES))


def test_where_several_are_hashed_none_has_a_thread() -> None:
    piece = bytes(BESIDE_BYTES)
    with Hashing() as one, Hashing() as other:
        for hashing in (one, other):
            hashing.update(piece)
            hashing.update(b"end")
        assert one.hexdigest() == other.hexdigest() == blake3(piece + b"end").hexdigest()
        assert threads() == 0
