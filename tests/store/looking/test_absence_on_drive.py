"""Absence is proven: whatever the mount does, at whatever moment, nothing that may be there is called absent.

A matrix on the simulated mount: a trouble, a workspace that is fresh or knew the store, and the moment at which the trouble
begins, which is before every single operation of the backend that a command needs. Of a backup's, which are many, `make test`
tries some and `make torture` each.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.simulator import Death, Hang, Listings, SimulatedDrive, Spared, Trouble
from holdfast.store.reporting.outcomes import Outcome
from tests.account import PATIENT_SECONDS, PROJECT, Account, Operations, Site, wait_for_what_hung

pytestmark = pytest.mark.long

HANGS_AFTER = 0.3
#: No command here needs half as many.
MOST_OPERATIONS = 80
A, D, KNOWN, NOWHERE = "outputs/a.txt", "outputs/d", "outputs/known.txt", "outputs/nowhere"
KEPT = {A: {"": b"a"}, D: {"x": b"x", "sub/y": b"y"}, KNOWN: {"": b"known 1"}}


@dataclass(frozen=True)
class Sky:
    """One trouble.

    Args:
        weather: How it is turned on while mounted; None where the mount itself goes.
        matters: Operations of the backend that meet it; all where none is named.
        guess: Some names are left out of listings. Nobody can tell where nothing else contradicts a listing.
        hangs: Calls are held.
    """

    weather: dict[str, object] | None = None
    matters: tuple[str, ...] = ()
    guess: bool = False
    hangs: bool = False
    leave: Callable[[SimulatedDrive], object] = field(default=lambda drive: drive.kill())

    @property
    def seconds(self) -> float:
        """After which a call counts as hanging."""
        return HANGS_AFTER if self.hangs else PATIENT_SECONDS

    def turn(self, account: Account) -> None:
        if self.weather is None:
            self.leave(account.drive)
        else:
            account.drive.weather(**self.weather)

    def clear(self, account: Account) -> None:
        """Everything is well again, on the same mount or on a new one."""
        if self.weather is not None:
            account.drive.weather(death=Death.ALIVE, hangs=(), troubles=(), listings=Listings.FRESH)
            wait_for_what_hung()
            return
        account.drive.close()
        shutil.rmtree(account.mountpoint, ignore_errors=True)
        account.mount()

    def met(self, operations: list[str]) -> bool:
        return any(not self.matters or o in self.matters for o in operations)


def unmounted(drive: SimulatedDrive) -> None:
    """What is left is an ordinary folder on a disk about to vanish, as somebody's `mkdir -p` makes it again."""
    drive.disconnect()
    drive.my_drive.mkdir(parents=True)


SKIES = {
    "ENOTCONN": Sky({"death": Death.ENOTCONN}),
    "ENOENT": Sky({"death": Death.ENOENT, "spared": Spared.NOTHING}),
    "ENOENT below the mountpoint": Sky({"death": Death.ENOENT, "spared": Spared.MOUNTPOINT}),
    "ENOENT below My Drive": Sky({"death": Death.ENOENT, "spared": Spared.MY_DRIVE}),
    "every call hangs": Sky({"hangs": (Hang(),)}, hangs=True),
    "listings hang": Sky({"hangs": (Hang(operations=("list",)),)}, matters=("list",), hangs=True),
    "EIO on listing": Sky({"troubles": (Trouble(operations=("list",)),)}, matters=("list",)),
    "every name left out": Sky({"listings": Listings.INCOMPLETE, "left_out": 1.0}, matters=("list",)),
    "half of the names left out": Sky({"listings": Listings.INCOMPLETE, "left_out": 0.5}, matters=("list",), guess=True),
    "unmounted": Sky(leave=unmounted),
    "killed": Sky(),
}
#: Of these a command's words are held in every run, of all in `make torture`.
MET_OFTEN = ("ENOTCONN", "ENOENT", "listings hang", "EIO on listing", "every name left out", "unmounted")
skies = pytest.mark.parametrize("sky", SKIES.values(), ids=SKIES.keys())
workspaces = pytest.mark.parametrize("knew", [False, True], ids=["fresh", "knew the store"])


def places(file: str, inside: str) -> pytest.MarkDecorator:
    """Each path and each workspace in every run, each path in each workspace in `make torture`."""
    torture = pytest.mark.torture
    return pytest.mark.parametrize(
        ("path", "knew"),
        [
            pytest.param(file, False, id=f"{file}-fresh"),
            pytest.param(inside, True, id=f"{inside}-knew the store"),
            pytest.param(file, True, id=f"{file}-knew the store", marks=torture),
            pytest.param(inside, False, id=f"{inside}-fresh", marks=torture),
        ],
    )


