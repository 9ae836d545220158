"""Kernel and script, workers, children: `backup` of a sibling is never refused, and everything that was flushed comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.job import Job, job
from tests.support import Rig

KERNEL = """
    write("outputs/run/config.json", "config")
    keep = attach()
    say("backup", bool(keep.backup("outputs/run/config.json")))
    keep.flush()
    say("flushed")
    while line := hear():
        write(f"outputs/run/{line}", line)
        say("backup", bool(keep.backup("outputs/run")))
        keep.flush()
        say("flushed")
"""
SCRIPT = """
    keep = attach()
    for number in range(3):
        write(f"outputs/run/checkpoint-{number}", f"{number}")
        say("backup", bool(keep.backup("outputs/run", progress=number)))
    keep.flush()
    say("flushed")
    hear()
"""


@pytest.fixture
def together(rig: Rig) -> Iterator[Job]:
    with job(rig) as made:
        yield made


def test_what_a_script_backs_up_comes_back_although_the_kernel_that_started_it_was_first(together: Job) -> None:
    kernel = together.start(KERNEL, "kernel")
    kernel.says("backup True")
    kernel.says("flushed")
    script = together.start(SCRIPT, "script")
    for _ in range(3):
        script.says("backup True")
    script.says("flushed")
    kernel.hears("of-the-kernel")
    kernel.says("backup True")
    kernel.says("flushed")
    kernel.dies()
    script.dies()
    checkpoints = {f"checkpoint-{n}": f"{n}" for n in range(3)}
    assert together.comes_back() == {"config.json": "config", "of-the-kernel": "of-the-kernel", **checkpoints}
