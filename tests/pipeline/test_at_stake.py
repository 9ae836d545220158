"""The progress line of a study says what a disconnect would cost now, and where the work would go on."""

from __future__ import annotations

import re

from tests.pipeline.cheap import run
from tests.pipeline.project import Lines
from tests.support import Rig


class Notes(Lines):
    """What stands behind the bar, by what the bar is of and how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[tuple[str, int], str] = {}

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        self.notes[what.partition(" (")[0], done] = note


def test_the_progress_line_of_a_trial_says_what_a_disconnect_costs(rig: Rig) -> None:
    told = Notes()
    run(rig.machine(), 2, "none", narration=told)
    assert re.fullmatch(r"a disconnect now costs \d+ s, from where this session began", told.notes["cheap: trial 0", 3])
    assert told.notes["cheap: trial 0", 7].endswith(", from step 4")
    assert told.notes["cheap: trial 0", 16].endswith(", from step 12")
    assert told.notes["cheap: trial 1", 2].endswith(", from its beginning")
    assert told.notes["cheap: trial 1", 5].startswith("f1_micro 0.")
