"""Cost on the simulated mount: counts by the mount's own counters, times on its virtual clock."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator import Latency, Pace, SimulatedDrive, Weather
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.account import Account, Site
from tests.support import age, make_database, rows_in

pytestmark = pytest.mark.long

#: What is written once in the life of a store.
FIRST_DAY = ("holdfast.json", "holdfast-probe-")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account whose Drive has a store already."""
    account = Account(tmp_path)
    with account.mounted() as drive:
        first = account.machine()
        first.write("outputs/other.json", "{}")
        assert account.keeper(first, parallel=4).backup("outputs/other.json")
        assert drive.drain() == []
        yield account


def remounted(account: Account) -> SimulatedDrive:
    """The next machine's mount, on which everything is cold."""
    assert account.drive.drain() == []
    assert account.drive.disconnect() == []
    drive = account.mount()
    drive.counters(reset=True)
    return drive


def counted(drive: SimulatedDrive) -> dict[str, int]:
    return drive.counters(reset=True)


# -- counts ------------------------------------------------------------------------------------------------------------------


def test_the_first_backup_of_a_new_file_and_the_next_versions_on_a_fresh_machine(account: Account) -> None:
    drive = remounted(account)
    site = account.machine()
    keeper = account.keeper(site, parallel=4)
    for version in range(8):
        site.write("outputs/benchmark.json", f"version {version}")
        assert keeper.backup("outputs/benchmark.json")
        counts = counted(drive)
        assert counts["creates"] <= 2, (version, counts)
        assert counts["listings"] <= 2, (version, counts)
        assert counts["cold_reads"] <= 1, (version, counts)
        drive.drain()


def test_every_next_version_by_another_fresh_machine(account: Account) -> None:
    """It restores, works and backs up, each machine once, as short sessions do. To prune it reads what it judges."""
    for version in range(4):
        drive = remounted(account)
        site = account.machine()
        keeper = account.keeper(site, parallel=4)
        assert keeper.ensure("outputs/benchmark.json").outcome is (Outcome.RESTORED if version else Outcome.ABSENT)
        site.write("outputs/benchmark.json", f"version {version}")
        drive.counters(reset=True)
        assert keeper.backup("outputs/benchmark.json")
        counts = counted(drive)
        assert counts["creates"] <= 2, (version, counts)
        assert counts["listings"] <= 2, (version, counts)
        assert counts["cold_reads"] <= (3 if counts["removes"] else 1), (version, counts)


def test_the_first_backup_ever_makes_the_store_besides(tmp_path: Path) -> None:
    account = Account(tmp_path)
    with account.mounted() as drive:
        site = account.machine()
        site.write("outputs/benchmark.json", "{}")
        assert account.keeper(site).backup("outputs/benchmark.json")
        assert counted(drive)["creates"] <= 2 + len(FIRST_DAY)
        drive.drain()
        names = [path.rpartition("/")[2] for path in drive.elsewhere.files()]
        assert len([n for n in names if not n.startswith(FIRST_DAY)]) == 2


def test_an_unchanged_directory_of_ten_thousand_files_costs_no_create(account: Account) -> None:
    drive, site = account.drive, account.machine()
    for number in range(10_000):
        site.write(f"outputs/d/{number % 100:02}/{number}", str(number))
    age(site.root / "outputs")
    keeper = account.keeper(site, parallel=4)
    assert keeper.backup("outputs/d")
    drive.drain()
    assert set(keeper.confirm().values()) == {Durability.CONFIRMED}  # which is marked once, by a folder
    drive.drain()
    drive.counters(reset=True)
    for again in (keeper, account.keeper(site, parallel=4)):
        assert again.backup("outputs/d").results[0].unchanged
        counts = counted(drive)
        assert counts["creates"] == counts["mkdirs"] == counts["removes"] == 0
        assert counts["listings"] <= 2
        assert counts["cold_reads"] <= 1
        assert drive.pending() == []


def test_what_is_recorded_as_here_costs_no_operation_at_all(account: Account) -> None:
    drive, site = account.drive, account.machine()
    for number in range(20):
        site.write(f"outputs/d/{number % 3}/{number}", str(number))
    site.write("outputs/one.txt", "one")
    assert account.keeper(site).backup("outputs/d", "outputs/one.txt")
    drive.counters(reset=True)
    keeper = account.keeper(site)
    for path in ("outputs/d", "outputs/d/2", "outputs/d/2/2", "outputs/one.txt"):
        assert keeper.ensure(path).outcome is Outcome.LOCAL
        assert keeper.require(path).exists()
    assert not any(counted(drive).values())


@pytest.fixture
def small_files(tmp_path: Path) -> Path:
    """5,000 files of 4 KiB."""
    folder = tmp_path / "small-files"
    folder.mkdir()
    for number in range(5000):
        (folder / f"{number}").write_bytes(f"{number:04}".encode() * 1024)
    return folder


def test_five_thousand_small_files_travel_in_a_handful_of_operations(account: Account, small_files: Path) -> None:
    drive, site = account.drive, account.machine()
    (site.root / "outputs").mkdir()
    small_files.rename(site.root / "outputs" / "d")
    drive.counters(reset=True)
    assert account.keeper(site, parallel=4).backup("outputs/d")
    assert counted(drive)["creates"] <= 12
    drive = remounted(account)
    fresh = account.machine()
    assert account.keeper(fresh, parallel=4).ensure("outputs/d").outcome is Outcome.RESTORED
    assert counted(drive)["cold_reads"] <= 12
    assert fresh.tree("outputs/d") == site.tree("outputs/d")


