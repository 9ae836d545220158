"""Commits that hung or were killed, and what comes of them when their manifest comes through later.

Such a one goes before what follows it on its line, where as much was looked at. It hides nothing that lies in it alone.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Sequence

import pytest

from holdfast.errors import StoreFull, StoreUnreachable
from holdfast.store.backends.backend import Source
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.keys import Key
from holdfast.store.local.records import Begun, write_sealed
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import BackedUp, Outcome
from tests.support import Machine, Rig


class Killed(BaseException):
    """What a kill leaves: nobody tidies up after it."""


def heads(machine: Machine, path: str = "outputs/d") -> list[str]:
    return [e.generation for e in machine.keeper().history(path) if e.head]


def fresh_tree(rig: Rig, path: str = "outputs/d") -> dict[str, bytes]:
    machine = rig.machine()
    result = machine.keep.ensure(path)
    assert result.outcome is Outcome.RESTORED, result
    return machine.tree(path)


def hanging(machine: Machine, rig: Rig) -> tuple[Machine, dict[str, bytes]]:
    """The same machine where every manifest hangs, and its process is killed then; and the manifests, by path."""
    manifests: dict[str, bytes] = {}

    class Hanging(Faulty):
        def create(self, path: str, source: Source) -> None:
            if path.startswith("generations/"):
                manifests[path] = b"".join(source())
                raise Killed
            super().create(path, source)

    return Machine(machine.root, rig.drive, lambda backend: Hanging(backend, lambda operation, path: None)), manifests


def comes_through(rig: Rig, manifests: dict[str, bytes], which: slice = slice(1)) -> None:
    """The first of those that hung, or others."""
    for path, content in list(manifests.items())[which]:
        (rig.store / path).parent.mkdir(exist_ok=True)
        (rig.store / path).write_bytes(content)


@pytest.mark.parametrize("before", [False, True], ids=["a first backup", "a later one"])
def test_the_first_of_six_commits_that_hung_is_no_fork_of_what_followed_when_it_comes_through(
    machine: Machine, rig: Rig, before: bool
) -> None:
    if before:
        machine.write("outputs/d/a", "0")
        assert machine.keep.backup("outputs/d")
    dying, hung = hanging(machine, rig)
    for number in range(1, 7):
        dying.write("outputs/d/a", f"{number}")
        with pytest.raises(Killed):
            dying.keeper().backup("outputs/d")
    for text in ("seventh", "eighth"):
        machine.write("outputs/d/a", text)
        done = machine.keeper().backup("outputs/d")
        assert done.results[0].forked == ()
        if text == "seventh":
            comes_through(rig, hung)
    assert heads(rig.machine()) == [done.results[0].generation]
    assert fresh_tree(rig) == {"a": b"eighth"}


@pytest.mark.parametrize("before", [False, True], ids=["a first backup", "a later one"])
def test_a_commit_that_hung_and_comes_through_late_is_gone_on_from(
    rig: Rig, caplog: pytest.LogCaptureFixture, before: bool
) -> None:
    first = rig.machine()
    for name in ("a", "b"):
        first.write(f"outputs/d/{name}", "0")
    if before:
        assert first.keep.backup("outputs/d")
    dying, hung = hanging(first, rig)
    for number in (1, 2):
        for name in ("a", "b"):
            dying.write(f"outputs/d/{name}", f"{number}")
        with pytest.raises(Killed):
            dying.keeper().backup("outputs/d")
    _, never = hung
    comes_through(rig, hung)
    first.write("outputs/d/a", "3")
    with caplog.at_level(logging.WARNING):
        done = first.keeper().backup("outputs/d/a")
    assert done
    assert done.results[0].forked == ()
    assert "fork" not in caplog.text
    assert not (rig.store / never).exists()
    assert fresh_tree(rig) == {"a": b"3", "b": b"2"}  # b lay in what hung, too
    assert len(heads(rig.machine())) == 1


def backup(machine: Machine, path: str = "outputs/d") -> BackedUp:
    """By a process of its own."""
    done = machine.keeper().backup(path)
    assert done
    return done.results[0]


class Taken:
    """A file as it was, times and all."""

    def __init__(self, machine: Machine, rig: Rig, path: str = "outputs/d/a") -> None:
        self.here, self.copy = machine.root / path, rig.folder / "kept"
        shutil.copy2(self.here, self.copy)

    def back(self) -> None:
        shutil.copy2(self.copy, self.here)


def hang(dying: Machine, content: str, path: str = "outputs/d/a", what: str = "outputs/d") -> None:
    dying.write(path, content)
    with pytest.raises(Killed):
        dying.keeper().backup(what)


@pytest.mark.parametrize("arrives", ["before the next backup", "after the next backup", "after the one that follows"])
@pytest.mark.parametrize("number", [1, 5])
def test_what_hung_and_was_taken_back_is_never_what_a_fresh_machine_gets(
    machine: Machine, rig: Rig, arrives: str, number: int
) -> None:
    machine.write("outputs/d/a", "kept")
    first = backup(machine)
    before = Taken(machine, rig)
    dying, hung = hanging(machine, rig)
    for one in range(number):
        hang(dying, f"stale {one}")
    before.back()
    if arrives == "before the next backup":
        comes_through(rig, hung)
    above = backup(machine)
    assert not above.unchanged
    assert above.files == (1 if arrives == "before the next backup" else 0)
    assert backup(machine).unchanged  # once is all
    if arrives == "after the next backup":
        comes_through(rig, hung)
        assert backup(machine).unchanged
    assert fresh_tree(rig) == {"a": b"kept"}
    machine.write("outputs/d/a", "newest")
    last = backup(machine)
    if arrives == "after the one that follows":
        comes_through(rig, hung)
    assert last.forked == ()
    assert fresh_tree(rig) == {"a": b"newest"}
    assert first.generation != above.generation


def test_what_a_glance_finds_to_be_as_it_was_goes_above_what_hung_too(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "kept")
    backup(machine)
    before = Taken(machine, rig)
    dying, hung = hanging(machine, rig)
    keeper = dying.keeper()
    assert keeper.backup("outputs/d").results[0].unchanged
    dying.write("outputs/d/a", "stale")
    with pytest.raises(Killed):
        keeper.backup("outputs/d")
    before.back()
    keeper = machine.keeper()
    assert not keeper.backup("outputs/d").results[0].unchanged
    assert keeper.backup("outputs/d").results[0].unchanged
    comes_through(rig, hung)
    assert fresh_tree(rig) == {"a": b"kept"}
    assert len(heads(machine)) == 1


def test_what_hung_is_no_fork_of_what_agrees_with_it_and_came_from_elsewhere(machine: Machine, rig: Rig) -> None:
    dying, hung = hanging(machine, rig)
    hang(dying, "same")
    elsewhere = rig.machine()
    elsewhere.write("outputs/d/a", "same")
    backup(elsewhere)
    backup(machine)
    comes_through(rig, hung)
    machine.write("outputs/d/a", "next")
    assert backup(machine).forked == ()
    assert fresh_tree(rig) == {"a": b"next"}
    assert len(heads(machine)) == 1


@pytest.mark.parametrize("hung_part", ["outputs/d", "outputs/d/p"])
def test_a_backup_of_another_part_holds_what_was_looked_at_for_what_hung(machine: Machine, rig: Rig, hung_part: str) -> None:
    machine.write("outputs/d/b", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    hang(dying, "precious", "outputs/d/p", hung_part)
    machine.write("outputs/d/b", "1")
    assert backup(machine, "outputs/d/b").forked == ()
    comes_through(rig, hung)
    assert fresh_tree(rig) == {"b": b"1", "p": b"precious"}
    machine.write("outputs/d/b", "2")
    backup(machine, "outputs/d/b")
    assert fresh_tree(rig) == {"b": b"2", "p": b"precious"}
    assert len(heads(machine)) == 1


def test_a_backup_of_the_same_part_goes_before_nothing_else(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/b", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    hang(dying, "1", "outputs/d/p", "outputs/d/p")
    machine.write("outputs/d/p", "2")
    assert backup(machine, "outputs/d/p").forked == ()
    comes_through(rig, hung)
    assert heads(machine) == [heads(rig.machine())[0]]
    assert fresh_tree(rig) == {"b": b"0", "p": b"2"}


def test_what_hung_before_another_line_was_restored_is_not_named_by_what_follows(rig: Rig) -> None:
    """It leads to the head that it was made from, which a commit of the other line would hide."""
    one, other = rig.machine(), rig.machine()
    one.write("outputs/d/a", "of one")
    mine = backup(one).generation
    other.write("outputs/d/a", "of the other")
    theirs = backup(other).generation
    dying, hung = hanging(one, rig)
    hang(dying, "of one, later")
    assert one.keeper().restore("outputs/d", generation=theirs)
    one.write("outputs/d/a", "beside it")
    assert mine in backup(one).forked
    assert mine in heads(rig.machine())
    comes_through(rig, hung)
    assert len(heads(rig.machine())) == 2
    assert fresh_tree(rig) == {"a": b"beside it"}


def test_what_hung_is_not_taken_for_the_base_once_another_line_was_restored(rig: Rig) -> None:
    one, other = rig.machine(), rig.machine()
    one.write("outputs/d/a", "of one")
    backup(one)
    other.write("outputs/d/a", "of the other")
    other.write("outputs/d/b", "of the other")
    theirs = backup(other).generation
    dying, hung = hanging(one, rig)
    hang(dying, "of one, later")
    assert one.keeper().restore("outputs/d", generation=theirs)
    comes_through(rig, hung)
    one.write("outputs/d/a", "beside it")
    backup(one)
    assert fresh_tree(rig) == {"a": b"beside it", "b": b"of the other"}
    late = next(iter(hung)).split("@")[1].split("-")[1]
    assert late in heads(rig.machine())


def test_an_intent_of_an_older_version_is_settled_as_before(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    for text in ("1", "2"):
        hang(dying, text)
    place = machine.root / ".holdfast/intents/outputs~d.json"
    body = json.loads(place.read_text().split("\n", 1)[1])
    del body["after"], body["scope"], body["stood"], body["others"]
    body["voided"] = [row[:2] for row in body["voided"]]
    write_sealed(place, body)
    machine.write("outputs/d/a", "3")
    assert backup(machine).forked == ()
    comes_through(rig, hung)
    assert len(heads(rig.machine())) == 1
    assert fresh_tree(rig) == {"a": b"3"}


def test_a_drop_goes_above_what_hung(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    hang(dying, "1")
    assert machine.keeper().drop("outputs/d")
    comes_through(rig, hung)
    assert len(heads(rig.machine())) == 1
    assert rig.machine().keep.ensure("outputs/d").outcome is Outcome.ABSENT


def test_what_was_passed_over_as_torn_goes_before_that_generation_and_no_other_line(rig: Rig) -> None:
    one, other, third = rig.machine(), rig.machine(), rig.machine()
    one.write("outputs/d/a.json", '{"a": 1}')
    whole = backup(one).generation
    one.write("outputs/d/a.json", '{"a": ')
    torn = backup(one).generation
    assert third.keep.ensure("outputs/d").generation == whole
    other.write("outputs/d/a.json", '{"a": 2}')
    fork = backup(other)
    assert torn in fork.forked
    assert third.keeper().restore("outputs/d").generation == fork.generation
    third.write("outputs/d/a.json", '{"a": 3}')
    last = backup(third)
    assert set(heads(rig.machine())) == {torn, last.generation}


def dying_after(machine: Machine, rig: Rig) -> Machine:
    """The same machine, whose process is killed once the manifest is there, before anything of it is remembered."""

    class Dying(Faulty):
        def create(self, path: str, source: Source) -> None:
            super().create(path, source)
            if path.startswith("generations/"):
                raise Killed

    return Machine(machine.root, rig.drive, lambda backend: Dying(backend, lambda operation, path: None))


@pytest.mark.parametrize("then", ["hangs too", "is killed after its manifest", "fails"])
def test_what_came_through_late_is_gone_on_from_though_the_next_backup_does_not_end(machine: Machine, rig: Rig, then: str) -> None:
    def unreachable(operation: str, path: str) -> None:
        if operation == "create" and path.startswith("generations/"):
            raise StoreUnreachable(errno.EIO, "it is away", path)

    machine.write("outputs/d/a", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    hang(dying, "1")
    hang(dying, "2")
    comes_through(rig, hung)
    if then == "hangs too":
        hang(dying, "3")
    elif then == "fails":
        machine.write("outputs/d/a", "3")
        failing = Machine(machine.root, rig.drive, lambda backend: Faulty(backend, unreachable))
        assert not failing.keeper().backup("outputs/d")
    else:
        hang(dying_after(machine, rig), "3")
    machine.write("outputs/d/a", "4")
    assert backup(machine).forked == ()
    assert len(heads(machine)) == 1
    assert fresh_tree(rig) == {"a": b"4"}


@pytest.mark.parametrize("restored", ["older", "of another line"])
def test_what_hung_before_another_generation_was_restored_ranks_below_what_follows(rig: Rig, restored: str) -> None:
    one, other = rig.machine(), rig.machine()
    one.write("outputs/d/a", "0")
    wanted = backup(one).generation
    one.write("outputs/d/a", "1")
    backup(one)
    if restored == "of another line":
        other.write("outputs/d/a", "other")
        wanted = backup(other).generation
    dying, hung = hanging(one, rig)
    for number in range(4):
        hang(dying, f"stale {number}")
    assert one.keeper().restore("outputs/d", generation=wanted)
    one.write("outputs/d/a", "newest")
    backup(one)
    comes_through(rig, hung, slice(None))
    assert fresh_tree(rig) == {"a": b"newest"}
    assert backup(one).unchanged


def test_what_hung_and_counted_further_or_was_a_drop_is_no_head_beside_a_part(machine: Machine, rig: Rig) -> None:
    for name in "ab":
        machine.write(f"outputs/d/{name}", "0")
    assert machine.keeper().backup("outputs/d", progress=1)
    dying, hung = hanging(machine, rig)
    dying.write("outputs/d/a", "hung")
    with pytest.raises(Killed):
        dying.keeper().backup("outputs/d", progress=2)
    with pytest.raises(Killed):
        dying.keeper().drop("outputs/d", keep_here=True)
    machine.write("outputs/d/b", "confirmed")
    backup(machine, "outputs/d/b")
    comes_through(rig, hung, slice(None))
    assert fresh_tree(rig) == {"a": b"hung", "b": b"confirmed"}
    assert len(heads(machine)) == 1


def test_what_cannot_be_kept_makes_no_fork_of_what_hung(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "0")
    os.mkfifo(machine.root / "outputs/d/pipe")
    machine.keeper().backup("outputs/d")
    dying, hung = hanging(machine, rig)
    hang(dying, "1")
    for text in ("2", "3"):
        machine.write("outputs/d/a", text)
        done = machine.keeper().backup("outputs/d").results[0]
        assert "pipe" in done.refused
        assert done.forked == ()
        if text == "2":
            comes_through(rig, hung)
    assert len(heads(machine)) == 1


def test_what_hung_in_one_store_is_no_fork_there_after_a_backup_to_another(machine: Machine, rig: Rig) -> None:
    (rig.folder / "second").mkdir()
    second = Rig(rig.folder / "second")
    there = Machine(machine.root, second.drive)
    for number, at in enumerate((machine, there, machine)):
        at.write("outputs/d/a", f"{number}")
        backup(at)
    dying, hung = hanging(there, second)
    for number in range(3):
        hang(dying, f"hung {number}")
    machine.write("outputs/d/a", "4")
    assert backup(machine).forked == ()
    comes_through(second, hung, slice(1, None))
    there.write("outputs/d/a", "5")
    assert backup(there).forked == ()
    assert fresh_tree(second) == {"a": b"5"}


def test_a_head_that_what_hung_went_on_from_is_not_hidden_by_what_does_not(machine: Machine, rig: Rig) -> None:
    elsewhere = rig.machine()
    elsewhere.write("outputs/d/b", "precious")
    elsewhere.write("outputs/d/c", "same")
    theirs = backup(elsewhere).generation
    dying, hung = hanging(machine, rig)
    dying.write("outputs/d/c", "same")
    hang(dying, "1")
    machine.write("outputs/d/b", "my own")
    assert backup(machine).forked == (theirs,)
    comes_through(rig, hung)
    late = next(iter(hung)).split("@")[1].split("-")[1]
    assert late in heads(rig.machine())
    assert rig.machine().keeper().restore("outputs/d", generation=theirs)


def test_what_was_finished_is_known_to_be_though_the_record_is_damaged(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "0")
    backup(machine)
    hang(dying_after(machine, rig), "1")
    for place in (machine.root / ".holdfast/records").iterdir():
        place.write_text("x")
    machine.write("outputs/d/a", "2")
    assert backup(machine).forked == ()
    assert len(heads(machine)) == 1


def test_what_was_finished_and_gone_on_from_elsewhere_is_not_gone_back_to(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "0")
    backup(machine)
    hang(dying_after(machine, rig), "1")
    elsewhere = rig.machine()
    assert elsewhere.keep.ensure("outputs/d")
    elsewhere.write("outputs/d/a", "2")
    theirs = backup(elsewhere)
    assert machine.keeper().restore("outputs/d")
    done = backup(machine)
    assert done.unchanged
    assert done.generation == theirs.generation
    elsewhere.write("outputs/d/a", "3")
    assert backup(elsewhere).forked == ()


def test_a_kill_once_nothing_had_to_be_sent_makes_no_fork(machine: Machine, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        machine.write(f"outputs/d/{name}", "0")
    backup(machine)
    dying, hung = hanging(machine, rig)
    hang(dying, "1")
    comes_through(rig, hung)
    end = Workspace.end

    def killed(self: Workspace, key: Key, pending: Sequence[Begun] = ()) -> None:
        end(self, key, pending)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "end", killed)
        with pytest.raises(Killed):
            machine.keeper().backup("outputs/d")
    machine.write("outputs/d/a", "2")
    assert backup(machine).forked == ()
    assert len(heads(machine)) == 1


def test_what_failed_before_its_manifest_was_written_leaves_nothing_to_go_above(machine: Machine, rig: Rig) -> None:
    """A backup that has nothing to send succeeds on a full drive, also after one that did not fit was taken back."""

    def full(operation: str, path: str) -> None:
        if operation == "create":
            raise StoreFull(errno.ENOSPC, "no space is left", path)

    machine.write("outputs/d/a", "0")
    first = backup(machine)
    before = Taken(machine, rig)
    filled = Machine(machine.root, rig.drive, lambda backend: Faulty(backend, full))
    filled.write("outputs/d/a", "does not fit")
    assert not filled.keeper().backup("outputs/d")
    before.back()
    done = backup(filled)
    assert done.unchanged
    assert done.generation == first.generation
