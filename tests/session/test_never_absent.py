"""Whatever hides a store on Drive, it is never absent, and no second one is made: `ensure`, `backup` and `status` say why.

Each case is met by the machine that made the store and by one that never saw it, and ends well once its cause is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import StoreError
from holdfast.session.keeper import Keeper
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.items import ROOT, Item
from holdfast.store.format.names import SENTINEL
from holdfast.store.reporting.outcomes import Outcome
from tests.session.test_gdrive import MINUTES, as_machine, attach, fill, folder_called, machine, quick
from tests.session.test_two_ways import api

__all__ = ["api"]

ALL = ("known", "fresh")


class Account:
    """A folder of Drive with a store in it, and machines that use that."""

    def __init__(self, api: DriveApi, cloud: Cloud, folder: Path) -> None:
        self.api, self.cloud, self._folder = api, cloud, folder
        self.given = cloud.create(ROOT, "Given", None)
        self.drive = f"gdrive:id:{self.given.id}"
        self.store_id = ""

    def machine(self, name: str, **settings: object) -> Keeper:
        """A process on a machine; a later one on the same where it was there before."""
        root = self._folder / name
        if not root.exists():
            machine(self._folder, name, **settings)
        keeper = quick(as_machine(attach(root, self.drive), name))
        assert keeper.store is not None
        object.__setattr__(keeper.store.backoff, "sleep", self.api.faults.clock.advance)
        keeper.store.memory.clock = self.api.faults.clock.now
        return keeper

    def make(self, *, at_once: bool = False) -> None:
        """A store with one artifact; by a second machine too, before any list shows it, where that is wanted."""
        self.api.faults.list_lag = MINUTES if at_once else self.api.faults.list_lag
        for name in ("known", "second")[: 1 + at_once]:
            keeper = self.machine(name)
            fill(keeper.root, 5)
            shutil.move(keeper.root / "outputs" / "run", keeper.root / "outputs" / f"run-{name}")
            assert keeper.backup(f"outputs/run-{name}")
        if at_once:
            self.api.faults.clock.advance(MINUTES)
        self.store_id = self.seen("known")

    def seen(self, name: str) -> str:
        """Identity of the store that a machine sees."""
        keeper = self.machine(name)
        assert keeper.store is not None
        return str(keeper.store.look().store_id)

    def named(self, name: str) -> list[Item]:
        return [i for i in self.cloud.everything() if i.name == name]


@dataclass(frozen=True)
class Case:
    """What hides a store.

    Args:
        hide: Does it, where something was done to a store that was there.
        show: Takes it back.
        word: In what each verb says; None where each goes through.
        reads: Restoring goes through all the same.
        at_once: Two machines made the store at the same moment.
        named: The machine that never saw the store has `drive.store_id`, without which it cannot know that there is one.
    """

    hide: Callable[[Account], None] = lambda account: None
    show: Callable[[Account], None] = lambda account: None
    word: str | None = None
    reads: bool = False
    at_once: bool = False
    named: bool = False


def hidden(name: str) -> Callable[[Account], None]:
    def hide(account: Account) -> None:
        account.api.faults.hidden = {folder_called(account.cloud, name).id}

    return hide


def trashed(name: str) -> Callable[[Account], None]:
    return lambda account: account.cloud.trash(folder_called(account.cloud, name).id)


def restored(name: str) -> Callable[[Account], None]:
    return lambda account: account.cloud.restore(folder_called(account.cloud, name).id)


def in_and_out_of_the_trash(account: Account) -> None:
    for name in ("proj", "Given"):
        trashed(name)(account)
        restored(name)(account)


def visible(account: Account) -> None:
    account.api.faults.hidden = ()


def readonly(account: Account) -> None:
    account.api.faults.readonly = {account.given.id}


def writable(account: Account) -> None:
    account.api.faults.readonly = ()


CASES = {
    "404 without rights, the folder given": Case(hidden("Given"), visible, "this account"),
    "404 without rights, the store folder": Case(hidden("proj"), visible, "account", named=True),
    "404 without rights, generations": Case(hidden("generations"), visible, "a listing leaves out"),
    "trashed, the folder given": Case(trashed("Given"), restored("Given"), "trash"),
    "trashed, the store folder": Case(trashed("proj"), restored("proj"), "trash"),
    "trashed, generations": Case(trashed("generations"), restored("generations"), "trash"),
    "restored from the trash": Case(in_and_out_of_the_trash),
    "twin folders made by two machines at once": Case(at_once=True),
    "shared to be read only": Case(readonly, writable, "Editor", reads=True),
}


#: The others answer much like one of these.
SHOWN = (
    ("404 without rights, the folder given", "known"),
    ("404 without rights, the store folder", "known"),
    ("404 without rights, the store folder", "fresh"),
    ("trashed, the store folder", "fresh"),
    ("restored from the trash", "known"),
    ("twin folders made by two machines at once", "fresh"),
    ("shared to be read only", "fresh"),
)


def met() -> list[object]:
    """Every case with each machine."""
    return [
        pytest.param(case, who, id=f"{name}, {who}", marks=() if (name, who) in SHOWN else pytest.mark.torture)
        for name, case in CASES.items()
        for who in ALL
    ]


@pytest.fixture
def account(api: DriveApi, tmp_path: Path) -> Iterator[Account]:
    cloud = Cloud(tmp_path / "cloud", machine="somebody")
    yield Account(api, cloud, tmp_path / "machines")
    cloud.close()


def ensured(keeper: Keeper, case: Case) -> None:
    shutil.rmtree(keeper.root / "outputs" / "run-known", ignore_errors=True)
    result = keeper.ensure("outputs/run-known")
    assert result.outcome is not Outcome.ABSENT
    if case.word is None or case.reads:
        assert result.outcome is Outcome.RESTORED, result.error
    else:
        assert result.outcome is Outcome.FAILED
        assert case.word in (result.error or "")


def told(keeper: Keeper, case: Case) -> None:
    """A status that is shown has the store's artifact, as one that is there."""
    if case.word is not None and not case.reads:
        with pytest.raises(StoreError, match=case.word):
            keeper.status()
        return
    rows = {row.key.value: row for row in keeper.status()}
    assert rows["outputs/run-known"].generation


