"""What an attempt on a node asks of the store, and leaves there: nothing where there is nothing to keep. Without Ray."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.spread.attempt import Attempt, Ended
from holdfast.spread.cluster import lines
from holdfast.spread.cluster.node import Order, run
from holdfast.spread.cluster.shared import Shared
from holdfast.spread.performing import Desk
from tests.support import Rig

STUDY = lines.of_study("outputs", "outputs/study")
ACCOUNT = "account.jsonl"


def tells(desk: Desk) -> Mapping[str, Any]:
    """Has an account, and no file beside it."""
    folder = desk.root / desk.attempt.folder
    (folder / ACCOUNT).write_text("x\n")
    return {"found": sorted(place.name for place in folder.iterdir())}


def makes(desk: Desk) -> Mapping[str, Any]:
    (desk.root / desk.attempt.folder / "state.txt").write_text("made")
    return tells(desk)


def keeps_and_removes(desk: Desk) -> Mapping[str, Any]:
    state = desk.root / desk.attempt.folder / "state.txt"
    state.write_text("on the way")
    desk.kept(0.5)
    state.unlink()
    return tells(desk)


@pytest.fixture
def order(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Order:
    """Of a first attempt at a trial, in a project of which something is in the store."""
    machine = rig.machine()
    monkeypatch.chdir(machine.root)  # where an attempt works, and leaves its process
    machine.write("outputs/study/study.txt", "begun")
    keeper = machine.keeper()
    assert keeper.backup("outputs/study")
    shared = Shared.make(rig.store)
    attempt = Attempt("trial-0003", 1, "aaaa", "outputs/study", "outputs/study/trials/trial-0003", b"", account=ACCOUNT, fresh=True)
    config = replace(keeper.config)
    return Order(attempt, config, rig.drive, shared.folder.relative_to(rig.drive), 1.0, str(machine.root), machine.root)


def done(order: Order, work: Any) -> Ended:
    end = run(order, pickle.dumps(work), ())
    assert isinstance(end, Ended), end
    return end


def test_an_attempt_that_leaves_nothing_but_its_account_leaves_nothing_in_the_store(order: Order, rig: Rig) -> None:
    before = sorted(rig.store.rglob("*"))
    end = done(replace(order, goes_on=False), tells)
    assert (end.made, end.kept) == (False, False)
    assert sorted(rig.store.rglob("*")) == before


def test_what_an_attempt_makes_is_in_the_store_before_anybody_hears_of_its_end(order: Order, rig: Rig) -> None:
    end = done(replace(order, goes_on=False), makes)
    assert (end.made, end.kept) == (True, True)
    kept = rig.machine()
    assert kept.keeper().ensure(lines.of_attempt(STUDY, order.attempt).value)
    assert {Path(name).name for name in kept.tree()} == {ACCOUNT, "state.txt"}


def test_that_something_was_kept_on_the_way_is_told_with_the_end(order: Order) -> None:
    end = done(replace(order, goes_on=False), keeps_and_removes)
    assert (end.made, end.kept) == (False, True)


def test_a_later_attempt_begins_with_what_was_kept(order: Order) -> None:
    done(replace(order, goes_on=False), makes)
    again = replace(order, attempt=replace(order.attempt, number=2, token="bbbb", fresh=False))
    assert {ACCOUNT, "state.txt"} <= set(done(again, tells).result["found"])
