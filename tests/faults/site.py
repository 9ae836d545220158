"""One project on one machine with its drive, built, copied and read by the kill sweep."""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from holdfast.cli import main
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.simulator.tree import ALIAS
from holdfast.store.local.state import STATE_FOLDER
from holdfast.store.local.workspace import Workspace
from holdfast.store.transfer.progress import Silent
from tests.faults import warm
from tests.faults.mounted import Mounted
from tests.faults.warm_python import WarmPython

ARTIFACT = "outputs/run"
#: One transfer at a time keeps every call in the main thread, so that the n-th call is the same one in every run.
CONFIG = "drive:\n  backup_base_dir: proj\n  parallel: 1\n"

#: Path below a folder to content; a folder without content ends in a slash.
Tree = Mapping[str, bytes]


class Site:
    """A workspace and a drive below one folder, as one machine sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = folder / "here"
        self.drive = folder / "drive"
        self.artifact = self.here / ARTIFACT
        self.config = CONFIG
        self.fine = frozenset({0})  #: exit codes of a command that went through
        self._fresh = 0

    @property
    def sides(self) -> dict[str, Path]:
        return {"workspace": self.here, "store": self.drive}

    def set_up(self) -> None:
        self.drive.mkdir(parents=True, exist_ok=True)
        self._project(self.here)

    def begin(self, seed: int = 0) -> None:
        """What was copied is about to be used; the seed is of what chance decides in it."""

    def settle(self) -> None:
        """Everything that was stored is safe."""

    def holds(self, pattern: str) -> bool:
        """Whether the store has a file of such a name."""
        return any(self.sides["store"].rglob(pattern))

    def copy(self, target: Path) -> None:
        """Keep a copy of everything, all of it stored."""
        copy_tree(self.folder, target)

    def close(self) -> None:
        """It is not used any more."""

    def forget_here(self) -> None:
        """The machine is taken away; a new one has the project and nothing else."""
        shutil.rmtree(self.here)
        self._project(self.here)

    def write(self, files: Tree) -> None:
        write_tree(self.artifact, files)

    def arguments(self, *command: str) -> list[str]:
        return [*command, "--root", str(self.here), "--drive", str(self.drive)]

    def start(self, *command: str) -> int:
        """Process of the `holdfast` command; forked, because starting Python is the slow part."""
        _warm_up()
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _become_cli(self.arguments(*command), self.folder / "cli.log")
        return child

    def cli(self, *command: str) -> int:
        """Exit code of the `holdfast` command."""
        return os.waitstatus_to_exitcode(os.waitpid(self.start(*command), 0)[1])

    def said(self) -> str:
        """The last line that a command printed."""
        log = self.folder / "cli.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else ""

    def keeper(self) -> Keeper:
        return open_keeper(self.here, self.drive, mount=False, progress=Silent())

    def fresh(self) -> tuple[Keeper, Path]:
        """A keeper on a machine that never saw the project, and its artifact."""
        self._fresh += 1
        root = self.folder / f"fresh-{self._fresh}"
        self._project(root)
        return open_keeper(root, self.drive, mount=False, progress=Silent()), root / ARTIFACT

    def reader(self) -> Keeper:
        """A keeper on a machine that only looks at the store: history, verify, restore to another folder."""
        keeper, _ = self.fresh()
        (keeper.root / STATE_FOLDER).mkdir()
        return keeper

    def _project(self, root: Path) -> None:
        (root / "config").mkdir(parents=True)
        (root / "config" / "paths.yaml").write_text(self.config)


class MountedSite(Site):
    """The same with the store on a simulated Drive. Its cloud lies in the folder too, so that a copy of it can be mounted.

    Args:
        folder: Of everything.
        simulators: Where the simulator is run.
    """

    def __init__(self, folder: Path, simulators: WarmPython) -> None:
        super().__init__(folder)
        self._simulators = simulators
        self._mountpoint = folder / "drive"
        self.drive = self._mountpoint / ALIAS
        self.config = f"{CONFIG}  mount_point: {self._mountpoint}\n"
        self.fine = frozenset({0, 5})  # written, and not confirmed yet
        self._mounted: Mounted | None = None

    @property
    def sides(self) -> dict[str, Path]:
        return {"workspace": self.here, "store": self._mountpoint}

    def set_up(self) -> None:
        self.begin()
        self._project(self.here)

    def begin(self, seed: int = 0) -> None:
        """Mount what the cloud has; the seed is of lags, and of the fate of what is not uploaded."""
        self._mounted = Mounted(self._simulators, self._mountpoint, self.folder / "cloud", seed)

    def settle(self) -> None:
        assert self._mounted is not None
        assert self._mounted.drain() == []

    def copy(self, target: Path) -> None:
        self.settle()
        self.close()
        copy_tree(self.folder, target)
        self.begin()

    def disconnect(self, after: float) -> None:
        """The mount is taken away so many virtual seconds later, with what is not uploaded; another takes its place.

        The workspace is told what `attach` tells it when it has mounted anew: a store that had not arrived may be gone.
        """
        assert self._mounted is not None
        self._mounted.advance(after)
        self.close()
        self.begin()
        Workspace(self.here).forget_unsafe_stores()

    def close(self) -> None:
        if self._mounted is not None:
            self._mounted.close()
            self._mounted = None


@functools.cache
def _warm_up() -> None:
    """In this process, once: every fork then has it."""
    warm.load(warm.COMMANDS)


def _become_cli(arguments: list[str], log: Path) -> NoReturn:
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["holdfast", *arguments]
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def copy_site(template: Path, live: Path) -> None:
    """A copy to work on."""

    copy_tree(template, live)


def copy_tree(source: Path, target: Path) -> None:
    """A copy with links, hard links, holes, modes and times, which `shutil` has not all."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def write_tree(root: Path, files: Tree) -> None:
    for path, content in files.items():
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def read_tree(root: Path) -> Tree | None:
    """Every byte below a folder, or None where nothing is. Anything but files and folders is shown as what it is."""
    if not os.path.lexists(root):
        return None
    found: dict[str, bytes] = {}
    names: dict[int, list[str]] = {}
    for place in sorted(root.rglob("*")):
        path = place.relative_to(root).as_posix()
        if place.is_symlink():
            found[path] = b"a link to " + os.fsencode(os.readlink(place))
        elif place.is_dir():
            if not any(place.iterdir()):
                found[path + "/"] = b""
        else:
            found[path] = place.read_bytes()
            status = place.stat()
            if not path.endswith(_TIMELESS):  # a program that only reads a database may write to it and beside it
                found[f"{path}: what it is"] = f"{status.st_mode:o}, {status.st_mtime_ns}".encode()
                names.setdefault(status.st_ino, []).append(path)
    return found | {f"{group[0]}: its names": " ".join(group).encode() for group in names.values() if len(group) > 1}


_TIMELESS = (".db", "-wal", "-shm", "-journal")


def read_logical(root: Path) -> Tree | None:
    """As `read_tree`, with every database as what a program would read from it, its side files applied and left out."""
    raw = read_tree(root)
    if raw is None:
        return None
    databases = [p for p, content in raw.items() if p.endswith(".db") and content]
    sides = {f"{p}{suffix}" for p in databases for suffix in ("-wal", "-shm", "-journal")}
    return {p: read_database(root / p) if p in databases else c for p, c in raw.items() if p not in sides}


def read_database(path: Path) -> bytes:
    """Integrity and content of a database, read from a copy with its side files so that looking changes nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in ("", "-wal", "-journal"):
            if (source := path.with_name(path.name + suffix)).exists():
                shutil.copyfile(source, Path(scratch) / source.name)
        connection = sqlite3.connect(Path(scratch) / path.name)
        try:
            health = connection.execute("PRAGMA integrity_check").fetchall()
            return "\n".join([f"integrity {health}", *connection.iterdump()]).encode()
        except sqlite3.DatabaseError as error:
            return f"unreadable: {error}".encode()
        finally:
            connection.close()
