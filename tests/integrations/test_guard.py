"""The guard: other batches than before are named before one is trained on, and the same ones never are."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.errors import WrongOrder
from holdfast.integrations.guard import WHOLE_BYTES, Guard, digest


@dataclasses.dataclass
class Pair:
    """A batch of one's own."""

    x: Any
    y: Any


def batches(seed: int, count: int = 40) -> list[dict[str, torch.Tensor]]:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
    return [{"x": order[i * 4 : i * 4 + 4], "y": order[i * 4 : i * 4 + 4] * 2} for i in range(count)]


def run(place: Path, drawn: list[Any], start: int, end: int, **options: Any) -> Guard:
    guard = Guard(place, "outputs/run", **options)
    guard.goes_on_after(start)
    for batch in drawn[start:end]:
        guard.drawn(batch)
    guard.close()
    return guard


@pytest.mark.parametrize("seed", range(20))
def test_the_same_batches_are_never_stopped_wherever_the_training_was_cut_off(seed: int, tmp_path: Path) -> None:
    draw, drawn, place = random.Random(seed), batches(seed), tmp_path / "log"
    done = 0
    while done < len(drawn):
        reached = draw.randint(done, len(drawn))
        guard = run(place, drawn, done, reached)
        done = draw.randint(done, reached)
        if draw.random() < 0.5:
            with place.open("ab") as log:
                log.write(b"%d 0123" % (reached + 1))  # a kill in the middle of a line
        assert guard.number == reached
        if done == reached and done < len(drawn):
            done += 1
            run(place, drawn, done - 1, done)


WRONG: dict[str, Callable[[list[Any]], list[Any]]] = {
    "another seed": lambda drawn: batches(99),
    "one batch too few skipped": lambda drawn: [drawn[0], *drawn],
    "one batch too many skipped": lambda drawn: drawn[1:],
    "the first batches again": lambda drawn: drawn[:10] + drawn[:30],
    "rows in another order": lambda drawn: [{k: v.flip(0) for k, v in b.items()} for b in drawn],
    "a smaller batch": lambda drawn: [{k: v[:3] for k, v in b.items()} for b in drawn],
    "other labels": lambda drawn: [{**b, "y": b["y"] + 1} for b in drawn],
    "a column less": lambda drawn: [{"x": b["x"]} for b in drawn],
    "another type": lambda drawn: [{k: v.float() for k, v in b.items()} for b in drawn],
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_other_batches_are_stopped_before_the_first_is_trained_on(change: Callable[[list[Any]], list[Any]], tmp_path: Path) -> None:
    drawn, place = batches(1), tmp_path / "log"
    run(place, drawn, 0, 13)
    guard = Guard(place, "outputs/run")
    guard.goes_on_after(10)
    with pytest.raises(WrongOrder, match=r"^outputs/run: batch 11 is not the one .*holdfast drop outputs/run$"):
        guard.drawn(change(drawn)[10])
    assert guard.number == 10


def test_a_seal_says_what_was_drawn_and_the_log_does_not_grow(tmp_path: Path) -> None:
    place, drawn = tmp_path / "log", batches(1)
    guard = Guard(place, "outputs/run")
    guard.goes_on_after(0)
    said, before = [], [0]
    for number, batch in enumerate(drawn, 1):
        guard.drawn(batch)
        if number % 10 == 0:
            said.append(guard.seal(before[-1]))
            before.append(number)
    assert [(s["number"], s["since"]) for s in said] == [(10, 10), (20, 10), (30, 10), (40, 10)]
    assert len({s["digest"] for s in said}) == 4
    assert [int(line.split()[0]) for line in place.read_text().splitlines()] == list(range(31, 41))


def test_what_is_picked_of_a_batch_is_all_that_counts(tmp_path: Path) -> None:
    place = tmp_path / "log"
    run(place, [(i, random.random()) for i in range(5)], 0, 5, of=lambda batch: batch[0])
    run(place, [(i, random.random()) for i in range(5)], 2, 5, of=lambda batch: batch[0])
    with pytest.raises(WrongOrder):
        run(place, [(i, 0.5) for i in range(1, 6)], 2, 5, of=lambda batch: batch[0])


#: Pairs that differ in one thing, small enough to be overlooked.
DIFFER: dict[str, tuple[Any, Any]] = {
    "a value": (torch.arange(8), torch.arange(8).roll(1)),
    "a shape": (torch.zeros(2, 3), torch.zeros(3, 2)),
    "a type of number": (np.zeros(3, "i4"), np.zeros(3, "f4")),
    "a name": ({"a": 1}, {"b": 1}),
    "a text": (["ab", "c"], ["a", "bc"]),
    "bytes": (b"ab", b"ba"),
    "true and one": (True, 1),
    "nesting": ([[1, 2], [3]], [[1], [2, 3]]),
    "a dataclass": (Pair(1, 2), Pair(2, 1)),
    "bfloat16": (torch.tensor([1.0]).bfloat16(), torch.tensor([1.5]).bfloat16()),
    "complex": (torch.tensor([1j]), torch.tensor([2j])),
    "a mask": (torch.tensor([True, False]), torch.tensor([False, True])),
    "objects": (np.array(["a", None], object), np.array([None, "a"], object)),
    "sparse": (torch.eye(3).to_sparse(), torch.eye(3).flip(0).to_sparse()),
    "a scalar": (torch.tensor(1), torch.tensor(2)),
    "an empty one": (torch.zeros(0, 3), torch.zeros(0, 4)),
}


@pytest.mark.parametrize(("one", "other"), DIFFER.values(), ids=DIFFER)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_what_differs_has_another_digest_and_what_is_equal_the_same(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


def test_of_a_large_batch_each_sample_counts() -> None:
    images = torch.rand(32, 3, 64, 64)
    assert images.numel() * 4 > WHOLE_BYTES
    assert digest(images) == digest(images.clone())
    for sample in range(32):
        other = images.clone()
        other[sample] = torch.rand(3, 64, 64)
        assert digest(other) != digest(images), sample
    assert digest(images[torch.randperm(31)]) != digest(images[:31])
    assert digest(np.asarray(images)) != digest(np.asarray(images.flip(0)))
