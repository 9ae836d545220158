"""What a commit takes over, what it leaves out, and when it is a fork."""

from __future__ import annotations

import logging
import shutil
import threading

import pytest

from holdfast.store.backends.backend import Source
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.keys import Key
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig, age


class Killed(BaseException):
    """What a kill leaves: nobody tidies up after it."""


def heads(machine: Machine, path: str = "outputs/d") -> list[str]:
    return [e.generation for e in machine.keeper().history(path) if e.head]


def fresh_tree(rig: Rig, path: str = "outputs/d") -> dict[str, bytes]:
    machine = rig.machine()
    result = machine.keep.ensure(path)
    assert result.outcome is Outcome.RESTORED, result
    return machine.tree(path)


def test_one_file_restored_on_a_fresh_machine_then_the_directory_backed_up_drops_nothing(rig: Rig) -> None:
    first = rig.machine()
    for name in ("a", "b", "sub/c"):
        first.write(f"outputs/d/{name}", name)
    assert first.keep.backup("outputs/d")
    second = rig.machine()
    assert second.keep.ensure("outputs/d/a").outcome is Outcome.RESTORED
    assert second.tree("outputs/d") == {"a": b"a"}
    second.write("outputs/d/new", "new")
    assert second.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"a", "b": b"b", "sub/c": b"sub/c", "new": b"new"}
    assert len(heads(first)) == 1


def test_memory_deleted_drops_nothing_and_makes_no_fork_where_contents_agree(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "a")
    machine.write("outputs/d/b", "b")
    assert machine.keep.backup("outputs/d")
    shutil.rmtree(machine.root / ".holdfast")
    (machine.root / "outputs/d/b").unlink()
    machine.write("outputs/d/c", "c")
    assert machine.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"a", "b": b"b", "c": b"c"}
    assert len(heads(machine)) == 1


def test_memory_deleted_and_nothing_changed_writes_nothing(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "a")
    machine.write("outputs/d/large", b"x" * 3_000_000)
    assert machine.keep.backup("outputs/d")
    before = sorted(rig.store.rglob("*"))
    shutil.rmtree(machine.root / ".holdfast")
    result = machine.keeper().backup("outputs/d")
    assert result
    assert result.results[0].unchanged
    assert sorted(rig.store.rglob("*")) == before


def test_what_was_given_to_another_store_is_no_fork_where_the_two_turn_out_to_be_one(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "first")
    assert machine.keep.backup("outputs/d")
    machine.write("outputs/d/a", "second")
    assert machine.keep.backup("outputs/d")
    (rig.folder / "other").mkdir()
    elsewhere = Machine(machine.root, rig.folder / "other")
    elsewhere.write("outputs/d/a", "third")
    done = elsewhere.keep.backup("outputs/d")
    assert (done.results[0].sequence, done.results[0].parent, done.results[0].forked) == (3, None, ())
    for path in sorted((rig.folder / "other").rglob("*@0*")):  # what had not arrived arrives
        shutil.copy(path, rig.drive / path.relative_to(rig.folder / "other"))
    assert fresh_tree(rig) == {"a": b"third"}
    assert len(heads(rig.machine())) == 1


def test_what_was_given_to_another_store_is_no_fork_where_it_is_shown_without_what_leads_from_it(
    machine: Machine, rig: Rig
) -> None:
    for text in ("first", "second"):
        machine.write("outputs/d/a", text)
        assert machine.keeper().backup("outputs/d")
    (rig.folder / "other").mkdir()
    elsewhere = Machine(machine.root, rig.folder / "other")
    elsewhere.write("outputs/d/a", "third")
    assert elsewhere.keep.backup("outputs/d")
    for path in sorted((rig.folder / "other").rglob("*@0*")):
        shutil.copy(path, rig.drive / path.relative_to(rig.folder / "other"))
    (between,) = rig.store.rglob("generations/*@000002-*")
    between.unlink()
    assert len(heads(machine)) == 2, "nothing that is shown leads from the one to the other"
    machine.write("outputs/d/a", "fourth")
    done = machine.keeper().backup("outputs/d")
    assert done.results[0].forked == ()
    assert heads(rig.machine()) == [done.results[0].generation], "it names what nothing leads to, so nobody takes that for a head"
    assert fresh_tree(rig) == {"a": b"fourth"}


