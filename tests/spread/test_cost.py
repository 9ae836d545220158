"""What a trial costs depends neither on how many processes there are nor on how many trials there were: counts, no times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.spread.costs import costs

pytestmark = pytest.mark.long


def test_a_trial_asks_as_much_of_the_store_and_of_the_study_with_four_processes_as_with_one(tmp_path: Path) -> None:
    one, four = (costs(tmp_path / str(p), 12, p) for p in (1, 4))
    _are_alike(one[-1].counts - one[3].counts, four[-1].counts - four[3].counts)


def test_the_fiftieth_trial_asks_no_more_of_the_store_and_of_the_study_than_the_twentieth(tmp_path: Path) -> None:
    ends = costs(tmp_path / "study", 51, 2)
    _are_alike(ends[25].counts - ends[10].counts, ends[50].counts - ends[35].counts)


def _are_alike(early: Counter[str], late: Counter[str]) -> None:
    assert early["create"] > 0
    assert any(name.startswith("file: ") for name in early)
    for name in early.keys() | late.keys():
        # What is looked at follows the rhythm in which older generations are tidied: 45 to 61 a trial, after 20 and after 130.
        share = 1.4 if name == "stat" else 1.15
        assert late[name] <= early[name] * share + 2, (name, early, late)
