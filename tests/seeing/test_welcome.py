"""The first screen tells what a session finds and what will happen, cheaply, and changes nothing."""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import replace
from typing import Any

import pytest

import holdfast
from holdfast.errors import StoreUnreadable
from holdfast.session.finding.overview import MOST_READ, Counted, Overview
from holdfast.session.functions import greet
from holdfast.session.seeing.notebook import Notebook, find_notebook
from holdfast.session.seeing.sight import Tone
from holdfast.session.seeing.welcome import Welcome
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.keys import Key
from tests.seeing.samples import WELCOMES
from tests.support import Machine, Rig, make_database, read_tree

FOUND = WELCOMES["coming-back"].found
assert FOUND is not None


def words(found: Overview) -> str:
    return replace(WELCOMES["coming-back"], found=found).sight.verdict.text


def study(rig: Rig, trials: float = 7) -> Machine:
    """A machine that backed up a study, a file and a directory."""
    machine = rig.machine()
    make_database(machine.outputs / "hpo/study.db")
    machine.write("outputs/one.txt", "one")
    machine.write("outputs/final/a.bin", b"a" * 1000)
    machine.write("outputs/final/b.bin", b"b" * 500)
    assert machine.keep.backup("outputs/hpo", progress=trials)
    assert machine.keep.backup("outputs/one.txt", "outputs/final")
    return machine


# -- words ---------------------------------------------------------------------------------------------------------------


def test_it_says_what_will_happen_now() -> None:
    assert words(FOUND) == (
        "3 artifacts will come back when needed (412.0 MiB); 1 study goes on from trial 7; nothing is trained twice"
    )
    steps = Counted(Key("outputs/final"), 1200.0, is_study=False)
    assert "1 artifact goes on from 1200" in words(replace(FOUND, counted=(steps,)))
    two = tuple(Counted(Key(f"outputs/hpo/{n}"), n, is_study=True) for n in (3.0, 9.0))
    assert "2 studies go on from trial 3, 9" in words(replace(FOUND, counted=two))
    finished = Counted(Key("outputs/hpo/x"), 20.5, is_study=True)
    assert "goes on" not in words(replace(FOUND, counted=(finished,)))
    assert "everything that was backed up is here" in words(replace(FOUND, coming=0))
    assert "at least 412.0 MiB" in words(replace(FOUND, unread=3))


def test_it_says_where_a_store_will_be_made() -> None:
    text = str(WELCOMES["first-day"])
    assert "no store yet: a new one will be created at /content/drive/MyDrive/resume-ner by the first backup" in text


def test_what_was_never_backed_up_is_no_reason_to_be_calm() -> None:
    assert WELCOMES["coming-back"].sight.verdict.tone is Tone.ATTENTION
    assert replace(WELCOMES["coming-back"], found=replace(FOUND, loose=0)).sight.verdict.tone is Tone.SAFE


# -- what is found -------------------------------------------------------------------------------------------------------


def test_a_fresh_machine_is_told_what_comes_back(rig: Rig) -> None:
    study(rig)
    fresh = rig.machine()
    fresh.write("outputs/new.txt", "new")
    welcome = fresh.keep.welcome()
    found = welcome.found
    assert found is not None
    assert (found.here, found.loose, found.stored, found.coming, found.unread) == (0, 1, 3, 3, 0)
    assert found.coming_bytes == sum(len(c) for c in study_tree(rig).values())
    assert [(c.key.value, c.progress, c.is_study) for c in found.counted] == [("outputs/hpo", 7.0, True)]
    assert "1 study goes on from trial 7" in str(welcome)


def study_tree(rig: Rig) -> dict[str, bytes]:
    machine = rig.machine()
    for path in ("outputs/hpo", "outputs/one.txt", "outputs/final"):
        assert machine.keep.ensure(path)
    return machine.tree()


def test_what_is_here_in_part_comes_back_in_part(rig: Rig) -> None:
    study(rig)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/final/a.bin")
    found = fresh.keeper().welcome().found
    assert found is not None
    assert (found.here, found.part, found.coming) == (1, 1, 3)
    for path in ("outputs/final", "outputs/hpo", "outputs/one.txt"):
        assert fresh.keep.ensure(path)
    found = fresh.keeper().welcome().found
    assert found is not None
    assert (found.here, found.part, found.coming, found.coming_bytes) == (3, 0, 0, 0)


def test_what_never_arrived_whole_is_not_promised(rig: Rig) -> None:
    study(rig)
    for payload in (rig.store / "outputs").glob("one@*"):
        payload.unlink()
    welcome = rig.machine().keep.welcome()
    assert welcome.found is not None
    assert ([k.value for k in welcome.found.broken], welcome.found.coming) == (["outputs/one.txt"], 2)
    assert welcome.sight.verdict.tone is Tone.ATTENTION


def test_without_a_store_it_says_so(machine: Machine) -> None:
    keep = holdfast.attach(machine.root)
    try:
        assert "LOCAL ONLY" in str(keep.welcome())
    finally:
        holdfast.detach()


