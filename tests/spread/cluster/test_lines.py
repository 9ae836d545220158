from __future__ import annotations

from pathlib import Path

from holdfast.spread.attempt import Attempt
from holdfast.spread.cluster import lines
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig

STUDY = lines.of_study("outputs", "outputs/study")


def attempt(number: int, token: str, unit: str = "trial-0003") -> Attempt:
    return Attempt(unit, number, token, home="outputs/study", folder=f"outputs/study/trials/{unit}", work=b"")


def keep(machine: Machine, made: Attempt, progress: float, text: str = "kept") -> str:
    key = lines.of_attempt(STUDY, made).value
    machine.write(f"{key}/state.txt", text)
    assert machine.keeper().backup(key, progress=progress)
    return key


def test_two_attempts_of_one_number_have_lines_of_their_own() -> None:
    assert lines.of_attempt(STUDY, attempt(2, "aaaa")) != lines.of_attempt(STUDY, attempt(2, "bbbb"))
    assert lines.of_study("outputs", "outputs/a/study") != lines.of_study("outputs", "outputs/b/study")


def test_the_attempt_that_came_furthest_is_first_and_of_two_the_later(rig: Rig) -> None:
    keys = [
        keep(rig.machine(), attempt(1, "aaaa"), 0.5),
        keep(rig.machine(), attempt(2, "bbbb"), 0.75),
        keep(rig.machine(), attempt(3, "cccc"), 0.75),
    ]
    keep(rig.machine(), attempt(1, "dddd", "trial-0004"), 1.0)
    store = rig.machine().keeper().store
    assert store is not None
    found = [line.key.value for line in lines.furthest_first(store, lines.of_unit(STUDY, "trial-0003"))]
    assert found == [keys[2], keys[1], keys[0]]


def test_lines_that_are_let_go_leave_nothing_and_harm_no_other(rig: Rig) -> None:
    node, driver = rig.machine(), rig.machine()
    driver.write("outputs/study/study.txt", "whole")
    assert driver.keeper().backup("outputs/study")
    gone = [keep(node, attempt(1, "aaaa"), 0.5), keep(node, attempt(2, "bbbb"), 0.5)]
    stays = keep(node, attempt(1, "cccc", "trial-0004"), 0.5)
    keeper = driver.keeper()
    assert keeper.confirm()
    store = keeper.store
    assert store is not None
    lines.let_go(store, Path(store.location), [lines.of_unit(STUDY, "trial-0003")])

    fresh = rig.machine().keeper()
    for key in gone:
        assert fresh.ensure(key).outcome is Outcome.ABSENT, key
    assert fresh.ensure(stays)
    assert fresh.ensure("outputs/study")
    assert fresh.verify() == []
    assert not [p for p in rig.store.rglob("*") if "trial-0003" in p.name]


def test_the_last_lines_take_their_folders_with_them(rig: Rig) -> None:
    keep(rig.machine(), attempt(1, "aaaa"), 0.5)
    store = rig.machine().keeper().store
    assert store is not None
    lines.let_go(store, Path(store.location), [lines.of_unit(STUDY, "trial-0003")])
    lines.sweep(Path(store.location), STUDY)
    assert not [p for p in rig.store.rglob("*") if lines.FOLDER in p.name]
