"""Of two computers one has the claim, whatever a list shows and whoever is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api import DriveApi, Faults
from holdfast.unattended.claim import Claim
from tests.store.backends.api.support import backend


@pytest.fixture
def api(tmp_path: Path) -> Iterator[DriveApi]:
    with DriveApi(tmp_path / "cloud") as api:
        yield api


def claim(api: DriveApi, folder: Path, name: str) -> Claim:
    """That of a computer, as a supervisor that was just started has it."""
    return Claim(backend(api), folder / f"{name}.json", every=0.0)


def test_the_second_is_told_of_the_first_and_gets_it_once_that_has_ended(api: DriveApi, tmp_path: Path) -> None:
    first, second = claim(api, tmp_path, "a"), claim(api, tmp_path, "b")
    assert first.take() == ""
    assert second.take() == first.by
    first.end()
    assert claim(api, tmp_path, "b").take() == ""
    assert claim(api, tmp_path, "a").take() == second.by


def test_a_supervisor_that_was_killed_goes_on_with_its_claim(api: DriveApi, tmp_path: Path) -> None:
    assert claim(api, tmp_path, "a").take() == ""
    assert claim(api, tmp_path, "a").take() == ""
    assert claim(api, tmp_path, "b").take() != ""


def test_a_claim_that_is_taken_over_is_lost_by_the_first(api: DriveApi, tmp_path: Path) -> None:
    first, second = claim(api, tmp_path, "a"), claim(api, tmp_path, "b")
    assert first.take() == ""
    assert first.lost() == ""
    assert second.take(over=True) == ""
    assert first.lost() == second.by
    assert second.lost() == ""
    first.end()  # of what it has no more it ends nothing
    assert claim(api, tmp_path, "c").take() == second.by


def test_of_many_at_once_that_find_an_ended_claim_one_gets_the_next(api: DriveApi, tmp_path: Path) -> None:
    before = claim(api, tmp_path, "before")
    assert before.take() == ""
    before.end()
    claims = [claim(api, tmp_path, f"{number}") for number in range(8)]
    found: list[str] = []
    threads = [threading.Thread(target=lambda c=c: found.append(c.take())) for c in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found).count("") == 1
    assert len(set(found)) == 2


def test_of_two_first_claims_that_no_list_showed_the_younger_gives_way(tmp_path: Path) -> None:
    faults = Faults(clock=Clock(speed=0.0))
    with DriveApi(tmp_path / "cloud", faults=faults) as api:
        faults.list_lag = 60.0
        faults.clock.advance(1.0)
        first, second = claim(api, tmp_path, "a"), claim(api, tmp_path, "b")
        assert first.take() == ""
        faults.clock.advance(1.0)
        assert second.take() == ""
        assert second.lost() == ""
        faults.clock.advance(61.0)
        assert second.lost() == first.by
        assert first.lost() == ""


def test_where_drive_does_not_answer_nothing_is_lost(tmp_path: Path) -> None:
    with DriveApi(tmp_path / "cloud") as api:
        first = claim(api, tmp_path, "a")
        assert first.take() == ""
    assert first.lost() == ""
    first.end()
