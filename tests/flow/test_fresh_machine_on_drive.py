"""A finished pipeline on a machine that has nothing of it: how much is asked of Drive before it is known that nothing is to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreadable
from holdfast.flow.examination import Examiner
from holdfast.flow.found import State
from holdfast.flow.runner import Runner
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.reporting.outcomes import Outcome
from tests.account import Account
from tests.flow.toy import Sums
from tests.support import Rig

STAGES = ("numbers", "squares", "sum")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    account = Account(tmp_path)
    with account.mounted():
        yield account


def finished(account: Account, generations: int) -> None:
    """A pipeline that ran to its end, and whose stages have so many generations more, which no backup has removed."""
    site = account.machine()
    keeper = account.keeper(site, parallel=4)
    assert Runner(keeper, Sums(8)).run().finished
    for number in range(generations):  # nothing is uploaded meanwhile, so nothing is needless
        for name in STAGES:
            place = site.write(f"outputs/{name}/notes.txt", f"note {number}")
            if number == generations - 1:
                place.unlink()
            assert keeper.backup(f"outputs/{name}")
    drive = account.drive
    assert drive.drain() == []
    assert drive.disconnect() == []


def asked(account: Account) -> dict[str, int]:
    """What a run on a fresh machine asks of the mount."""
    drive = account.mount()
    runner = Runner(account.keeper(account.machine(), parallel=4), Sums(8))
    drive.counters(reset=True)
    summary = runner.run()
    counts = drive.counters(reset=True)
    assert (summary.finished, summary.ran, summary.safe) == (True, (), "CONFIRMED")
    return {name: counts[name] for name in ("listings", "cold_reads", "creates", "removes", "mkdirs")}


def test_that_nothing_is_to_do_is_known_after_two_listings_and_two_reads_a_stage(account: Account) -> None:
    finished(account, 0)
    counts = asked(account)
    assert counts.pop("listings") == 2
    assert counts.pop("cold_reads") <= 1 + 2 * len(STAGES)
    assert not any(counts.values())


def test_it_costs_the_same_however_many_generations_there_are(tmp_path: Path) -> None:
    costs = []
    for generations in (0, 12):
        account = Account(tmp_path / f"with-{generations}")
        with account.mounted():
            finished(account, generations)
            shown = [p for p in account.drive.elsewhere.files() if "/generations/" in p]
            assert len(shown) >= generations * len(STAGES)
            costs.append(asked(account))
    assert costs[0] == costs[1]


def test_what_is_read_ahead_is_read_side_by_side_and_failing_to_read_it_changes_nothing(account: Account) -> None:
    finished(account, 0)
    account.mount()
    site, failed = account.machine(), []

    def fails(operation: str, path: str) -> None:
        if operation == "read" and path.endswith((".json", ".tar")) and path != "holdfast.json" and path not in failed:
            failed.append(path)
            raise StoreUnreadable(5, "the first read of each fails", path)

    examiner = Examiner(account.keeper(site, fails, parallel=4), Sums(8), patience=_Impatient())
    assert [f.state for f in examiner.all()] == [State.DONE] * 3
    assert len(failed) == 2 * len(STAGES), "each was asked for before it was needed"


class _Impatient:
    on_restore_failure = "stop"
    restore_patience = 0.0


def test_one_look_serves_what_is_there_and_never_says_that_something_is_absent(rig: Rig) -> None:
    here, there = rig.counted()[0], rig.machine()
    there.write("outputs/first/a.txt", "a")
    assert there.keep.backup("outputs/first")
    keeper = here.keeper()
    with keeper.one_look():
        assert keeper.held("outputs/first")[0]
        there.write("outputs/later/b.txt", "b")
        assert there.keep.backup("outputs/later")
        assert keeper.ensure("outputs/later").outcome is Outcome.RESTORED
        assert keeper.held("outputs/later")[0], "whoever had to look anew looked for all"
        assert keeper.ensure("outputs/never").outcome is Outcome.ABSENT


def test_one_look_at_many_artifacts_is_one_listing(rig: Rig) -> None:
    there = rig.machine()
    for number in range(5):
        there.write(f"outputs/d{number}/a.txt", "a")
        assert there.keep.backup(f"outputs/d{number}")
    here, counting = rig.counted()
    keeper = here.keeper()
    counting.counts.clear()
    with keeper.one_look():
        for number in range(5):
            assert keeper.ensure(f"outputs/d{number}").outcome is Outcome.RESTORED
            assert keeper.held(f"outputs/d{number}")[0]
    assert counting.counts["list"] == 2
    counting.counts.clear()
    assert keeper.held("outputs/d0")[0]
    assert counting.counts["list"] == 1, "and afterwards every question looks for itself"


def test_a_backup_is_seen_by_whoever_looks_after_it(rig: Rig) -> None:
    machine = rig.machine()
    keeper = machine.keeper()
    with keeper.one_look():
        machine.write("outputs/d/a.txt", "a")
        assert keeper.backup("outputs/d")
        assert keeper.held("outputs/d")[0]
        machine.write("outputs/d/b.txt", "b")
        assert keeper.backup("outputs/d")
        assert set(keeper.held("outputs/d")[0].files) == {"outputs/d/a.txt", "outputs/d/b.txt"}


def test_a_look_that_a_backup_overtook_serves_nobody_else(rig: Rig) -> None:
    """While one thread lists, another writes a generation: the listing lacks it, and what is asked afterwards must not."""
    machine = rig.machine()
    machine.write("outputs/d/a.txt", "a")
    assert machine.keep.backup("outputs/d")
    writer = machine.keep.store

    def overtake(operation: str, path: str) -> None:
        if operation == "list" and path == "generations" and late:
            manifest = writer.heads(writer.look().of(machine.keep.workspace.key("outputs/d")))[0]
            late.pop()
            keeper.store.remember(manifest)

    late: list[bool] = []
    keeper = rig.machine(lambda backend: Faulty(backend, overtake)).keeper()
    with keeper.one_look():
        late.append(True)
        assert keeper.held("outputs/d")[0]
        assert not late
        assert keeper.store.shared is None
        assert keeper.held("outputs/d")[0]
        assert keeper.store.shared is not None
