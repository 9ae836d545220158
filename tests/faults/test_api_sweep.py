"""Whatever request or local call goes wrong, nothing that was backed up or restored by Drive's API is lost or half there."""

from __future__ import annotations

import os

import pytest

from tests.faults.api_sweep import ApiSweep, run
from tests.faults.test_kill_sweep import drawn_seed

SAMPLE = 4
LEAST_IN_ALL = 1000


def judge(done: ApiSweep, least: int) -> None:
    print(done.table())
    assert not done.failures(), "\n".join(done.failures())
    assert done.hit() >= least


def test_a_sample_of_requests_and_calls_that_go_wrong_loses_nothing() -> None:
    judge(run(sample=SAMPLE, seed=drawn_seed(), jobs=1), SAMPLE - 1)


@pytest.mark.torture
def test_every_request_and_call_that_goes_wrong_loses_nothing() -> None:
    judge(run(sample=None, seed=0, jobs=os.cpu_count() or 2), LEAST_IN_ALL)
