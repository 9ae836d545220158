"""What counts as a number for `progress`: one of any library. What does not costs a line, never a backup or the training loop."""

from __future__ import annotations

import decimal
import fractions
import logging
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.session.numbers import plain_number, whole_number
from tests.support import Rig


def _numpy(kind: str, value: Any) -> Any:
    import numpy

    return getattr(numpy, kind)(value)


def _torch(value: Any, **options: Any) -> Any:
    import torch

    return torch.tensor(value, **options)


class Steps:
    """A counter of somebody's own."""

    def __float__(self) -> float:
        return 4.5


class Broken:
    """One that fails when it is asked."""

    def __float__(self) -> float:
        raise RuntimeError("no value yet")


NUMBERS: dict[str, tuple[Callable[[], Any], float]] = {
    "int": (lambda: 3, 3),
    "numpy int64": (lambda: _numpy("int64", 3), 3),
    "numpy uint8": (lambda: _numpy("uint8", 3), 3),
    "numpy float32": (lambda: _numpy("float32", 0.5), 0.5),
    "numpy float16": (lambda: _numpy("float16", 0.5), 0.5),
    "numpy 0-d": (lambda: _numpy("array", 3), 3),
    "numpy of one element": (lambda: _numpy("array", [3]), 3),
    "torch 0-d": (lambda: _torch(3), 3),
    "torch of one element": (lambda: _torch([[0.5]]), 0.5),
    "torch with a gradient": (lambda: _torch(0.5, requires_grad=True), 0.5),
    "fraction": (lambda: fractions.Fraction(1, 2), 0.5),
    "decimal": (lambda: decimal.Decimal("0.5"), 0.5),
    "an object": (Steps, 4.5),
}
NO_NUMBERS: dict[str, Callable[[], Any]] = {
    "nan": lambda: float("nan"),
    "infinity": lambda: float("-inf"),
    "numpy nan": lambda: _numpy("float32", "nan"),
    "decimal nan": lambda: decimal.Decimal("sNaN"),
    "torch infinity": lambda: _torch(float("inf")),
    "bool": lambda: True,
    "numpy bool": lambda: _numpy("bool", True),
    "torch bool": lambda: _torch(True),
    "complex": lambda: 1j,
    "numpy complex": lambda: _numpy("complex64", 1),
    "text": lambda: "3",
    "several": lambda: _numpy("array", [1, 2]),
    "none of several": lambda: _torch([]),
    "a list": lambda: [3],
    "broken": Broken,
    "too large": lambda: 10**400,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_any_library_is_a_number(name: str) -> None:
    make, expected = NUMBERS[name]
    found = plain_number(make())
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("name", [n for n in NO_NUMBERS if n != "too large"])
def test_what_cannot_be_compared_is_no_number(name: str) -> None:
    with pytest.raises(ValueError, match=r"^(not|true)"):
        plain_number(NO_NUMBERS[name]())


def test_a_backup_takes_any_of_them_as_progress(rig: Rig) -> None:
    machine = rig.machine()
    for make, expected in NUMBERS.values():
        machine.write("outputs/run/state", str(expected))
        assert machine.keep.backup("outputs/run", progress=make())
        assert machine.keep.held("outputs/run")[0].progress == expected


def test_what_is_no_number_costs_a_line_and_no_backup(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    for number, make in enumerate(NO_NUMBERS.values()):
        caplog.clear()
        machine.write("outputs/run/state", str(number))
        with caplog.at_level(logging.ERROR):
            assert machine.keep.backup("outputs/run", progress=make())
        (line,) = caplog.messages
        assert line.startswith("progress is ")
        assert line.endswith("backed up without it. Give a number that can be compared")
        assert "\n" not in line
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.read("outputs/run/state") == str(number).encode()


@pytest.mark.parametrize("value", [3, 3.0, "numpy", fractions.Fraction(3)])
def test_a_whole_number_of_any_library_is_one(value: Any) -> None:
    found = whole_number(_numpy("int64", 3) if value == "numpy" else value, 1)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3", None, [], float("nan")])
def test_what_is_no_whole_number_is_told_what_it_should_be(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^should be a whole number, at least 1$"):
        whole_number(value, 1)
