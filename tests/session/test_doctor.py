"""What doctor makes of what it saw: pure, without a mount. And its patience with calls that never come back."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.errors import Corrupt, StoreTimeout
from holdfast.session.doctor import Finding, diagnosis
from holdfast.session.doctor.arrival import arrived
from holdfast.session.doctor.nearby import Beside, Neighbour, Own
from holdfast.session.doctor.patience import Answer, Patience, State
from holdfast.session.doctor.places import Knock, Place, locate, read_mounts
from holdfast.session.doctor.rules import RULES, Doing, Setting, explain
from holdfast.session.doctor.scratch import Ability, Trial, clean
from holdfast.session.doctor.upload import Sample, Watched
from holdfast.session.environment import Environment
from holdfast.store.backends import mounts
from holdfast.store.backends.backend import Space

T = TypeVar("T")

DRIVE = Place(Path("/content/drive/MyDrive"), "proj", Path("/content/drive"), "fuse.drive", "rw", Path("/content/drive"))
DISK = Place(Path("/data"), "proj", Path("/"), "ext4", "rw", None)
ROOMY = Space(15 << 30, 9 << 30)
MD5 = "0" * 32


def came(value: T, seconds: float = 0.001) -> Answer[T]:
    return Answer("trying", State.CAME, value, seconds=seconds)


def failed(error: str, what: str = "trying") -> Answer[bool]:
    return Answer(what, State.REFUSED, error=error, text=f"text of {error}")


def hung(what: str = "trying") -> Answer[bool]:
    return Answer(what, State.HUNG, seconds=20)


def only(findings: list[Finding], topic: str) -> Finding:
    (found,) = [f for f in findings if f.topic == topic]
    return found


# -- patience ------------------------------------------------------------------------------------------------------------


def test_a_call_that_comes_back_gives_its_value_and_one_that_fails_its_error() -> None:
    patience = Patience(30)
    assert patience.ask("it", lambda: 7).got() == 7

    def fail() -> int:
        raise OSError(errno.EIO, "broken")

    answer = patience.ask("it", fail)
    assert (answer.state, answer.error, answer.text) == (State.REFUSED, "EIO", "broken")

    def damaged() -> int:
        raise Corrupt("torn")

    assert patience.ask("it", damaged).text == "torn"


def test_a_bug_in_a_call_is_raised_to_the_one_who_asks() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience(30).ask("it", lambda: 1 // 0)


def test_a_call_that_hangs_is_left_behind_and_after_two_nothing_more_is_tried() -> None:
    forever = threading.Event()
    patience = Patience(0.01)
    answers = [patience.ask("it", forever.wait) for _ in range(3)]
    forever.set()
    assert [a.state for a in answers] == [State.HUNG, State.HUNG, State.UNTRIED]
    assert not any(a.came for a in answers)


def test_a_backend_that_gave_up_on_a_call_counts_as_a_hang() -> None:
    def timed_out() -> int:
        raise StoreTimeout(errno.ETIMEDOUT, "no progress", "/x")

    assert Patience(30).ask("it", timed_out).state is State.HUNG


# -- places --------------------------------------------------------------------------------------------------------------

MOUNTS = r"""/dev/sda1 / ext4 rw,relatime 0 0
drive /content/drive fuse.drive rw,nosuid,user_id=0,group_id=0,allow_other 0 0
//server/people /mnt/my\040share cifs rw,vers=3.0,username=jane,domain=home,addr=10.0.0.7,uid=0 0 0
short line
"""


def test_the_mount_table_is_read_without_what_names_a_person_or_a_machine() -> None:
    table = read_mounts(MOUNTS)
    assert table[Path("/content/drive")].kind == "fuse.drive"
    assert table[Path("/content/drive")].options == "rw,nosuid,user_id=0,group_id=0,allow_other"
    share = table[Path("/mnt/my share")]
    assert share.options == "rw,vers=3.0,username=...,domain=...,addr=...,uid=0"


def test_of_two_mounts_at_one_point_the_last_counts() -> None:
    assert read_mounts("a /x ext4 rw 0 0\nb /x tmpfs ro 0 0\n")[Path("/x")].kind == "tmpfs"


@pytest.mark.parametrize(
    ("folder", "kind", "on_drive", "unmounted"),
    [
        ("/content/drive/MyDrive", "fuse.drive", True, False),
        ("/content/drive", "fuse.drive", True, False),
        ("/content/other", "ext4", False, False),
        ("/mnt/my share/x", "cifs", False, False),
    ],
)
def test_a_folder_is_placed_in_the_mount_table(folder: str, kind: str, on_drive: bool, unmounted: bool) -> None:
    place = locate(Path(folder), "proj", Path("/content/drive"), read_mounts(MOUNTS), None)
    assert (place.kind, place.on_drive, place.unmounted) == (kind, on_drive, unmounted)


def test_a_mountpoint_without_a_drive_on_it_is_unmounted_and_links_are_followed() -> None:
    table = read_mounts("/dev/sda1 / ext4 rw 0 0\n")
    assert locate(Path("/content/drive/MyDrive"), "proj", Path("/content/drive"), table, None).unmounted
    real = (Path("/real/MyDrive"), Path("/real"))
    table = read_mounts("/dev/sda1 / ext4 rw 0 0\ndrive /real fuse.drive rw 0 0\n")
    place = locate(Path("/content/drive/MyDrive"), "proj", Path("/content/drive"), table, real)
    assert place.on_drive
    assert not place.unmounted


# -- what errors mean ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_drive", [True, False])
@pytest.mark.parametrize("doing", Doing)
def test_every_error_has_a_meaning_and_something_to_do(doing: Doing, on_drive: bool) -> None:
    for error in ("", *errno.errorcode.values()):
        for free in ("", "1 GiB of 2 GiB are free"):
            said = explain(failed(error), doing, Setting(on_drive, "/content/drive", free))
            assert "; " in said
            assert "{" not in said


def test_the_last_rule_fits_anything_and_no_other_does() -> None:
    assert [not (r.errors or r.doing) for r in RULES].index(True) == len(RULES) - 1


@pytest.mark.parametrize(
    ("error", "doing", "free", "words"),
    [
        ("ENOTCONN", Doing.READ, "", "DriveFS has ended"),
        ("ENOENT", Doing.WRITE, "", "the mount is dead"),
        ("EROFS", Doing.WRITE, "", "read-only"),
        ("ENOSPC", Doing.WRITE, "9 GiB of 15 GiB are free", "Drive is full"),
        ("EDQUOT", Doing.WRITE, "", "Drive is full"),
        ("EDQUOT", Doing.WRITE, "9 GiB of 15 GiB are free", "over quota while 9 GiB of 15 GiB are free"),
        ("EIO", Doing.READ, "", "download quota"),
        ("EIO", Doing.LIST, "", "very many names"),
        ("EIO", Doing.LIST_NEW, "", "though it is small"),
        ("EIO", Doing.WRITE, "", "DriveFS is failing"),
        ("EACCES", Doing.WRITE, "", "access is denied"),
        ("EMFILE", Doing.WRITE, "", "text of EMFILE"),
    ],
)
def test_an_error_on_drive_means(error: str, doing: Doing, free: str, words: str) -> None:
    assert words in explain(failed(error), doing, Setting(True, "/content/drive", free))


@pytest.mark.parametrize("error", ["ENOENT", "ENOTCONN", "EDQUOT", "EIO", "EROFS"])
def test_nothing_that_is_about_drive_is_said_of_another_folder(error: str) -> None:
    for doing in Doing:
        said = explain(failed(error), doing, Setting(False, "/", "much"))
        assert "DriveFS" not in said
        assert "force_remount" not in said
        assert "Drive is" not in said


def test_a_hang_says_what_did_not_come_back_and_how_to_remount() -> None:
    said = explain(hung("listing x"), Doing.LIST, Setting(True, "/content/drive"))
    assert said.startswith("the mount hangs: listing x did not come back in 20 s")
    assert "restart the runtime" in said
    assert "drive.mount('/content/drive', force_remount=True)" in said
    (warned,) = diagnosis.after_all([Finding("x", "bad", said)])
    assert "may be lost" in warned.text
    assert diagnosis.after_all([Finding("x", "good", "y")]) == []


# -- reaching the folder ---------------------------------------------------------------------------------------------------


def test_a_folder_that_a_drive_does_not_list_is_missing_only_where_all_else_answers() -> None:
    place = replace(DRIVE, folder=DRIVE.folder / "work")
    missing = Knock(failed("ENOENT"), came(True), came(False))
    assert "is not on this Drive" in diagnosis.reached(place, missing)[0].text
    for dead in (
        replace(missing, point=failed("ENOENT")),
        replace(missing, listed=failed("ENOENT")),
        replace(missing, listed=came(True)),
        replace(missing, point=hung()),
    ):
        assert "the mount is dead" in diagnosis.reached(place, dead)[0].text
    assert "the mount is dead" in diagnosis.reached(DRIVE, missing)[0].text, "My Drive itself is always there"


def test_a_folder_that_is_missing_elsewhere_is_missing() -> None:
    (finding,) = diagnosis.reached(DISK, Knock(failed("ENOENT")))
    assert finding.level == "bad"
    assert "there is no such folder" in finding.text


def test_a_file_is_no_drive_folder() -> None:
    assert "is not a folder" in diagnosis.reached(DISK, Knock(came(False)))[0].text


@pytest.mark.parametrize(
    ("place", "free", "level", "words"),
    [
        (DRIVE, 9 << 30, "good", "quota of the account"),
        (DRIVE, 500 << 20, "note", "500.0 MiB of"),
        (DRIVE, 1000, "bad", "Drive is full, and what is written now is never uploaded"),
        (DISK, 1000, "bad", "no room is left"),
        (DISK, 9 << 30, "good", "9.0 GiB of 15.0 GiB"),
    ],
)
def test_free_space(place: Place, free: int, level: str, words: str) -> None:
    (finding,) = diagnosis.room(place, came(Space(15 << 30, free)))
    assert finding.level == level
    assert words in finding.text


# -- the scratch folder ----------------------------------------------------------------------------------------------------


def trial(**changed: object) -> Trial:
    whole = Trial(
        Path("/content/drive/MyDrive/holdfast-doctor-1"),
        came(True),
        came(0.002),
        came(0.002),
        came(0.002),
        attributes=(("id", came(b"local-7")), ("uncommitted", came(b"1")), ("md5", failed("ENODATA"))),
        age=0.1,
        abilities=(Ability("exclusive create", came("refused")),),
        listing=came(()),
    )
    return replace(whole, **changed)  # type: ignore[arg-type]


def test_a_trial_where_all_went_well_has_only_good_findings() -> None:
    findings = diagnosis.tried(DRIVE, trial(), ROOMY)
    assert {f.level for f in findings} == {"good"}
    assert "create 2.00 ms" in only(findings, "latency").text


def test_what_reads_back_different_is_bad() -> None:
    assert only(diagnosis.tried(DRIVE, trial(same=False), ROOMY), "reading").level == "bad"


def test_a_listing_that_lacks_what_is_there_is_bad() -> None:
    finding = only(diagnosis.tried(DRIVE, trial(listing=came(("file-1", "file-2"))), ROOMY), "listing")
    assert finding.level == "bad"
    assert "lacks 2 of the 5" in finding.text
    assert "by its name" in finding.text


def test_what_is_left_behind_is_named_and_bad() -> None:
    finding = only(diagnosis.tried(DRIVE, trial(left="/x could not be removed (why)"), ROOMY), "left behind")
    assert finding.level == "bad"
    assert finding.text.startswith("/x could not be removed (why)")
    assert "trash" in finding.text


def test_a_name_that_is_taken_must_be_refused_and_other_abilities_are_not_needed() -> None:
    abilities = (Ability("exclusive create", came("")), Ability("hard link", failed("ENOSYS")))
    findings = diagnosis.tried(DRIVE, trial(abilities=abilities), ROOMY)
    assert only(findings, "exclusive create").level == "bad"
    assert only(findings, "hard link") == Finding("hard link", "note", "no (ENOSYS); not needed")


def test_what_was_not_tried_is_no_news() -> None:
    untried: Answer[str] = Answer("trying", State.UNTRIED)
    findings = diagnosis.tried(DRIVE, trial(read=hung(), abilities=(Ability("rename", untried),), listing=untried), ROOMY)
    assert [f.topic for f in findings if f.level == "bad"] == ["reading"]
    assert only(findings, "listing").level == "note"
    assert all(f.topic != "rename" for f in findings)


@pytest.mark.parametrize(
    ("identity", "pending", "level", "words"),
    [
        (b"local-7", b"1", "good", "not uploaded yet"),
        (b"1AbCd", b"true", "good", "although with an id of the cloud"),
        (b"local-7", b"0", "note", "contradicts itself"),
        (b"1AbCdSecret", b"0", "note", "may not tell the truth"),
    ],
)
def test_what_attributes_of_a_new_file_mean(identity: bytes, pending: bytes, level: str, words: str) -> None:
    attributes = (("id", came(identity)), ("uncommitted", came(pending)), ("md5", failed("ENODATA")))
    (finding,) = diagnosis.upload_state(DRIVE, trial(attributes=attributes))
    assert finding.level == level
    assert words in finding.text
    assert "Secret" not in finding.text


@pytest.mark.parametrize("error", ["ENODATA", "ENOTSUP", "ENOSYS"])
def test_a_mount_without_attributes_is_a_note_and_elsewhere_nothing_is_expected(error: str) -> None:
    silent = trial(attributes=tuple((n, failed(error)) for n in ("id", "uncommitted", "md5")))
    (finding,) = diagnosis.upload_state(DRIVE, silent)
    assert finding.level == "note"
    assert "UNKNOWN" in finding.text
    assert error in finding.text
    assert diagnosis.upload_state(DISK, silent)[0].level == "good"


def test_a_scratch_folder_that_says_it_is_not_there_counts_as_left(tmp_path: Path) -> None:
    assert "could not be removed" in clean(tmp_path / "gone", 30)


# -- uploads ---------------------------------------------------------------------------------------------------------------

WAITING = Sample(0.0, "local-7", "1", "(ENODATA)")
SAFE = Sample(41.0, "1abcdefgh", "0", MD5)


def upload(*samples: Sample, full: bool = False) -> Finding:
    return arrived(Watched(samples, MD5, 60), wanted=True, on_drive=True, full=full)[-1]


@pytest.mark.parametrize(
    ("samples", "full", "level", "words"),
    [
        ((WAITING, SAFE), False, "good", "after 41.0 s; the checksum is right"),
        ((WAITING, replace(SAFE, md5="(ENODATA)")), False, "good", "no checksum came"),
        ((WAITING, replace(SAFE, md5="f" * 32)), False, "bad", "the cloud holds other bytes"),
        ((replace(SAFE, seconds=0.01),), False, "note", "may not tell the truth"),
        ((WAITING,), False, "note", "not said to be uploaded after 60 s"),
        ((WAITING,), True, "bad", "Drive is full"),
        ((WAITING, replace(WAITING, id="1abc")), False, "bad", "may hold an empty file"),
        ((Sample(0.0, "(ENODATA)", "(ENODATA)", "(ENODATA)"),), False, "note", "no attribute answered"),
    ],
)
def test_the_end_of_a_watched_upload(samples: tuple[Sample, ...], full: bool, level: str, words: str) -> None:
    finding = upload(*samples, full=full)
    assert finding.level == level
    assert words in finding.text


def test_each_change_of_an_upload_is_a_line_and_an_id_of_the_cloud_is_cut() -> None:
    first, second, _ = arrived(Watched((WAITING, SAFE), MD5, 41), wanted=True, on_drive=True, full=False)
    assert first.text == "0.0 s: id local-7, uncommitted 1, md5 (ENODATA)"
    assert second.text == f"41.0 s: id 1abc..., uncommitted 0, md5 {MD5} (the real one)"


def test_an_upload_is_watched_only_where_it_was_asked_for_and_there_is_one() -> None:
    assert arrived(None, wanted=False, on_drive=True, full=False) == []
    assert "not a Drive mount" in arrived(None, wanted=True, on_drive=False, full=False)[0].text
    assert "no file could be written" in arrived(None, wanted=True, on_drive=True, full=False)[0].text


# -- the store and what lies beside it -------------------------------------------------------------------------------------


def test_a_sound_store_folder_is_no_news() -> None:
    assert diagnosis.touched(DRIVE, Own(came(True), came(True), came(3)), reads=True, store_folder_listed=True) == []


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Own(failed("EIO"), came(True), came(3)), "a new file can be read"),
        (Own(came(True), came(True), failed("EIO")), "move nothing out of the store"),
        (Own(hung(), came(True), came(3)), "the mount hangs"),
        (Own(failed("ENOENT"), came(True), came(3)), "the mount is dead"),
        (Own(failed("ENOENT"), failed("ENOENT"), failed("ENOENT")), "the mount is dead"),
        (Own(came(True), came(False), came(3)), "stale or incomplete"),
    ],
)
def test_trouble_in_the_store_folder(own: Own, words: str) -> None:
    (finding, *_) = diagnosis.touched(DRIVE, own, reads=True, store_folder_listed=True)
    assert finding.level == "bad"
    assert words in finding.text


def test_a_store_that_nobody_lists_is_simply_not_there() -> None:
    nothing = Own(failed("ENOENT"), failed("ENOENT"), failed("ENOENT"))
    assert diagnosis.touched(DRIVE, nothing, reads=True, store_folder_listed=False) == []


def test_twins_and_other_stores_are_named() -> None:
    found = Beside(
        "/x", came(5), (), (Neighbour("proj (1)", "5" * 32),), (Neighbour("old", "6" * 32), Neighbour("torn", torn=True)), 3
    )
    twin, stores = diagnosis.beside(DRIVE, found)
    assert twin.level == "bad"
    assert "'proj (1)'" in twin.text
    assert stores.level == "note"
    assert "old (store_id 6666" in stores.text
    assert "torn (its holdfast.json cannot be read)" in stores.text
    assert "looked into 3 of 5" in stores.text
    twin, stores = diagnosis.beside(DRIVE, Beside("/x", came(1), (), (Neighbour("proj (1)"),), (), 1))
    assert twin.level == "note"
    assert (stores.level, stores.text) == ("good", "none")


def test_without_a_store_the_report_says_where_drive_does_not_exist() -> None:
    for environment in (Environment.KAGGLE, Environment.COLAB_ENTERPRISE):
        assert f"{environment.value} has no Google Drive" in diagnosis.no_store(environment).text
    assert "no drive folder is given" in diagnosis.no_store(Environment.ELSEWHERE).text


# -- mounts that are no Drive ----------------------------------------------------------------------------------------------


def mounted(kind: str, *, known: mounts.Kind | None = None) -> Place:
    return Place(Path("/mnt/x"), "proj", Path("/mnt/x"), kind, "rw", None, known)


def worked(**changes: object) -> Trial:
    names = ("id", "uncommitted", "md5")
    trial = Trial(
        Path("/mnt/x/s"), came(True), came(0.001), came(0.001), came(0.001), attributes=tuple((n, came(b"")) for n in names)
    )
    return replace(trial, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ["EIO", "ENODATA", "ENOTSUP", "EPERM", "EINVAL", "ENOSYS"])
@pytest.mark.parametrize("kind", ["fuse.rclone", "fuse.sshfs", "fuse", "fuse.gocryptfs", "nfs4", "ext4"])
def test_elsewhere_than_on_drive_attributes_that_are_not_there_are_no_trouble(kind: str, error: str) -> None:
    trial = worked(attributes=(("id", failed(error)), ("uncommitted", failed(error)), ("md5", failed(error))))
    assert [f.level for f in diagnosis.upload_state(mounted(kind), trial)] == ["good"]


@pytest.mark.parametrize("answer", [failed("ENOTCONN"), hung()])
def test_a_mount_that_is_dead_is_trouble_of_whatever_kind_it_is(answer: Answer[bool]) -> None:
    trial = worked(attributes=(("id", answer), ("uncommitted", answer), ("md5", answer)))
    for kind in ("fuse.rclone", "fuse.drive", "nfs"):
        assert [f.level for f in diagnosis.upload_state(mounted(kind), trial)] == ["bad"]


NO_CACHE = (Ability("writing in place", failed("EPERM")),)


@pytest.mark.parametrize(
    ("kind", "durable", "abilities", "level", "said"),
    [
        ("ext4", None, (), "good", "CONFIRMED"),
        ("fuse.sshfs", None, (), "note", "drive.durable: fsync"),
        ("fuse.sshfs", "fsync", (), "good", "CONFIRMED, by drive.durable: fsync"),
        ("fuse.gocryptfs", None, (), "note", "drive.durable: fsync"),
        ("fuse.mergerfs", "fsync", (), "good", "CONFIRMED"),
        ("fuse.rclone", None, NO_CACHE, "note", "drive.durable: close"),
        ("fuse.rclone", None, (), "note", "--vfs-cache-mode off"),
        ("fuse.rclone", "close", NO_CACHE, "good", "CONFIRMED"),
        ("fuse.rclone", "close", (), "bad", "has a cache"),
        ("fuse.rclone", "fsync", NO_CACHE, "bad", "keeps nothing by that"),
        ("davfs", "fsync", (), "bad", "unmount before this machine goes"),
        ("davfs", None, (), "note", "unmount before this machine goes"),
        ("tmpfs", "fsync", (), "bad", "goes with it"),
        ("fuse.unheard", None, (), "note", "say so: drive.durable"),
    ],
)
def test_durability_is_judged_by_kind_and_by_what_the_user_says(
    kind: str, durable: str | None, abilities: tuple[Ability, ...], level: str, said: str
) -> None:
    (found,) = diagnosis.durability(mounted(kind), worked(abilities=abilities), durable)
    assert (found.level, said in found.text) == (level, True), found
    assert "--upload" not in found.text


def test_on_drive_the_mount_tells_of_durability_itself() -> None:
    assert diagnosis.durability(DRIVE, worked(), "fsync") == []
    assert diagnosis.memory(DRIVE, 300) == []


@pytest.mark.parametrize(("remembers", "said"), [(None, "5 min"), (3, "3 s"), (0, None)])
def test_what_a_mount_remembers_is_said(remembers: float | None, said: str | None) -> None:
    found = diagnosis.memory(mounted("fuse.rclone"), remembers)
    assert [said in f.text for f in found if said] == ([True] if said else [])
    assert diagnosis.memory(DISK, None) == []


def test_free_space_that_is_made_up_is_not_shown_as_in_order() -> None:
    place = mounted("fuse", known=mounts.DAVFS)
    answer = came(Space(333_333_333 * 4096, 133_333_333 * 4096))
    assert [f.level for f in diagnosis.room(place, answer)] == ["note"]
    assert diagnosis.told(place, answer) is None
    assert only(diagnosis.room(mounted("fuse.rclone"), came(Space(1 << 50, 1 << 50))), "free space").level == "note"
    assert only(diagnosis.room(mounted("fuse.rclone"), came(ROOMY)), "free space").level == "good"
