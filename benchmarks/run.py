"""Holdfast beside cp, rsync, restic and rclone: backing up and restoring, as ratios to `cp -a` of the same run.

Every measurement starts on fresh folders whose files were just written, so they are in the page cache for every tool alike.
The tools take turns, and the median counts. Every restore is compared with the original.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import holdfast
from holdfast.platform import file_system
from holdfast.session.config import load_config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Counting
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

HERE = Path(__file__).parent
DATA = "outputs/data"
KIB, MIB = 1024, 1024**2


@dataclass(frozen=True)
class Case:
    """Files to back up; `unchanged` times the second backup of the same files instead of the first, and no restore."""

    title: str
    files: int
    size: int
    unchanged: bool = False


FULL = (
    Case("2,000 files of 4 KiB", 2000, 4 * KIB),
    Case("One file of 512 MiB", 1, 512 * MIB),
    Case("A directory of 10,000 files of 1 KiB that did not change", 10_000, KIB, unchanged=True),
)
QUICK = (
    Case("200 files of 4 KiB", 200, 4 * KIB),
    Case("One file of 32 MiB", 1, 32 * MIB),
    Case("A directory of 1,000 files of 1 KiB that did not change", 1000, KIB, unchanged=True),
)


class Tool:
    """A tool in a fresh folder: `root` holds the data, `drive` gets the backup, `back` is where it is restored to."""

    name = ""
    command = ""

    def __init__(self, place: Path) -> None:
        self.place, self.root, self.drive, self.back = place, place / "root", place / "drive", place / "back"
        for folder in (self.root, self.drive, self.back):
            folder.mkdir()
        self.data, self.restored = self.root / DATA, self.back / DATA

    def prepare(self) -> None:
        """What a user does once; not timed."""

    def backup(self) -> None:
        raise NotImplementedError

    def restore(self) -> None:
        raise NotImplementedError

    def run(self, *command: str | Path) -> None:
        environment = {**os.environ, "RESTIC_PASSWORD": "benchmark", "RESTIC_CACHE_DIR": str(self.place / "cache")}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}")


class Copy(Tool):
    name, command = "cp -a", "cp"
    settle = False

    def prepare(self) -> None:
        (self.drive / "data").mkdir()
        self.restored.mkdir(parents=True)

    def backup(self) -> None:
        self.copy(self.data, self.drive / "data")
        if self.settle:
            self.run("sync", "-f", self.drive)

    def restore(self) -> None:
        self.copy(self.drive / "data", self.restored)
        if self.settle:
            self.run("sync", "-f", self.back)

    def copy(self, source: Path, target: Path) -> None:
        self.run("cp", "-a", f"{source}/.", target)


class CopyAndSync(Copy):
    name = "cp -a, then sync"
    settle = True


class Rsync(Copy):
    name, command = "rsync -a", "rsync"

    def copy(self, source: Path, target: Path) -> None:
        self.run("rsync", "-a", f"{source}/", target)


class Rclone(Copy):
    name, command = "rclone copy", "rclone"

    def copy(self, source: Path, target: Path) -> None:
        self.run("rclone", "--config", "", "copy", source, target)


class Restic(Tool):
    name, command = "restic", "restic"

    def prepare(self) -> None:
        self.run("restic", "init", "-q", "-r", self.drive)

    def backup(self) -> None:
        self.run("restic", "backup", "-q", "-r", self.drive, self.data)

    def restore(self) -> None:
        self.run("restic", "restore", "-q", "latest", "-r", self.drive, "--target", self.back)
        self.restored = self.back / self.data.relative_to("/")


class Holdfast(Tool):
    name = "holdfast"

    def backup(self) -> None:
        done = holdfast.attach(root=self.root, drive=self.drive, background=False).backup(DATA)
        if not done:
            sys.exit(f"holdfast did not back up: {done}")

    def restore(self) -> None:
        (self.back / "config").mkdir()  # a fresh machine, of the same project
        (self.back / "config" / "paths.yaml").write_text(f"drive:\n  backup_base_dir: {self.root.name}\n")
        done = holdfast.attach(root=self.back, drive=self.drive).ensure(DATA)
        if done.outcome is not holdfast.Outcome.RESTORED:
            sys.exit(f"holdfast did not restore: {done}")


TOOLS: tuple[type[Tool], ...] = (Copy, CopyAndSync, Rsync, Rclone, Restic, Holdfast)


def make_data(folder: Path, case: Case) -> None:
    """Random bytes, last changed an hour ago."""
    folder.mkdir(parents=True)
    source, then = random.Random(1), time.time() - 3600
    for number in range(case.files):
        place = folder / f"part-{number // 500:02}" / f"file-{number:05}.bin"
        place.parent.mkdir(exist_ok=True)
        with place.open("wb") as handle:
            for start in range(0, case.size, MIB):
                handle.write(source.randbytes(min(MIB, case.size - start)))
        os.utime(place, (then, then))


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for place in sorted(p for p in folder.rglob("*") if p.is_file()):
        with place.open("rb") as handle:
            found[place.relative_to(folder).as_posix()] = hashlib.file_digest(handle, "blake2b").hexdigest()
    return found


def timed(call: Callable[[], None]) -> float:
    os.sync()  # nobody pays for what was written before
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(kind: type[Tool], case: Case, work: Path) -> tuple[float, float | None]:
    """Seconds of a backup and of a restore."""
    with tempfile.TemporaryDirectory(dir=work) as place:
        tool = kind(Path(place))
        make_data(tool.data, case)
        tool.prepare()
        if case.unchanged:
            tool.backup()
            return timed(tool.backup), None
        seconds = timed(tool.backup), timed(tool.restore)
        if digests(tool.data) != digests(tool.restored):
            sys.exit(f"{tool.name}: what was restored differs from the original")
        return seconds


def count_creates(case: Case, work: Path) -> int:
    """Files that Holdfast creates in the store, of every sort, in the backup that is timed."""
    with tempfile.TemporaryDirectory(dir=work) as place:
        tool = Holdfast(Path(place))
        make_data(tool.data, case)
        counting = Counting(DirectoryBackend(tool.drive, tool.root.name))
        keeper = Keeper(load_config(tool.root), Store(counting), Workspace(tool.root))
        for _ in range(2 if case.unchanged else 1):
            counting.counts.clear()
            if not keeper.backup(DATA):
                sys.exit("holdfast did not back up")
        return counting.counts["create"]


@dataclass
class Times:
    backups: list[float] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)


def table(case: Case, repeats: int, work: Path) -> str:
    tools = [t for t in TOOLS if not t.command or shutil.which(t.command)]
    times = {tool: Times() for tool in tools}
    for turn in range(repeats):
        for tool in tools[turn % len(tools) :] + tools[: turn % len(tools)]:
            print(f"{case.title}: {turn + 1} of {repeats}, {tool.name}", file=sys.stderr, flush=True)
            backup, restore = measure(tool, case, work)
            times[tool].backups.append(backup)
            if restore is not None:
                times[tool].restores.append(restore)
    head = ["tool", "backup (s)", "to cp"] + ([] if case.unchanged else ["restore (s)", "to cp"])
    lines = [f"### {case.title}", "", f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for tool in tools:
        cells = cell(times[tool].backups, times[Copy].backups)
        if not case.unchanged:
            cells += cell(times[tool].restores, times[Copy].restores)
        lines.append(f"| {tool.name} | {' | '.join(cells)} |")
    of_cp = f"none by cp ({case.files} overwritten)" if case.unchanged else f"{case.files} by cp"
    return "\n".join([*lines, "", f"Files created: {count_creates(case, work)} by holdfast in the store, {of_cp}.", ""])


def cell(own: list[float], of_cp: list[float]) -> list[str]:
    middle = statistics.median(own)
    return [f"{middle:.3f} ({min(own):.3f} to {max(own):.3f})", f"{middle / statistics.median(of_cp):.2f}"]


def version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()


def surroundings(repeats: int, work: Path) -> str:
    versions = [f"holdfast {holdfast.__version__}", f"Python {platform.python_version()}", version("cp", "--version")]
    for tool, word in (("rsync", "--version"), ("rclone", "version"), ("restic", "version")):
        versions.append(version(tool, word) if shutil.which(tool) else f"{tool}: not installed")
    return "\n".join(
        [
            f"- Machine: {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, file system {file_system(work)}.",
            f"- Versions: {'; '.join(versions)}.",
            f"- Seconds are the median of {repeats} (least to most); `to cp` is the ratio to the median of `cp -a`.",
            "- The tools took turns. Files were written just before, so they were read from memory. Every restore was compared",
            "  with the original.",
            "- The others were started as commands. Holdfast was called as a notebook calls it: its import is not timed,",
            "  attaching and making the store are. Making the restic repository is not timed.",
            "- `cp` returns before the bytes are on the disk; `cp -a, then sync` runs `sync -f` before it counts as done.",
            "  Holdfast returns from a backup after fsync of every file and folder that it wrote in the store.",
            "- Did not change: what the second run over the same files takes. `cp -a` copies all of them again.",
            "- Files created are counted at the store's interface. The first backup creates two beside payload and manifest: the",
            "  file that identifies the store, and a probe that is removed again.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, three repeats")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results.md")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 3")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where to work; a disk, not a tmpfs")
    given = parser.parse_args()
    repeats = given.repeats or (3 if given.quick else 5)
    logging.getLogger("holdfast").setLevel(logging.ERROR)  # every measurement makes a new store, which it would tell
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=given.dir) as name:
        work = Path(name).resolve()
        tables = [table(case, repeats, work) for case in (QUICK if given.quick else FULL)]
        text = "\n".join(["# Benchmark", "", surroundings(repeats, work), "", *tables]).rstrip() + "\n"
    print(text, end="")
    if given.write:
        (HERE / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
