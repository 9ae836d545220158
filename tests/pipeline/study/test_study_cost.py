"""What a trial costs does not depend on how many there were before it: counts, exact and free of timing noise."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from typing import Any

import pytest

from tests.pipeline import cheap
from tests.pipeline.project import Lines
from tests.support import Rig

TRIALS, WINDOW = 100, 20

#: What the system is asked for, as Python tells of it. The study's own file goes past it, and is opened once for each copy.
ASKED = frozenset({"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "os.utime"})
_counts: list[Counter[str]] = []


def _count(event: str, args: tuple[Any, ...]) -> None:
    if _counts and event in ASKED:
        _counts[-1][event] += 1


class Ends(Lines):
    """What was asked of the store, and of the system, until each trial's end."""

    def __init__(self, counts: Counter[str], asked: Counter[str]) -> None:
        super().__init__()
        self._counts, self._asked = counts, asked
        self.until: list[Counter[str]] = [Counter()]
        self.asked: list[Counter[str]] = [Counter()]

    def say(self, text: str) -> None:
        if "]" in text:
            self.until.append(Counter(self._counts))
            self.asked.append(Counter(self._asked))


def test_the_hundredth_trial_asks_no_more_of_the_store_and_of_the_system_than_the_fortieth(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cheap, "EPOCHS", 1)
    machine, counting = rig.counted()
    sys.addaudithook(_count)
    _counts.append(Counter())
    try:
        ends = Ends(counting.counts, _counts[-1])
        cheap.run(machine, TRIALS, "none", narration=ends, sampler="random")
    finally:
        _counts.clear()
    assert len(ends.until) == TRIALS + 1
    windows = [ends.until[at + WINDOW] - ends.until[at] for at in range(0, TRIALS, WINDOW)]
    for operation in counting.counts:
        early, late = windows[1][operation], windows[-1][operation]
        assert late <= early * 1.05 + 1, (operation, windows)
    each = [after - before for before, after in itertools.pairwise(ends.asked)]
    for event in ASKED:  # in the middle of five: now and then all of the study is looked at, and tars are merged
        early, late = (sorted(one[event] for one in each[at : at + WINDOW])[WINDOW // 2] for at in (WINDOW, TRIALS - WINDOW))
        assert late <= early * 1.1 + 2, (event, early, late)
