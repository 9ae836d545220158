"""A failure that is one artifact's own holds up no other, is named, leaves nothing behind, and is over when its cause is."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import NotBackedUp, StoreUnreachable
from holdfast.session.keeper import Keeper
from holdfast.store.reporting.outcomes import Outcome
from tests.session.background.machine import Background, until
from tests.support import Rig

BAD = {name: name.encode() * 1_100_000 for name in ("a", "b", "c")}
MANIFEST = "generations/outputs~bad@"
OTHERS = {f"other{n}": b"%d" % n for n in range(5)}

#: Does something to the machine, its drive or its copies, and gives what undoes it.
Breaking = Callable[[Background], Callable[[], None]]


def refusing(beginning: str, number: int) -> Breaking:
    def breaks(on: Background) -> Callable[[], None]:
        on.drive.refuses[beginning] = number
        return on.drive.refuses.clear

    return breaks


def losing(beginning: str, number: int) -> Breaking:
    def breaks(on: Background) -> Callable[[], None]:
        on.drive.loses[beginning] = number
        return on.drive.loses.clear

    return breaks


def a_file_in_the_place_of_its_folder(on: Background) -> Callable[[], None]:
    place = on.machine.drive / "proj/outputs/bad"
    place.parent.mkdir(exist_ok=True)
    place.write_text("")
    return place.unlink


#: What the drive refuses for one artifact alone, and a few words of what is said.
OF_THE_DRIVE: dict[str, tuple[Breaking, str]] = {
    "a name that the drive refuses": (refusing("outputs/bad", errno.ENAMETOOLONG), "File name too long"),
    "access denied": (refusing("outputs/bad", errno.EACCES), "Permission denied"),
    "no space for one": (refusing("outputs/bad", errno.ENOSPC), "No space left"),
    "an I/O error at one": (refusing("outputs/bad", errno.EIO), "Input/output error"),
    "one that takes too long": (refusing("outputs/bad", errno.ETIMEDOUT), "Connection timed out"),
    "a refusal after others of it were sent": (refusing("outputs/bad/c@", errno.EACCES), "Permission denied"),
    "a payload that fails when it is written": (losing("outputs/bad/b@", errno.EIO), "Input/output error"),
    "a manifest that is refused": (refusing(MANIFEST, errno.EACCES), "Permission denied"),
    "a file in the place of its folder": (a_file_in_the_place_of_its_folder, "where a folder must be"),
}


def queue_of(on: Background) -> list[Path]:
    """The copies that wait, as folders."""
    return [p for p in (on.machine.root / ".holdfast/queue").glob("*/*") if p.is_dir()]


def copy_of_it(on: Background) -> Path:
    """The folder with the copies of the bad one: nobody else has several files."""
    return max(queue_of(on), key=lambda folder: len(list(folder.iterdir())))


def begin(on: Background) -> Keeper:
    """A store, and a worker that is busy and has one bad artifact before it, then five others."""
    on.machine.write("outputs/first", "the store is there")
    assert on.keeper.backup("outputs/first", wait=0)
    on.hold()
    on.machine.write("outputs/busy", "busy")
    assert on.keeper.backup("outputs/busy")
    assert on.drive.reached.wait(60)
    for name, content in BAD.items():
        on.machine.write(f"outputs/bad/{name}", content)
    assert on.keeper.backup("outputs/bad")
    for name, content in OTHERS.items():
        on.machine.write(f"outputs/{name}", content)
        assert on.keeper.backup(f"outputs/{name}")
    return on.keeper


def waiting(keeper: Keeper) -> list[str]:
    return [str(k) for k in keeper.queue.waiting]


def the_others_arrived(on: Background, rig: Rig) -> None:
    fresh = rig.machine()
    for name, content in OTHERS.items():
        assert fresh.keep.ensure(f"outputs/{name}").outcome is Outcome.RESTORED
        assert fresh.read(f"outputs/{name}") == content


def it_arrived(rig: Rig) -> None:
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/bad").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/bad") == BAD


def payloads(on: Background) -> list[str]:
    """Of the bad one, on the drive."""
    return sorted(p.name for p in (on.machine.drive / "proj/outputs/bad").glob("*"))


@pytest.mark.parametrize(("breaks", "says"), OF_THE_DRIVE.values(), ids=OF_THE_DRIVE)
def test_what_the_drive_refuses_of_one_artifact_holds_up_no_other_and_arrives_when_it_does_not(
    rig: Rig, background: Background, breaks: Breaking, says: str
) -> None:
    keeper = begin(background)
    mend = breaks(background)
    background.drive.going.set()
    until(lambda: waiting(keeper) == ["outputs/bad"])
    the_others_arrived(background, rig)
    with pytest.raises(NotBackedUp, match=says) as said:
        keeper.flush()
    assert "outputs/bad" in str(said.value)
    assert "outputs/other" not in str(said.value)
    queue = keeper.queue
    assert (queue.trouble, queue.errors) == ("", ())
    assert [str(k) for k, _ in queue.troubles] == ["outputs/bad"]
    status = keeper.status()
    assert not status.safe
    assert any(f.name == "not sent yet" and says in f.text and "outputs/bad" in f.text for f in status.sight.facts)
    mend()
    until(lambda: not keeper.queue.waiting)
    keeper.flush()
    it_arrived(rig)
    assert [n.partition("@")[0] for n in payloads(background)] == ["a", "b", "c"], "nothing is left of the attempts that failed"


@pytest.mark.parametrize(
    ("when", "where", "number"),
    [("refuses", "outputs/bad/c@", errno.ENOSPC), ("loses", "outputs/bad/c@", errno.EIO), ("loses", MANIFEST, errno.EACCES)],
)
def test_twenty_attempts_that_fail_after_payload_was_sent_leave_at_most_one_copy_on_the_drive(
    rig: Rig, background: Background, when: str, where: str, number: int
) -> None:
    seen: list[list[str]] = []

    class Watched(dict[str, int]):
        def items(self) -> object:  # type: ignore[override]
            seen.append(payloads(background))
            return super().items()

    keeper = begin(background)
    setattr(background.drive, when, Watched({where: number}))
    background.drive.going.set()
    until(lambda: len([s for s in seen if len(s) > 1]) > 20)
    assert max(map(len, seen)) <= 3
    assert all(len({n.partition("@")[0] for n in names}) == len(names) for names in seen), "no file lies there twice"
    setattr(background.drive, when, {})
    until(lambda: not keeper.queue.waiting)
    it_arrived(rig)
    assert len(payloads(background)) == 3
    made = [p for p in background.drive.created if "/bad" in p or "~bad" in p]
    assert len(made) == len(set(made)), "no name was used twice"


def test_a_drive_that_does_not_let_us_remove_keeps_nobody_from_arriving(rig: Rig, background: Background) -> None:
    keeper = begin(background)
    background.drive.keeps = True
    background.drive.loses[MANIFEST] = errno.EIO
    background.drive.going.set()
    until(lambda: waiting(keeper) == ["outputs/bad"] or not waiting(keeper))
    the_others_arrived(background, rig)
    background.drive.loses.clear()
    keeper.flush(patient=True)
    it_arrived(rig)


# -- what does not pass by waiting ---------------------------------------------------------------------------------------


def the_copies_and_the_files_are_gone(on: Background) -> Callable[[], None]:
    shutil.rmtree(copy_of_it(on))
    shutil.move(on.machine.root / "outputs/bad", on.machine.root / "kept")
    return lambda: os.rename(on.machine.root / "kept", on.machine.root / "outputs/bad")


def its_memory_cannot_be_written(on: Background) -> Callable[[], None]:
    place = on.machine.root / ".holdfast/intents/outputs~bad.json"
    place.mkdir()
    (place / "x").touch()
    return lambda: shutil.rmtree(place)


OF_THIS_MACHINE: dict[str, tuple[Breaking, str]] = {
    "the copies and the files are gone": (the_copies_and_the_files_are_gone, "it vanished while it was read"),
    "its memory cannot be written": (its_memory_cannot_be_written, "irectory"),
}


@pytest.mark.parametrize(("breaks", "says"), OF_THIS_MACHINE.values(), ids=OF_THIS_MACHINE)
def test_what_cannot_pass_by_waiting_is_a_failure_of_that_artifact_until_it_is_backed_up_again(
    rig: Rig, background: Background, breaks: Breaking, says: str
) -> None:
    keeper = begin(background)
    mend = breaks(background)
    background.drive.going.set()
    until(lambda: not waiting(keeper))
    the_others_arrived(background, rig)
    for _ in range(2):
        with pytest.raises(NotBackedUp, match=says):
            keeper.flush()
    assert [str(k) for k, _ in keeper.queue.errors] == ["outputs/bad"]
    status = keeper.status()
    assert status.sight.verdict.title == "NOT SAFE"
    assert any(f.name == "failed" and says in f.text for f in status.sight.facts)
    assert not queue_of(background)
    mend()
    assert keeper.backup("outputs/bad", wait=0)
    keeper.flush()
    assert not keeper.queue.errors
    it_arrived(rig)


def test_a_copy_arrives_although_a_link_is_in_the_place_of_what_it_was_taken_of(rig: Rig, background: Background) -> None:
    keeper = begin(background)
    place, kept = background.machine.root / "outputs/bad", background.machine.root / "kept"
    place.rename(kept)
    place.symlink_to(kept)
    background.drive.going.set()
    keeper.flush()
    the_others_arrived(background, rig)
    it_arrived(rig)
    assert not keeper.status().safe, "what the link leads to is not kept"


def test_a_copy_that_is_gone_is_taken_again_of_what_is_here(rig: Rig, background: Background) -> None:
    keeper = begin(background)
    shutil.rmtree(copy_of_it(background))
    background.drive.going.set()
    keeper.flush()
    the_others_arrived(background, rig)
    it_arrived(rig)


def test_a_copy_that_goes_while_it_is_sent_is_taken_again_of_what_is_here(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/first", "the store is there")
    assert keeper.backup("outputs/first", wait=0)
    background.hold()
    for name, content in BAD.items():
        machine.write(f"outputs/bad/{name}", content)
    assert keeper.backup("outputs/bad")
    assert background.drive.reached.wait(60)
    (folder,) = queue_of(background)
    shutil.rmtree(folder)
    background.drive.going.set()
    keeper.flush()
    assert not keeper.queue.errors
    it_arrived(rig)
    assert len(payloads(background)) == 3


def test_what_is_refused_when_it_is_taken_again_is_said_until_a_later_backup_holds_it(
    rig: Rig, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = begin(background)
    log = background.machine.root / "outputs/bad/c"
    log.unlink()
    os.mkfifo(log)
    shutil.rmtree(copy_of_it(background))
    background.drive.going.set()
    with pytest.raises(NotBackedUp, match="outputs/bad/c: is a named pipe"):
        keeper.flush()
    ((key, text),) = keeper.queue.errors
    assert (str(key), "outputs/bad/c" in text) == ("outputs/bad", True)
    assert not keeper.status().safe
    assert [r.levelno for r in caplog.records if "outputs/bad/c: is a named pipe" in r.message] == [logging.ERROR]
    assert keeper.backup("outputs/bad/a", wait=0)
    assert not keeper.backup("outputs/bad", wait=0), "it is still refused, and that is answered"
    with pytest.raises(NotBackedUp, match="outputs/bad/c: is a named pipe"):
        keeper.flush()
    log.unlink()
    log.write_bytes(BAD["c"])
    assert keeper.backup("outputs/bad", wait=0)
    keeper.flush()
    assert not keeper.queue.errors
    it_arrived(rig)


# -- the store as a whole -----------------------------------------------------------------------------------------------


def test_a_drive_that_is_away_is_asked_once_for_all_that_waits(rig: Rig, background: Background) -> None:
    keeper = background.keep(retry=(0.0, 0.0, 0.0, 3600.0))
    background.keeper = keeper
    begin(background)
    background.drive.dies()
    asked = len(background.drive.asked)
    background.drive.going.set()
    until(lambda: keeper.queue.trouble)
    settled = -1
    while len(background.drive.asked) != settled:  # the pause after the fourth question outlasts this test
        settled = len(background.drive.asked)
        threading.Event().wait(0.3)
    assert len(waiting(keeper)) == 7
    assert [str(k) for k, _ in keeper.queue.troubles] == ["outputs/busy"], (
        "it was under way when the drive died; nobody else is blamed"
    )
    assert settled - asked < 20
    background.drive.lives()
    keeper.flush()
    the_others_arrived(background, rig)
    it_arrived(rig)


def test_a_mount_that_dies_under_one_artifact_is_one_trouble(background: Background, caplog: pytest.LogCaptureFixture) -> None:
    keeper = begin(background)
    background.drive.once.append(StoreUnreachable(errno.ENOTCONN, "the mount is dead", "drive"))
    background.drive.dies()
    background.drive.going.set()
    until(lambda: keeper.queue.trouble)
    with pytest.raises(NotBackedUp, match="the mount is dead"):
        keeper.flush()
    assert len([r for r in caplog.records if "not backed up yet" in r.message]) == 1
