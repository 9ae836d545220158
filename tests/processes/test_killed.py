"""One of several processes is killed at any moment: all that was flushed comes back, with one head, and nobody is locked out."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.processes.job import job
from tests.support import Rig

#: Each moment is one job of three workers; the whole is 50 moments.
SAMPLE, ALL = range(1, 3), range(50)

WORKER = """
    keep = attach()
    say("ready")
    hear()
    for number in range(400):
        write(f"outputs/run/{name}-{number}", f"{number}" * 200)
        assert keep.backup("outputs/run" if number % 3 else f"outputs/run/{name}-{number}", progress=number)
        keep.flush()
        say("flushed", number)
        if (root / "end").exists():
            break
    hear()
"""
#: The same by a child that was forked, under the keeper that its parent attached.
FORKED = WORKER.replace(
    '    say("ready")\n', '    if os.fork():\n        os.wait()\n        os._exit(0)\n    say("ready", os.getpid())\n'
)


def kill_one(rig: Rig, rng: random.Random, work: str) -> None:
    with job(rig) as made:
        workers = [made.start(work, name) for name in ("one", "two", "three")]
        children = [worker.says().partition(" ")[2] for worker in workers]
        for worker in workers:
            worker.hears()
        victim = rng.randrange(3)
        seen: dict[str, int] = {}
        for _ in range(rng.randrange(1, 5)):
            seen["victim"] = int(workers[victim].says().rpartition(" ")[2])
        time.sleep(rng.random() * 0.2)  # no condition waits for this: the moment is what is drawn
        if children[victim]:
            os.kill(int(children[victim]), signal.SIGKILL)
            workers[victim].made.wait()
        else:
            workers[victim].dies()
        flushed = {}
        for number, worker in enumerate(workers):
            if number != victim:  # the others go on, and are not kept waiting for good
                worker.says()
                flushed[number] = int(worker.says().rpartition(" ")[2])
        (made.root / "end").touch()
        back = made.comes_back()
        names = ("one", "two", "three")
        for number, last in {**flushed, victim: seen["victim"]}.items():
            lacking = [n for n in range(last + 1) if back.get(f"{names[number]}-{n}") != f"{n}" * 200]
            assert lacking == [], (names[number], lacking)


@pytest.mark.parametrize("moment", SAMPLE)
def test_what_was_flushed_before_one_of_three_was_killed_comes_back(
    rig: Rig, moment: int, seeded: Callable[[int], random.Random]
) -> None:
    kill_one(rig, seeded(1500 + moment), FORKED if moment == 2 else WORKER)


@pytest.mark.torture
@pytest.mark.parametrize("moment", ALL)
def test_at_each_of_fifty_moments_what_was_flushed_comes_back(
    rig: Rig, moment: int, seeded: Callable[[int], random.Random]
) -> None:
    kill_one(rig, seeded(1600 + moment), FORKED if moment % 4 == 3 else WORKER)