def backed_up(keeper: Keeper, case: Case) -> None:
    (keeper.root / "outputs" / "new.txt").write_text(keeper.root.name)
    done = keeper.backup("outputs/new.txt")
    assert bool(done) is (case.word is None), done.results
    if case.word is not None:
        assert case.word in str(done.results[0].error)


@pytest.mark.parametrize(("case", "who"), met())
def test_what_hides_a_store_is_never_absence_and_makes_no_second_one(account: Account, case: Case, who: str) -> None:
    account.make(at_once=case.at_once)
    folders, sentinels = len(account.named("proj")), len(account.named(SENTINEL))
    case.hide(account)
    settings = {"store_id": account.store_id} if case.named else {}
    for verb in (told, ensured, backed_up):
        verb(account.machine(who, **settings), case)
    assert (len(account.named("proj")), len(account.named(SENTINEL))) == (folders, sentinels), "a second store"
    case.show(account)
    account.api.faults.clock.advance(MINUTES)
    well = Case()
    for name in (who, "later"):
        for verb in (ensured, told, backed_up):
            verb(account.machine(name), well)
    assert account.seen("last") == account.store_id
    assert (len(account.named("proj")), len(account.named(SENTINEL))) == (folders, sentinels), "a second store"
    if case.at_once:
        assert account.machine("last").ensure("outputs/run-second").outcome is Outcome.RESTORED


@pytest.mark.parametrize("verb", [told, ensured, backed_up])
@pytest.mark.parametrize("who", ["fresh", pytest.param("known", marks=pytest.mark.torture)])
def test_a_list_lag_of_ten_minutes_is_never_absence_and_ends_in_one_store(
    account: Account, who: str, verb: Callable[[Keeper, Case], None]
) -> None:
    """Asked at once, when no list shows anything of the store yet. A first backup of another machine waits for no list: two
    machines that begin at once are one store in the end."""
    account.api.faults.list_lag = MINUTES
    account.make()
    keeper = account.machine(who, remembers=MINUTES)
    if (who, verb) == ("fresh", told):
        assert not list(keeper.status()), "a status shows what there is, and says of nothing that it is not there"
    else:
        verb(keeper, Case())
    account.api.faults.clock.advance(MINUTES)
    for each in (ensured, told, backed_up):
        each(account.machine("later"), Case())
    assert account.seen("last") == account.store_id
    assert account.seen("known") == account.store_id
    if (who, verb) != ("fresh", backed_up):
        assert (len(account.named("proj")), len(account.named(SENTINEL))) == (1, 1), "a second store"
