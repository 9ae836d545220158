"""Where the drive folder lies, as far as the mount table tells; and the first knock at it."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from holdfast.session.doctor.patience import Answer, Patience
from holdfast.store.backends.backend import Space
from holdfast.store.backends.mounts import DRIVE_FILE_SYSTEM, OTHER, Kind, Mount, kind_named
from holdfast.store.format.keys import printable

#: The names that Drive's own folder has below a mount point.
ACCOUNT_FOLDERS = ("MyDrive", "My Drive")
#: Mount options whose value may name a person or a machine.
_PERSONAL = re.compile(r"\b(user(?:name)?|pass(?:word)?|cred(?:entials)?|domain|dom|addr|clientaddr|mountaddr)=[^,]*")


@dataclass(frozen=True)
class Place:
    """Where the drive folder lies.

    Args:
        folder: The drive folder.
        project: Path of the store folder below it.
        point: The mount point that holds it; None where nothing tells.
        kind: Type of its file system; None where nothing tells.
        options: Of that mount.
        expected: Where Drive should be mounted, if the folder lies at or below that.
        known: What is known of that kind of mount; None where its type says it all.
    """

    folder: Path
    project: str
    point: Path | None = None
    kind: str | None = None
    options: str = ""
    expected: Path | None = None
    known: Kind | None = None

    @property
    def sort(self) -> Kind:
        """What is known of this kind of place."""
        return self.known or kind_named(self.kind)

    @property
    def store(self) -> Path:
        """The store folder."""
        return self.folder / self.project

    @property
    def on_drive(self) -> bool:
        """Whether a Drive mount holds the folder."""
        return self.kind == DRIVE_FILE_SYSTEM

    @property
    def unmounted(self) -> bool:
        """Whether Drive should be mounted here and is not."""
        return self.expected is not None and not (self.on_drive and self.point == self.expected)


@dataclass(frozen=True)
class Mounted:
    """One line of the mount table, without its device, which on a network names a machine."""

    kind: str
    options: str
    known: Kind = OTHER


def read_mounts(text: str) -> dict[Path, Mounted]:
    """The mount table from the text of `/proc/mounts`; of several at one point the last, which lies on top."""
    table = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
            known = Mount(point, fields[2], fields[0]).kind
            table[Path(point)] = Mounted(fields[2], _PERSONAL.sub(r"\1=...", fields[3]), known)
    return table


def mounts() -> dict[Path, Mounted]:
    """The mount table of this machine; empty where there is none (macOS, Windows). Touches no mount."""
    try:
        return read_mounts(Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return {}


def locate(folder: Path, project: str, drive_point: Path, table: Mapping[Path, Mounted], real: tuple[Path, Path] | None) -> Place:
    """Place a folder in the mount table.

    Args:
        folder: The drive folder.
        project: Path of the store folder below it.
        drive_point: Where Drive is expected to be mounted.
        table: From `mounts`.
        real: The folder and the point with links followed; None where that is not known, because asking hung.
    """
    seen, point = real or (Path(os.path.abspath(folder)), Path(os.path.abspath(drive_point)))
    below = _is_at_or_below(Path(os.path.abspath(folder)), Path(os.path.abspath(drive_point)))
    holding = next((p for p in (seen, *seen.parents) if p in table), None)
    found = None if holding is None else table[holding]
    return Place(
        folder,
        project,
        holding,
        None if found is None else found.kind,
        "" if found is None else found.options,
        point if below else None,
        None if found is None else found.known,
    )


def _is_at_or_below(path: PurePath, above: PurePath) -> bool:
    return path == above or above in path.parents


@dataclass(frozen=True)
class Knock:
    """What came back from the first calls on the drive folder.

    Args:
        folder: Whether it is a folder.
        point: Whether the mount point answers; None where the folder did.
        listed: Whether the folder above shows the folder's name; None where that was not asked.
        space: Of the account on Drive, else of the file system.
    """

    folder: Answer[bool]
    point: Answer[bool] | None = None
    listed: Answer[bool] | None = None
    space: Answer[Space] | None = None


def knock(place: Place, patience: Patience) -> Knock:
    """Touch the drive folder for the first time."""
    folder = patience.ask(f"stat of {shown(place.folder)}", lambda: stat.S_ISDIR(os.stat(place.folder).st_mode))
    if folder.came:
        return Knock(folder, space=patience.ask("statvfs, which tells the free space,", lambda: _space(place.folder)))
    if not place.on_drive or place.point is None or folder.hung:
        return Knock(folder)
    top, above = place.point, place.folder.parent
    point = patience.ask(f"stat of {shown(top)}", lambda: stat.S_ISDIR(os.stat(top).st_mode))
    listed = patience.ask(f"a listing of {shown(above)}", lambda: place.folder.name in os.listdir(above))
    return Knock(folder, point, listed)


def _space(folder: Path) -> Space:
    found = shutil.disk_usage(folder)
    return Space(found.total, found.free)


def shown(path: Path) -> str:
    """A path for a person, on one line."""
    return printable(str(path))
