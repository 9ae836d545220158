"""What is begun anew on purpose, and what was removed because it was done: every machine respects it, and nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from holdfast.errors import StoreUnreachable, UsageError
from holdfast.session.keeper import Keeper
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig, make_database

RUN = "outputs/run"


def trained(rig: Rig, *steps: int) -> Machine:
    """A machine that trained so far, and backed up every step."""
    machine = rig.machine()
    for step in steps:
        machine.write(f"{RUN}/ckpt-{step}", f"line A, {step}")
        assert machine.keep.backup(RUN, progress=step)
    return machine


def came(machine: Machine, path: str = RUN) -> tuple[Outcome, dict[str, bytes]]:
    return machine.keep.ensure(path).outcome, machine.tree(path) if os.path.lexists(machine.root / path) else {}


def test_a_run_that_was_dropped_is_begun_anew_on_every_machine_however_far_it_was(rig: Rig) -> None:
    first = trained(rig, 3, 9)
    assert first.keep.drop(RUN)
    assert not (first.root / RUN).exists()
    fresh = rig.machine()
    assert came(fresh) == (Outcome.ABSENT, {})
    fresh.write(f"{RUN}/ckpt-1", "line B")
    done = fresh.keep.backup(RUN, progress=1)
    assert done
    assert not done.results[0].forked
    assert came(rig.machine()) == (Outcome.RESTORED, {"ckpt-1": b"line B"})


@dataclass(frozen=True)
class Kept:
    """What is kept, how it is made, and the path that is dropped."""

    key: str
    make: Callable[[Machine], object]
    drop: str = ""


KINDS = {
    "a folder": Kept("outputs/d", lambda m: m.write("outputs/d/a", "1")),
    "a file": Kept("outputs/model.bin", lambda m: m.write("outputs/model.bin", b"\0" * 2_000_000)),
    "a database": Kept("outputs/study.db", lambda m: make_database(m.outputs / "study.db")),
    "a link": Kept("outputs/last", lambda m: (m.write("outputs/a", "1"), os.symlink("a", m.outputs / "last"))),
    "an empty folder": Kept("outputs/e", lambda m: (m.outputs / "e").mkdir(parents=True)),
    "what lies below": Kept("outputs/x/deep/d", lambda m: m.write("outputs/x/deep/d/a", "1"), "outputs/x"),
}


@pytest.mark.parametrize("kept", KINDS.values(), ids=KINDS.keys())
def test_whatever_was_kept_can_be_dropped_and_comes_back_by_its_generation(rig: Rig, kept: Kept) -> None:
    machine = rig.machine()
    machine.outputs.mkdir()
    kept.make(machine)
    done = machine.keep.backup(kept.key)
    assert done
    assert machine.keep.drop(kept.drop or kept.key)
    assert rig.machine().keep.ensure(kept.key).outcome is Outcome.ABSENT
    assert machine.keep.status()[0].dropped or machine.keep.status()[-1].dropped
    back = rig.machine()
    assert back.keep.restore(kept.key, generation=done.results[0].generation).outcome is Outcome.RESTORED
    assert os.path.lexists(back.root / kept.key)
    # Whoever brings it back goes on with it, and a fresh machine takes that.
    if kept.key == "outputs/d":
        back.write("outputs/d/more", "2")
        assert back.keep.backup(kept.key)
        assert came(rig.machine(), kept.key) == (Outcome.RESTORED, {"a": b"1", "more": b"2"})
        assert len(back.keep.history(kept.key)) == 3
        assert [e.default for e in back.keep.history(kept.key) if e.head] == [True]


def remove_and_back_up_itself(machine: Machine) -> None:
    shutil.rmtree(machine.root / "outputs/run/rec")
    assert machine.keep.backup("outputs/run/rec")
    assert machine.keep.backup("outputs/run/rec"), "it is known to be gone"


def remove_and_back_up_above(machine: Machine) -> None:
    shutil.rmtree(machine.root / "outputs/run/rec")
    assert machine.keep.backup("outputs/run")


def remove_and_back_up_in_a_later_process(machine: Machine) -> None:
    shutil.rmtree(machine.root / "outputs/run/rec")
    assert machine.keeper().backup("outputs/run")


def remove_and_back_up_what_is_left_beside(machine: Machine) -> None:
    """The file of it goes first, on a word of its own; then the folder."""
    (machine.root / "outputs/run/rec/a").unlink()
    assert machine.keep.backup("outputs/run/rec")
    (machine.root / "outputs/run/rec").rmdir()
    assert machine.keep.backup("outputs/run/rec")


def remove_and_back_up_all_of_outputs(machine: Machine) -> None:
    shutil.rmtree(machine.root / "outputs/run/rec")
    assert machine.keep.backup("outputs")


def move_into_the_trash(machine: Machine) -> None:
    """As a file manager removes it: it is renamed out of outputs."""
    (machine.root / "outputs/run/rec").rename(machine.root / "trash")
    assert machine.keep.backup("outputs/run/rec")


def remove_and_drop(machine: Machine) -> None:
    shutil.rmtree(machine.root / "outputs/run/rec")
    assert machine.keep.drop("outputs/run/rec")


REMOVALS = [
    remove_and_back_up_itself,
    remove_and_back_up_above,
    remove_and_back_up_in_a_later_process,
    remove_and_back_up_what_is_left_beside,
    remove_and_back_up_all_of_outputs,
    move_into_the_trash,
    remove_and_drop,
]


@pytest.mark.parametrize("remove", REMOVALS, ids=lambda r: r.__name__)
def test_a_folder_that_was_removed_because_it_was_done_does_not_come_back(rig: Rig, remove: Callable[[Machine], None]) -> None:
    machine = rig.machine()
    machine.write("outputs/run/rec/a", "recovery")
    assert machine.keep.backup("outputs/run/rec")
    machine.write("outputs/run/log", "log")
    assert machine.keep.backup("outputs/run")
    remove(machine)
    assert came(rig.machine(), "outputs/run") == (Outcome.RESTORED, {"log": b"log"})
    assert rig.machine().keep.ensure("outputs/run/rec").outcome is Outcome.ABSENT
    assert machine.keep.ensure("outputs/run/rec").outcome is Outcome.ABSENT
    # And it may be made again.
    machine.write("outputs/run/rec/b", "again")
    assert machine.keep.backup("outputs/run")
    assert came(rig.machine(), "outputs/run/rec") == (Outcome.RESTORED, {"b": b"again"})


@pytest.mark.parametrize("restored", [False, True], ids=["where it was made", "where it was restored"])
def test_an_empty_folder_that_was_removed_does_not_come_back(rig: Rig, restored: bool) -> None:
    machine = rig.machine()
    (machine.root / "outputs/done").mkdir(parents=True)
    assert machine.keep.backup("outputs/done")
    if restored:
        machine = rig.machine()
        assert machine.keep.ensure("outputs/done").outcome is Outcome.RESTORED
    (machine.root / "outputs/done").rmdir()
    assert machine.keep.backup("outputs/done")
    assert rig.machine().keep.ensure("outputs/done").outcome is Outcome.ABSENT


EMPTY = "outputs/run/empty"


def named(machine: Machine) -> None:
    """It is removed, and backed up by its own name."""
    shutil.rmtree(machine.root / EMPTY)
    assert machine.keep.backup(EMPTY)


def named_in_a_later_process(machine: Machine) -> None:
    shutil.rmtree(machine.root / EMPTY)
    assert machine.keeper().backup(EMPTY)


def named_above(machine: Machine) -> None:
    shutil.rmtree(machine.root / EMPTY)
    assert machine.keep.backup("outputs/run")


def as_a_refused_drop_says(machine: Machine) -> None:
    shutil.rmtree(machine.root / EMPTY)
    assert "remove it here and back up outputs/run" in refuse(machine.keep, EMPTY)
    assert machine.keep.backup("outputs/run")


@pytest.mark.parametrize(
    ("had", "remove"),
    [
        ("made", named),
        ("made", named_above),
        ("made", as_a_refused_drop_says),
        ("restored", named_in_a_later_process),
        ("restored alone", named),
        ("holds another", named),
        ("all that there is", named),
    ],
    ids=lambda v: v if isinstance(v, str) else v.__name__,
)
def test_an_empty_part_of_a_folder_that_was_removed_does_not_come_back(
    rig: Rig, had: str, remove: Callable[[Machine], None]
) -> None:
    machine = rig.machine()
    (machine.root / EMPTY / ("deep" if had == "holds another" else "")).mkdir(parents=True)
    if had != "all that there is":
        machine.write("outputs/run/log", "log")
    assert machine.keep.backup("outputs/run")
    if had.startswith("restored"):
        machine = rig.machine()
        assert machine.keep.ensure(EMPTY if "alone" in had else "outputs/run").outcome is Outcome.RESTORED
    remove(machine)
    assert machine.keep.ensure(EMPTY).outcome is Outcome.ABSENT
    fresh = rig.machine()
    assert fresh.keep.ensure(EMPTY).outcome is Outcome.ABSENT
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert sorted(p.name for p in (fresh.outputs / "run").iterdir()) == ([] if had == "all that there is" else ["log"])
    (machine.root / EMPTY).mkdir(parents=True)
    assert machine.keep.backup(EMPTY)
    assert rig.machine().keep.ensure(EMPTY).outcome is Outcome.RESTORED, "made again, it is there again"


def test_an_empty_part_that_was_never_here_is_not_recorded_as_removed(rig: Rig) -> None:
    first = rig.machine()
    (first.root / EMPTY).mkdir(parents=True)
    first.write("outputs/run/log", "log")
    assert first.keep.backup("outputs/run")
    machine = rig.machine()
    assert machine.keep.ensure("outputs/run/log").outcome is Outcome.RESTORED
    assert not machine.keep.backup(EMPTY)
    assert machine.keep.backup("outputs/run/log")
    machine.write("outputs/run/more", "more")
    assert machine.keep.backup("outputs/run/more")
    assert rig.machine().keep.ensure(EMPTY).outcome is Outcome.RESTORED


def test_a_part_of_a_folder_that_was_removed_is_gone_once_it_was_named(rig: Rig) -> None:
    machine = trained(rig, 1, 2)
    (machine.root / RUN / "ckpt-1").unlink()
    assert machine.keep.backup(f"{RUN}/ckpt-1")
    assert came(rig.machine()) == (Outcome.RESTORED, {"ckpt-2": b"line A, 2"})


def never_here(machine: Machine) -> None:
    """It is in the store, and this machine never had it."""


def outputs_away(machine: Machine) -> None:
    machine.keep.ensure(RUN)
    shutil.rmtree(machine.outputs)


def memory_lost(machine: Machine) -> None:
    machine.keep.ensure(RUN)
    shutil.rmtree(machine.outputs / "run")
    shutil.rmtree(machine.root / ".holdfast")


@pytest.mark.parametrize("lose", [never_here, outputs_away, memory_lost], ids=lambda f: f.__name__)
def test_what_nobody_removed_here_is_never_recorded_as_removed(rig: Rig, lose: Callable[[Machine], None]) -> None:
    trained(rig, 1)
    machine = rig.machine()
    machine.write("outputs/other", "1")
    lose(machine)
    done = machine.keeper().backup(RUN)
    assert not done
    assert "nothing is there to back up" in done.results[0].error
    assert came(rig.machine())[0] is Outcome.RESTORED


def test_a_line_that_went_on_elsewhere_does_not_win_over_a_drop_and_is_named(rig: Rig) -> None:
    first = trained(rig, 1)
    second = rig.machine()
    assert second.keep.ensure(RUN)
    assert first.keep.drop(RUN)
    second.write(f"{RUN}/ckpt-50", "went on")
    done = second.keep.backup(RUN, progress=50)
    assert done
    assert done.results[0].forked
    fresh = rig.machine()
    answer = fresh.keep.ensure(RUN)
    assert answer.outcome is Outcome.ABSENT
    assert any("--generation" in w and "went on from what was dropped" in w for w in answer.warnings)
    fresh.write(f"{RUN}/ckpt-1", "anew")
    assert fresh.keep.backup(RUN, progress=1)
    assert came(rig.machine()) == (Outcome.RESTORED, {"ckpt-1": b"anew"})


def test_a_removal_elsewhere_does_not_win_over_a_line_that_went_on(rig: Rig) -> None:
    first = trained(rig, 1)
    second = rig.machine()
    assert second.keep.ensure(RUN)
    shutil.rmtree(first.root / RUN)
    assert first.keep.backup(RUN)
    second.write(f"{RUN}/ckpt-2", "went on")
    assert second.keep.backup(RUN)
    assert came(rig.machine())[1].keys() == {"ckpt-1", "ckpt-2"}


def test_one_line_of_a_fork_is_chosen_for_good(rig: Rig) -> None:
    trained(rig, 5)
    anew = rig.machine()
    anew.write(f"{RUN}/ckpt-5", "line B")
    done = anew.keep.backup(RUN, progress=3)
    assert done.results[0].forked
    assert came(rig.machine())[1] == {"ckpt-5": b"line A, 5"}, "as it was: most progress"
    assert anew.keep.drop(RUN, keep_here=True)
    assert came(rig.machine())[1] == {"ckpt-5": b"line B"}
    assert not anew.keep.status()[0].forks
    assert anew.read(f"{RUN}/ckpt-5") == b"line B"


def test_what_was_dropped_stays_through_every_backup_until_it_is_pruned_by_name(rig: Rig) -> None:
    machine = trained(rig, 1, 2, 3)
    dropped = machine.keep.history(RUN)[0].generation
    assert machine.keep.drop(RUN)
    for step in range(20):
        anew = rig.machine()
        anew.keep.ensure(RUN)
        anew.write(f"{RUN}/anew", str(step))
        assert anew.keep.backup(RUN, progress=step)
        heads = [e for e in anew.keep.history(RUN) if e.head]
        assert [(e.default, e.progress) for e in heads] == [(True, step)], "one line, and no fork"
    assert len(anew.keep.history(RUN)) < 12, "what was not dropped is pruned as ever"
    elsewhere = rig.folder / "elsewhere"
    assert machine.keeper().restore(RUN, generation=dropped, to=elsewhere)
    assert (elsewhere / RUN / "ckpt-3").read_bytes() == b"line A, 3"
    keeper = rig.machine().keep
    payloads = len(rig.payloads())
    assert keeper.prune(dropped=True, dry_run=True).generations
    assert keeper.prune(dropped=True).payloads
    assert len(rig.payloads()) < payloads
    assert all(e.generation != dropped for e in keeper.history(RUN))
    assert came(rig.machine())[1] == {"anew": b"19"}
    assert not keeper.verify()


def test_a_recovery_folder_that_comes_and_goes_leaves_a_bounded_number_of_generations(rig: Rig) -> None:
    machine = rig.machine()
    for step in range(15):
        machine.write("outputs/rec/state", str(step))
        assert machine.keep.backup("outputs/rec")
        shutil.rmtree(machine.root / "outputs/rec")
        assert machine.keep.backup("outputs/rec")
    assert len(rig.manifests()) < 12
    assert rig.machine().keep.ensure("outputs/rec").outcome is Outcome.ABSENT


def test_damage_in_what_came_after_a_drop_is_no_absence_and_brings_nothing_dropped_back(rig: Rig) -> None:
    machine = trained(rig, 1)
    assert machine.keep.drop(RUN)
    machine.write(f"{RUN}/ckpt-1", "anew")
    assert machine.keep.backup(RUN)
    newest = max(rig.payloads(), key=lambda p: p.name.split("@")[1])
    newest.write_bytes(b"x" * newest.stat().st_size)
    fresh = rig.machine()
    answer = fresh.keep.ensure(RUN)
    assert answer.outcome is Outcome.FAILED
    assert not (fresh.root / RUN).exists()


def test_a_drop_that_the_drive_did_not_take_changed_nothing_and_may_be_asked_again(rig: Rig) -> None:
    trained(rig, 1)
    away: list[str] = []

    def fault(operation: str, path: str) -> None:
        if operation == "create" and path.startswith("generations/") and not away:
            away.append(path)
            raise StoreUnreachable(errno.ENOTCONN, "the drive is away", path)

    machine = rig.machine(lambda b: Faulty(b, fault))
    assert machine.keep.ensure(RUN)
    done = machine.keep.drop(RUN)
    assert not done
    assert "away" in done.results[0].error
    assert (machine.root / RUN).exists()
    assert came(rig.machine())[0] is Outcome.RESTORED
    assert machine.keep.drop(RUN)
    assert machine.keep.drop(RUN), "dropped already"
    assert came(rig.machine()) == (Outcome.ABSENT, {})


def test_an_older_version_of_the_format_never_had_it(rig: Rig) -> None:
    machine = trained(rig, 1)
    assert machine.keep.drop(RUN)
    newest = max(rig.manifests(), key=lambda p: p.name.split("@")[1])
    assert b'"kind":"dropped"' in newest.read_bytes()
    assert b'"drops":1' in newest.read_bytes()


def refuse(keeper: Keeper, path: str) -> str:
    try:
        done = keeper.drop(path)
    except UsageError as error:
        return str(error)
    assert not done
    return done.results[0].error


def test_what_cannot_be_dropped_says_what_can(rig: Rig) -> None:
    machine = trained(rig, 1)
    assert "part of outputs/run" in refuse(machine.keep, f"{RUN}/ckpt-1")
    assert "holdfast status" in refuse(machine.keep, "outputs/nothing")
    machine.write("outputs/never/backed-up", "1")
    assert "nothing of it is in the store" in refuse(machine.keep, "outputs/never")
    assert (machine.outputs / "never/backed-up").exists(), "what is in no store is left alone"
    assert (machine.root / RUN / "ckpt-1").exists()
