"""Lost uploads, on directories: a disconnect leaves any subset of the new files whole, torn, empty or missing, and any
subset of the removals done. Whatever is left, a fresh machine restores a committed generation, never an older one than
the last that was whole before."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.support import PROJECT, Machine, Picture, Rig, furnish, make_database, picture, read_tree

ARTIFACT = "outputs/study"


@dataclass(frozen=True)
class Step:
    """One command: the store before and after it, what was committed before, and what it committed."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    contents: tuple[Picture, ...]
    removes: bool


def record(rig: Rig, *, one_session: bool) -> list[Step]:
    """Several commits of one study, prunes included, with the state of the store around each."""
    machine = rig.machine()
    steps: list[Step] = []
    contents: list[Picture] = []
    for n in range(7):
        make_database(machine.outputs / "study/study.db", rows=10 * (n + 1))
        machine.write(f"outputs/study/trial_{n}/metrics.json", f"{n}" * 50)
        machine.write(f"outputs/study/trial_{n}/params.json", f"{n}")
        if n % 3 == 1:
            machine.write("outputs/study/best/model.bin", bytes([n]) * 1_200_000)
        furnish(machine.outputs / "study/links", n // 2)
        if n == 4:
            shutil.rmtree(machine.outputs / "study/trial_0")
        before = read_tree(rig.store) if rig.store.exists() else {}
        keeper = machine.keep if one_session else machine.keeper()
        assert keeper.backup(ARTIFACT)
        after = read_tree(rig.store)
        fresh = rig.machine()
        assert fresh.keep.ensure(ARTIFACT)
        contents.append(_seen(fresh))
        assert contents[-1] == _seen(machine)
        shutil.rmtree(fresh.root)
        steps.append(Step(before, after, tuple(contents), removes=bool(before.keys() - after.keys())))
    return steps


def _seen(machine: Machine) -> Picture:
    """All that a restore brings. A database comes as SQLite's own backup leaves it."""
    return picture(machine.root / ARTIFACT, folder_times=False)


def mixture(step: Step, rng: random.Random, store: Path) -> None:
    """Lay out what the cloud may hold if the machine vanished during this step."""
    for path, content in step.after.items():
        if path in step.before:
            put(store / path, content)
            continue
        fate = rng.choice(("whole", "torn", "empty", "missing"))
        if fate == "whole":
            put(store / path, content)
        elif fate == "torn":
            put(store / path, content[: rng.randrange(len(content))] if content else b"")
        elif fate == "empty":
            put(store / path, b"")
    for path in step.before.keys() - step.after.keys():
        fate = rng.choice(("there", "emptied", "gone"))
        if fate != "gone":
            put(store / path, step.before[path] if fate == "there" else b"")


def put(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


@pytest.mark.parametrize("mixtures", [60, pytest.param(500, marks=pytest.mark.torture)])
@pytest.mark.parametrize("one_session", [True, False], ids=["one session", "a session each"])
def test_after_any_lost_upload_a_fresh_machine_gets_a_committed_generation_never_an_older_one(
    rig: Rig, one_session: bool, mixtures: int, seeded: Callable[[int], random.Random]
) -> None:
    steps = record(rig, one_session=one_session)
    assert any(s.removes for s in steps), "a prune must be among the steps"
    rng = seeded(20261123)
    outcomes = {Outcome.RESTORED: 0, Outcome.ABSENT: 0, Outcome.FAILED: 0}
    for number in range(mixtures):
        index = rng.randrange(len(steps))
        step = steps[index]
        place = rig.folder / f"mixture-{number}"
        mixture(step, rng, place / "drive" / PROJECT)
        (place / "drive").mkdir(parents=True, exist_ok=True)
        fresh = Machine(place / "fresh", place / "drive")
        result = fresh.keep.ensure(ARTIFACT)
        outcomes[result.outcome] += 1
        if index == 0:
            # Nothing was whole before the first commit: it is restored in full, or not at all.
            assert result.outcome is not Outcome.RESTORED or _seen(fresh) == step.contents[0]
        else:
            assert result.outcome is Outcome.RESTORED, (number, index, result)
            assert _seen(fresh) in step.contents[index - 1 :], (number, index)
            fresh.write("outputs/study/goes-on", "x")
            assert fresh.keeper().backup(ARTIFACT), "the next backup goes through"
            again = Machine(place / "again", place / "drive")
            assert again.keep.ensure(ARTIFACT).outcome is Outcome.RESTORED
            assert _seen(again) == _seen(fresh)
        shutil.rmtree(place)
    print(outcomes)
    assert outcomes[Outcome.RESTORED] > mixtures * 2 // 3
