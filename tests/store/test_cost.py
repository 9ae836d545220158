"""Cost as counts of store operations: exact, and free of timing noise."""

from __future__ import annotations

from collections import Counter

import pytest

from holdfast.store.backends.wrappers import Counting
from holdfast.store.format.keys import Key
from holdfast.store.format.names import mark
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig, age, make_database, rows_in


def counted(counting: Counting) -> Counter[str]:
    """The counts since the last call."""
    counts = Counter(counting.counts)
    counting.counts.clear()
    counting.paths.clear()
    return counts


def prepared(rig: Rig) -> tuple[Machine, Counting]:
    """A machine whose store exists already."""
    other = rig.machine()
    other.write("outputs/other.json", "{}")
    assert other.keep.backup("outputs/other.json")
    return rig.counted()


def test_the_first_backup_of_a_new_file_and_the_next_versions(rig: Rig) -> None:
    machine, counting = prepared(rig)
    for version in range(12):
        machine.write("outputs/benchmark.json", f"version {version}")
        assert machine.keep.backup("outputs/benchmark.json")
        counts = counted(counting)
        assert counts["create"] <= 2, (version, counts)
        assert counts["list"] <= 2, (version, counts)
        assert counts["read"] <= 1, (version, counts)
    assert len(machine.keep.history("outputs/benchmark.json")) <= 4


def test_the_first_backup_ever_makes_the_store_besides(rig: Rig) -> None:
    machine, counting = rig.counted()
    machine.write("outputs/benchmark.json", "{}")
    assert machine.keep.backup("outputs/benchmark.json")
    created = [path for operation, path in counting.paths if operation == "create"]
    assert len([p for p in created if p != "holdfast.json" and not p.startswith("holdfast-probe-")]) == 2


def test_what_many_vanished_machines_left_half_uploaded_costs_one_search_and_not_one_each(rig: Rig) -> None:
    """After many disconnects many generations lack payload. Each missing file could lie in a twin folder that Drive made."""
    listings = []
    for lost in (1, 8):
        for number in range(lost):
            machine = rig.machine()
            for name in ("a", "b", "c"):
                machine.write(f"outputs/d{lost}/deep/er/{name}", f"{number}{name}" * 600_000)
            assert machine.keep.backup(f"outputs/d{lost}")
            for payload in (rig.store / f"outputs/d{lost}/deep/er").iterdir():
                payload.unlink()
        (rig.store / mark(Key(f"outputs/d{lost}"))).rmdir()  # as none of it was ever known to be safe
        fresh, counting = rig.counted()
        counted(counting)
        assert fresh.keep.ensure(f"outputs/d{lost}").outcome is Outcome.ABSENT
        listings.append(counted(counting)["list"])
    assert listings[0] == listings[1] <= 12, listings


def test_an_unchanged_directory_of_ten_thousand_files_costs_no_create(rig: Rig) -> None:
    machine, counting = prepared(rig)
    for number in range(10_000):
        machine.write(f"outputs/d/{number % 100:02}/{number}", str(number))
    age(machine.outputs)
    assert machine.keep.backup("outputs/d")
    counted(counting)
    for keeper in (machine.keep, machine.keeper()):
        result = keeper.backup("outputs/d")
        assert result.results[0].unchanged
        counts = counted(counting)
        assert counts["create"] == 0
        assert counts["list"] <= 2
        assert counts["read"] <= 1
        assert counts["stat"] <= 9
    assert machine.keeper().ensure("outputs/d").outcome is Outcome.LOCAL
    assert machine.keeper().ensure("outputs/d/42").outcome is Outcome.LOCAL
    assert machine.keeper().ensure("outputs/d/42/1042").outcome is Outcome.LOCAL
    assert not counted(counting), "what is recorded as here costs no operation"


def test_five_thousand_small_files_travel_in_a_handful_of_operations(rig: Rig) -> None:
    machine, counting = prepared(rig)
    for number in range(5000):
        machine.write(f"outputs/d/{number}", f"{number:04}" * 1024)
    assert machine.keep.backup("outputs/d")
    assert counted(counting)["create"] <= 12
    fresh, counting = rig.counted()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert counted(counting)["read"] <= 12
    assert fresh.tree("outputs/d") == machine.tree("outputs/d")


@pytest.mark.parametrize("trials", [250, pytest.param(1000, marks=pytest.mark.torture)])
def test_however_many_one_trial_commits_keep_every_count_flat(rig: Rig, trials: int) -> None:
    machine, counting = prepared(rig)
    study = machine.outputs / "study"
    make_database(study / "study.db", rows=0)
    assert machine.keep.backup("outputs/study")
    counted(counting)
    costs: list[Counter[str]] = []
    for trial in range(trials):
        make_database(study / "study.db", rows=trial + 1)
        for name in ("metrics.json", "params.json", "state.json"):
            machine.write(f"outputs/study/trial_{trial:04}/{name}", f'{{"trial": {trial}, "name": "{name}"}}')
        done = machine.keep.backup("outputs/study/study.db", f"outputs/study/trial_{trial:04}", progress=trial + 1)
        assert done
        costs.append(counted(counting))
    early, late = costs[10 : trials // 5], costs[trials * 4 // 5 :]
    for operation in ("create", "read", "list", "stat", "remove"):
        assert max(c[operation] for c in late) <= max(c[operation] for c in early), operation
    assert max(c["create"] for c in costs) <= 3
    assert max(c["read"] for c in late) <= 1
    newest = max(rig.manifests(), key=lambda p: p.name.partition("@")[2] if "study" in p.name else "")
    assert newest.stat().st_size <= 1 << 20
    fresh, counting = rig.counted()
    assert fresh.keep.ensure("outputs/study").outcome is Outcome.RESTORED
    counts = counted(counting)
    assert counts["read"] <= 14
    assert rows_in(fresh.outputs / "study/study.db") == trials
    assert len(fresh.tree("outputs/study")) == 3 * trials + 1