def test_what_was_here_in_part_when_it_was_given_to_another_store_stays_a_head_that_holds_the_rest(rig: Rig) -> None:
    """Else a fresh machine would be told that the rest never was, and later backups would prune it."""
    whole, part = rig.machine(), rig.machine()
    for name in ("a", "b"):
        whole.write(f"outputs/d/{name}", name)
    first = whole.keep.backup("outputs/d").results[0].generation
    assert part.keep.ensure("outputs/d/a")
    (rig.folder / "other").mkdir()
    elsewhere = Machine(part.root, rig.folder / "other")
    for number in range(10):
        elsewhere.write("outputs/d/a", f"{number}")
        assert elsewhere.keeper().backup("outputs/d")
    part.write("outputs/d/a", "newest")
    assert part.keeper().backup("outputs/d").results[0].forked == (first,)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d/b").outcome is Outcome.FAILED
    assert fresh.keeper().restore("outputs/d", generation=first)
    assert fresh.tree("outputs/d")["b"] == b"b"


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


def comes_through(rig: Rig, manifests: dict[str, bytes]) -> None:
    """The first of those that hung."""
    path, content = next(iter(manifests.items()))
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
    assert fresh_tree(rig) == {"a": b"3", "b": b"1"}
    assert len(heads(rig.machine())) == 1


def test_what_was_pruned_long_ago_and_is_still_shown_is_no_fork(machine: Machine, rig: Rig) -> None:
    """A mount may show for minutes what another way into Drive pruned, and not what lay between that and the newest."""
    for number in range(14):
        machine.write("outputs/d/a", f"{number}")
        assert machine.keeper().backup("outputs/d")
        if number == 0:
            ((shown, content),) = [(p, p.read_bytes()) for p in rig.store.rglob("generations/*@000001-*")]
            payload = {p: p.read_bytes() for p in rig.store.rglob("*@000001-*") if p.is_file()}
    between = sorted(rig.store.rglob("generations/*@*"))[:-1]
    for path in between:
        path.unlink()
    for path, data in {shown: content, **payload}.items():
        path.write_bytes(data)
    assert len(heads(machine)) == 2, "nothing that is shown leads from the one to the other"
    machine.write("outputs/d/a", "newest")
    done = machine.keeper().backup("outputs/d")
    assert done.results[0].forked == ()
    assert heads(machine)[0] == done.results[0].generation
    # Nobody else can know: to a machine that takes the newest, the old one is another head, and stays.
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert other.tree("outputs/d") == {"a": b"newest"}


def test_what_was_descended_from_once_is_a_fork_to_what_does_not_descend_from_it(rig: Rig) -> None:
    """What is remembered of one line says nothing of another that is gone on from instead."""
    first, second = rig.machine(), rig.machine()
    first.write("outputs/d/a", "0")
    assert first.keeper().backup("outputs/d")
    assert second.keeper().ensure("outputs/d")
    for number in range(1, 12):
        first.write("outputs/d/a", f"{number}")
        assert first.keeper().backup("outputs/d")
    second.write("outputs/d/a", "other")
    other = second.keeper().backup("outputs/d").results[0].generation
    line = first.keep.workspace.record(Key("outputs/d"))
    assert line.base is not None
    assert len(line.base.ancestors) == 8
    assert len(line.earlier) == 3
    assert line.earlier_than(line.base) == line.earlier
    assert first.keeper().restore("outputs/d", generation=other)
    left = first.keep.workspace.record(Key("outputs/d"))
    assert left.base is not None
    assert left.earlier == line.earlier_than(left.base) == ()
    first.write("outputs/d/a", "gone on from the other")
    assert first.keeper().backup("outputs/d").results[0].forked == (line.base.commit.id,)


