"""What the mount says of uploads, held against what Drive has: no false CONFIRMED, and none missed once a listing shows it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator import Attributes, SimulatedDrive, Weather
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.faults import Fault, What
from holdfast.store.backends.api.items import Item
from holdfast.store.backends.api.witness import Seen, Written, judge
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.second_way import SecondWay
from holdfast.store.reporting.durability import Durability
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.store.backends.api.support import backend
from tests.support import PROJECT

__all__ = ["mount", "nothing_stays_mounted"]

MINUTES = 600.0
DISCONNECTS, A_QUARTER, TO_AN_ACCOUNT = 1000, 250, 50


class Account:
    """One account: its mount, its API, and what it really has."""

    def __init__(self, api: DriveApi, drive: SimulatedDrive, cloud: Cloud, notes: Path) -> None:
        self.api, self.drive, self.cloud, self.notes = api, drive, cloud, notes
        self.written: dict[str, str] = {}
        self.second = self._second()
        self.mount = DriveBackend(drive.my_drive, PROJECT, mount_point=drive.mountpoint, second=self.second)

    def _second(self) -> SecondWay:
        return SecondWay(lambda: backend(self.api, notes=self.notes / "api"), self.notes / "given")

    def write(self, path: str, data: bytes) -> None:
        self.mount.create(path, lambda: (data,))
        self.written[path] = hashlib.md5(data).hexdigest()

    def has(self, path: str) -> bool:
        """The truth: these bytes are in the cloud, outside of the trash."""
        name = path.rpartition("/")[2]
        return any(i.name == name and i.md5 == self.written[path] and not i.trashed for i in self.cloud.everything())

    def later(self) -> SecondWay:
        """As another process of this machine knows it."""
        return self._second()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud", machine="judge")
    yield made
    made.close()


@pytest.fixture
def account(api: DriveApi, mount: Mount, cloud: Cloud, tmp_path: Path) -> Account:
    return Account(api, mount(), cloud, tmp_path / "notes")


def nothing(path: str) -> Durability:
    return Durability.UNKNOWN


def test_a_mount_without_attributes_is_confirmed_by_drive_itself(account: Account) -> None:
    account.drive.weather(attributes=Attributes.ABSENT)
    account.write("a/b", b"b")
    assert account.mount.durability(["a/b"]) is Durability.UNKNOWN
    account.drive.drain()
    assert account.mount.durability(["a/b"]) is Durability.CONFIRMED


def test_attributes_that_lie_confirm_nothing(account: Account) -> None:
    account.drive.weather(attributes=Attributes.LYING)
    account.write("a/b", b"b")
    assert account.mount.durability(["a/b"]) is Durability.UNKNOWN
    account.drive.drain()
    assert account.mount.durability(["a/b"]) is Durability.CONFIRMED


def test_without_a_token_the_mount_is_believed_as_ever(account: Account, tmp_path: Path) -> None:
    alone = DriveBackend(
        account.drive.my_drive, PROJECT, mount_point=account.drive.mountpoint, second=SecondWay(lambda: None, tmp_path / "n")
    )
    alone.create("a/b", lambda: (b"b",))
    assert alone.durability(["a/b"]) is Durability.WRITTEN
    account.drive.drain()
    assert alone.durability(["a/b"], "a/b") is Durability.CONFIRMED


def test_what_no_listing_shows_yet_is_found_by_the_id_that_the_mount_names(account: Account) -> None:
    account.write("a/b", b"b")
    account.drive.drain()
    assert account.mount.durability(["a/b"]) is Durability.CONFIRMED  # the folder is known from now on
    account.api.faults.list_lag = MINUTES
    account.write("a/c", b"c")
    account.drive.drain()
    assert account.mount.durability(["a/c"]) is Durability.CONFIRMED


def test_without_ids_it_is_unknown_until_a_listing_shows_it(account: Account) -> None:
    account.drive.weather(attributes=Attributes.ABSENT)
    account.api.faults.list_lag = MINUTES
    account.write("a/b", b"b")
    account.drive.drain()
    assert account.mount.durability(["a/b"]) is Durability.UNKNOWN
    account.api.faults.clock.advance(MINUTES)
    assert account.mount.durability(["a/b"]) is Durability.CONFIRMED


def test_what_lies_in_the_trash_is_not_safe(account: Account) -> None:
    account.write("a/b", b"b")
    account.drive.drain()
    account.cloud.trash(next(i.id for i in account.cloud.everything() if i.name == "b"))
    assert account.later().durability(["a/b"], {}, nothing) is Durability.UNKNOWN


def test_an_api_that_does_not_answer_confirms_nothing(account: Account) -> None:
    account.write("a/b", b"b")
    account.drive.drain()
    account.api.faults.add(Fault(What.REFUSE, "*", times=None))
    assert account.mount.durability(["a/b"]) is Durability.UNKNOWN
    account.api.faults.clear()
    assert account.mount.durability(["a/b"]) is Durability.CONFIRMED


def test_a_hundred_files_are_one_request_and_what_is_known_is_none(account: Account) -> None:
    paths = [f"a/file-{n}" for n in range(230)]
    for path in paths:
        account.write(path, path.encode())
    account.drive.drain()
    assert account.mount.durability(paths[:1]) is Durability.CONFIRMED
    account.api.book.reset()
    assert account.mount.durability(paths) is Durability.CONFIRMED
    assert account.api.book.requests == {"files.list": 2}, "a hundred were asked about with the first"
    assert account.mount.durability(paths) is Durability.CONFIRMED
    assert account.api.book.requests == {"files.list": 2}


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        ([], Seen.NOT_SHOWN),
        ([Item("1", "n", False, True, 3, "m")], Seen.SAFE),
        ([Item("1", "n", False, True, 3, None)], Seen.OTHER),
        ([Item("1", "n", False, True, 3, "other")], Seen.OTHER),
        ([Item("1", "n", False, True, 0, "m")], Seen.OTHER),
        ([Item("1", "n", False, True, 3, "m", trashed=True)], Seen.TRASHED),
        ([Item("1", "n", False, True, 3, "m", trashed=True), Item("2", "n", False, True, 3, "m")], Seen.SAFE),
        ([Item("1", "n", False, True, 0, "x"), Item("2", "n", False, True, 3, "m")], Seen.SAFE),
        ([Item("1", "n", True, False)], Seen.OTHER),
    ],
)
def test_only_equal_length_and_checksum_outside_of_the_trash_is_safe(found: list[Item], seen: Seen) -> None:
    assert judge(Written(3, "m"), found) is seen


def disconnects(api: DriveApi, cloud: Cloud, mount: Mount, folder: Path, rounds: int, first: int) -> tuple[int, int]:
    """Seeded disconnects, each judged. Gives how many files were confirmed, and how many never arrived."""
    confirmed = lost = 0
    for seed in range(first, first + rounds):
        chance = random.Random(seed)
        api.faults.list_lag = chance.choice((0.0, (1.0, MINUTES)))
        weather = Weather(attributes=chance.choice(list(Attributes)))
        drive = mount(f"drive-{seed}", seed=seed, cloud=api.cloud, weather=weather)
        account = Account(api, drive, cloud, folder / f"notes-{seed}")
        for number in range(chance.randrange(1, 6)):
            account.write(
                f"r-{seed}/{chance.randrange(2)}/file-{seed}-{number}", chance.randbytes(chance.choice((0, 10, 50_000, 3_000_000)))
            )
            drive.advance(chance.choice((0.0, 2.0, 15.0)))
        drive.advance(chance.choice((0.0, 5.0, 30.0, 300.0)))
        said = {p: account.mount.durability([p]) for p in account.written}
        false = [p for p, d in said.items() if d is Durability.CONFIRMED and not account.has(p)]
        assert not false, f"seed {seed}: confirmed, and not there: {false}"
        api.faults.clock.advance(2 * MINUTES)
        for path in account.written:
            now = account.mount.durability([path])
            assert (now is Durability.CONFIRMED) is account.has(path), f"seed {seed}: {path} is {now}"
        drive.disconnect()
        later = account.later()
        later.durability(list(said), {}, nothing)  # from this look on what changed is on its way into the lists
        api.faults.clock.advance(2 * MINUTES)
        for path, before in said.items():
            there = account.has(path)
            assert there or before is not Durability.CONFIRMED, f"seed {seed}: {path} was confirmed, and is lost"
            now = later.durability([path], {}, nothing)
            assert (now is Durability.CONFIRMED) is there, f"seed {seed}: after the disconnect {path} is {now}"
            confirmed += there
            lost += not there
        drive.close()
    return confirmed, lost


def drawn_seed() -> int:
    """A new one in every run; HOLDFAST_SWEEP_SEED repeats one."""
    seed = int(os.environ.get("HOLDFAST_SWEEP_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"seed {seed}: HOLDFAST_SWEEP_SEED={seed} repeats this sample")
    return seed


def test_no_disconnect_takes_what_was_confirmed(api: DriveApi, cloud: Cloud, mount: Mount, tmp_path: Path) -> None:
    disconnects(api, cloud, mount, tmp_path, 8, drawn_seed())


@pytest.mark.torture
@pytest.mark.parametrize("first", range(0, DISCONNECTS, A_QUARTER))
def test_no_disconnect_of_a_thousand_takes_what_was_confirmed(mount: Mount, tmp_path: Path, first: int) -> None:
    """Fifty to an account, because what a judge reads of one grows with each file; a quarter to a test, to run side by side."""
    confirmed = lost = 0
    for seed in range(first, first + A_QUARTER, TO_AN_ACCOUNT):
        folder = tmp_path / f"from-{seed}"
        with DriveApi(folder / "cloud") as api:
            cloud = Cloud(folder / "cloud", machine="judge")
            there, gone = disconnects(api, cloud, mount, folder, TO_AN_ACCOUNT, seed)
            cloud.close()
        shutil.rmtree(folder)
        confirmed, lost = confirmed + there, lost + gone
        print(f"{seed + TO_AN_ACCOUNT} disconnects from {first} on: {confirmed} files were there, {lost} were lost", flush=True)
    assert confirmed > A_QUARTER
    assert lost > A_QUARTER // 10
