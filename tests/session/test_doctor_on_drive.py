"""Doctor on a simulated Drive: in each weather the report ends, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreachable
from holdfast.session.doctor import Finding, examine
from holdfast.session.environment import Environment
from holdfast.session.keeper import Keeper
from holdfast.simulator import Attributes, Death, Full, Hang, Listings, SimulatedDrive, Spared, Trouble
from holdfast.simulator.uploads import Pace
from holdfast.store.backends.wrappers import Faulty
from tests.bad_input.support import Box, sound
from tests.drive import Mount, back_up, keeper_on, project_on

LIMIT = 0.5
REMOUNT = "force_remount=True"


def report_of(drive: SimulatedDrive, root: Path, **options: float) -> list[Finding]:
    return examine(keeper_on(drive, root), limit=LIMIT, **options)


def bad(report: list[Finding]) -> dict[str, str]:
    return {f.topic: f.text for f in report if f.level == "bad"}


def level(report: list[Finding], topic: str) -> str:
    return next(f.level for f in report if f.topic == topic)


def text(report: list[Finding], topic: str) -> str:
    return next(f.text for f in report if f.topic == topic)


def scratch_left(drive: SimulatedDrive) -> list[str]:
    return [p.name for p in drive.my_drive.iterdir() if p.name.startswith("holdfast-doctor-")]


@dataclass(frozen=True)
class Bad:
    """A weather, and the finding that it must lead to."""

    turn: Callable[[SimulatedDrive], None]
    topic: str
    words: tuple[str, ...]
    leaves: bool = False  #: whether the weather keeps doctor from removing what it made


def weather(**fields: object) -> Callable[[SimulatedDrive], None]:
    return lambda drive: drive.weather(**fields)


def fill(drive: SimulatedDrive) -> None:
    drive.elsewhere.set_quota(drive.elsewhere.used())


def full(how: Full) -> Callable[[SimulatedDrive], None]:
    def turn(drive: SimulatedDrive) -> None:
        fill(drive)
        drive.weather(full=how)

    return turn


def big_store(drive: SimulatedDrive) -> None:
    for number in range(12):
        (drive.my_drive / "proj" / "generations" / f"{number}.txt").write_bytes(b"x")
    drive.weather(big_folder=10)


def big_drive(drive: SimulatedDrive) -> None:
    for number in range(20):
        (drive.my_drive / f"{number}.txt").write_bytes(b"x")
    drive.weather(big_folder=18)


def twin_store(drive: SimulatedDrive) -> None:
    twin = drive.my_drive / "proj (1)"
    twin.mkdir()
    (twin / "holdfast.json").write_bytes((drive.my_drive / "proj" / "holdfast.json").read_bytes())


def hang(*operations: str, pattern: str = "*") -> Callable[[SimulatedDrive], None]:
    return weather(hangs=(Hang(pattern, operations),))


def trouble(*operations: str, pattern: str = "*", error: str = "EIO") -> Callable[[SimulatedDrive], None]:
    return weather(troubles=(Trouble(pattern, operations, error),))


HANGS = "did not come back in 0.5 s"
WEATHERS = {
    "dead by ENOTCONN": Bad(weather(death=Death.ENOTCONN), "drive folder", ("DriveFS has ended", REMOUNT), leaves=True),
    "killed": Bad(SimulatedDrive.kill, "drive folder", ("DriveFS has ended", REMOUNT), leaves=True),
    "dead by ENOENT": Bad(weather(death=Death.ENOENT), "drive folder", ("the mount is dead", "ENOENT", REMOUNT), leaves=True),
    "dead by ENOENT, the mountpoint answers": Bad(
        weather(death=Death.ENOENT, spared=Spared.MOUNTPOINT), "drive folder", ("the mount is dead", "ENOENT", REMOUNT), leaves=True
    ),
    "dead by ENOENT, My Drive answers": Bad(
        weather(death=Death.ENOENT, spared=Spared.MY_DRIVE), "writing", ("the mount is dead", "ENOENT", REMOUNT), leaves=True
    ),
    "everything hangs": Bad(hang(), "drive folder", ("the mount hangs", HANGS, REMOUNT), leaves=True),
    "listing hangs": Bad(hang("list"), "listing", ("the mount hangs", "listing", HANGS, REMOUNT), leaves=True),
    "reading hangs": Bad(hang("read"), "reading", ("the mount hangs", "reading", HANGS, REMOUNT), leaves=True),
    "opening hangs": Bad(hang("open"), "reading", ("the mount hangs", "reading", HANGS, REMOUNT), leaves=True),
    "writing hangs": Bad(hang("write"), "writing", ("the mount hangs", "writing", HANGS, REMOUNT), leaves=True),
    "changes hang": Bad(hang("create", "write", "mkdir"), "writing", ("the mount hangs", HANGS, REMOUNT), leaves=True),
    "statvfs hangs": Bad(hang("statfs"), "free space", ("the mount hangs", "statvfs", HANGS, REMOUNT)),
    "attributes hang": Bad(hang("attribute"), "upload state", ("the mount hangs", "user.drive.id", HANGS), leaves=True),
    "the store's files hang": Bad(hang("read", pattern="proj/*"), "store", ("the mount hangs", "holdfast.json", HANGS)),
    "EIO on listing": Bad(trouble("list"), "listing", ("EIO", "though it is small", REMOUNT)),
    "EIO on reading": Bad(trouble("read"), "reading", ("EIO", "download quota", REMOUNT)),
    "EIO on reading the store": Bad(trouble("read", pattern="proj/*"), "store", ("EIO", "holdfast.json", "a new file can be read")),
    "EIO on listing the store": Bad(
        trouble("list", pattern="proj/*"), "store", ("EIO", "generations/", "very many names", "move nothing out")
    ),
    "EIO on writing": Bad(trouble("write"), "writing", ("EIO", "DriveFS is failing", REMOUNT)),
    "access denied": Bad(trouble("mkdir", error="EACCES"), "writing", ("EACCES", "denied")),
    "stale listings": Bad(weather(listings=Listings.STALE), "listing", ("lacks 5 of the 5", "by its name", "stale or incomplete")),
    "incomplete listings": Bad(
        weather(listings=Listings.INCOMPLETE, left_out=1.0), "listing", ("lacks 5 of the 5", "stale or incomplete")
    ),
    "incomplete listings of the store": Bad(
        weather(listings=Listings.INCOMPLETE, left_out=1.0), "store listing", ("holdfast.json can be read", "stale or incomplete")
    ),
    "read-only": Bad(weather(readonly=True), "writing", ("read-only", "without readonly=True")),
    "full with ENOSPC": Bad(full(Full.ENOSPC), "writing", ("Drive is full (ENOSPC)", "trash", "30 days")),
    "full with EDQUOT": Bad(full(Full.EDQUOT), "writing", ("Drive is full (EDQUOT)", "trash", "30 days")),
    "full and silent": Bad(full(Full.SILENT), "free space", ("Drive is full", "never uploaded", "trash", "30 days")),
    "full, and files arrive empty": Bad(full(Full.EMPTY), "free space", ("Drive is full", "never uploaded", "30 days")),
    "over the burst limit": Bad(weather(burst=0), "writing", ("over quota while", "GiB are free", "many small files", "12,600")),
    "over the burst limit in the middle": Bad(
        lambda d: d.weather(burst=d.counters()["creates"] + 2), "writing", ("over quota while", "many small files")
    ),
    "a folder of the store too big to list": Bad(big_store, "store", ("EIO", "generations/", "very many names", "500,000")),
    "a drive folder too big to list": Bad(big_drive, "stores near by", ("EIO", "very many names")),
    "a twin that is a store": Bad(twin_store, "twin", ("'proj (1)'", "ct#6106", "another session", "browser")),
}


@pytest.mark.parametrize("name", WEATHERS)
def test_in_bad_weather_the_report_says_what_is_wrong_and_ends(mount: Mount, tmp_path: Path, name: str) -> None:
    case = WEATHERS[name]
    drive = mount()
    back_up(drive, tmp_path / "first")
    case.turn(drive)
    report = report_of(drive, tmp_path / "machine")
    said = bad(report)
    assert case.topic in said, report
    for word in case.words:
        assert word in said[case.topic], said
    assert level(report, "before you remount") == "note" if any("force_remount" in t for t in said.values()) else True
    if not case.leaves:
        assert "left behind" not in said
        drive.weather(death=Death.ALIVE, listings=Listings.FRESH, big_folder=None, troubles=())
        assert scratch_left(drive) == []


def test_in_good_weather_nothing_is_bad_and_nothing_is_left(drive: SimulatedDrive, tmp_path: Path) -> None:
    back_up(drive, tmp_path / "first")
    before = drive.elsewhere.used()
    report = report_of(drive, tmp_path / "machine")
    assert bad(report) == {}
    assert {f.topic for f in report if f.level == "note"} == {"drive api", "hard link", "symbolic link"}
    assert "fuse.drive" in text(report, "mount")
    assert "1 generation(s) of 1 artifact(s)" in text(report, "store")
    assert "14.0 GiB are free (the quota of the account)" in text(report, "free space")
    assert scratch_left(drive) == []
    drive.drain()
    assert drive.elsewhere.used() == before, "what doctor wrote counts in the trash"


def test_before_the_first_backup_a_healthy_drive_is_good(drive: SimulatedDrive, tmp_path: Path) -> None:
    report = report_of(drive, tmp_path / "machine")
    assert bad(report) == {}
    assert "no store yet" in text(report, "store")


def test_an_unmounted_mountpoint_is_no_drive_and_nothing_is_written_there(mount: Mount, tmp_path: Path) -> None:
    drive = mount()
    keeper = keeper_on(drive, tmp_path / "machine")
    drive.close()
    drive.my_drive.mkdir()
    report = examine(keeper, limit=LIMIT)
    assert "Drive is not mounted" in bad(report)["drive folder"]
    assert "drive.mount(" in bad(report)["drive folder"]
    assert list(drive.my_drive.iterdir()) == []


def test_a_keeper_whose_mount_was_made_anew_is_told_what_its_backend_says(drive: SimulatedDrive, tmp_path: Path) -> None:
    """Its backend remembers the device; the number of a new mount may be the old one by chance, so a fault stands in for it."""
    keeper = keeper_on(drive, tmp_path / "machine")

    def another_device(operation: str, path: str) -> None:
        if operation == "check":
            raise StoreUnreachable(errno.ENODEV, "another device lies here", str(drive.my_drive))

    assert keeper.store is not None
    keeper.store.backend = Faulty(keeper.store.backend, another_device)
    report = examine(keeper, limit=LIMIT)
    assert "another device lies here" in bad(report)["drive folder"]
    assert scratch_left(drive) == []


def test_a_folder_that_is_not_on_a_healthy_drive_is_only_missing(drive: SimulatedDrive, tmp_path: Path) -> None:
    root = project_on(drive, tmp_path / "machine")
    done = sound(Box(root, drive.my_drive / "work").run("doctor"))
    assert done.code == 1
    assert "is not on this Drive, whose mount answers" in done.out
    assert "dead" not in done.out


def test_a_twin_without_a_store_is_a_note(drive: SimulatedDrive, tmp_path: Path) -> None:
    back_up(drive, tmp_path / "first")
    (drive.my_drive / "proj (1)").mkdir()
    report = report_of(drive, tmp_path / "machine")
    assert bad(report) == {}
    assert level(report, "twin") == "note"


def test_a_twin_whose_store_folder_is_missing_is_bad(drive: SimulatedDrive, tmp_path: Path) -> None:
    (drive.my_drive / "proj (1)").mkdir()
    assert "rename it" in bad(report_of(drive, tmp_path / "machine"))["store"]


# -- attributes and uploads ------------------------------------------------------------------------------------------------


def test_attributes_that_answer_say_that_a_new_file_is_not_uploaded_yet(drive: SimulatedDrive, tmp_path: Path) -> None:
    report = report_of(drive, tmp_path / "machine")
    assert level(report, "upload state") == "good"
    for word in ("not uploaded yet", "id local-", "uncommitted 1", "md5 (ENODATA)"):
        assert word in text(report, "upload state")


@pytest.mark.parametrize(
    ("attributes", "error"), [(Attributes.ABSENT, "ENODATA"), (Attributes.UNSUPPORTED, "ENOTSUP")], ids=["absent", "unsupported"]
)
def test_attributes_that_do_not_answer_are_noted(mount: Mount, tmp_path: Path, attributes: Attributes, error: str) -> None:
    drive = mount()
    drive.weather(attributes=attributes)
    report = report_of(drive, tmp_path / "machine", upload_wait=0.1, interval=0.02)
    assert bad(report) == {}
    assert level(report, "upload state") == "note"
    assert error in text(report, "upload state")
    assert "UNKNOWN" in text(report, "upload state")
    assert level(report, "upload") == "note"
    assert "no attribute answered" in text(report, "upload")


def test_attributes_that_lie_are_noted_with_what_was_seen(drive: SimulatedDrive, tmp_path: Path) -> None:
    drive.weather(attributes=Attributes.LYING)
    report = report_of(drive, tmp_path / "machine", upload_wait=0.1, interval=0.02)
    assert level(report, "upload state") == "note"
    for word in ("said to be uploaded", "quicker than", "uncommitted 0"):
        assert word in text(report, "upload state")
    assert level(report, "upload") == "note"
    assert "may not tell the truth" in text(report, "upload")


def test_a_watched_upload_says_when_each_attribute_changed_and_that_the_checksum_is_right(mount: Mount, tmp_path: Path) -> None:
    drive = mount(speed=50)
    report = report_of(drive, tmp_path / "machine", upload_wait=30, interval=0.02)
    seen = [f.text for f in report if f.topic == "upload seen"]
    assert "id local-" in seen[0]
    assert "uncommitted 1" in seen[0]
    assert "uncommitted 0" in seen[-1]
    assert "(the real one)" in seen[-1]
    assert level(report, "upload") == "good"
    assert "the checksum is right" in text(report, "upload")
    assert scratch_left(drive) == []


def test_an_upload_that_is_watched_while_another_hand_moves_the_clock(mount: Mount, tmp_path: Path) -> None:
    # Late enough that doctor looks at it before it is uploaded, however busy the machine is.
    drive = mount(pace=Pace(lag=(100.0, 120.0)))
    watched = threading.Event()

    def pass_time() -> None:
        while not watched.wait(0.005):
            drive.advance(0.2)

    hand = threading.Thread(target=pass_time)
    hand.start()
    try:
        report = report_of(drive, tmp_path / "machine", upload_wait=30, interval=0.02)
    finally:
        watched.set()
        hand.join()
    assert level(report, "upload") == "good"


def test_an_upload_that_does_not_come_is_a_note(drive: SimulatedDrive, tmp_path: Path) -> None:
    report = report_of(drive, tmp_path / "machine", upload_wait=0.2, interval=0.02)
    assert level(report, "upload") == "note"
    assert "not said to be uploaded" in text(report, "upload")
    assert bad(report) == {}


@pytest.mark.parametrize(("how", "word"), [(Full.SILENT, "not uploaded after"), (Full.EMPTY, "the cloud holds other bytes")])
def test_an_upload_to_a_full_drive_is_bad(mount: Mount, tmp_path: Path, how: Full, word: str) -> None:
    drive = mount(pace=Pace(lag=(0.0, 0.0)), speed=50)
    full(how)(drive)
    report = report_of(drive, tmp_path / "machine", upload_wait=1, interval=0.02)
    assert word in bad(report)["upload"]
    assert "trash" in bad(report)["upload"]


# -- the command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "code", "word"),
    [
        (weather(), 0, "1 generation(s)"),
        (weather(death=Death.ENOTCONN), 1, "BAD "),
        (weather(death=Death.ENOENT), 1, "BAD "),
        (SimulatedDrive.kill, 1, "BAD "),
        (hang(), 1, "the mount hangs"),
        (hang("create"), 1, "the mount hangs"),
        (hang("list"), 1, "the mount hangs"),
        (full(Full.SILENT), 1, "Drive is full"),
    ],
    ids=["healthy", "ENOTCONN", "ENOENT", "killed", "everything hangs", "writing hangs", "listing hangs", "full"],
)
def test_the_command_ends_with_0_where_all_is_good_and_1_where_something_is_bad(
    mount: Mount, tmp_path: Path, turn: Callable[[SimulatedDrive], None], code: int, word: str
) -> None:
    """Also where the mount still hangs when the report is out: its process cannot end then, and whoever waits for it must."""
    drive = mount()
    back_up(drive, tmp_path / "first")
    root = project_on(drive, tmp_path / "machine", timeout=LIMIT)
    turn(drive)
    done = sound(Box(root, drive.my_drive).run("doctor"))
    assert done.code == code, done
    assert word in done.out
    assert done.out.startswith("holdfast doctor: paste all of this")


def test_the_command_watches_an_upload_where_it_is_asked_to(mount: Mount, tmp_path: Path) -> None:
    drive = mount(speed=50)
    root = project_on(drive, tmp_path / "machine")
    done = sound(Box(root, drive.my_drive).run("doctor", "--upload", "15"))
    assert done.code == 0, done
    assert "the checksum is right" in done.out
    assert Box(root, drive.my_drive).run("doctor", "--upload", "-1").code == 2


@pytest.mark.parametrize("environment", [Environment.COLAB_ENTERPRISE, Environment.KAGGLE])
def test_where_there_is_no_drive_the_report_says_so(tmp_path: Path, environment: Environment) -> None:
    variables = {
        Environment.COLAB_ENTERPRISE: {"VERTEX_PRODUCT": "COLAB_ENTERPRISE", "COLAB_RELEASE_TAG": "release-x"},
        Environment.KAGGLE: {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"},
    }[environment]
    done = sound(Box(tmp_path, None).run("doctor", env=variables))
    assert done.code == 0
    assert f"{environment.value} has no Google Drive" in done.out


def test_on_colab_the_report_names_the_release_and_that_drive_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paths.yaml").write_text(f"drive: {{mount_point: {tmp_path}/content/drive}}\n")
    done = sound(Box(tmp_path, None).run("doctor", env={"COLAB_RELEASE_TAG": "release-colab_20260101"}))
    assert done.code == 1
    assert "release-colab_20260101" in done.out
    assert "Drive is not mounted" in done.out


def test_the_report_shows_no_name_of_a_file_on_the_drive(drive: SimulatedDrive, tmp_path: Path) -> None:
    (drive.my_drive / "letter to my doctor.txt").write_text("private")
    (drive.my_drive / "my private folder").mkdir()
    report = report_of(drive, tmp_path / "machine", upload_wait=0.1, interval=0.02)
    assert all("private" not in f.text and "letter" not in f.text for f in report)
    assert os.listdir(drive.my_drive) != []


def test_a_keeper_without_a_store_is_told_where_its_backups_do_not_go(tmp_path: Path) -> None:
    keeper = keeper_without_store(tmp_path)
    assert level(examine(keeper), "store") == "note"


def keeper_without_store(root: Path) -> Keeper:
    from holdfast.session.attach import open_keeper

    (root / "config").mkdir()
    (root / "config" / "paths.yaml").write_text(f"drive: {{mount_point: {root}/none}}\n")
    return open_keeper(root, mount=False)
