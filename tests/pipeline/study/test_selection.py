"""The choice: quality first, then what is stated, and a reason for everything."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable

import pytest

from holdfast.errors import StageFailed
from holdfast.pipeline.study.selection import Candidate, choose

SMALL = Candidate("small", 4, 0.800, 10, {"learning_rate": 1e-3}, latency=3.0)
LARGE = Candidate("large", 2, 0.804, 90, {"learning_rate": 2e-3}, latency=2.0)
WORSE = Candidate("small", 1, 0.700, 10, {"learning_rate": 3e-3}, latency=3.0)
ALL = [SMALL, LARGE, WORSE]


def best(candidates: list[Candidate], by: str = "quality", tolerance: float = 0.0) -> tuple[str, int]:
    row = choose(candidates, by=by, tolerance=tolerance)["best"]
    return row["backbone"], row["trial"]


def test_quality_comes_first() -> None:
    assert best(ALL) == ("large", 2)


def test_within_the_tolerance_the_smaller_model_is_taken() -> None:
    assert best(ALL, tolerance=0.01) == ("small", 4)
    assert best(ALL, tolerance=0.2) == ("small", 1), "of equal size the earlier trial"


def test_latency_decides_only_where_it_is_asked_to() -> None:
    assert best(ALL, by="latency", tolerance=0.01) == ("large", 2)
    assert best(ALL, by="latency", tolerance=0.0) == ("large", 2)


def test_of_equals_the_earlier_trial_and_then_the_first_backbone_by_name() -> None:
    equal = [Candidate("b", 3, 0.5, 10, {}), Candidate("b", 1, 0.5, 10, {}), Candidate("a", 1, 0.5, 10, {})]
    assert best(equal) == ("a", 1)


def test_the_record_names_every_candidate_and_why() -> None:
    record = choose(ALL, by="quality", tolerance=0.01)
    reasons = {(r["backbone"], r["trial"]): r["reason"] for r in record["candidates"]}
    assert reasons == {
        ("small", 4): "chosen",
        ("large", 2): "a larger model: 90 weights against 10",
        ("small", 1): "0.1040 below the highest score",
    }
    assert record["best"]["reason"] == "of 2 within 0.01 of the highest score the smallest model, then the earliest trial"
    assert record["best"]["parameters"] == {"learning_rate": 1e-3}
    slower = choose([*ALL, Candidate("other", 0, 0.804, 90, {}, latency=5.0)], by="latency", tolerance=0.0)
    assert "slower: 5.00 ms against 2.00 ms" in [r["reason"] for r in slower["candidates"]]


def test_a_clock_is_in_the_record_only_where_it_decides() -> None:
    assert "latency" not in json.dumps(choose(ALL, by="quality", tolerance=0.0))
    assert choose(ALL, by="latency", tolerance=0.0)["best"]["latency"] == 2.0


def test_the_order_of_candidates_decides_nothing(seeded: Callable[[int], random.Random]) -> None:
    generator = seeded(5)
    candidates = [
        Candidate(
            generator.choice("ab"),
            n,
            generator.choice([0.5, 0.51, 0.6]),
            generator.choice([10, 20]),
            {},
            generator.choice([1.0, 2.0]),
        )
        for n in range(5)
    ]
    for by, tolerance in itertools.product(("quality", "latency"), (0.0, 0.01, 0.5)):
        records = {json.dumps(choose(list(p), by=by, tolerance=tolerance)) for p in itertools.permutations(candidates)}
        assert len(records) == 1


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(StageFailed, match="no study has a complete trial"):
        choose([], by="quality", tolerance=0.0)
