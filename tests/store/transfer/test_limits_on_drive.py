"""What Drive refuses however much space is free is refused here before a byte is sent, and the simulated Drive refuses it too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.session.keeper import Keeper
from holdfast.simulator import Limits as CloudLimits
from holdfast.simulator import SimulatedDrive
from holdfast.store.deciding.limits import Limits
from holdfast.store.reporting.durability import Durability
from tests.account import Account, Site


class Session:
    """An account with one generation, and the machine that made it."""

    def __init__(self, folder: Path) -> None:
        self.account = Account(folder)
        self.drive: SimulatedDrive = self.account.mount()
        self.site: Site = self.account.machine()
        self.keeper: Keeper = self.account.keeper(self.site, parallel=2)
        self.site.write("outputs/first.txt", "first")
        assert self.keeper.backup("outputs/first.txt")
        self.arrives()

    def limit(self, **limits: int) -> None:
        """The same limits for the store and for Drive itself."""
        assert self.keeper.store is not None
        self.keeper.store.limits = Limits(**limits)
        names = {"levels": "levels", "items": "children", "day": "day"}
        self.drive.elsewhere.set_limits(CloudLimits(**{names[name]: value for name, value in limits.items()}))

    def refused(self, path: str) -> str:
        """Why a backup is refused; nothing of it may have been sent."""
        before = self.drive.counters()
        (result,) = self.keeper.backup(path).results
        assert result.error is not None
        after = self.drive.counters()
        assert (after["creates"], after["bytes_written"]) == (before["creates"], before["bytes_written"])
        return result.error

    def arrives(self) -> None:
        assert self.drive.drain() == []
        assert set(self.keeper.confirm().values()) == {Durability.CONFIRMED}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    session.drive.close()


def test_what_lies_in_a_hundred_folders_arrives_and_one_more_is_refused_before_a_byte_is_sent(session: Session) -> None:
    within = "/".join(["outputs/a", *["d"] * 97])
    session.site.write(f"{within}/file.bin", b"x" * 2_000_000)
    assert session.keeper.backup("outputs/a")
    session.arrives()
    session.site.write(f"{within}/d/file.bin", b"y" * 2_000_000)
    assert "101 folders in one another, and Drive takes 100" in session.refused("outputs/a")


def test_a_full_folder_of_generations_is_refused_and_one_that_is_nearly_full_is_told_once(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.limit(items=10)
    for number in range(9):
        session.site.write(f"outputs/{number}.txt", str(number))
        assert session.keeper.backup(f"outputs/{number}.txt")
    assert [r.getMessage() for r in caplog.records if "names, and Drive takes" in r.getMessage()] == [
        "the folder generations holds 9 names, and Drive takes 10: run `holdfast prune`"
    ]
    session.site.write("outputs/one-more.txt", "one more")
    for _ in range(2):
        assert "the folder generations would hold 11 names, and Drive takes 10" in session.refused("outputs/one-more.txt")


def test_what_a_day_does_not_take_is_refused_with_what_was_sent_and_is_forgotten_a_day_later(session: Session) -> None:
    session.limit(day=3_000_000)
    session.site.write("outputs/a.bin", b"a" * 2_000_000)
    assert session.keeper.backup("outputs/a.bin")
    session.arrives()
    session.site.write("outputs/a.bin", b"b" * 2_000_000)
    said = session.refused("outputs/a.bin")
    assert "1.9 MiB are to be sent and 1.9 MiB were sent from here within 24 hours" in said
    assert session.keeper.workspace.sent_since(time.time() - 1)[0] == 2_000_005
    assert session.keeper.workspace.sent_since(time.time() + 3600)[0] == 0


def test_what_is_more_than_a_day_takes_is_refused_with_another_way(session: Session) -> None:
    session.limit(day=1_000_000)
    session.site.write("outputs/a.bin", b"a" * 2_000_000)
    assert "back up parts of it, on one day after the other" in session.refused("outputs/a.bin")