@pytest.mark.parametrize("trials", [120, pytest.param(200, marks=pytest.mark.torture)])
def test_however_many_one_trial_commits_keep_every_count_flat(account: Account, trials: int) -> None:
    drive, site = account.drive, account.machine()
    study = site.root / "outputs" / "study"
    make_database(study / "study.db", rows=0)
    keeper = account.keeper(site, parallel=4)
    assert keeper.backup("outputs/study")
    drive.counters(reset=True)
    costs = []
    for trial in range(trials):
        make_database(study / "study.db", rows=trial + 1)
        for name in ("metrics.json", "params.json", "state.json"):
            site.write(f"outputs/study/trial_{trial:04}/{name}", f'{{"trial": {trial}, "name": "{name}"}}')
        assert keeper.backup("outputs/study/study.db", f"outputs/study/trial_{trial:04}", progress=trial + 1)
        costs.append(counted(drive))
        drive.advance(60)  # a trial takes longer, and is uploaded by then
    early, late = costs[10:60], costs[trials - 60 :]
    for name in ("creates", "mkdirs", "listings", "cold_reads", "warm_reads", "removes", "attributes"):
        assert max(c[name] for c in late) <= max(c[name] for c in early), name
    assert max(c["creates"] for c in costs) <= 3
    assert max(c["cold_reads"] for c in costs) <= 1
    drive = remounted(account)
    fresh = account.machine()
    assert account.keeper(fresh, parallel=4).ensure("outputs/study").outcome is Outcome.RESTORED
    assert counted(drive)["cold_reads"] <= 14
    assert rows_in(fresh.root / "outputs/study/study.db") == trials
    assert len(fresh.tree("outputs/study")) == 3 * trials + 1


LITTLE_LAG = Pace(lag=(1.0, 5.0))

# -- virtual time --------------------------------------------------------------------------------------------------------------


def confirmed_after(drive: SimulatedDrive, account: Account, site: Site, path: str) -> float:
    """Virtual seconds from the start of a backup until the mount says that all of it is uploaded."""
    start = drive.advance(0)
    keeper = account.keeper(site, parallel=4)
    done = keeper.backup(path)
    assert done
    assert drive.drain() == []
    assert set(keeper.confirm().values()) == {Durability.CONFIRMED}
    return drive.advance(0) - start


def test_five_thousand_small_files_are_confirmed_in_a_hundredth_of_the_time_that_cp_takes(
    account: Account, small_files: Path, tmp_path: Path
) -> None:
    """The lag before an upload begins is the mount's own, whoever writes; up to 30 s of it would be most of what is measured."""
    drive = account.mount(pace=LITTLE_LAG)
    with SimulatedDrive(tmp_path / "for-cp", pace=LITTLE_LAG) as other:
        start = other.advance(0)
        subprocess.run(["cp", "-r", small_files, other.my_drive / "copy"], check=True)
        assert other.drain() == []
        by_cp = other.advance(0) - start
    site = account.machine()
    (site.root / "outputs").mkdir()
    small_files.rename(site.root / "outputs" / "d")
    ours = confirmed_after(drive, account, site, "outputs/d")
    print(f"cp -r {by_cp:.0f} s, ours {ours:.1f} s: {ours / by_cp:.2%}")
    assert by_cp > 5000 / 3
    assert ours < 0.01 * by_cp


#: Of the manifest, the listings and the confirmation, however large the file is.
ROUND_TRIPS_SECONDS = 4


@pytest.mark.parametrize("gibibytes", [0.25, pytest.param(2, marks=pytest.mark.torture)])
def test_one_large_file_goes_and_comes_at_the_speed_of_the_line(tmp_path: Path, gibibytes: float) -> None:
    size = int(gibibytes * (1 << 30))
    pace, latency = LITTLE_LAG, Latency()
    account = Account(tmp_path, pace=pace, weather=Weather(latency=latency))
    with account.mounted() as drive:
        site = account.machine()
        large = site.write("outputs/model.safetensors", "head")
        with open(large, "r+b") as file:  # a file with longer holes would travel with them
            for at in range(61440, size, 61440):
                os.pwrite(file.fileno(), b"x", at)
            file.truncate(size)
        up = confirmed_after(drive, account, site, "outputs/model.safetensors")
        assert drive.drain() == []
        later = account.mount()
        fresh = account.machine()
        assert account.keeper(fresh, parallel=4).ensure("outputs/model.safetensors").outcome is Outcome.RESTORED
        counts = later.counters()
        down = counts["milliseconds_waited"] / 1000
        place = fresh.root / "outputs" / "model.safetensors"
        assert place.stat().st_size == size
        with open(place, "rb") as file:
            assert file.read(8) == b"head\0\0\0\0"
    best_up, best_down = size / pace.bytes_per_second, size / latency.bytes_per_second
    print(f"up {up:.1f} s of {best_up:.1f} s, down {down:.1f} s of {best_down:.1f} s")
    assert up <= 1.02 * best_up + ROUND_TRIPS_SECONDS
    assert down <= 1.02 * best_down + ROUND_TRIPS_SECONDS
    assert size <= counts["bytes_down"] <= 1.001 * size, "it is fetched once"
