"""What kind of place a store lies in, told from the mount table; what is known of each kind, and what the user may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import StoreExists
from holdfast.store.backends import mounts
from holdfast.store.backends.backend import Space
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.mounts import Kind, contradiction, keeps, kind_of, read_mountinfo, told_space
from holdfast.store.reporting.durability import Durability

GIB = 1 << 30


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", mounts.DISK),
        ("42 27 0:39 / / rw,nosuid - fuse.rclone here: rw,user_id=0", mounts.RCLONE),
        ("42 27 0:39 / / rw,nosuid shared:7 master:2 - fuse.sshfs ann@server:/x rw,user_id=0", mounts.SSHFS),
        ("48 27 0:45 / / rw,nosuid - fuse http://127.0.0.1:22580/ rw,max_read=61440", mounts.DAVFS),
        ("48 27 0:45 / / rw,nosuid - fuse https://cloud.example/my\\040files rw", mounts.DAVFS),
        ("44 27 0:41 / / rw,nosuid - fuse /srv/back rw,default_permissions", mounts.BINDFS),
        ("44 27 0:41 / / rw,nosuid - fuse /dev/fuse rw", mounts.FUSE),
        ("45 27 0:42 / / rw - fuse.mergerfs a:b rw", mounts.MERGERFS),
        ("46 27 0:43 / / rw - fuse.gocryptfs /x rw,max_read=131072", mounts.GOCRYPTFS),
        ("46 27 0:43 / / rw - fuse.drive drive rw", mounts.DRIVE),
        ("46 27 0:43 / / rw - nfs4 server:/x rw", mounts.NFS),
        ("46 27 0:43 / / rw - cifs //server/x rw", mounts.SMB),
        ("46 27 0:43 / / rw - fuse.s3fs s3fs rw", mounts.BUCKET),
        ("46 27 0:43 / / rw - fuse.something x rw", mounts.FUSE),
        ("46 27 0:43 / / rw - tmpfs tmpfs rw", mounts.MEMORY),
        ("46 27 0:43 / / rw - 9p host rw", mounts.OTHER),
    ],
)
def test_the_kind_of_a_mount_is_told_from_the_mount_table(line: str, kind: Kind) -> None:
    assert read_mountinfo(line + "\n")["/"].kind is kind


def test_of_two_mounts_at_one_point_the_upper_one_counts_and_odd_lines_are_passed_over() -> None:
    text = "1 1 0:1 / /a\\040b rw - ext4 x rw\nodd\n2 1 0:2 / /a\\040b rw - fuse.sshfs y rw\n"
    assert {point: found.kind for point, found in read_mountinfo(text).items()} == {"/a b": mounts.SSHFS}


def test_the_place_of_a_path_is_found_whether_or_not_it_is_there(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "not/there") is kind_of(tmp_path)


@pytest.mark.parametrize(
    ("kind", "total", "free", "known"),
    [
        (mounts.RCLONE, 1 << 50, 1 << 50, False),  # the remote does not say
        (mounts.RCLONE, 252 * GIB, 27 * GIB, True),
        (mounts.DAVFS, 333_333_333 * 4096, 133_333_333 * 4096, False),
        (mounts.DAVFS, 71 * GIB, 509 * GIB, False),
        (mounts.DAVFS, 71 * GIB, 9 * GIB, True),
        (mounts.SSHFS, 1000 * GIB, 1000 * GIB, False),  # a server without statvfs
        (mounts.SSHFS, 252 * GIB, 0, True),  # full is full
        (mounts.FUSE, 0, 0, False),  # a FUSE file system without statfs: not full
        (mounts.BUCKET, 1 << 62, 1 << 62, False),
        (mounts.MERGERFS, 252 * GIB, 27 * GIB, True),
        (mounts.NFS, 10 * GIB, 10 * GIB, True),
        (mounts.DISK, 0, 0, True),
        (mounts.DRIVE, 1 << 50, 1 << 50, True),  # some accounts have no limit
    ],
)
def test_room_that_a_mount_makes_up_is_not_known(kind: Kind, total: int, free: int, known: bool) -> None:
    assert told_space(kind, total, free) == (Space(total, free) if known else None)


@pytest.mark.parametrize(
    ("kind", "durable", "kept"),
    [
        (mounts.DISK, None, True),
        (mounts.SSHFS, None, False),
        (mounts.SSHFS, "fsync", True),
        (mounts.GOCRYPTFS, "fsync", True),
        (mounts.BINDFS, "fsync", True),
        (mounts.MERGERFS, "fsync", True),
        (mounts.NFS, "fsync", True),
        (mounts.FUSE, "fsync", True),
        (mounts.OTHER, "close", True),
        (mounts.RCLONE, None, False),
        (mounts.RCLONE, "fsync", False),
        (mounts.RCLONE, "close", True),
        (mounts.DAVFS, "fsync", False),
        (mounts.DAVFS, "close", False),
        (mounts.MEMORY, "fsync", False),
    ],
)
def test_what_the_user_says_counts_unless_it_is_known_to_be_wrong(kind: Kind, durable: str | None, kept: bool) -> None:
    assert keeps(kind, durable) == kept
    assert bool(contradiction(kind, durable)) == (durable is not None and not kept)


def test_drive_is_asked_and_not_told() -> None:
    assert not keeps(mounts.DRIVE, "fsync")
    assert contradiction(mounts.DRIVE, "fsync") == ""


def test_memory_is_never_safe_whatever_is_said() -> None:
    for durable in (None, "fsync", "close"):
        assert DirectoryBackend(Path("/dev/shm"), "x", durable=durable).durability(()) is Durability.UNKNOWN


def test_a_backend_beside_another_has_names_of_its_own(tmp_path: Path) -> None:
    one = DirectoryBackend(tmp_path, "one")
    one.create("a", lambda: (b"1",))
    two = one.beside("two")
    two.create("a", lambda: (b"2",))
    assert (two.name, two.location) == ("two", str(tmp_path / "two"))
    assert b"".join(one.read("a")) == b"1"
    with pytest.raises(StoreExists):
        two.create("a", lambda: (b"3",))
