"""Kinds of place where a store may lie, told from the mount table, and what is known of each.

The facts were measured on Debian 12 (rclone 1.60, sshfs 3.7.3, davfs2 1.6.1, gocryptfs 2.3, bindfs 1.14, mergerfs 2.33); those of
network file systems stand in nfs(5) and mount.cifs(8). No mount is asked anything here.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from holdfast.platform import real_path
from holdfast.store.backends.backend import Space


class Kept(enum.Enum):
    """What has outlived this machine once `fsync` and `close` have returned."""

    HERE = "fsync means that it is on a disk of this machine"
    PASSED_ON = "fsync is handed on to what lies below, and that may keep it"
    ON_CLOSE = "fsync does nothing; mounted without a cache, a file has arrived once it is closed"
    NOT = "neither means that anything has arrived"
    UNTOLD = "nothing is known"


@dataclass(frozen=True)
class Kind:
    """What is known of one kind of place.

    Args:
        name: As a person calls it.
        kept: What fsync and close are worth.
        remembers: For so many seconds it may show a listing as it was, unless it is told otherwise.
        shows_made: Making a folder shows what is in the one that is there already, whatever was remembered.
        told: When what is written arrives, and what to do to have it safe; for a person.
        quick: How it is mounted so that it remembers nothing for long; for a person.
        empties: A file may be emptied right before it is removed. rclone without a cache still has the emptied one in hand then,
            and leaves its name behind.
    """

    name: str
    kept: Kept
    remembers: float = 0.0
    shows_made: bool = False
    told: str = ""
    quick: str = ""
    empties: bool = True


_SAY_SO = "if fsync is kept there, say so: drive.durable: fsync in config/paths.yaml (`holdfast doctor` tries it)"
DISK = Kind("a local disk", Kept.HERE)
DRIVE = Kind(
    "Drive", Kept.NOT, told="what the folder shows in a browser has arrived; `holdfast doctor --upload 60` watches one file"
)
#: Drive's API is no mount: what it has answered is safe, and what it lists may be old by minutes. 90 new files were all listed
#: after 8 min 48 s (rclone, docs/content/drive.md).
DRIVE_API = Kind("Drive's API", Kept.ON_CLOSE, remembers=600.0)
#: What a place by Drive's API begins with.
GDRIVE = "gdrive:"
MEMORY = Kind("memory", Kept.NOT, told="it lies in this machine's memory and goes with it: give a folder that stays by --drive DIR")
RCLONE = Kind(
    "rclone",
    Kept.ON_CLOSE,
    remembers=300.0,
    shows_made=True,
    empties=False,
    told="with its cache rclone sends a file some seconds after it is closed, and fsync waits for nothing: what `rclone ls` shows "
    "has arrived; mounted by --vfs-cache-mode off it has arrived once it is closed: say drive.durable: close in config/paths.yaml",
    quick="--dir-cache-time 5s",
)
SSHFS = Kind(
    "sshfs", Kept.PASSED_ON, remembers=20.0, told=f"sshfs hands fsync on to the server: {_SAY_SO}", quick="-o dir_cache=no"
)
DAVFS = Kind(
    "davfs",
    Kept.NOT,
    remembers=60.0,
    told="davfs sends a file about ten seconds after it is closed, and fsync sends nothing: unmount before this machine goes, "
    "which waits for it",
    quick="dir_refresh 5 in davfs2.conf",
)
GOCRYPTFS = Kind("gocryptfs", Kept.PASSED_ON, told=f"gocryptfs hands fsync on to the folder below: {_SAY_SO}")
BINDFS = Kind("bindfs", Kept.PASSED_ON, told=f"the mount hands fsync on to the folder below: {_SAY_SO}")
MERGERFS = Kind("mergerfs", Kept.PASSED_ON, told=f"mergerfs hands fsync on to the disks below: {_SAY_SO}")
NFS = Kind("NFS", Kept.PASSED_ON, remembers=60.0, told=f"NFS hands fsync on to the server: {_SAY_SO}", quick="-o actimeo=5")
SMB = Kind(
    "a Windows share", Kept.PASSED_ON, remembers=30.0, told=f"fsync is handed on to the server: {_SAY_SO}", quick="-o actimeo=1"
)
BUCKET = Kind(
    "a bucket", Kept.NOT, remembers=900.0, told="what the bucket lists by its own tool has arrived", quick="a short cache time"
)
FUSE = Kind("a FUSE mount", Kept.UNTOLD, remembers=60.0, told=_SAY_SO, quick="a short cache time")
OTHER = Kind("this place", Kept.UNTOLD, told=_SAY_SO)

#: File systems on which a successful fsync means that the bytes are on the disk. A tmpfs is not among them.
LOCAL_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "overlay", "apfs"})
DRIVE_FILE_SYSTEM = "fuse.drive"
_KINDS = {
    **dict.fromkeys(LOCAL_FILE_SYSTEMS, DISK),
    DRIVE_FILE_SYSTEM: DRIVE,
    "tmpfs": MEMORY,
    "ramfs": MEMORY,
    "fuse.rclone": RCLONE,
    "fuse.sshfs": SSHFS,
    "fuse.davfs": DAVFS,
    "fuse.davfs2": DAVFS,
    "davfs": DAVFS,
    "fuse.gocryptfs": GOCRYPTFS,
    "fuse.bindfs": BINDFS,
    "fuse.mergerfs": MERGERFS,
    "nfs": NFS,
    "nfs4": NFS,
    "cifs": SMB,
    "smb3": SMB,
    "fuse.s3fs": BUCKET,
    "fuse.gcsfuse": BUCKET,
    "fuse.goofys": BUCKET,
    "fuse.mount-s3": BUCKET,
    "fuse.fuse-overlayfs": OTHER,
    "fuseblk": OTHER,
}


@dataclass(frozen=True)
class Mount:
    """One line of the mount table.

    Args:
        point: Where.
        file_system: Its type.
        source: What is mounted. May name a person or a machine, so it is shown to nobody.
    """

    point: str
    file_system: str
    source: str

    @property
    def kind(self) -> Kind:
        """What is known of it. davfs2 and bindfs call themselves no more than `fuse`, and their source tells them apart."""
        if self.file_system == "fuse":
            if re.match(r"https?://", self.source):
                return DAVFS
            return BINDFS if self.source.startswith("/") and not self.source.startswith("/dev/") else FUSE
        return kind_named(self.file_system)


def kind_named(file_system: str | None) -> Kind:
    """What is known of a file system of this type."""
    known = _KINDS.get(file_system or "")
    return known or (FUSE if (file_system or "").startswith("fuse") else OTHER)


def read_mountinfo(text: str) -> dict[str, Mount]:
    """Mount points with what is topmost there, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5))."""
    table = {}
    for line in text.splitlines():
        front, dash, back = line.partition(" - ")
        fields, named = front.split(" "), back.split(" ")
        if dash and len(fields) >= 5 and len(named) >= 2:
            point = _plain(fields[4])
            table[point] = Mount(point, _plain(named[0]), _plain(named[1]))
    return table


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


@functools.lru_cache(maxsize=2)
def _tables(text: str) -> tuple[dict[str, Mount], dict[str, str]]:
    """The table, and the types alone; it is asked for often, and changes rarely."""
    table = read_mountinfo(text)
    return table, {point: found.file_system for point, found in table.items()}


def mount_at(path: Path) -> Mount | None:
    """The mount that holds a path; None where the system does not tell (macOS, Windows). Asks no FUSE mount."""
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    table, kinds = _tables(text)
    real = real_path(path, kinds)
    return next((table[str(place)] for place in (real, *real.parents) if str(place) in table), None)


def kind_of(path: Path) -> Kind:
    """What is known of the place that holds a path."""
    found = mount_at(path)
    return OTHER if found is None else found.kind


def kind_at(location: str) -> Kind:
    """What is known of the place of a store, by what its backend calls it."""
    return DRIVE_API if location.startswith(GDRIVE) else kind_of(Path(location))


#: davfs2 tells so many free blocks of so many where the server does not say (dav_fuse.c).
_OF_DAVFS = 333_333_333
#: Nobody has that much. rclone tells 1 PiB where its remote does not say, s3fs and gcsfuse more.
_NOBODYS_BYTES = 1 << 50


def told_space(kind: Kind, total: int, free: int) -> Space | None:
    """Room as the mount tells it, or None where it makes it up: more than anybody has, none at all, or a place with nothing in it.

    Args:
        kind: What tells it.
        total: Bytes.
        free: Bytes.
    """
    if kind is DISK or kind is DRIVE:
        return Space(total, free)
    made_up = total <= 0 or total >= _NOBODYS_BYTES or free > total
    made_up |= kind is DAVFS and total % _OF_DAVFS == 0
    made_up |= kind in (SSHFS, FUSE, RCLONE, BUCKET, DAVFS) and free == total  # sshfs: 1000 GiB, all free
    return None if made_up else Space(total, free)


def keeps(kind: Kind, durable: str | None) -> bool:
    """Whether what is written here has outlived this machine once it is closed.

    Args:
        kind: Of the place.
        durable: What the user says of it (`drive.durable`): `fsync`, `close`, or None for nothing.
    """
    if kind.kept is Kept.HERE:
        return True
    if durable is None or kind.kept is Kept.NOT:
        return False
    return durable == "close" or kind.kept is not Kept.ON_CLOSE


def contradiction(kind: Kind, durable: str | None) -> str:
    """Why what the user says of this place cannot be, in one line; empty where it can."""
    if durable is None or kind is DRIVE or kind is DISK or keeps(kind, durable):
        return ""
    return f"drive.durable says {durable}, and {kind.name} keeps nothing by that, so it counts for nothing here: {kind.told}"
