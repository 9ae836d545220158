"""`holdfast.hf.Keep`: cut off at a step and gone on with on a fresh machine, a Trainer comes to the same, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.integrations.hf_cases import CASES, Case, Outcome, train
from tests.support import Rig


def same(one: Outcome, other: Outcome) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    known: dict[str, Outcome] = {}

    def find(name: str) -> Outcome:
        if name not in known:
            known[name] = train(Rig(tmp_path_factory.mktemp("whole")).machine(), CASES[name])
        return known[name]

    return find


def goes_on(rig: Rig, case: Case, whole: Outcome, *until: int) -> Outcome:
    """Cut off at these steps, each time on a fresh machine. What the last one came to is what the whole one came to."""
    for step in until:
        train(rig.machine(), case, step)
    last = train(rig.machine(), case)
    assert same(last, whole)
    assert last.seen == whole.seen[len(whole.seen) - len(last.seen) :]
    assert last.evaluated == whole.evaluated[len(whole.evaluated) - len(last.evaluated) :]
    assert last.reached == whole.reached
    return last


@pytest.mark.parametrize("name", CASES)
def test_a_training_that_was_cut_off_comes_to_the_same_weights_by_the_same_samples(
    name: str, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    whole = uninterrupted(name)
    middle = whole.reached // 2 + 1
    last = goes_on(rig, CASES[name], whole, middle, middle + 3)
    assert last.started >= middle