def first_machine(account: Account) -> None:
    """Backs up three artifacts, and after each was uploaded another, so that all but the last had their chance to be confirmed."""
    first = account.machine()
    keeper = account.keeper(first)
    for path, tree in [*KEPT.items(), ("outputs/last.txt", {"": b"last"})]:
        for name, content in tree.items():
            first.write(f"{path}/{name}".rstrip("/"), content)
        assert keeper.backup(path)
        assert account.drive.drain() == []


def machine(account: Account, knew: bool) -> Site:
    site = account.machine()
    if knew:
        assert account.keeper(site).ensure(KNOWN).outcome is Outcome.RESTORED
    return site


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account whose Drive has a store."""
    account = Account(tmp_path)
    with account.mounted():
        first_machine(account)
        yield account


def one_store(account: Account, store_ids: list[bytes]) -> None:
    """There is one store, the same as before, and nothing beside it."""
    assert account.store_ids() == store_ids
    assert account.projects() == [PROJECT]


def waited_for(account: Account, sky: Sky) -> None:
    """A dead mount was waited for once, or twice where something had to be said of it; never at every operation."""
    if sky.hangs:
        assert len(account.drive.hanging()) <= 2, account.drive.hanging()


def moments(account: Account, sky: Sky, *, one_of: int = 1) -> Iterator[Operations]:
    """Operations, before the first of which the trouble begins, then before the second, until there are no more.

    Args:
        account: Whose Drive.
        sky: The trouble.
        one_of: Only one of so many moments, beginning at one that is drawn, so that in time each of them is met.
    """
    for number in range(random.SystemRandom().randint(1, one_of), MOST_OPERATIONS, one_of):
        print(f"before operation {number}")
        operations = Operations(number, lambda: sky.turn(account))
        yield operations
        if not operations.turned:
            return
    raise AssertionError(f"still not done after {MOST_OPERATIONS} operations")


# -- ensure ------------------------------------------------------------------------------------------------------------------


@skies
@places(A, D)
def test_what_is_in_the_store_is_never_absent(account: Account, sky: Sky, knew: bool, path: str) -> None:
    store_ids = account.store_ids()
    for operations in moments(account, sky):
        site = machine(account, knew)
        answer = account.keeper(site, operations, seconds=sky.seconds).ensure(path)
        if operations.turned:
            waited_for(account, sky)
            assert answer.outcome in (Outcome.FAILED, Outcome.RESTORED), operations
            assert site.tree(path) == ({} if answer.outcome is Outcome.FAILED else KEPT[path])
        sky.clear(account)
        assert account.keeper(site).ensure(path).outcome in (Outcome.RESTORED, Outcome.LOCAL)
        assert site.tree(path) == KEPT[path]
    one_store(account, store_ids)


@skies
@places(NOWHERE, f"{D}/nowhere")
def test_what_is_not_in_the_store_is_not_called_absent_before_that_is_proven(
    account: Account, sky: Sky, knew: bool, path: str
) -> None:
    store_ids = account.store_ids()
    for operations in moments(account, sky):
        site = machine(account, knew)
        answer = account.keeper(site, operations, seconds=sky.seconds).ensure(path)
        if operations.turned:
            waited_for(account, sky)
            # It is true, so it may be said where nothing that was asked since then could have met the trouble; and where some
            # names are left out of a listing that nothing contradicts, for those may all be names of others.
            excused = not sky.met(operations.after) or sky.guess
            assert answer.outcome is Outcome.FAILED or (answer.outcome is Outcome.ABSENT and excused), operations
        sky.clear(account)
        assert account.keeper(site).ensure(path).outcome is Outcome.ABSENT
    one_store(account, store_ids)


def test_a_plain_file_is_never_absent_on_a_mount_that_says_enoent(account: Account) -> None:
    """The last thing that is asked before absence is said is whether a plain file lies there."""
    plain = account.drive.my_drive / PROJECT / "outputs" / "plain.json"
    plain.write_text("{}")
    sky = SKIES["ENOENT below My Drive"]
    for operations in moments(account, sky):
        site = account.machine()
        answer = account.keeper(site, operations, seconds=sky.seconds).ensure("outputs/plain.json")
        if operations.turned:
            assert answer.outcome in (Outcome.FAILED, Outcome.RESTORED), operations
        sky.clear(account)
        assert account.keeper(site).ensure("outputs/plain.json")


# -- backup ------------------------------------------------------------------------------------------------------------------


#: A backup has thirty moments and more, each a second's work.
one_of = pytest.mark.parametrize("one_of", [6, pytest.param(1, marks=pytest.mark.torture)], ids=["some moments", "every moment"])


def backs_up_at_moments(account: Account, sky: Sky, one_of: int, *, knew: bool) -> None:
    """A fresh workspace backs up something new; one that knew the store the next version of what it restored."""
    store_ids = account.store_ids()
    for operations in moments(account, sky, one_of=one_of):
        site = machine(account, knew)
        path = KNOWN if knew else f"outputs/new-{operations.at}.txt"
        content = f"version {operations.at} of {path}".encode()
        site.write(path, content)
        done = account.keeper(site, operations, seconds=sky.seconds).backup(path)
        if operations.turned:
            waited_for(account, sky)
        else:
            assert done or sky.hangs  # then a call that a busy machine holds up counts as a hang too
        sky.clear(account)
        again = account.keeper(site).backup(path)
        assert again, "the next run goes through unaided"
        assert account.drive.drain() == []
        assert not done or again.results[0].unchanged or sky.weather is None, "true was said, and it was not all written"
        heads = [e for e in account.keeper(site).history(path) if e.head]
        assert len(heads) == 1, operations
        one_store(account, store_ids)
        fresh = account.machine()
        assert account.keeper(fresh).ensure(path).outcome is Outcome.RESTORED
        assert fresh.tree(path) == {"": content}
        account.keeper(site).prune()  # so that the next round has as much to do as this one


@one_of
@skies
def test_a_fresh_workspace_never_makes_a_second_store_nor_a_fork(account: Account, sky: Sky, one_of: int) -> None:
    backs_up_at_moments(account, sky, one_of, knew=False)


@one_of
@skies
def test_a_workspace_that_knew_the_store_never_makes_a_second_store_nor_a_fork(account: Account, sky: Sky, one_of: int) -> None:
    backs_up_at_moments(account, sky, one_of, knew=True)


@pytest.mark.parametrize("fresh_keeper", [False, True], ids=["the same keeper", "attached anew"])
def test_a_manifest_that_hung_and_is_written_after_the_next_backup_is_no_fork(account: Account, fresh_keeper: bool) -> None:
    """The call that was given up on goes on in the kernel, and may come back at any time."""
    site = machine(account, knew=True)
    site.write(KNOWN, "known 2")
    keeper = account.keeper(site, seconds=HANGS_AFTER)
    account.drive.weather(hangs=(Hang(f"{PROJECT}/generations/*", ("write",)),))
    assert not keeper.backup(KNOWN)
    (held,) = account.drive.hanging()
    account.drive.weather(hangs=(Hang(held.removeprefix("write "), ("write",)),))
    site.write(KNOWN, "known 3")
    keeper = account.keeper(site) if fresh_keeper else keeper
    assert keeper.backup(KNOWN)
    SKIES["every call hangs"].clear(account)
    assert account.drive.drain() == []
    assert len([e for e in account.keeper(site).history(KNOWN) if e.head]) == 1
    fresh = account.machine()
    assert account.keeper(fresh).ensure(KNOWN).outcome is Outcome.RESTORED
    assert fresh.tree(KNOWN) == {"": b"known 3"}
    site.write(KNOWN, "known 4")
    assert account.keeper(site).backup(KNOWN)
    assert len([e for e in account.keeper(site).history(KNOWN) if e.head]) == 1


# -- listings that leave names out ---------------------------------------------------------------------------------------------


@workspaces
@pytest.mark.parametrize("left_out", [0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(3, 8))])
def test_whatever_names_a_listing_leaves_out_nothing_that_was_confirmed_is_absent(
    tmp_path: Path, seed: int, left_out: float, knew: bool
) -> None:
    print(f"seed {seed}")
    account = Account(tmp_path, seed)
    with account.mounted() as drive:
        first_machine(account)
        store_ids = account.store_ids()
        site = machine(account, knew)
        drive.weather(listings=Listings.INCOMPLETE, left_out=left_out)
        for path in (A, D):
            answer = account.keeper(site).ensure(path)
            assert answer.outcome in (Outcome.FAILED, Outcome.RESTORED), path
            assert site.tree(path) == ({} if answer.outcome is Outcome.FAILED else KEPT[path])
        path = KNOWN if knew else "outputs/new.txt"
        site.write(path, "next")
        done = account.keeper(site).backup(path)
        drive.weather(listings=Listings.FRESH)
        if not done:
            assert account.keeper(site).backup(path)
        assert drive.drain() == []
        one_store(account, store_ids)
        assert len([e for e in account.keeper(site).history(path) if e.head]) == 1
        fresh = account.machine()
        for kept in (A, D):
            assert account.keeper(site).ensure(kept)
            assert site.tree(kept) == KEPT[kept]
        assert account.keeper(fresh).ensure(path).outcome is Outcome.RESTORED
        assert fresh.tree(path) == {"": b"next"}


@pytest.mark.parametrize("seed", range(8))
def test_a_listing_that_hides_the_newest_generation_costs_a_fork_at_the_most_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    """By name nothing tells of a generation that no listing shows, so an older one is taken: whole, and never in its place."""
    print(f"seed {seed}")
    account = Account(tmp_path, seed)
    with account.mounted() as drive:
        first_machine(account)
        first = account.machine()
        keeper = account.keeper(first)
        assert keeper.ensure(KNOWN)
        for version in range(2, 5):
            first.write(KNOWN, f"known {version}")
            assert keeper.backup(KNOWN, progress=version)
            assert drive.drain() == []
        site = account.machine()
        drive.weather(listings=Listings.INCOMPLETE, left_out=0.5)
        answer = account.keeper(site).ensure(KNOWN)
        assert answer.outcome in (Outcome.FAILED, Outcome.RESTORED)
        if answer.outcome is Outcome.FAILED:
            assert site.tree(KNOWN) == {}
            return
        (taken,) = site.tree(KNOWN).values()
        assert taken in [b"known"] + [b"known %d" % version for version in range(1, 5)]
        drive.weather(listings=Listings.FRESH)
        site.write(KNOWN, "went on")
        assert account.keeper(site).backup(KNOWN)
        fresh = account.machine()
        assert account.keeper(fresh).ensure(KNOWN).outcome is Outcome.RESTORED
        assert fresh.tree(KNOWN) == {"": b"went on" if taken == b"known 4" else b"known 4"}
        heads = [e for e in account.keeper(fresh).history(KNOWN) if e.head]
        assert len(heads) == (1 if taken == b"known 4" else 2)


# -- another account -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Account]:
    """Somebody else's account, on whose Drive no store is."""
    account = Account(tmp_path / "other")
    with account.mounted():
        yield account


