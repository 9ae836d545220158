from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.pipeline.alike import Measured, measure_alike
from holdfast.spread.engine import NoSuchNode


class Cluster:
    """Nodes of some types; what was measured on them, and what was said."""

    def __init__(self, *types: str) -> None:
        self.types = list(types)
        self.measured: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.then: Callable[[], None] = lambda: None

    def measure(self, name: str, node_type: str) -> str:
        there = next((t for t in self.types if node_type in ("", t)), None)
        if there is None:
            raise NoSuchNode("engine: ray: no node can have a part")
        self.measured.append((name, there))
        self.then()
        return there

    def alike(self, name: str, *others: Measured) -> list[tuple[str, str]]:
        measure_alike(
            name, others, self.measure, lambda *w: self.said.append(f"again {w}"), lambda t: self.said.append(f"gone {t}")
        )
        return self.measured


def test_the_first_is_measured_on_any_node() -> None:
    assert Cluster("A", "B").alike("left") == [("left", "A")]


def test_the_next_is_measured_on_the_type_of_the_first() -> None:
    cluster = Cluster("A", "B")
    assert cluster.alike("right", Measured("left", "B")) == [("right", "B")]
    assert cluster.said == []


def test_where_that_type_is_gone_it_is_said_and_all_are_measured_again_on_another() -> None:
    cluster = Cluster("B")
    assert cluster.alike("right", Measured("left", "A"), Measured("middle", "A")) == [
        ("right", "B"),
        ("left", "B"),
        ("middle", "B"),
    ]
    assert cluster.said == ["gone A", "again ('left', 'B')", "again ('middle', 'B')"]


def test_what_was_measured_on_no_node_is_measured_again() -> None:
    assert Cluster("B", "A").alike("right", Measured("left", ""), Measured("middle", "A")) == [("right", "A"), ("left", "A")]


def test_a_type_that_goes_in_the_middle_has_all_measured_on_what_is_left() -> None:
    cluster = Cluster("B")
    cluster.then = lambda: cluster.types.__setitem__(slice(None), ["C"])
    found = cluster.alike("right", Measured("left", "A"))
    assert found == [("right", "B"), ("right", "C"), ("left", "C")]


def test_where_no_node_is_left_at_all_that_is_said() -> None:
    with pytest.raises(NoSuchNode):
        Cluster().alike("right", Measured("left", "A"))