def test_of_what_a_base_descends_from_sixty_four_more_are_remembered_the_nearest(machine: Machine) -> None:
    for number in range(75):
        machine.write("outputs/d/a", f"{number}")
        done = machine.keep.backup("outputs/d").results[0]
        assert done.manifest is not None
        if number == 2:
            third = done.manifest.commit.id
    record = machine.keeper().workspace.record(Key("outputs/d"))
    assert record.base is not None
    assert len(record.earlier) == 64
    assert record.earlier[-1] == third, "the first two are forgotten"
    assert not {*record.earlier} & {record.base.commit.id, *record.base.ancestors}


def test_memory_deleted_and_content_changed_is_a_fork_that_keeps_both(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.write("outputs/d/a", "old")
    machine.write("outputs/d/b", "b")
    assert machine.keep.backup("outputs/d")
    shutil.rmtree(machine.root / ".holdfast")
    machine.write("outputs/d/a", "new")
    with caplog.at_level(logging.WARNING):
        result = machine.keeper().backup("outputs/d")
    assert result
    assert len(result.results[0].forked) == 1
    assert sum("fork" in r.getMessage() for r in caplog.records) == 1
    assert len(heads(machine)) == 2


def test_a_fresh_start_after_a_failed_restore_leaves_the_old_head_the_default(rig: Rig) -> None:
    first = rig.machine()
    first.write("outputs/study.txt", "twenty trials")
    assert first.keep.backup("outputs/study.txt")
    (old,) = heads(first, "outputs/study.txt")
    (rig.store / "outputs").rename(rig.store / "hidden")  # for a while its payload cannot be seen

    second = rig.machine()
    result = second.keep.ensure("outputs/study.txt")
    assert result.outcome is Outcome.FAILED
    assert "outputs/study.txt" in result.error
    second.write("outputs/study.txt", "started afresh")
    assert second.keeper().backup("outputs/study.txt")
    shutil.copytree(rig.store / "hidden", rig.store / "outputs", dirs_exist_ok=True)

    third = rig.machine()
    assert third.keep.ensure("outputs/study.txt").outcome is Outcome.RESTORED
    assert third.read("outputs/study.txt") == b"twenty trials"
    entries = third.keep.history("outputs/study.txt")
    assert {e.generation for e in entries if e.head} == {old, entries[0].generation, entries[-1].generation}
    assert len([e for e in entries if e.head]) == 2
    third.keeper().prune()
    assert len(third.keeper().history("outputs/study.txt")) == 2, "prune keeps both heads"
    other = next(e.generation for e in entries if e.generation != old)
    assert third.keeper().restore("outputs/study.txt", generation=other)
    assert third.read("outputs/study.txt") == b"started afresh"


def test_an_explicitly_chosen_fork_goes_on_above_every_head(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "1")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    for n in range(3):
        one.write("outputs/d/a", f"one {n}")
        assert one.keeper().backup("outputs/d")
    two.write("outputs/d/a", "two")
    two.write("outputs/d/only", "only")
    assert two.keeper().backup("outputs/d")
    chosen = two.keeper().workspace.record(two.keep.workspace.key("outputs/d")).base
    assert chosen is not None
    third = rig.machine()
    found = third.keep.ensure("outputs/d/only")
    assert not found
    assert f"`holdfast restore outputs/d --generation {chosen.commit.id}`" in found.error
    assert third.keep.restore("outputs/d", generation=chosen.commit.id)
    third.write("outputs/d/a", "two goes on")
    assert third.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"two goes on", "only": b"only"}


def test_two_workspaces_committing_in_turn_fork_and_lose_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "start")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    contents = {}
    for n in range(4):
        for name, machine in (("one", one), ("two", two)):
            machine.write("outputs/d/a", f"{name} {n}")
            result = machine.keeper().backup("outputs/d")
            assert result
            contents[result.results[0].generation] = f"{name} {n}".encode()
    found = heads(one)
    assert len(found) == 2
    last = {contents[i] for i in found}
    assert last == {b"one 3", b"two 3"}
    for id_ in found:
        place = rig.folder / f"out-{id_}"
        assert one.keeper().restore("outputs/d", generation=id_, to=place)
        assert (place / "outputs/d/a").read_bytes() == contents[id_]