def made(account: Account) -> int:
    counts = account.drive.counters()
    return counts["creates"] + counts["mkdirs"]


class Story(logging.Handler):
    """What was logged and what was created, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")

    def __call__(self, operation: str, path: str) -> None:
        if operation == "create":
            self.lines.append(f"create {path}")

    def first(self, words: str) -> int:
        return next(number for number, line in enumerate(self.lines) if words in line)


WARNING = "nothing was backed up here yet; the first backup makes a new store"


def test_on_an_empty_drive_absence_comes_with_a_warning_and_nothing_is_made(
    empty: Account, caplog: pytest.LogCaptureFixture
) -> None:
    site = empty.machine()
    with caplog.at_level(logging.WARNING):
        assert empty.keeper(site).ensure(A).outcome is Outcome.ABSENT
    said = [r.getMessage() for r in caplog.records if WARNING in r.getMessage()]
    assert len(said) == 1
    assert str(empty.mountpoint / "MyDrive" / PROJECT) in said[0]
    assert made(empty) == 0


def test_on_an_empty_drive_the_first_backup_warns_before_it_makes_anything(empty: Account) -> None:
    story = Story()
    logger = logging.getLogger("holdfast")
    logger.addHandler(story)
    try:
        site = empty.machine()
        site.write(A, "a")
        assert empty.keeper(site, story).backup(A)
    finally:
        logger.removeHandler(story)
    assert story.first(f"WARNING {WARNING}") < story.first("create ")


def test_on_an_empty_drive_a_store_that_was_asked_for_by_id_is_failed_and_none_is_made(empty: Account) -> None:
    site = empty.machine()
    site.write("outputs/b.txt", "b")
    keeper = empty.keeper(site, expected_id="5" * 32)
    answer = keeper.ensure(A)
    assert answer.outcome is Outcome.FAILED
    assert "store_id" in answer.error
    done = keeper.backup("outputs/b.txt")
    assert not done
    assert "store_id" in done.results[0].problem()
    assert made(empty) == 0
    assert empty.projects() == []


def test_a_workspace_that_knew_a_store_does_not_take_an_empty_drive_for_it(account: Account, empty: Account) -> None:
    site = machine(account, knew=True)
    account.drive.close()
    other = SimulatedDrive(account.mountpoint, cloud=empty.cloud)
    with other:
        assert account.keeper(site).ensure(A).outcome is Outcome.FAILED
        site.write(KNOWN, "known 2")
        assert not account.keeper(site).backup(KNOWN)
        assert other.counters()["creates"] + other.counters()["mkdirs"] == 0
    account.mount()
    assert account.keeper(site).ensure(A).outcome is Outcome.RESTORED
    assert account.keeper(site).backup(KNOWN)


# -- the command -----------------------------------------------------------------------------------------------------------------

#: Attempts on a mount that answers with errors go on for 20 s; a command that takes much longer hangs.
LONGEST_SECONDS = 60
ANSWERS = {("ensure", A): 4, ("ensure", NOWHERE): 4, ("backup", "outputs/b.txt"): 1}


@dataclass(frozen=True)
class Said:
    """What a command said and came to; no code where it never ended."""

    code: int | None
    lines: tuple[str, ...]

    @property
    def errors(self) -> list[str]:
        return [line for line in self.lines if "warning: " not in line and "note: " not in line]


def command(account: Account, site: Site, *words: str, hangs: bool = False) -> Said:
    """Run the command as somebody would type it.

    Args:
        account: Whose Drive.
        site: Where.
        words: The command line, without the drive.
        hangs: Calls are held. A process of which a thread is in such a call cannot end before it is let go; this is done
            once it has said what it has to say.
    """
    (site.root / "config").mkdir(exist_ok=True)
    settings = {"drive": {"mount_point": str(account.mountpoint), "backup_base_dir": PROJECT, "timeout": 0.5}}
    (site.root / "config" / "paths.yaml").write_text(json.dumps(settings))
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", *words, "--drive", str(account.mountpoint / "MyDrive")],
        cwd=site.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.fileno()
        text = b""
        ended = False
        end = time.monotonic() + LONGEST_SECONDS / (3 if hangs else 1)
        while not ended and (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([errors], [], [], left)
            if not ready:
                break
            chunk = os.read(errors, 65536)
            text += chunk
            ended = not chunk or (hangs and bool(Said(None, tuple(text.decode().splitlines())).errors))
        if not ended:
            process.kill()
        if hangs:
            account.drive.release()
        code = process.wait(30)
        return Said(code if ended else None, tuple(text.decode().splitlines()))


@pytest.mark.parametrize(
    "sky", [pytest.param(sky, marks=() if name in MET_OFTEN else pytest.mark.torture, id=name) for name, sky in SKIES.items()]
)
def test_the_command_says_one_clear_line_with_the_code_of_its_contract(account: Account, sky: Sky) -> None:
    store_ids = account.store_ids()
    sites: dict[tuple[bool, tuple[str, str]], Site] = {}
    for knew, words in itertools.product((False, True), ANSWERS):
        sites[knew, words] = machine(account, knew)
        sites[knew, words].write("outputs/b.txt", "b")
    said: dict[tuple[bool, tuple[str, str]], Said] = {}
    if sky.hangs:  # one after the other, because to let one go lets go of all
        for case, site in sites.items():
            sky.turn(account)
            said[case] = command(account, site, *case[1], hangs=True)
            assert said[case].code is not None, (case, "it hangs")
    else:
        sky.turn(account)
        with ThreadPoolExecutor(len(sites)) as pool:  # most of their time is waiting
            said.update(zip(sites, pool.map(lambda case: command(account, sites[case], *case[1]), sites), strict=True))
    sky.clear(account)
    for (knew, words), answer in said.items():
        if "list" in sky.matters and answer.code in (0, 5) and words[0] == "backup":
            continue  # no listing was needed, or none left out what it needed
        if sky.guess and (answer.code, words[1]) in ((0, A), (3, NOWHERE)):
            continue  # it was listed; it is nowhere
        assert answer.code == ANSWERS[words], (knew, words, answer)
        assert len(answer.errors) == 1, answer
        assert answer.errors[0].startswith("holdfast: "), answer
        assert "Traceback" not in "".join(answer.lines)
    for site in sites.values():
        assert account.keeper(site).ensure(A).outcome in (Outcome.RESTORED, Outcome.LOCAL)
        assert account.keeper(site).ensure(NOWHERE).outcome is Outcome.ABSENT
    site = next(iter(sites.values()))
    assert account.keeper(site).backup("outputs/b.txt")
    assert account.drive.drain() == []
    one_store(account, store_ids)
