"""What Drive refuses however much space is free is refused here before a byte is sent, and the simulated Drive refuses it too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.session.keeper import Keeper
from holdfast.simulator import Limits as CloudLimits
from holdfast.simulator import SimulatedDrive
from holdfast.store.deciding.limits import DAY_SECONDS, Limits
from holdfast.store.local.records import write_sealed
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

    def a_day_passes(self) -> None:
        """For the record of what was sent, and for Drive."""
        workspace = self.keeper.workspace
        sent, first = workspace.sent_since(0.0)
        write_sealed(workspace.root / ".holdfast" / "sent.json", {"sent": [[first - DAY_SECONDS - 3600, sent]]})
        self.drive.advance(DAY_SECONDS + 60)

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
    deep = session.site.write(f"{within}/d/file.bin", b"x" * 2_000_000)
    assert "101 folders in one another, and Drive takes 100" in session.refused("outputs/a")
    deep.rename(deep.parent.with_name("file.bin"))
    deep.parent.rmdir()
    assert session.keeper.backup("outputs/a")
    session.arrives()


def test_a_full_folder_of_generations_is_refused_until_it_is_pruned_and_one_that_is_nearly_full_is_told_once(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.limit(items=10)
    for number in range(9):  # none has arrived, so none is pruned
        session.site.write("outputs/a.txt", str(number))
        assert session.keeper.backup("outputs/a.txt")
    assert [r.getMessage() for r in caplog.records if "names, and Drive takes" in r.getMessage()] == [
        "the folder generations holds 9 names, and Drive takes 10: run `holdfast prune`"
    ]
    session.site.write("outputs/one-more.txt", "one more")
    for _ in range(2):
        assert "the folder generations would hold 11 names, and Drive takes 10" in session.refused("outputs/one-more.txt")
    session.arrives()
    session.keeper.prune()  # what has arrived makes the others needless
    assert session.drive.drain() == []
    session.drive.elsewhere.empty_trash()
    assert session.keeper.backup("outputs/one-more.txt")
    session.arrives()


def test_what_a_day_does_not_take_is_refused_with_what_was_sent_and_goes_a_day_later(session: Session) -> None:
    session.limit(day=3_000_000)
    session.site.write("outputs/a.bin", b"a" * 2_000_000)
    assert session.keeper.backup("outputs/a.bin")
    session.arrives()
    session.site.write("outputs/a.bin", b"b" * 2_000_000)
    assert "1.9 MiB are to be sent and 1.9 MiB were sent from here within 24 hours" in session.refused("outputs/a.bin")
    session.a_day_passes()
    assert session.keeper.backup("outputs/a.bin")
    session.arrives()


def test_what_is_more_than_a_day_takes_is_refused_and_goes_in_parts(session: Session) -> None:
    session.limit(day=1_500_000)
    for name in ("a", "b"):
        session.site.write(f"outputs/d/{name}.bin", name.encode() * 1_000_000)
    assert "back up parts of it, on one day after the other" in session.refused("outputs/d")
    for name in ("a", "b"):
        session.a_day_passes()
        assert session.keeper.backup(f"outputs/d/{name}.bin")
        session.arrives()
