"""What an error means and what to do about it, as data. The first rule that fits an error counts."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.session.doctor.patience import Answer, State

#: Many small files at once were refused as over quota at about this number, at 42 % use (a public report; the limit is unknown).
BURST_FILES = 12_600


class Doing(enum.Enum):
    """What was tried, as far as it matters for the meaning of an error."""

    REACH = "reaching the drive folder"
    WRITE = "writing"
    STAT = "asking for a file by name"
    READ = "reading"
    LIST_NEW = "listing a new, small folder"
    LIST = "listing a folder"


@dataclass(frozen=True)
class Rule:
    """One meaning.

    Args:
        errors: Names of the errnos that it is about; empty for any.
        says: What is wrong. `{error}` is the errno's name, `{what}` the call, `{text}` what the error says.
        do: What to do. `{remount}` is how to mount again.
        doing: What was tried; empty for anything.
        on_drive: Only on a Drive mount (True), only elsewhere (False), or both (None).
        room: Only where space is free (True), or where it is not known to be (False), or both (None).
    """

    errors: tuple[str, ...]
    says: str
    do: str
    doing: tuple[Doing, ...] = ()
    on_drive: bool | None = None
    room: bool | None = None

    def fits(self, error: str, doing: Doing, *, on_drive: bool, room: bool) -> bool:
        """Whether this rule is about such an error."""
        return (
            (not self.errors or error in self.errors)
            and (not self.doing or doing in self.doing)
            and self.on_drive in (None, on_drive)
            and self.room in (None, room)
        )


EMPTY_TRASH = "empty Drive's trash (what is in it counts for 30 days), or free space"
RULES = (
    Rule(
        ("ENOTCONN", "ESHUTDOWN", "ECONNABORTED"),
        "the mount is dead ({error}): DriveFS has ended, nothing can be read and nothing is uploaded any more",
        "{remount}",
        on_drive=True,
    ),
    Rule(
        ("ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "ESTALE"),
        "the mount is dead: {what} failed with {error}, as if nothing were there; a dead DriveFS denies what exists (ct#5970, "
        "ct#3874), so nothing here counts as absent",
        "{remount}",
        on_drive=True,
    ),
    Rule(
        ("ENOENT",),
        "{what} is gone right after it was made: the folder below is not what it was",
        "look whether the drive is still mounted",
        doing=(Doing.WRITE, Doing.STAT, Doing.READ, Doing.LIST_NEW),
    ),
    Rule(("ENOENT", "ENOTDIR"), "there is no such folder", "make it, mount the drive, or give another by --drive DIR"),
    Rule(
        ("ENOTCONN", "ESTALE", "EHOSTDOWN", "ENODEV", "ENXIO"),
        "the file system is gone ({error})",
        "mount it again",
        on_drive=False,
    ),
    Rule(
        ("EROFS",),
        "Drive is mounted read-only: nothing can be backed up",
        "mount it without readonly=True; {remount}",
        on_drive=True,
    ),
    Rule(("EROFS",), "the file system is read-only: nothing can be backed up", "mount it for writing, or give another --drive DIR"),
    Rule(
        ("EDQUOT",),
        "over quota while {free}: Drive limits how many small files are made in a short time (seen at about "
        f"{BURST_FILES:,} files)",
        "wait some hours, and keep many small files in one archive, as Holdfast does with what it backs up",
        on_drive=True,
        room=True,
    ),
    Rule(("ENOSPC", "EDQUOT"), "Drive is full ({error}): nothing can be written", EMPTY_TRASH, on_drive=True),
    Rule(("ENOSPC", "EDQUOT"), "no room is left, or the quota is used up ({error})", "free space"),
    Rule(
        ("EIO",),
        "{what} failed with EIO: DriveFS is failing, or the account's download quota is used up",
        "{remount}; if that does not help, wait a day",
        doing=(Doing.READ,),
        on_drive=True,
    ),
    Rule(
        ("EIO",),
        "{what} failed with EIO, though it is small: DriveFS is failing, so that what is there cannot be told",
        "{remount}",
        doing=(Doing.LIST_NEW,),
        on_drive=True,
    ),
    Rule(
        ("EIO",),
        "{what} failed with EIO: Drive answers so for a folder with very many names (500,000 is the limit), and when it fails",
        "move some of what is in it into folders of their own; if it holds little, {remount}",
        doing=(Doing.LIST,),
        on_drive=True,
    ),
    Rule(("EIO",), "{what} failed with EIO: DriveFS is failing", "{remount}", on_drive=True),
    Rule(
        ("EACCES", "EPERM"),
        "access is denied ({error}): {what}",
        "give a folder that you may write to",
    ),
    Rule((), "{what} failed: {text}", "mend that, then run doctor again"),
)

#: Of the store's own folders.
STORE_LISTING = Rule(
    ("EIO",),
    "{what} failed with EIO: Drive answers so for a folder with very many names (500,000 is the limit), and when it fails",
    "{remount}; if that does not help, open an issue with this report; move nothing out of the store by hand",
    on_drive=True,
)
#: Of the store's own files, where a file that was just made can be read.
COLD_READ = Rule(
    ("EIO",),
    "{what} failed with EIO, and a new file can be read: the file's or the account's download quota is used up, or DriveFS cannot "
    "reach Google",
    "wait (quotas come back within a day), or {remount}",
    on_drive=True,
)


#: Said once, below everything that tells to do it.
REMOUNT_COSTS = (
    "a forced remount ends DriveFS without waiting for uploads: what is not uploaded yet may be lost; `holdfast status` shows what "
    "of your work is not known to be safe"
)


def remount(point: str | None) -> str:
    """How to get a working mount."""
    given = f"'{point}'" if point else "MOUNTPOINT"
    return f"restart the runtime, or remount in a cell: drive.mount({given}, force_remount=True)"


@dataclass(frozen=True)
class Setting:
    """What an error's meaning depends on besides the error.

    Args:
        on_drive: Whether it is a Drive mount.
        point: Its mount point.
        free: Free space in words, where there is room; empty where there is none, or nobody knows.
    """

    on_drive: bool
    point: str | None = None
    free: str = ""


def explain(answer: Answer[object], doing: Doing, setting: Setting, rules: tuple[Rule, ...] = RULES) -> str:
    """What is wrong and what to do, for a call that did not come back well.

    Args:
        answer: What it came to.
        doing: What was tried.
        setting: Where.
        rules: In the order in which they are tried; the last must fit anything.
    """
    again = remount(setting.point) if setting.on_drive else "mount it again"
    if answer.state is State.UNTRIED:
        return f"not tried, since calls before it hung: {answer.what}"
    if answer.hung:
        what = "the mount hangs" if setting.on_drive else "the folder hangs"
        return f"{what}: {answer.what} did not come back in {answer.seconds:g} s; {again}"
    rule = next(r for r in rules if r.fits(answer.error, doing, on_drive=setting.on_drive, room=bool(setting.free)))
    words = {
        "error": answer.error or "an error",
        "what": answer.what,
        "text": answer.text,
        "remount": again,
        "free": setting.free,
    }
    return f"{rule.says.format(**words)}; {rule.do.format(**words)}"
