"""What is made from an older generation, in a workspace that lost its memory, is the newest and what a fresh machine takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.support import Rig

KEY = "outputs/d"


def written(name: str) -> Callable[[Path], object]:
    return lambda d: (d / name).write_text("newest")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file changed": written("a"),
    "a new file": written("new"),
    "a file removed": lambda d: (d / "b").unlink(),
    "a link": lambda d: (d / "l").symlink_to("a"),
    "a mode": lambda d: (d / "a").chmod(0o600),
    "an empty folder": lambda d: (d / "empty").mkdir(),
}


#: Changed at once, or after a backup that found nothing new. Before that nobody knows that a file was removed.
CASES = [(what, first) for what in CHANGES for first in (False, True) if first or what != "a file removed"]


@pytest.mark.parametrize(("what", "looked_first"), CASES)
@pytest.mark.parametrize("behind", [1, 4])
def test_what_goes_on_from_an_older_generation_without_memory_is_the_newest(
    rig: Rig, what: str, behind: int, looked_first: bool
) -> None:
    machine, ahead = rig.machine(), rig.machine()
    machine.write(f"{KEY}/a", "a")
    machine.write(f"{KEY}/b", "b")
    assert machine.keep.backup(KEY)
    assert ahead.keep.ensure(KEY)
    for number in range(behind):
        ahead.write(f"{KEY}/a", f"ahead {number}")
        assert ahead.keeper().backup(KEY)
    shutil.rmtree(machine.root / ".holdfast")
    if looked_first:
        assert all(r.unchanged for r in machine.keeper().backup(KEY).results)
    CHANGES[what](machine.outputs / "d")
    (result,) = machine.keeper().backup(KEY).results
    assert len(result.forked) == 1
    fresh = rig.machine()
    restored = fresh.keep.ensure(KEY)
    assert (restored.outcome, restored.generation) == (Outcome.RESTORED, result.generation)
    (old,) = result.forked
    assert fresh.keeper().restore(KEY, generation=old).outcome is Outcome.RESTORED
    assert fresh.read(f"{KEY}/a") == b"ahead %d" % (behind - 1)
