"""Putting fetched files in place without replacing anything that appeared meanwhile: local wins."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import LocalError
from holdfast.platform import fsync_folder
from holdfast.store.format.entries import FolderRecord
from holdfast.store.format.keys import folders_above


def publish_tree(temporary: Path, target: Path) -> bool:
    """Rename a complete folder into place. False where something is there already; nothing is touched then.

    An empty folder counts as nothing: rename replaces it in one step (POSIX rename(2)).

    Raises:
        LocalError: the disk refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.name == "nt" and target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise LocalError(error.errno, error.strerror, str(target)) from error
    fsync_folder(target.parent)
    return True


def publish_files(temporaries: Mapping[str, Path | str], root: Path) -> tuple[str, ...]:
    """Link files into a folder that is there. Gives the paths at which something had appeared; those are left alone.

    Args:
        temporaries: Path below `root` (empty for `root` itself) to the complete temporary.
        root: The artifact on this machine.

    Raises:
        LocalError: the disk refuses.
    """
    appeared = []
    folders = set[str]()
    for path, temporary in sorted(temporaries.items()):
        target = f"{root}/{path}" if path else str(root)
        folder = os.path.dirname(target)
        try:
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            if not _place(temporary, target):
                appeared.append(path)
        except OSError as error:
            raise LocalError(error.errno, error.strerror, target) from error
    for folder in sorted(folders):
        fsync_folder(folder)
    return tuple(appeared)


def _place(temporary: Path | str, target: str) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links. Between look and rename something could appear; nothing better is offered.
        if _exists(target):
            return False
        os.rename(temporary, target)
        return True
    os.unlink(temporary)
    return True


def _exists(target: str) -> bool:
    try:
        os.lstat(target)
    except FileNotFoundError:
        return False
    return True


def make_links(links: Mapping[str, str], root: Path) -> tuple[str, ...]:
    """Make symbolic links in a folder that is there. Gives the paths at which something had appeared; that is left alone.

    They are made after every file: nothing is ever written through one.

    Args:
        links: Path below `root` (empty for `root` itself) to target.
        root: The artifact on this machine.

    Raises:
        LocalError: the disk refuses.
    """
    appeared, made = [], set[str]()
    for path, target in sorted(links.items()):
        place = root / path if path else root
        if not made.isdisjoint(folders_above([path])):  # another artifact's link, where this one has a folder
            appeared.append(path)
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, place)
            made.add(path)
        except FileExistsError:
            appeared.append(path)
        except OSError as error:
            raise LocalError(error.errno, error.strerror, str(place)) from error
    return tuple(appeared)


def settle_folders(folders: Mapping[Path, FolderRecord]) -> None:
    """Give folders that a restore made their times and modes: the deepest first, and after everything that lies in them.

    What is no folder any more is left alone.

    Raises:
        LocalError: the disk refuses.
    """
    for place, folder in sorted(folders.items(), key=lambda item: len(item[0].parts), reverse=True):
        try:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                continue
            if folder.mtime_ns is not None:
                os.utime(place, ns=(folder.mtime_ns, folder.mtime_ns))
            if folder.mode is not None:
                os.chmod(place, folder.mode)
        except FileNotFoundError:
            continue  # removed meanwhile, by whoever works here
        except OSError as error:
            raise LocalError(error.errno, error.strerror, str(place)) from error
