"""When a backup is called safe on Drive's mount, what is pruned then, and what would be lost now."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from holdfast.session.keeper import Keeper
from holdfast.simulator import Attributes, Death, Fate, Pace, SimulatedDrive, Weather
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.store.backends.test_drive import Colab, write


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    return Colab(tmp_path)


def durability(keeper: Keeper, path: str = "outputs/d") -> str:
    (row,) = [r for r in keeper.status() if r.key.value == path]
    return row.durability


def versions(colab: Colab, root: Path, count: int, *, keeper: Keeper | None = None, start: int = 1) -> list[Durability]:
    """So many backups of one folder; each by a keeper of its own unless one is given."""
    found = []
    for number in range(start, start + count):
        write(root, "d/a.txt", str(number))
        result = (keeper or colab.keeper(root)).backup("outputs/d", progress=number).results[0]
        assert result.durability is not None, result.error
        found.append(result.durability)
    return found


def kept(keeper: Keeper) -> list[int]:
    return sorted(e.sequence for e in keeper.history("outputs/d"))


def restored(colab: Colab) -> int:
    root = colab.machine()
    found = colab.keeper(root).ensure("outputs/d")
    assert found.outcome is Outcome.RESTORED, found
    return int((root / "outputs/d/a.txt").read_text())


def test_what_another_machine_wrote_is_safe_also_where_the_mount_tells_nothing(colab: Colab) -> None:
    with colab.drive() as drive:
        versions(colab, colab.machine(), 1)
        drive.drain()
        drive.disconnect()
    with colab.drive(weather=Weather(attributes=Attributes.UNSUPPORTED)) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        assert keeper.ensure("outputs/d").outcome is Outcome.RESTORED
        assert durability(keeper) == "CONFIRMED"
        assert versions(colab, root, 1, start=2) == [Durability.UNKNOWN]
        assert durability(keeper) == "UNKNOWN"
        drive.drain()
        assert durability(keeper) == "UNKNOWN"


@pytest.mark.parametrize("session", ["the first ever", "a later one"])
def test_attributes_that_lie_are_found_out_by_the_checksum_that_is_missing(colab: Colab, session: str) -> None:
    if session == "a later one":
        with colab.drive() as drive:
            versions(colab, colab.machine(), 1)
            drive.drain()
            drive.disconnect()
    with colab.drive(weather=Weather(attributes=Attributes.LYING)) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        if session == "a later one":
            assert keeper.ensure("outputs/d")
        (now,) = versions(colab, root, 1, keeper=keeper, start=2)
        assert now is (Durability.WRITTEN if session == "a later one" else Durability.UNKNOWN)
        drive.drain()
        assert durability(keeper) == "CONFIRMED"
        assert versions(colab, root, 1, keeper=keeper, start=3) == [Durability.WRITTEN], "a checksum was seen, so one is demanded"


def test_a_file_whose_cloud_copy_is_another_is_not_confirmed(colab: Colab) -> None:
    """The cloud can hold 0 bytes of what was written (ct#2607); its checksum tells."""
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        versions(colab, root, 1, keeper=keeper)
        drive.drain()
        assert durability(keeper) == "CONFIRMED"
        (tar,) = [p for p in drive.elsewhere.files() if p.endswith(".tar")]
        drive.elsewhere.put(tar, b"")
        drive.advance(300)
        assert not keeper.status()[0].durability or durability(keeper) != "CONFIRMED"


def test_what_was_written_is_confirmed_after_the_fact_and_said_once(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        with caplog.at_level(logging.INFO):
            assert versions(colab, root, 2, keeper=keeper) == [Durability.WRITTEN] * 2
            assert list(keeper.confirm().values()) == [Durability.WRITTEN]
            assert not [r for r in caplog.records if "is confirmed" in r.message]
            drive.drain()
            assert list(keeper.confirm().values()) == [Durability.CONFIRMED]
            keeper.confirm()
        assert len([r for r in caplog.records if "is confirmed" in r.message]) == 2


def test_a_backup_can_wait_for_its_upload(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "d/a.txt", "1")
        assert not keeper.backup("outputs/d", wait=0.01).confirmed
        drive.drain()
        assert keeper.backup("outputs/d", wait=60).confirmed


@pytest.mark.parametrize("each", [False, True], ids=["one keeper", "a keeper for each backup, as the command line has"])
def test_nothing_is_pruned_before_two_newer_ones_are_uploaded(colab: Colab, each: bool) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        versions(colab, root, 7, keeper=None if each else keeper)
        assert kept(keeper) == [1, 2, 3, 4, 5, 6, 7]
        drive.drain()
        versions(colab, root, 1, keeper=None if each else keeper, start=8)
        assert kept(keeper) == [6, 7, 8]
        drive.disconnect({"*": Fate.MISSING})
    with colab.drive(seed=1):
        assert restored(colab) == 7


@pytest.mark.parametrize("attributes", [Attributes.ABSENT, Attributes.UNSUPPORTED])
@pytest.mark.parametrize("each", [False, True], ids=["one keeper", "a keeper for each backup, as the command line has"])
def test_where_the_mount_tells_nothing_four_are_kept_and_what_a_fresh_mount_showed(
    colab: Colab, attributes: Attributes, each: bool
) -> None:
    with colab.drive() as drive:
        versions(colab, colab.machine(), 2)
        drive.drain()
        drive.disconnect()
    with colab.drive(weather=Weather(attributes=attributes)) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        assert keeper.ensure("outputs/d")
        versions(colab, root, 9, keeper=None if each else keeper, start=3)
        # Those that a keeper finds at attach are judged by what else it found there, so the newest does not count.
        assert kept(keeper) == ([1, 2, 7, 8, 9, 10, 11] if each else [1, 2, 8, 9, 10, 11])
        drive.disconnect({"*": Fate.MISSING, "remove:*": Fate.WHOLE})
    with colab.drive(seed=1):
        assert restored(colab) == 2


@pytest.mark.parametrize("each", [False, True], ids=["one keeper", "a keeper for each backup, as the command line has"])
def test_no_lie_of_the_mount_prunes_what_a_fresh_mount_showed(colab: Colab, each: bool) -> None:
    with colab.drive() as drive:
        versions(colab, colab.machine(), 4)
        drive.drain()
        drive.disconnect()
    with colab.drive(weather=Weather(attributes=Attributes.LYING)) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        assert keeper.ensure("outputs/d")
        versions(colab, root, 8, keeper=None if each else keeper, start=5)
        assert {3, 4} <= set(kept(keeper))
        drive.disconnect({"*": Fate.MISSING, "remove:*": Fate.WHOLE})
    with colab.drive(seed=1):
        assert restored(colab) == 4


def test_status_tells_what_would_be_lost_from_what_is_confirmed(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "d/a.txt", "1")
        write(root, "d/b.txt", "1")
        keeper.backup("outputs/d")
        (row,) = keeper.status()
        assert (row.unsaved, row.unconfirmed, row.confirmed) == (0, 2, "")
        drive.drain()
        (row,) = keeper.status()
        assert (row.unsaved, row.unconfirmed, row.loss_seconds) == (0, 0, 0.0)
        first = row.confirmed
        assert first == row.generation
        write(root, "d/b.txt", "2")
        keeper.backup("outputs/d")
        (row,) = keeper.status()
        assert (row.unsaved, row.unconfirmed, row.confirmed) == (0, 1, first)
        assert row.generation != first
        write(root, "d/c.txt", "3")
        (row,) = keeper.status()
        assert (row.unsaved, row.unconfirmed) == (1, 1)
        assert row.loss_seconds >= row.unsaved_seconds > 0


def test_a_mount_that_dies_takes_no_knowledge_with_it(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        versions(colab, root, 1, keeper=keeper)
        drive.weather(death=Death.ENOTCONN)
        write(root, "d/a.txt", "2")
        assert not keeper.backup("outputs/d")
        drive.weather(death=Death.ALIVE)
        drive.drain()
        assert keeper.backup("outputs/d")
        drive.drain()
        assert list(keeper.confirm().values()) == [Durability.CONFIRMED]


def test_a_generation_is_not_confirmed_while_a_payload_that_it_inherits_is_on_its_way(colab: Colab) -> None:
    narrow = Pace(lag=(0.0, 0.0), creates_per_second=100.0, bytes_per_second=20_000.0)
    with SimulatedDrive(colab.mountpoint, cloud=colab.cloud, pace=narrow) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "d/large.bin", "large " * 200_000)
        assert keeper.backup("outputs/d")
        write(root, "d/small.txt", "small")
        assert keeper.backup("outputs/d")
        drive.advance(20)
        (waiting,) = drive.pending()
        assert Path(waiting).name.startswith("large@"), "everything else has arrived"
        assert durability(keeper) == "WRITTEN"
        drive.drain()
        assert durability(keeper) == "CONFIRMED"


@pytest.mark.parametrize("each", [False, True], ids=["one keeper", "a keeper for each backup, as the command line has"])
def test_a_confirmed_generation_outlives_any_number_of_newer_ones_that_never_arrive(colab: Colab, each: bool) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = None if each else colab.keeper(root)
        versions(colab, root, 1, keeper=keeper)
        drive.drain()
        assert durability(keeper or colab.keeper(root)) == "CONFIRMED"
        versions(colab, root, 10, keeper=keeper, start=2)
        drive.disconnect({"remove:*": Fate.WHOLE, "*": Fate.MISSING})
    with colab.drive():
        assert restored(colab) == 1
