"""What a trial costs depends neither on how many processes there are nor on how many trials there were: counts, no times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spread.costs import Noted, costs

pytestmark = pytest.mark.long


def test_a_trial_asks_as_much_of_the_store_and_of_the_study_with_four_processes_as_with_one(tmp_path: Path) -> None:
    one, four = (costs(tmp_path / str(p), 12, p) for p in (1, 4))
    _are_alike((one[3], one[-1]), (four[3], four[-1]))


def test_the_fiftieth_trial_asks_no_more_of_the_store_and_of_the_study_than_the_twentieth(tmp_path: Path) -> None:
    ends = costs(tmp_path / "study", 51, 1)
    _are_alike((ends[10], ends[25]), (ends[35], ends[50]))


def _are_alike(first: tuple[Noted, Noted], second: tuple[Noted, Noted]) -> None:
    """Of the store as much for a backup, of which there is one a trial at most; of the study's file as much for a trial."""
    early, late = (_asked(begin, end) for begin, end in (first, second))
    assert early["create"] > 0
    assert any(name.startswith("file: ") for name in early)
    for name in early.keys() | late.keys():
        # These follow the rhythm in which older generations are tidied: 45 to 61 looks a trial, after 20 and after 130.
        share = 1.4 if name in ("stat", "remove") else 1.15
        assert late.get(name, 0.0) <= early.get(name, 0.0) * share + 0.25, (name, early, late)


def _asked(begin: Noted, end: Noted) -> dict[str, float]:
    trials, backups = end.trials - begin.trials, end.backups - begin.backups
    assert 0 < backups <= trials
    counts = end.counts - begin.counts
    return {name: count / (trials if name.startswith("file: ") else backups) for name, count in counts.items()}