# -- what it costs, and what it leaves -----------------------------------------------------------------------------------


def test_it_costs_one_look_and_the_manifests_of_what_is_not_here(rig: Rig) -> None:
    study(rig)
    machine, counting = rig.counted()
    machine.keep.welcome()
    counts = counting.counts
    assert counts["read"] == 1 + 3, "the sentinel, and three heads"
    assert counts["list"] <= 2, "the generations, and once whether they have a twin"
    assert counts["create"] == counts["remove"] == counts["make"] == 0
    for path in ("outputs/final", "outputs/hpo", "outputs/one.txt"):
        assert machine.keep.ensure(path)
    counting.counts.clear()
    machine.keeper().welcome()
    assert (counting.counts["read"], counting.counts["list"]) == (1, 2)


def test_of_many_artifacts_only_so_many_manifests_are_read(rig: Rig) -> None:
    first = rig.machine()
    for number in range(MOST_READ + 5):
        first.write(f"outputs/{number}.txt", "x")
    assert first.keep.backup(*(f"outputs/{n}.txt" for n in range(MOST_READ + 5)))
    machine, counting = rig.counted()
    found = machine.keep.welcome().found
    assert found is not None
    assert counting.counts["read"] == 1 + MOST_READ
    assert (found.coming, found.unread, found.coming_bytes) == (MOST_READ + 5, 5, MOST_READ)


def test_it_changes_nothing_and_says_nothing_besides(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    with caplog.at_level(logging.INFO):
        machine.keep.welcome()
    assert not caplog.records, "that there is no store yet stands on the screen"
    study(rig)
    fresh, before = rig.machine(), read_tree(rig.drive)
    fresh.keep.welcome()
    assert list(fresh.root.iterdir()) == [], "whoever looks at a store has not chosen it"
    assert read_tree(rig.drive) == before
    shutil.rmtree(rig.store)
    assert fresh.keeper().welcome().found is not None, "another store, or none, may follow"


def test_a_store_that_cannot_be_read_is_said_and_not_raised(rig: Rig) -> None:
    study(rig)

    def fault(operation: str, path: str) -> None:
        if operation == "list":
            raise StoreUnreadable(5, "the drive answers with an error", path)

    welcome = rig.machine(lambda backend: Faulty(backend, fault)).keep.welcome()
    assert welcome.found is None
    assert "NOT READABLE" in str(welcome)
    assert "the drive answers with an error" in str(welcome)


# -- in a notebook -------------------------------------------------------------------------------------------------------


class FakeKernel:
    """IPython as far as it is used, with what it was asked to show."""

    def __init__(self, *, kernel: bool = True) -> None:
        self.shown: list[Any] = []
        self.moved: list[tuple[int, Any]] = []
        self.execution_count = 1
        self.kernel = object() if kernel else None

    def get_ipython(self) -> FakeKernel:
        return self

    def display(self, what: Any, display_id: bool = False) -> Any:
        self.shown.append(what)
        return Handle(self, len(self.shown) - 1) if display_id else None

    def modules(self) -> dict[str, Any]:
        return {"IPython": self, "IPython.display": self}


class Handle:
    def __init__(self, kernel: FakeKernel, place: int) -> None:
        self._kernel, self._place = kernel, place

    def update(self, what: Any) -> None:
        self._kernel.shown[self._place] = what


def notebook(kernel: FakeKernel) -> Notebook:
    found = find_notebook(kernel.modules())
    assert found is not None
    return found


def test_a_notebook_is_where_a_kernel_runs() -> None:
    assert find_notebook({}) is None
    assert find_notebook(FakeKernel(kernel=False).modules()) is None, "IPython in a terminal is a terminal"
    assert find_notebook(FakeKernel().modules()) is not None


def test_a_notebook_is_greeted(rig: Rig) -> None:
    study(rig)
    kernel = FakeKernel()
    greet(rig.machine().keep, notebook(kernel))
    (shown,) = kernel.shown
    assert isinstance(shown, Welcome)
    assert "WELCOME BACK" in shown._repr_html_()


def test_a_drive_that_hangs_holds_up_no_notebook(rig: Rig) -> None:
    study(rig)
    woken = threading.Event()

    def hang(operation: str, path: str) -> None:
        woken.wait(30)

    kernel = FakeKernel()
    greet(rig.machine(lambda backend: Faulty(backend, hang)).keep, notebook(kernel), seconds=0.2)
    woken.set()
    (shown,) = kernel.shown
    assert "no answer within 0.2 s" in str(shown)


def test_what_moves_keeps_one_place_in_each_cell() -> None:
    kernel = FakeKernel()
    place = notebook(kernel)
    for number in range(5):
        place.move(number)  # type: ignore[arg-type]
    kernel.execution_count += 1
    place.move(9)  # type: ignore[arg-type]
    assert kernel.shown == [4, 9]
