"""What status calls safe comes back as it was, and what does not is named: random sessions, and five faults that they find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.truth.faults import FAULTS
from tests.truth.running import Outcome, replay, run
from tests.truth.session import Crew

#: So many in every run of the tests.
SAMPLE = 4
#: So many in `make torture`.
MANY = 3000


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """The processes, once for all of these."""
    crew = Crew()
    yield crew
    crew.end()


@pytest.mark.parametrize("name", FAULTS)
def test_what_was_lost_under_safe_comes_back_or_is_named(name: str, crew: Crew) -> None:
    assert replay(FAULTS[name].moves, crew, background=True) == []


def test_safe_means_safe_in_a_sample_of_random_sessions() -> None:
    _holds(run(range(1, 1 + SAMPLE)))


@pytest.mark.torture
def test_safe_means_safe_in_thousands_of_random_sessions() -> None:
    outcome = run(range(10_001, 10_001 + MANY), at_once=8)
    print(outcome.counts, dict(outcome.kinds))
    assert outcome.counts.not_safe  # and always SAFE would not be looked into either
    _holds(outcome)


def _holds(outcome: Outcome) -> None:
    assert not outcome.found, "\n".join(map(str, outcome.found))
    counts = outcome.counts
    assert counts.calm >= counts.sessions  # never SAFE would be no truth either
    assert counts.safe >= counts.calm