def test_a_file_deleted_here_is_gone_from_the_next_generation_and_there_in_the_one_before(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "a")
    machine.write("outputs/d/b", "b")
    before = machine.keep.backup("outputs/d").results[0].generation
    (machine.root / "outputs/d/b").unlink()
    assert machine.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"a"}
    place = rig.folder / "before"
    assert machine.keeper().restore("outputs/d", generation=before, to=place)
    assert (place / "outputs/d/b").read_bytes() == b"b"


def test_rewriting_a_large_file_while_it_is_sent_never_makes_a_mixed_generation(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The rewrite happens exactly between the snapshot and the sending, through a backend that does it."""
    rewrites = []

    def rewrite(operation: str, path: str) -> None:
        if operation == "create" and "big@" in path and not rewrites:
            rewrites.append(path)
            with open(machine.outputs / "d/big", "r+b") as handle:
                handle.seek(1_500_000)
                handle.write(b"NEW" * 1000)

    machine = rig.machine(lambda backend: Faulty(backend, rewrite))
    machine.write("outputs/d/big", b"o" * 3_000_000)
    with caplog.at_level(logging.WARNING):
        assert machine.keep.backup("outputs/d")
    assert rewrites
    assert sum("changed while it was sent" in r.getMessage() for r in caplog.records) == 1
    content = fresh_tree(rig)["big"]
    assert content == machine.read("outputs/d/big"), "the copy was taken after the rewrite"


def test_a_file_that_appears_during_a_restore_wins(rig: Rig) -> None:
    first = rig.machine()
    first.write("outputs/result.json", "from the store")
    assert first.keep.backup("outputs/result.json")

    def meanwhile(operation: str, path: str) -> None:
        if operation == "read" and "result@" in path:
            second.write("outputs/result.json", "made here meanwhile")

    second = rig.machine(lambda backend: Faulty(backend, meanwhile))
    result = second.keep.ensure("outputs/result.json")
    assert result.outcome is Outcome.LOCAL
    assert second.read("outputs/result.json") == b"made here meanwhile"


def test_a_directory_that_appears_during_a_restore_wins_and_gets_what_it_lacks(rig: Rig) -> None:
    first = rig.machine()
    first.write("outputs/d/a", "from the store")
    first.write("outputs/d/b", "b")
    assert first.keep.backup("outputs/d")

    def meanwhile(operation: str, path: str) -> None:
        if operation == "read" and "small-files@" in path:
            second.write("outputs/d/a", "made here meanwhile")

    second = rig.machine(lambda backend: Faulty(backend, meanwhile))
    result = second.keep.ensure("outputs/d")
    assert result.outcome is Outcome.MERGED
    assert result.warnings
    assert second.tree("outputs/d") == {"a": b"made here meanwhile", "b": b"b"}


def test_local_older_than_the_store_is_used_and_status_says_stale(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "1")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    one.write("outputs/d/a", "2")
    assert one.keeper().backup("outputs/d")
    assert two.keeper().ensure("outputs/d").outcome is Outcome.LOCAL
    assert two.tree("outputs/d") == {"a": b"1"}
    (row,) = two.keeper().status()
    assert row.stale
    assert row.unsaved == 0


def test_the_same_restore_repeated_changes_nothing(rig: Rig) -> None:
    first = rig.machine()
    first.write("outputs/d/a", "a")
    assert first.keep.backup("outputs/d")
    second = rig.machine()
    outcomes = [second.keeper().ensure("outputs/d").outcome for _ in range(3)]
    assert outcomes == [Outcome.RESTORED, Outcome.LOCAL, Outcome.LOCAL]
    for _ in range(3):
        assert second.keeper().restore("outputs/d").outcome is Outcome.RESTORED
        assert second.tree("outputs/d") == {"a": b"a"}


def test_a_directory_partly_here_gets_its_missing_files(rig: Rig) -> None:
    first = rig.machine()
    for name in "abc":
        first.write(f"outputs/d/{name}", name)
    assert first.keep.backup("outputs/d")
    second = rig.machine()
    second.write("outputs/d/a", "a")
    result = second.keep.ensure("outputs/d")
    assert result.outcome is Outcome.RESTORED
    assert result.files == 2
    assert second.tree("outputs/d") == {"a": b"a", "b": b"b", "c": b"c"}
    (second.root / "outputs/d/b").unlink()
    assert second.keeper().ensure("outputs/d").outcome is Outcome.RESTORED
    assert second.read("outputs/d/b") == b"b"


def test_a_directory_partly_here_that_differs_gets_what_it_lacks_and_its_next_backup_is_no_fork(rig: Rig) -> None:
    first = rig.machine()
    first.write("outputs/d/a", "a")
    first.write("outputs/d/b", "b")
    assert first.keep.backup("outputs/d")
    second = rig.machine()
    second.write("outputs/d/a", "mine")
    result = second.keep.ensure("outputs/d")
    assert result
    assert result.outcome is Outcome.MERGED
    assert "differs" in result.warnings[0]
    assert second.tree("outputs/d") == {"a": b"mine", "b": b"b"}
    (done,) = second.keep.backup("outputs/d").results
    assert (done.sequence, done.forked) == (2, ())


def test_paths_given_together_commit_together_as_a_part_of_their_artifact(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/study/study.txt", "0 trials")
    machine.write("outputs/study/notes.txt", "n")
    assert machine.keep.backup("outputs/study")
    machine.write("outputs/study/study.txt", "1 trial")
    machine.write("outputs/study/trial_0/metrics.json", "{}")
    machine.write("outputs/study/other.txt", "not asked for")
    done = machine.keep.backup("outputs/study/study.txt", "outputs/study/trial_0")
    assert [(r.key.value, r.sequence) for r in done.results] == [("outputs/study", 2)]
    assert fresh_tree(rig, "outputs/study") == {"study.txt": b"1 trial", "notes.txt": b"n", "trial_0/metrics.json": b"{}"}


def test_the_deepest_artifact_owns_a_path(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/hpo/study/a", "a")
    machine.write("outputs/hpo/benchmark.json", "b")
    machine.write("outputs/hpo/plain.txt", "p")
    assert machine.keep.backup("outputs/hpo/study", "outputs/hpo/benchmark.json")
    machine.write("outputs/hpo/study/a", "a2")
    done = machine.keep.backup("outputs/hpo")
    assert {r.key.value: (r.sequence, r.unchanged) for r in done.results} == {
        "outputs/hpo/study": (2, False),
        "outputs/hpo/benchmark.json": (1, True),
        "outputs/hpo": (1, False),
    }
    outer = machine.keep.history("outputs/hpo")
    assert [e.files for e in outer] == [1], "the outer generation leaves out what inner artifacts own"
    assert fresh_tree(rig, "outputs/hpo") == {"study/a": b"a2", "benchmark.json": b"b", "plain.txt": b"p"}
    only = rig.machine()
    assert only.keep.ensure("outputs/hpo/study/a").outcome is Outcome.RESTORED
    assert only.tree("outputs") == {"hpo/study/a": b"a2"}, "only what is needed is fetched"


def test_ensure_of_a_directory_that_is_no_artifact_restores_every_artifact_below(rig: Rig) -> None:
    machine = rig.machine()
    for name in ("x", "y"):
        machine.write(f"outputs/hpo/{name}/f", name)
        assert machine.keep.backup(f"outputs/hpo/{name}")
    assert fresh_tree(rig, "outputs/hpo") == {"x/f": b"x", "y/f": b"y"}
    assert rig.machine().keep.ensure("outputs/none").outcome is Outcome.ABSENT


def test_empty_folders_and_modes_come_back(rig: Rig) -> None:
    machine = rig.machine()
    script = machine.write("outputs/d/run.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    (machine.root / "outputs/d/logs/empty").mkdir(parents=True)
    assert machine.keep.backup("outputs/d")
    second = rig.machine()
    assert second.keep.ensure("outputs/d")
    assert (second.root / "outputs/d/logs/empty").is_dir()
    assert (second.root / "outputs/d/run.sh").stat().st_mode & 0o777 == 0o755
    script.chmod(0o700)
    assert not machine.keeper().backup("outputs/d").results[0].unchanged
    third = rig.machine()
    assert third.keep.ensure("outputs/d")
    assert (third.root / "outputs/d/run.sh").stat().st_mode & 0o777 == 0o700


def test_a_file_becomes_a_directory_and_back(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/x", "file")
    assert machine.keep.backup("outputs/x")
    (machine.root / "outputs/x").unlink()
    machine.write("outputs/x/inside", "dir")
    assert machine.keeper().backup("outputs/x")
    assert fresh_tree(rig, "outputs/x") == {"inside": b"dir"}
    shutil.rmtree(machine.root / "outputs/x")
    machine.write("outputs/x", "file again")
    assert machine.keeper().backup("outputs/x")
    assert fresh_tree(rig, "outputs/x") == {"": b"file again"}
    assert len(heads(machine, "outputs/x")) == 1


def test_a_payload_lost_from_the_store_is_sent_again_while_it_is_still_here(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/large", b"x" * 2_000_000)
    machine.write("outputs/d/a", "a")
    age(machine.outputs)
    assert machine.keep.backup("outputs/d")
    next(p for p in rig.payloads() if "large@" in p.name).unlink()
    done = machine.keeper().backup("outputs/d")
    assert done
    assert not done.results[0].unchanged
    assert fresh_tree(rig) == {"large": b"x" * 2_000_000, "a": b"a"}
    assert len(heads(machine)) == 1


def test_a_manifest_lost_from_the_store_is_written_again(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    rig.manifests()[0].unlink()
    assert not machine.keeper().backup("outputs/d").results[0].unchanged
    assert fresh_tree(rig) == {"a": b"a"}


def test_carried_over_payload_that_is_lost_for_good_is_named_and_older_generations_stay(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    first = rig.machine()
    first.write("outputs/d/large", b"x" * 2_000_000)
    first.write("outputs/d/a", "a")
    assert first.keep.backup("outputs/d")
    second = rig.machine()
    assert second.keep.ensure("outputs/d/a")
    next(p for p in rig.payloads() if "large@" in p.name).unlink()
    second.write("outputs/d/a", "a2")
    with caplog.at_level(logging.ERROR):
        assert second.keeper().backup("outputs/d")
    assert any("large" in r.getMessage() for r in caplog.records)
    assert fresh_tree(rig) == {"a": b"a2"}
    assert len(rig.manifests()) == 2


def test_two_backups_at_once_in_one_workspace_wait_for_each_other(machine: Machine) -> None:
    for n in range(20):
        machine.write(f"outputs/d/{n}", str(n))
    results = []
    threads = [threading.Thread(target=lambda: results.append(machine.keeper().backup("outputs/d"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results)
    assert sorted(r.results[0].unchanged for r in results) == [False, True, True, True]


def test_progress_decides_before_sequence_which_head_a_fresh_machine_takes(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "start")
    assert one.keep.backup("outputs/d", progress=1)
    assert two.keep.ensure("outputs/d")
    one.write("outputs/d/a", "twenty")
    assert one.keeper().backup("outputs/d", progress=20)
    for n in range(3):
        two.write("outputs/d/a", f"short {n}")
        assert two.keeper().backup("outputs/d", progress=2 + n)
    assert fresh_tree(rig) == {"a": b"twenty"}


def test_a_part_whose_name_is_as_long_as_names_get_is_backed_up_by_that_name(machine: Machine) -> None:
    name = "é" * 127 + "x"  # 255 bytes: no log can lie beside it, whose name would be longer
    machine.write("outputs/d/other", "1")
    assert machine.keep.backup("outputs/d")
    machine.write(f"outputs/d/{name}", "long")
    assert machine.keep.backup(f"outputs/d/{name}")
    assert machine.keep.backup("outputs/d").results[0].unchanged
