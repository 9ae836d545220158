"""What files and folders hold, as one short text each. What is unchanged since it was read is not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from holdfast.flow.fingerprint import canonical
from holdfast.flow.outputs import is_aside
from holdfast.session.files import file_identity
from holdfast.session.keeper import Keeper

#: A file that was written less than so long ago may be written again under the same times.
_AT_REST_SECONDS = 2.0

#: How a file that says what a step made is called, beside the first of its outputs.
RECORD_SUFFIX = ".step"

_Seen = tuple[int, int, int, int]


def record_of(key: str) -> str:
    """The key of the record of a step, given that of its first output: hidden, so that no `*` takes it for one."""
    above, _, name = key.rpartition("/")
    return f"{above}/.{name}{RECORD_SUFFIX}"


def is_record(name: str) -> bool:
    """Whether a file is the record of a step."""
    return name.startswith(".") and name.endswith(RECORD_SUFFIX)


def combined(files: Mapping[str, str]) -> str:
    """One text for all files at and below a path.

    Args:
        files: Each by its path below, empty for the path itself, with its hash.
    """
    if set(files) == {""}:
        return files[""][:32]
    return blake3(canonical(dict(files))).hexdigest(length=16)


class Contents:
    """Reads what is here.

    Args:
        keeper: Remembers the hashes of what lies in outputs; those of other files are remembered while this process lives.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._known: dict[Path, tuple[_Seen, str]] = {}

    def of(self, place: Path) -> str | None:
        """What a file or folder holds; None where there is none."""
        if place.is_file():
            return combined({"": self._file(place)})
        if not place.is_dir():
            return None
        files = {}
        for folder, names, found in os.walk(place):
            names.sort()
            for name in found:
                one = Path(folder, name)
                if one.is_file() and not is_record(name) and not is_aside(name):
                    files[one.relative_to(place).as_posix()] = self._file(one)
        return combined(files)

    def _file(self, place: Path) -> str:
        outputs = self._keeper.workspace.local(self._keeper.workspace.outputs)
        if place.is_relative_to(outputs):
            found = self._keeper.identity(place)
            if found is not None:
                return found
        state = place.stat()
        seen = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        known = self._known.get(place)
        if known is not None and known[0] == seen:
            return known[1]
        rests = time.time() - max(state.st_mtime, state.st_ctime) > _AT_REST_SECONDS
        identity = file_identity(place)
        if rests:
            self._known[place] = (seen, identity)
        return identity
