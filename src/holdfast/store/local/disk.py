"""What lies on this machine's disk at one place, and its errors as ours."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import HoldfastError, LocalError


@contextlib.contextmanager
def local_errors() -> Iterator[None]:
    """Errors of this machine's disk, as ours."""
    try:
        yield
    except HoldfastError:
        raise
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename or "the local disk") from error


def lstat_or_none(path: Path | str) -> os.stat_result | None:
    """What is at a path, not following a link, or None where nothing is."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise LocalError(error.errno, error.strerror, str(path)) from error


def below(root: str, path: str) -> str:
    """Where a relative path lies; the empty one is the root itself. As text: quick, where there are many."""
    return f"{root}/{path}" if path else root


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, where it is there. What cannot be removed stays."""
    if os.path.lexists(folder):
        import shutil  # loads three libraries that compress, which nearly nobody needs who only looks

        shutil.rmtree(folder, ignore_errors=True)


def is_folder(found: os.stat_result | None) -> bool:
    """True for a folder, not for a link to one."""
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_link(found: os.stat_result | None) -> bool:
    """True for a symbolic link."""
    return found is not None and stat.S_ISLNK(found.st_mode)


def is_file(found: os.stat_result | None) -> bool:
    """True for a regular file, not for a link to one."""
    return found is not None and stat.S_ISREG(found.st_mode)
