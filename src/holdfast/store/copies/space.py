"""Room on this machine for the copies that backups take: how much they may fill, and how much they do."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import LocalError
from holdfast.store.reporting.amounts import size

#: So much of a disk stays free, whichever is less: a disk that is full stops the job that the copies are to save.
SPARE_BYTES, SPARE_SHARE = 1 << 30, 0.05
#: Of what would be free without them, the copies that wait may take this share: the job writes its next checkpoint beside them.
MAX_WAITING = 0.5
#: Copies of so many bytes are taken also where little is left, as long as they are within their share.
SMALL_COPY = 16 << 20


def why_no_room(needed: int, *, waiting: int, free: int, total: int) -> str:
    """Why a copy may not be taken; empty where it may.

    Args:
        needed: Bytes that it takes.
        waiting: Bytes that copies take already.
        free: Bytes that are free on the disk, without those.
        total: Bytes of the disk.
    """
    spare = min(SPARE_BYTES, int(SPARE_SHARE * total))
    within_share = waiting + needed <= MAX_WAITING * (free + waiting)
    if within_share and (needed <= SMALL_COPY or free - needed >= spare):
        return ""
    beside = f" beside {size(waiting)} of copies that wait to be sent" if waiting else ""
    return (
        f"no room here for a copy of {size(needed)}{beside}: {size(free)} are free on this disk; nothing of it was backed up. "
        "Make space here, or have what waits sent first (keep.flush())"
    )


def refuse_copy(folder: Path, needed: int, place: str, *, waiting: int = 0) -> None:
    """Return where a copy may be taken into a folder, or where the disk does not tell its room.

    Args:
        folder: Where the copy is to lie; it is there.
        needed: Bytes that it takes.
        place: Of what, for the message.
        waiting: Bytes that copies take already, see `copies_in`, with those that were taken just now.

    Raises:
        LocalError: it would leave too little free.
    """
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return
    if why := why_no_room(needed, waiting=waiting, free=disk.free, total=disk.total):
        raise LocalError(errno.ENOSPC, why, place)


def copies_in(folders: Iterable[Path]) -> tuple[int, int]:
    """Bytes of the copies in these folders: what they take on the disk, and what they share with files elsewhere by hard links."""
    own = linked = 0
    for folder in folders:
        for above, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # it has been sent, and is removed, meanwhile
                    found = os.lstat(os.path.join(above, name))
                    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                        linked += found.st_size
                    elif stat.S_ISREG(found.st_mode):
                        own += min(found.st_size, getattr(found, "st_blocks", 1 << 55) * 512)  # a hole takes no room
    return own, linked
