"""What a trial asks of the store does not depend on how many there were before it: counts, exact and free of timing noise."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.pipeline import cheap
from tests.pipeline.project import Lines
from tests.support import Rig

TRIALS, WINDOW = 100, 20


class Ends(Lines):
    """What was asked of the store until each trial's end."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts
        self.until: list[Counter[str]] = [Counter()]

    def say(self, text: str) -> None:
        if "]" in text:
            self.until.append(Counter(self._counts))


def test_the_hundredth_trial_asks_no_more_of_the_store_than_the_fortieth(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cheap, "EPOCHS", 1)
    machine, counting = rig.counted()
    ends = Ends(counting.counts)
    cheap.run(machine, TRIALS, "none", narration=ends, sampler="random")
    windows = [ends.until[at + WINDOW] - ends.until[at] for at in range(0, TRIALS, WINDOW)]
    assert len(ends.until) == TRIALS + 1
    for operation in counting.counts:
        early, late = windows[1][operation], windows[-1][operation]
        assert late <= early * 1.05 + 1, (operation, windows)
