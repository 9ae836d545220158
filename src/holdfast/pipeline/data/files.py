"""Which files are data: one way of listing them for all that read, copy and recognise them; and their copies on the local disk."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast.errors import BadData, LocalError
from holdfast.pipeline.data.formats.recognise import COLUMNS, SUFFIXES
from holdfast.store.format.keys import printable

log = logging.getLogger(__name__)

#: Files that stand beside data and are none.
_BESIDE = frozenset({"dataset_info.json", "dataset_dict.json", "state.json", "annotations-legend.json", "typesystem.xml"})
#: A part of a file that was too large for one, as `datasets` calls it: it is no document of its own.
_PART = re.compile(r"-\d+-of-\d+$")


def data_files(path: Path) -> list[Path]:
    """The file itself, or the data files of a folder and of those in it, in the order of their names.

    brat's texts count with their annotations. What is hidden is left out.

    Raises:
        BadData: the folder holds none, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    try:
        files = without_companions(p for p in _walk(path) if not is_beside(p))
        there = "" if files else ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
    except OSError as error:
        raise BadData(printable(f"{path}: the data folder cannot be read: {error.strerror}; check the path")) from error
    if there:
        raise BadData(printable(f"{path}: no data file is in it; there is {there}; data files end in {' '.join(SUFFIXES)}"))
    return files


def holds_data(folder: Path) -> bool:
    """Whether a data file is in a folder, or in a folder in it."""
    return any(not is_beside(p) for p in _walk(folder))


def is_data(path: Path) -> bool:
    """Whether it is a file with a suffix that is read."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def is_beside(path: Path) -> bool:
    """Whether it stands beside data and is none, by its name."""
    return path.name.lower() in _BESIDE


def without_companions(files: Iterable[Path]) -> list[Path]:
    """The files without the texts that belong to one of them."""
    files = list(files)
    texts = {other for p in files for other in companions(p)}
    return [p for p in files if p not in texts]


def companions(path: Path) -> list[Path]:
    """What is read together with a file: the text of brat's annotations, the schema of a `datasets` folder."""
    suffix = path.suffix.lower()
    beside = {".ann": path.with_suffix(".txt"), ".arrow": path.with_name("dataset_info.json")}.get(suffix)
    return [beside] if beside is not None and beside.is_file() else []


def is_document(path: Path) -> bool:
    """Whether a file of columns among others is taken for one document: all but the parts of a larger file are."""
    return path.suffix.lower() in COLUMNS and _PART.search(path.stem) is None


def _walk(folder: Path, deep: Iterable[str] | None = None) -> Iterator[Path]:
    """The files of a folder and of the folders in it that can be data; of the latter only those named in `deep`, if it is given.

    Nothing is passed over in silence: a folder that cannot be read is an error. Links to folders are not followed further down.
    """
    for p in sorted(folder.iterdir()):
        if p.name.startswith("."):
            continue
        if is_data(p):
            yield p
        elif p.is_dir() and (p.name in deep if deep is not None else not p.is_symlink()):
            yield from _walk(p)


def bring_here(path: Path, drive: Path | None, cache: Path, *, deep: Iterable[str] | None = None) -> Path:
    """Copy data that lies on a mount to the local disk, where reading it is fast and cannot hang half-way.

    A file that is already here with the same size and time is not copied again. Of a folder, the files in it and in the folders
    in it that can be read as data are brought. A copy takes its name only when it is whole.

    Args:
        path: A data file, or a folder of them.
        drive: The mount, or None.
        cache: Local folder for copies.
        deep: Of which folders in it what they hold is brought, by their names; None for all.

    Returns:
        The local path, or `path` itself where it does not lie on the mount.

    Raises:
        BadData: the data is not there, or cannot be read from the mount.
        LocalError: no space here.
    """
    source = path.resolve()
    if drive is None or not source.is_relative_to(drive.resolve()):
        return path
    here = cache / source.relative_to(drive.resolve())
    try:
        if source.is_dir():
            pairs = [(p, here / p.relative_to(source)) for p in _walk(source, deep)]
        else:
            pairs = [(p, here.with_name(p.name)) for p in [source, *companions(source)]]
        copied = sum(_copy_if_changed(p, target) for p, target in pairs)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalError(printable(f"{here}: no space for a copy of {path}; make space")) from error
        raise BadData(printable(f"{path}: cannot be copied from the drive: {error.strerror or error}; check it there")) from error
    if here.is_dir():
        # a file that was renamed on the drive would be there under both names
        wanted = {target for _, target in pairs}
        for stale in [p for p in _walk(here, deep) if p not in wanted]:
            stale.unlink()
    if copied:
        log.info("copied %d file(s) of data from %s to %s", copied, printable(str(path)), printable(str(here)))
    return here


def _copy_if_changed(source: Path, target: Path) -> bool:
    before = source.stat()
    if target.is_file():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, temporary)
        size = temporary.stat().st_size
        if size != before.st_size:  # a mount may end a file early
            raise OSError(errno.EIO, f"{size} bytes came instead of {before.st_size}")
        os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return True
