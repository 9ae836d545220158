"""A generation with a file that is torn by its own format is kept, passed over by `ensure`, and no reason to let a whole one go."""

from __future__ import annotations

import io
import shutil
import zipfile

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import Forge, commit_id, seal
from tests.support import Machine, Rig

KEY = "outputs/d"
WHY = "a zip without its end record"
WEIGHTS = f"{KEY}/weights.pt"


def plant(forge: Forge, number: int, *, torn: bool, parent: int | None = None) -> None:
    """A generation whose weights are its number, and may be torn."""
    records = [forge.file(KEY, "weights.pt", b"%d" % number, number), forge.file(KEY, "log", b"a log", number)]
    for record in records:
        record["mtime"] = "1700000000.000000001"
    if torn:
        records[0]["torn"] = WHY
    line = range(number - 1, 0, -1) if parent is None else range(parent, 0, -1)
    above = commit_id(line[0]) if line else None
    folders = [{"path": "", "mode": "755"}]
    body = forge.body_2(KEY, number, records, folders=folders, parent=above, ancestors=[commit_id(n) for n in line])
    forge.place(KEY, number, above).write_bytes(seal(body))


def history(rig: Rig, *torn: bool) -> Forge:
    forge = Forge(rig.store)
    for number, is_torn in enumerate(torn, start=1):
        plant(forge, number, torn=is_torn)
    return forge


def heads(machine: Machine) -> list[str]:
    return [e.generation for e in machine.keeper().history(KEY) if e.head]


@pytest.mark.parametrize(("torn", "taken"), [((False, True), 1), ((False, False, True, True), 2), ((True, False, True), 2)])
def test_ensure_takes_the_newest_that_is_not_torn_and_says_what_it_passed_over(
    rig: Rig, torn: tuple[bool, ...], taken: int
) -> None:
    history(rig, *torn)
    machine = rig.machine()
    result = machine.keep.ensure(KEY)
    assert result.outcome is Outcome.RESTORED
    assert result.generation == commit_id(taken)
    assert machine.read(WEIGHTS) == b"%d" % taken
    (said,) = result.warnings
    assert WHY in said
    assert f"holdfast restore {KEY} --generation {commit_id(len(torn))}" in said
    elsewhere = machine.keep.restore(KEY, to=rig.folder / "there")
    assert elsewhere.generation == commit_id(taken)
    assert elsewhere.warnings == (said,)


def test_what_is_made_from_then_on_is_no_fork_and_is_what_every_machine_takes(rig: Rig) -> None:
    history(rig, False, True, True)
    passing, going_back, fresh = rig.machine(), rig.machine(), rig.machine()
    assert passing.keep.ensure(KEY)
    assert all(r.unchanged for r in passing.keeper().backup(KEY).results)
    passing.write(f"{KEY}/new", "new")
    (result,) = passing.keeper().backup(KEY).results
    assert not result.forked
    assert len(heads(passing)) == 1
    assert fresh.keep.ensure(KEY).generation == result.generation
    assert fresh.tree(KEY) == {"weights.pt": b"1", "log": b"a log", "new": b"new"}
    fresh.write(f"{KEY}/more", "more")
    (result,) = fresh.keeper().backup(KEY).results
    assert not result.forked
    assert going_back.keep.restore(KEY, generation=commit_id(3))
    assert going_back.read(WEIGHTS) == b"3"


def test_a_torn_generation_comes_back_to_whoever_asks_for_it_and_is_gone_on_from(rig: Rig) -> None:
    history(rig, False, True)
    machine = rig.machine()
    result = machine.keep.restore(KEY, generation=commit_id(2))
    assert result.outcome is Outcome.RESTORED
    assert machine.read(WEIGHTS) == b"2"
    assert [WHY in w for w in result.warnings] == [True]
    machine.write(WEIGHTS, "whole again")
    (done,) = machine.keeper().backup(KEY).results
    assert not done.forked
    assert rig.machine().keep.ensure(KEY).generation == done.generation


def test_where_every_generation_is_torn_the_newest_comes_and_it_is_said(rig: Rig) -> None:
    history(rig, True, True)
    machine = rig.machine()
    result = machine.keep.ensure(KEY)
    assert (result.outcome, result.generation) == (Outcome.RESTORED, commit_id(2))
    assert [WHY in w for w in result.warnings] == [True]


def test_a_fork_that_is_not_torn_comes_before_a_torn_line_and_is_not_pruned_as_a_fork(rig: Rig) -> None:
    forge = history(rig, False, False, True)
    plant(forge, 4, torn=True, parent=3)
    plant(forge, 6, torn=True, parent=4)
    plant(forge, 5, torn=False, parent=1)
    machine = rig.machine()
    assert machine.keep.ensure(KEY).generation == commit_id(5)
    machine.keeper().prune(forks=True)
    assert rig.machine().keep.ensure(KEY).generation == commit_id(5)
    newest = rig.machine()
    assert newest.keep.restore(KEY, generation=commit_id(6))


def test_a_torn_line_with_a_whole_generation_above_a_fork_is_taken(rig: Rig) -> None:
    forge = history(rig, False, False)
    plant(forge, 3, torn=False, parent=1)
    plant(forge, 4, torn=False, parent=2)
    plant(forge, 5, torn=True, parent=4)
    assert rig.machine().keep.ensure(KEY).generation == commit_id(4)


def test_no_number_of_torn_backups_makes_prune_let_the_whole_one_go(rig: Rig) -> None:
    machine = rig.machine()
    sound = zip_of(b"whole")
    whole = machine.write(WEIGHTS, sound)
    assert machine.keep.backup(KEY)
    for number in range(8):
        whole.write_bytes(zip_of(b"torn %d" % number)[:-30])
        (result,) = machine.keeper().backup(KEY).results
        assert result.manifest is not None
        assert result.manifest.torn
        machine.keeper().prune()
    assert len(machine.keep.history(KEY)) < 9  # torn ones go
    fresh = rig.machine()
    result = fresh.keep.ensure(KEY)
    assert fresh.read(WEIGHTS) == sound, result
    whole.write_bytes(zip_of(b"whole again"))
    for number in range(8):
        machine.write(f"{KEY}/{number}", "x")
        assert machine.keeper().backup(KEY)
        machine.keeper().prune()
    assert all("torn" not in e.problem for e in machine.keep.history(KEY))
    assert len(machine.keep.history(KEY)) <= 4
    assert rig.machine().keep.ensure(KEY).warnings == ()


def test_a_workspace_whose_memory_is_gone_goes_on_above_what_is_torn(rig: Rig) -> None:
    history(rig, False, True, True)
    machine = rig.machine()
    assert machine.keep.ensure(KEY)
    shutil.rmtree(machine.root / ".holdfast")
    machine.write(f"{KEY}/new", "new")
    assert machine.keeper().backup(KEY)
    fresh = rig.machine()
    assert fresh.keep.ensure(KEY)
    assert fresh.read(f"{KEY}/new") == b"new"


def zip_of(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("data.pkl", content)
    return target.getvalue()
