"""What a person sees: lines that stay; in a file a line now and then; in a terminal a bar."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from holdfast.flow.narration import Screen
from holdfast.store.reporting.amounts import duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_in_a_file_a_line_now_and_then_says_how_far_and_how_long_still() -> None:
    out, clock = io.StringIO(), Clock()
    screen = Screen(Console(file=out, width=120), clock)
    for step in range(100):
        clock.now = float(step)
        screen.work("training", step, 100, "f1 0.5")
    screen.end()
    assert out.getvalue().splitlines() == [
        "training: 30/100, 70 s left  f1 0.5",
        "training: 60/100, 40 s left  f1 0.5",
        "training: 90/100, 10 s left  f1 0.5",
    ]


def test_work_that_goes_on_in_the_middle_counts_time_from_there() -> None:
    out, clock = io.StringIO(), Clock()
    screen = Screen(Console(file=out, width=120), clock)
    screen.work("training", 50, 100)
    clock.now = 40.0
    screen.work("training", 60, 100)
    assert out.getvalue() == "training: 60/100, 3 min left\n"


def test_in_a_terminal_a_bar_moves_and_leaves_lines_alone() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=120, force_terminal=True))
    screen.work("training", 1, 10)
    screen.say("a line [with brackets]")
    screen.work("training", 10, 10)
    screen.end()
    assert "a line [with brackets]" in out.getvalue()
    assert "training" in out.getvalue()
    screen.warn("last")
    assert "last" in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_in_80_columns_the_bar_and_what_a_disconnect_costs_are_both_seen_whole() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80, force_terminal=True))
    note = "f1_micro 0.792; a disconnect now costs 4 min, from step 100"
    for step in (1, 300):
        screen.work("tiny: trial 17 (18 of 100)", step, 1000, note)
        screen._bar.refresh()
    shown = out.getvalue()
    screen.end()
    assert "300/1000" in shown
    assert "━" in shown
    assert note in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
