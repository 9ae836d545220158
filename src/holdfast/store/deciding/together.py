"""Which files are worth something only beside others of the same moment, and whether they are of one. Told by names alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from holdfast.store.format.keys import check_component, within
from holdfast.store.local.records import Signature

_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_LEVEL_MANIFEST = re.compile(r"MANIFEST-\d{6,}")
#: What may grow behind what was copied of it: its readers take whole records from the front.
_GROWS = re.compile(r"\d{6,}\.log")
#: What its owner makes and removes on the way, or writes for people.
_PASSING = re.compile(r"LOCK|LOG(\.old\..*)?|.*\.partial|\.tmp.{6}|.*\.dbtmp")
#: A program that fills a folder is held up by the disk now and then; what lies there until it goes on is half of one state.
_REST_SECONDS = 0.25
_LOG = ".wal"
#: A file of DuckDB's is known by content, which nobody has read yet where only these matter.
_DATABASE_KINDS = ("DuckDB", "DuckDB's log")


@dataclass(frozen=True)
class Together:
    """Files that are worth something only as they were at one moment.

    Args:
        scope: All paths at and below these are of it.
        head: Which of them is named where no such moment was found.
        why: What is said of it then.
        kinds: It is one only if a file in it is of such a kind; empty where names are enough.
        appended: Nothing in it is written twice, and what a file names was written before it: what came meanwhile is added.
        rest_seconds: Nothing in it may have been written for so long: its program writes one file after the other, and none says
            which are done.
    """

    scope: tuple[str, ...]
    head: str
    why: str
    kinds: tuple[str, ...] = ()
    appended: bool = False
    rest_seconds: float = 0.0

    def kinds_fit(self, kinds: Iterable[str]) -> bool:
        """True where it is what its names promise, by the kinds of those of its files that were looked into."""
        return not self.kinds or any(kind in self.kinds for kind in kinds)

    def members(self, paths: Collection[str]) -> list[str]:
        """Those of the paths that belong to it, in their order."""
        inside = (p for p in paths if any(within(p, prefix) for prefix in self.scope))
        return [p for p in inside if not _PASSING.fullmatch(_name(p))]

    def moved(self, taken: Mapping[str, Signature], now: Mapping[str, Signature]) -> tuple[list[str], list[str]]:
        """What has to be taken again, and what is to be dropped, for all of it to be of one moment.

        Args:
            taken: What its files looked like when they were copied.
            now: What they look like after that.
        """
        if self.appended:
            return [p for p in self.members(now) if p not in taken and not _is_version(p)], []
        again = [p for p in self.members(now) if p not in taken or not _is_as_it_was(p, taken[p], now[p])]
        return again, [p for p in self.members(taken) if p not in now]


def together(paths: Collection[str]) -> list[Together]:
    """What belongs together among the files of one artifact."""
    names: dict[str, set[str]] = {}
    for path in paths:
        names.setdefault(_folder(path), set()).add(_name(path))
    pairs = ((p.removesuffix(_LOG), p) for p in paths if p.endswith(_LOG) and p.removesuffix(_LOG) in paths)
    found = [Together(pair, pair[0], "written to between its file and its log", _DATABASE_KINDS) for pair in pairs]
    roots: list[str] = []
    for folder in sorted(names):
        inside = names[folder]
        if any(within(folder, root) for root in roots):
            continue
        head = next((n for n in _ZARR if n in inside), "")
        if head:
            roots.append(folder)
            why = "written to while its folder was copied, so that it mixes states"
            found.append(Together((folder,), _join(folder, head), why, rest_seconds=_REST_SECONDS))
        elif "CURRENT" in inside and any(_LEVEL_MANIFEST.fullmatch(n) for n in inside):
            found.append(Together((folder,), _join(folder, "CURRENT"), "of a database whose files changed while they were copied"))
        elif _name(folder) == "_versions" and (versions := [n for n in inside if n.endswith(".manifest")]):
            head = _join(folder, max(versions, key=_version))
            found.append(Together((_folder(folder),), head, "of a data set that lost files while it was copied", appended=True))
    return found


def roots_of_groups(paths: Collection[str]) -> tuple[str, ...]:
    """The folders of what belongs together among the files of one artifact."""
    return tuple(root for group in together(paths) if not group.kinds for root in group.scope)


def begins_group(path: str) -> bool:
    """True where what lies around a new file or folder may belong together from then on."""
    name = _name(path)
    if name in (*_ZARR, "CURRENT", "_versions") or _LEVEL_MANIFEST.fullmatch(name):
        return True
    return name.endswith(".manifest") and _name(_folder(path)) == "_versions"


def with_logs(scope: Collection[str]) -> tuple[str, ...]:
    """A scope such that no file of a database is taken without its log, nor the other way round."""
    also = [p.removesuffix(_LOG) if p.endswith(_LOG) else p + _LOG for p in scope if p]
    return (*scope, *(p for p in also if _can_be(p) and p not in scope and not any(within(p, s) for s in scope)))


def _can_be(path: str) -> bool:
    """False where no file can have such a name: that of a log is longer than its database's."""
    return bool(path) and check_component(_name(path)) is None


def _is_as_it_was(path: str, before: Signature, now: Signature) -> bool:
    if before.same_content(now):
        return True
    grows = path.endswith(_LOG) or _GROWS.fullmatch(_name(path)) is not None
    return grows and before.inode == now.inode and before.size < now.size


def _is_version(path: str) -> bool:
    return _name(_folder(path)) == "_versions" or _name(path) == "latest_version_hint.json"


def _version(name: str) -> int:
    """The number of a version. The newer scheme counts down from the largest of 64 bits (lance's `ManifestNamingScheme`)."""
    digits = re.match(r"\d+", name)
    number = int(digits[0]) if digits else -1
    return number if number < 1 << 63 else (1 << 64) - 1 - number


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
