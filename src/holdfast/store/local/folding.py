"""Names that a file system cannot tell apart: by case (NTFS, ext4 in a folder with `+F`), by accents, or by both (APFS, HFS+).

A file is here if its folder lists that very name. `lstat` alone answers for another one too, where names fold.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.store.format.keys import folders_above

Fold = Callable[[str], str]


def _by_case(name: str) -> str:
    return name.casefold()


def _by_accents(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFD", name)


def _by_both(name: str) -> str:
    return _by_accents(_by_accents(name).casefold())


HOW_NAMES_FOLD: dict[str, Fold] = {"case": _by_case, "accents": _by_accents, "both": _by_both}


def twins(paths: Collection[str], fold: Fold = _by_both, here: Collection[str] = ()) -> dict[str, str]:
    """Which of these paths cannot stand beside another of them where names fold so: the path to that other one.

    The other one is what is here already, or comes first. What lies below a folder that cannot stand cannot either. Pure.

    Args:
        paths: Relative paths of files, links and folders.
        fold: Two names that it makes equal are one.
        here: Those of the paths that are here under their own names.
    """
    everything = {*paths, *folders_above(paths)}
    if len({fold(path) for path in everything}) == len(everything):
        return {}
    chosen: dict[str, str] = {}
    found = {}
    first = {*here, *folders_above(here)}
    for path in sorted(everything, key=lambda p: (p not in first, p)):
        for part in (*sorted(folders_above([path])), path):
            other = chosen.setdefault(fold(part), part)
            if other != part:
                found[path] = other + path[len(part) :]
                break
    return {path: found[path] for path in paths if path in found}


def how_names_fold(folder: Path) -> Fold | None:
    """How names fold in an empty folder, or None where they do not. Two files are made there and removed.

    Raises:
        OSError: it cannot be written.
    """
    case, accents = folder / "case", folder / "accents-\u00e9"
    for place in (case, accents):
        place.touch()
    try:
        by_case, by_accents = (folder / "CASE").exists(), (folder / "accents-e\u0301").exists()
    finally:
        for place in (case, accents):
            place.unlink()
    if by_case:
        return _by_both if by_accents else _by_case
    return _by_accents if by_accents else None


@dataclass
class _Folder:
    """What is known of one folder: whether names fold there, None while nobody has tried, and if so what it lists."""

    by_case: bool | None = None
    by_accents: bool | None = None
    listed: frozenset[str] | None = None


@dataclass
class Names:
    """A look at the names below a folder. Costs one more lstat for a folder, and a listing only where names fold there.

    Args:
        root: An absolute path, whose own name is not looked at.
    """

    root: str
    _folders: dict[str, _Folder] = field(default_factory=dict)
    _seen: dict[str, tuple[str, str] | None] = field(default_factory=dict)

    def twin(self, path: str) -> tuple[str, str] | None:
        """A part of the path that is here under another name only, and that other path; None where there is none.

        Args:
            path: Relative to the root. What is not here at all is here under no name.

        Raises:
            OSError: a folder cannot be listed.
        """
        folder, _, name = path.rpartition("/")
        if folder not in self._seen:
            self._seen[folder] = self.twin(folder) if folder else None
        above = self._seen[folder]
        if above is not None:
            return above
        other = self._other(folder, name)
        return None if other is None else (path, f"{folder}/{other}" if folder else other)

    def _other(self, folder: str, name: str) -> str | None:
        known = self._folders.setdefault(folder, _Folder())
        place = f"{self.root}/{folder}" if folder else self.root
        case, accents = _other_case(name), _other_accents(name)
        if case is not None and known.by_case is None:
            known.by_case = _is_one(f"{place}/{name}", f"{place}/{case}")
        if accents is not None and known.by_accents is None:
            known.by_accents = _is_one(f"{place}/{name}", f"{place}/{accents}")
        if not (case is not None and known.by_case) and not (accents is not None and known.by_accents):
            return None
        if known.listed is None:
            known.listed = frozenset(os.listdir(place))
        if name in known.listed or not os.path.lexists(f"{place}/{name}"):
            return None
        return next((other for other in sorted(known.listed) if _is_one(f"{place}/{name}", f"{place}/{other}")), name)


def _is_one(place: str, other: str) -> bool | None:
    """Whether two names are one thing; None where the first is nothing."""
    try:
        found = os.lstat(place)
    except OSError:
        return None
    try:
        return os.path.samestat(found, os.lstat(other))
    except OSError:
        return False


def _other_case(name: str) -> str | None:
    """The name with other capitals, as every file system that folds case folds them; None where it has no such letter."""
    swapped = "".join(c.swapcase() if c.isascii() else c for c in name)
    if swapped != name:
        return swapped
    swapped = name.swapcase()
    return swapped if swapped != name and swapped.casefold() == name.casefold() else None


def _other_accents(name: str) -> str | None:
    if name.isascii():
        return None
    return next((n for n in (unicodedata.normalize(form, name) for form in ("NFD", "NFC")) if n != name), None)
