"""The project as a fresh machine would have it: copied without what was made in it. The project itself is only read."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from holdfast.errors import UsageError
from holdfast.session.config import CONFIG_FILE, Config
from holdfast.store.local.state import STATE_FOLDER
from holdfast.store.local.workspace import ASIDE_FOLDER
from holdfast.store.reporting.amounts import size

#: Folders that tools make by themselves, and Git's.
_MADE_BY_TOOLS = frozenset(
    {
        ".git",
        "__pycache__",
        ".ipynb_checkpoints",
        ".cache",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        ".tox",
        ".nox",
    }
)
#: Marks a cache, by https://bford.info/cachedir/.
_CACHE_TAG = "CACHEDIR.TAG"
_VENV_MARK = "pyvenv.cfg"
_STORE_MARK = "holdfast.json"
_NAMED = 3


@dataclass(frozen=True)
class Plan:
    """What is copied, and how: paths from the project folder.

    Args:
        folders: To be made, parents first.
        files: To be copied.
        links: To be made, with what they point to.
        total: Bytes of the files.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    total: int


def plan(config: Config, drive: Path | None, *, limit: int) -> Plan:
    """Decide what is copied: everything but outputs, `.holdfast`, `.git`, caches, stores and the drive folder.

    A virtual environment is linked, so that a command finds its Python. A link out of the project points where it did.

    Args:
        config: The project.
        drive: Its drive folder, which may lie inside it.
        limit: Most bytes.

    Raises:
        UsageError: it is larger; names what is large.
    """
    skipped = {config.root / name for name in (config.outputs, STATE_FOLDER, ASIDE_FOLDER)} | ({drive} if drive else set())
    folders, files, links, sizes = [], [], [], dict[str, int]()
    for entry, path in _walk(config.root, skipped):
        if entry.is_symlink():
            links.append((path, _target(config.root, Path(entry.path))))
        elif entry.is_dir() and Path(entry.path, _VENV_MARK).exists():
            links.append((path, entry.path))
        elif entry.is_dir():
            folders.append(path)
        else:
            files.append(path)
            top = path.partition("/")[0]
            sizes[top] = sizes.get(top, 0) + entry.stat().st_size
    total = sum(sizes.values())
    if total > limit:
        largest = ", ".join(f"{name} ({size(sizes[name])})" for name in sorted(sizes, key=lambda n: -sizes[n])[:_NAMED])
        raise UsageError(
            f"a drill copies the project, and {config.root} has {size(total)} without its outputs, most of it in {largest}; "
            f"{size(limit)} is the limit: raise it by --copy-limit MIB"
        )
    return Plan(tuple(folders), tuple(files), tuple(links), total)


def _walk(root: Path, skipped: set[Path]) -> Iterator[tuple[os.DirEntry[str], str]]:
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = sorted(found, key=lambda e: e.name)
        for entry in entries:
            place = Path(entry.path)
            if place in skipped or not (entry.is_symlink() or stat.S_IFMT(entry.stat().st_mode) in (stat.S_IFDIR, stat.S_IFREG)):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name in _MADE_BY_TOOLS or (place / _CACHE_TAG).exists() or (place / _STORE_MARK).exists():
                    continue
                if not (place / _VENV_MARK).exists():
                    pending.append(place)
            yield entry, place.relative_to(root).as_posix()


def _target(root: Path, link: Path) -> str:
    """What the same link has to say in a copy: one into the project stays inside the copy, any other points where it did."""
    there = Path(os.path.abspath(link.parent / os.readlink(link)))
    return os.path.relpath(there, link.parent) if there.is_relative_to(root) else str(there)


def copy(config: Config, what: Plan, to: Path) -> None:
    """Copy the project into a new folder. Its store keeps its name there, and need not be the one that settings ask for.

    Raises:
        OSError: a file cannot be read, or the copy cannot be written.
    """
    to.mkdir(parents=True)
    for folder in what.folders:
        (to / folder).mkdir()
    for file in what.files:
        shutil.copy2(config.root / file, to / file)
    for link, target in what.links:
        (to / link).symlink_to(target)
    if config.store_id is not None:  # the drive of a drill is empty, and none but this store would be made there
        document = yaml.safe_load((to / CONFIG_FILE).read_text(encoding="utf-8"))
        del document["drive"]["store_id"]
        (to / CONFIG_FILE).write_text(yaml.safe_dump(document), encoding="utf-8")


def name_of(config: Config) -> str:
    """What the folder of a copy is called, so that a store which is named by its project's folder keeps its name."""
    return PurePosixPath(config.project).name
