"""A full Drive: it is said, nothing earlier is harmed, nothing stays that eats the quota, and it is well again unaided."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.session.backing_up import Backup
from holdfast.simulator import Full, SimulatedDrive, Weather
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.account import PROJECT, Account, Site

MIB = 1 << 20
QUOTA = 8 * MIB
MODEL = "outputs/model.bin"
FIRST = random.Random(1).randbytes(2 * MIB)

modes = pytest.mark.parametrize("full", list(Full), ids=[f.value for f in Full])
silent = pytest.mark.parametrize("full", [Full.SILENT, Full.EMPTY], ids=["silent", "empty"])
loud = pytest.mark.parametrize("full", [Full.ENOSPC, Full.EDQUOT], ids=["enospc", "edquot"])


class Session:
    """An account with one confirmed generation, and the machine that made it."""

    def __init__(self, folder: Path, full: Full) -> None:
        self.account = Account(folder, quota=QUOTA, weather=Weather(full=full))
        self.drive = self.account.mount()
        self.site = self.account.machine()
        self.keeper = self.account.keeper(self.site, parallel=2)
        self.site.write(MODEL, FIRST)
        assert self.keeper.backup(MODEL)
        assert self.drive.drain() == []
        assert self.durability() == {Durability.CONFIRMED}
        assert self.drive.drain() == []
        self.used = self.drive.elsewhere.used()

    def durability(self) -> set[Durability]:
        return set(self.keeper.confirm().values())

    def nothing_is_left(self) -> None:
        """What a failed attempt had sent is not in the cloud, and will not come there."""
        self.drive.drain()
        assert self.drive.pending() == []
        assert self.drive.elsewhere.used() == self.used

    def first_is_intact(self) -> None:
        """The earlier generation verifies, and a fresh machine gets it."""
        assert self.keeper.verify() == []
        self.a_fresh_machine_gets(FIRST)

    def a_fresh_machine_gets(self, content: bytes) -> None:
        fresh = self.account.machine()
        assert self.account.keeper(fresh).ensure(MODEL).outcome is Outcome.RESTORED
        assert fresh.tree(MODEL) == {"": content}

    def next_goes_through(self, content: bytes, path: str = MODEL) -> None:
        """The very next backup, with nothing done about the one that failed, is confirmed, and a later machine gets it."""
        assert self.keeper.backup(path)
        assert self.drive.drain() == []
        assert self.durability() == {Durability.CONFIRMED}
        assert {r.durability for r in self.keeper.status()} == {"CONFIRMED"}
        self.drive = self.account.mount()
        self.a_fresh_machine_gets(content)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Callable[[Full], Session]]:
    sessions: list[Session] = []

    def make(full: Full) -> Session:
        sessions.append(Session(tmp_path, full))
        return sessions[-1]

    yield make
    for made in sessions:
        made.account.drive.close()


Begin = Callable[[Full], Session]
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def amount(line: str, what: str) -> float:
    """The bytes that a line says are needed, or free."""
    found = re.search(rf"([\d.,]+) ?({'|'.join(_UNITS)}) (?:\w+ ){{0,2}}{what}", line)
    assert found, (what, line)
    return float(found[1].replace(",", "")) * _UNITS[found[2]]


def refused(done: Backup, needed: int | None = None, free: int | None = None) -> str:
    """It failed in one clear line that says what is needed and free, and that the trash counts."""
    assert not done
    (result,) = done.results
    line = result.problem()
    assert "\n" not in line
    assert "Traceback" not in line
    assert str(result.key) in line
    assert re.search("full|No space left", line)
    assert "trash" in line
    if needed is not None:
        assert amount(line, "needed") == pytest.approx(needed, rel=0.05)
    if free is not None:
        assert amount(line, "free") == pytest.approx(free, rel=0.05, abs=4096)
    return line


# -- full before it begins ---------------------------------------------------------------------------------------------------


@modes
def test_what_does_not_fit_is_refused_and_goes_through_once_the_quota_is_raised(session: Begin, full: Full) -> None:
    now = session(full)
    content = random.Random(2).randbytes(7 * MIB)
    now.site.write(MODEL, content)
    refused(now.keeper.backup(MODEL), needed=7 * MIB, free=QUOTA - now.used)
    now.nothing_is_left()
    now.first_is_intact()
    refused(now.keeper.backup(MODEL), needed=7 * MIB, free=QUOTA - now.used)
    now.nothing_is_left()
    now.drive.elsewhere.set_quota(3 * QUOTA)
    now.next_goes_through(content)


@modes
def test_what_lies_in_the_trash_counts_until_it_is_emptied(session: Begin, full: Full) -> None:
    now = session(full)
    now.drive.elsewhere.put("holiday.mp4", bytes(5 * MIB))
    now.drive.elsewhere.remove("holiday.mp4")
    now.used += 5 * MIB
    content = random.Random(3).randbytes(3 * MIB)
    now.site.write(MODEL, content)
    refused(now.keeper.backup(MODEL), needed=3 * MIB, free=QUOTA - now.used)
    now.nothing_is_left()
    now.first_is_intact()
    now.drive.elsewhere.empty_trash()
    now.next_goes_through(content)


@modes
def test_many_small_files_that_do_not_fit_are_refused_as_a_whole(session: Begin, full: Full) -> None:
    now = session(full)
    drawn = random.Random(4)
    tree = {f"{number}.bin": drawn.randbytes(64 << 10) for number in range(112)}
    for name, content in tree.items():
        now.site.write(f"outputs/d/{name}", content)
    refused(now.keeper.backup("outputs/d"), needed=7 * MIB, free=QUOTA - now.used)
    now.nothing_is_left()
    now.first_is_intact()
    now.drive.elsewhere.set_quota(3 * QUOTA)
    now.next_goes_through(FIRST, "outputs/d")
    fresh = now.account.machine()
    assert now.account.keeper(fresh).ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/d") == tree


@modes
def test_a_drive_that_is_full_on_the_first_day_gets_its_store_once_there_is_room(tmp_path: Path, full: Full) -> None:
    account = Account(tmp_path, quota=QUOTA, weather=Weather(full=full))
    with account.mounted() as drive:
        drive.elsewhere.put("holiday.mp4", bytes(QUOTA))
        site = account.machine()
        site.write(MODEL, FIRST)
        keeper = account.keeper(site)
        refused(keeper.backup(MODEL), free=0)
        drive.drain()
        assert drive.elsewhere.used() == QUOTA
        drive.elsewhere.remove("holiday.mp4")
        drive.elsewhere.empty_trash()
        assert keeper.backup(MODEL)
        assert drive.drain() == []
        assert set(keeper.confirm().values()) == {Durability.CONFIRMED}
        assert len(account.store_ids()) == 1
        account.mount()
        fresh = account.machine()
        assert account.keeper(fresh).ensure(MODEL).outcome is Outcome.RESTORED
        assert fresh.tree(MODEL) == {"": FIRST}


# -- full on the way -----------------------------------------------------------------------------------------------------------


class FillsUp:
    """The quota shrinks right before something is created, to so many bytes more than what was used when the session began."""

    def __init__(self, drive: SimulatedDrive, before: str, room: int) -> None:
        self._drive = drive
        self._before = before
        self._quota = drive.elsewhere.used() + room
        self.done = False

    def __call__(self, operation: str, path: str) -> None:
        if operation == "create" and path.startswith(self._before) and not self.done:
            self._drive.elsewhere.set_quota(self._quota)
            self.done = True


@loud
@pytest.mark.parametrize("before", ["outputs/", "generations/"], ids=["while the payload is sent", "before the manifest"])
def test_a_drive_that_fills_up_on_the_way_keeps_nothing_of_what_was_sent(session: Begin, full: Full, before: str) -> None:
    now = session(full)
    content = random.Random(5).randbytes(3 * MIB)
    now.site.write(MODEL, content)
    fills = FillsUp(now.drive, before, MIB if before == "outputs/" else len(content) + 10)
    now.keeper = now.account.keeper(now.site, fills)
    refused(now.keeper.backup(MODEL), needed=len(content))
    assert fills.done
    now.nothing_is_left()
    now.first_is_intact()
    now.drive.elsewhere.set_quota(QUOTA)
    now.next_goes_through(content)


@silent
def test_a_drive_that_fills_up_in_silence_is_never_called_safe_and_becomes_so_unaided(session: Begin, full: Full) -> None:
    now = session(full)
    content = random.Random(6).randbytes(3 * MIB)
    now.site.write(MODEL, content)
    done = now.keeper.backup(MODEL)
    assert [r.durability for r in done.results] == [Durability.WRITTEN]
    now.drive.elsewhere.set_quota(now.used + MIB)
    for _ in range(3):
        assert now.drive.drain() != []
        assert now.durability() == {Durability.WRITTEN}
        assert [r.durability for r in now.keeper.status()] == ["WRITTEN"]
        assert [r.durability for r in now.account.keeper(now.site).status()] == ["WRITTEN"]
        now.drive.advance(3600)
    now.drive.elsewhere.set_quota(QUOTA)
    assert now.drive.drain() == []
    assert now.durability() == {Durability.CONFIRMED}
    assert [r.durability for r in now.keeper.status()] == ["CONFIRMED"]
    now.drive = now.account.mount()
    now.a_fresh_machine_gets(content)


@silent
def test_what_a_full_drive_never_took_is_debris_on_the_next_machine_and_the_one_before_serves(session: Begin, full: Full) -> None:
    now = session(full)
    now.site.write(MODEL, random.Random(7).randbytes(3 * MIB))
    assert now.keeper.backup(MODEL)
    now.drive.elsewhere.set_quota(now.used + MIB)
    now.drive.drain()
    now.drive = now.account.mount()
    fresh = now.account.machine()
    keeper = now.account.keeper(fresh)
    assert keeper.ensure(MODEL).outcome is Outcome.RESTORED
    assert fresh.tree(MODEL) == {"": FIRST}
    assert [r.durability for r in keeper.status()] == ["CONFIRMED"]
    now.drive.elsewhere.set_quota(QUOTA)
    content = random.Random(8).randbytes(3 * MIB)
    fresh.write(MODEL, content)
    now.keeper = keeper
    now.next_goes_through(content)


@silent
@pytest.mark.parametrize("anew", [False, True], ids=["the same keeper", "attached anew"])
def test_what_still_waits_for_its_upload_counts_against_the_room(session: Begin, full: Full, anew: bool) -> None:
    """The mount tells what the account holds, not what it will hold once everything is uploaded."""
    now = session(full)
    now.site.write("outputs/second.bin", random.Random(9).randbytes(3 * MIB))
    assert now.keeper.backup("outputs/second.bin")
    content = random.Random(10).randbytes(4 * MIB)
    now.site.write(MODEL, content)
    keeper = now.account.keeper(now.site) if anew else now.keeper
    refused(keeper.backup(MODEL), needed=4 * MIB)
    assert now.drive.drain() == [], "what was there before is not kept from being uploaded"
    now.used = now.drive.elsewhere.used()
    now.first_is_intact()
    now.drive.elsewhere.set_quota(2 * QUOTA)
    now.keeper = keeper
    now.next_goes_through(content)


# -- too many files in a time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 1], ids=["at the payload", "at the manifest"])
def test_a_limit_on_the_number_of_files_is_told_from_a_full_drive(session: Begin, more: int) -> None:
    now = session(Full.SILENT)
    content = random.Random(11).randbytes(MIB)
    now.site.write(MODEL, content)
    now.drive.weather(burst=now.drive.counters()["creates"] + more)
    done = now.keeper.backup(MODEL)
    assert not done
    line = done.results[0].problem()
    assert "\n" not in line
    assert MODEL in line
    assert "over quota" in line
    assert "limit" in line
    assert amount(line, "free") == pytest.approx(QUOTA - now.used, rel=0.05)
    now.nothing_is_left()
    now.first_is_intact()
    now.drive.weather(burst=None)
    now.next_goes_through(content)


# -- the command -----------------------------------------------------------------------------------------------------------------


def command(now: Session, site: Site, *words: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *words, "--drive", str(now.account.mountpoint / "MyDrive")],
        cwd=site.root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, [
        line for line in done.stderr.splitlines() if not any(w in line for w in ("warning: ", "note: ")) and "\u2501" not in line
    ]


@modes
def test_the_command_exits_1_with_one_line_and_then_0_or_5(session: Begin, full: Full) -> None:
    now = session(full)
    assert now.site.root.name == PROJECT
    content = random.Random(12).randbytes(7 * MIB)
    now.site.write(MODEL, content)
    code, lines = command(now, now.site, "backup", MODEL)
    assert code == 1
    assert len(lines) == 1
    assert "trash" in lines[0]
    assert amount(lines[0], "needed") == pytest.approx(7 * MIB, rel=0.05)
    now.nothing_is_left()
    now.drive.elsewhere.set_quota(3 * QUOTA)
    code, lines = command(now, now.site, "backup", MODEL)
    assert (code, lines) == (5, [])
    assert now.drive.drain() == []
    code, lines = command(now, now.site, "backup", MODEL, "--wait", "30")
    assert (code, lines) == (0, [])
