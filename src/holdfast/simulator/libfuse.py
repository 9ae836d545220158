"""Choosing libfuse 3, and the one place that loads it.

Debian keeps libfuse 2 and libfuse 3 side by side, and mfusepy takes 2 where it finds both. What the simulator asks of a
mount (`max_threads`, `truncate` by handle) is libfuse 3's.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from ctypes.util import find_library
from pathlib import Path
from typing import Any

#: mfusepy reads these two when it is imported: a path, and a name to look for.
_PATH, _NAME = "FUSE_LIBRARY_PATH", "FUSE_LIBRARY_NAME"
_INSTALL = "apt-get install fuse3 libfuse3-3 (libfuse3-4 where that is what the system has)"


class NoLibfuse(Exception):
    """No libfuse 3 is to be had. Its text is one line that says what to do."""


def usual_folders() -> tuple[Path, ...]:
    """Where systems keep libraries, for those without an `ldconfig` that says so."""
    machine = f"{os.uname().machine}-linux-gnu"
    names = (f"/lib/{machine}", f"/usr/lib/{machine}", "/lib64", "/usr/lib64", "/usr/local/lib", "/lib", "/usr/lib")
    return (*map(Path, names), Path(sys.prefix, "lib"))


def version_of(library: str) -> tuple[int, int] | None:
    """Major and minor, None where it cannot be loaded as a libfuse. 2.9 says 29, 3.14 says 314."""
    try:
        number = int(ctypes.CDLL(library).fuse_version())
    except (OSError, AttributeError):
        return None
    return (number // 10, number % 10) if number < 100 else (number // 100, number % 100)


def choose(
    environment: Mapping[str, str] = os.environ,
    find: Callable[[str], str | None] = find_library,
    folders: Iterable[Path] | None = None,
    version: Callable[[str], tuple[int, int] | None] = version_of,
) -> str:
    """The libfuse 3 to load: as the user set it, else as the system finds it, else in one of the usual folders.

    Args:
        environment: With what the user may have set.
        find: The file of a library by its name, None where there is none.
        folders: Where to look for it by hand; None for the usual ones.
        version: Major and minor of a library that the user set, None where it is no libfuse.

    Raises:
        NoLibfuse: there is none, or what the user set is another version.
    """
    wanted = environment.get(_PATH) or ""
    if not wanted and (name := environment.get(_NAME)):
        wanted = find(name) or ""
        if not wanted:
            raise NoLibfuse(f"no library is named {name}, as {_NAME} says: leave that variable out, or {_INSTALL}")
    if wanted:
        number = version(wanted)
        if number is None or number[0] != 3:
            what = "is no libfuse that can be loaded" if number is None else f"is libfuse {number[0]}.{number[1]}, and 3 is needed"
            raise NoLibfuse(f"{wanted}, as {_PATH if environment.get(_PATH) else _NAME} says, {what}: leave that variable out")
        return wanted
    if (found := find("fuse3")) is not None:
        return found
    for folder in usual_folders() if folders is None else folders:
        for place in sorted(folder.glob("libfuse3.so*")):
            return str(place)
    raise NoLibfuse(f"libfuse 3 is missing: {_INSTALL}")


def load() -> type[Any]:
    """`mfusepy.FUSE` on libfuse 3, whose `truncate` says which handle is meant.

    libfuse passes no path for an open file here, and mfusepy 3.1 then passes no handle either.

    Raises:
        NoLibfuse: there is none.
    """
    os.environ[_PATH] = choose()  # read once, when mfusepy is first imported
    from mfusepy import FUSE  # type: ignore[import-untyped]

    class Fuse(FUSE):  # type: ignore[misc]
        """See `load`."""

        def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> int:
            """Pass the handle on, where there is one."""
            decoded = None if path is None else path.decode(self.encoding, self.errors)
            return int(self.operations.truncate(decoded, length, fip.contents.fh if fip else None))

    return Fuse
