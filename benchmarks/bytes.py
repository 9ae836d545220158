"""The bytes of large files beside cp, dd, rsync, rclone and restic: copies, clones, what the caller waits, training, memory, growth.

Every peer is flushed before it counts as done, as Holdfast is. The tools take turns in every round, and a ratio is the median of the
ratios of the rounds. Parts and rounds may be run one at a time: what was measured is gathered in a file, and the page is made of it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import holdfast
from holdfast.errors import StoreUnreadable
from holdfast.platform import file_system
from holdfast.session.attach import open_keeper
from holdfast.session.background.worker import Worker
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.apart.job import Apart
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

HERE = Path(__file__).parent
DATA = "outputs/data"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
#: By size of the whole.
SIZES = {False: GIB, True: 64 * MIB}
GROWTH = (KIB, 32 * KIB, MIB, 32 * MIB, 256 * MIB, GIB, 8 * GIB)
Found = dict[str, list[Any]]


# -- files -----------------------------------------------------------------------------------------------------------------


def make_file(place: Path, size: int, seed: int = 1) -> None:
    """Bytes that no tool can make smaller, last changed an hour ago."""
    place.parent.mkdir(parents=True, exist_ok=True)
    block, at = bytearray(random.Random(seed).randbytes(min(size, 16 * MIB))), 0
    with place.open("wb") as handle:
        while at < size:
            block[:8] = at.to_bytes(8, "big")[: len(block[:8])]
            for start in range(0, len(block), 4096):  # no block of 4 KiB like another
                block[start : start + 8] = (at + start).to_bytes(8, "big")[: len(block[start : start + 8])]
            at += handle.write(block[: size - at])
    os.utime(place, (time.time() - 3600,) * 2)


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for place in sorted(p for p in folder.rglob("*") if p.is_file()):
        with place.open("rb") as handle:
            found[place.relative_to(folder).as_posix()] = hashlib.file_digest(handle, "blake2b").hexdigest()
    return found


def timed(call: Callable[[], object]) -> float:
    os.sync()  # nobody pays for what was written before
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def run(*command: str | Path) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": "benchmark"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}")


@contextlib.contextmanager
def folder(work: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=work) as place:
        yield Path(place)


def back_up(root: Path, drive: Path) -> None:
    done = holdfast.attach(root=root, drive=drive, background=False).backup(DATA)
    if not done:
        sys.exit(f"holdfast did not back up: {done}")


def restore(root: Path, drive: Path, back: Path) -> None:
    (back / "config").mkdir(parents=True)  # a fresh machine, of the same project
    (back / "config" / "paths.yaml").write_text(f"drive:\n  backup_base_dir: {root.name}\n")
    done = holdfast.attach(root=back, drive=drive).ensure(DATA)
    if done.outcome is not holdfast.Outcome.RESTORED:
        sys.exit(f"holdfast did not restore: {done}")


# -- copies ----------------------------------------------------------------------------------------------------------------


class Tools:
    """Every tool over the same files, which are in the page cache; each begins with an empty folder.

    Args:
        root: The project.
        work: Where backups and what is restored lie.
    """

    def __init__(self, root: Path, work: Path) -> None:
        self.root, self.data, self.work = root, root / DATA, work

    def cp(self, drive: Path) -> float:
        return timed(lambda: (run("cp", "-a", self.data, drive / "data"), run("sync", "-f", drive)))

    def dd(self, drive: Path) -> float:
        def each() -> None:
            for place in sorted(self.data.iterdir()):
                run("dd", f"if={place}", f"of={drive / place.name}", "bs=1M", "conv=fsync", "status=none")

        return timed(each)

    def rsync(self, drive: Path) -> float:
        return timed(lambda: (run("rsync", "-a", f"{self.data}/", drive / "data"), run("sync", "-f", drive)))

    def rclone(self, drive: Path) -> float:
        return timed(lambda: (run("rclone", "--config", "", "copy", self.data, drive / "data"), run("sync", "-f", drive)))

    def restic(self, drive: Path) -> float:
        run("restic", "--no-cache", "init", "-q", "-r", drive)
        return timed(lambda: (run("restic", "--no-cache", "backup", "-q", "-r", drive, self.data), run("sync", "-f", drive)))

    def holdfast(self, drive: Path) -> float:
        shutil.rmtree(self.root / ".holdfast", ignore_errors=True)
        return timed(lambda: back_up(self.root, drive))

    def restored(self, name: str, drive: Path, back: Path) -> tuple[float, Path] | None:
        """Seconds, and where the files lie now."""
        if name == "cp":
            return timed(lambda: (run("cp", "-a", drive / "data", back / "data"), run("sync", "-f", back))), back / "data"
        if name == "restic":

            def once() -> None:
                run("restic", "--no-cache", "restore", "-q", "latest", "-r", drive, "--target", back)
                run("sync", "-f", back)

            return timed(once), back / self.data.relative_to("/")
        if name == "holdfast":
            return timed(lambda: restore(self.root, drive, back)), back / DATA
        return None


def copies(rounds: int, quick: bool, work: Path, found: Found, only: tuple[str, ...] = ()) -> None:
    names = [n for n in NAMED if (n == "holdfast" or shutil.which(n)) and (not only or n in ("holdfast", *only))]
    for files in (1, 8):
        with folder(work) as place:
            tools = Tools(place / "root", place)
            for number in range(files):
                make_file(tools.data / f"part-{number}.bin", SIZES[quick] // files, number)
            original = digests(tools.data)
            for turn in range(rounds):
                backups: dict[str, float] = {}
                restores: dict[str, float] = {}
                for name in random.Random(f"{files} {turn} {names}").sample(names, len(names)):
                    with folder(place) as mine:
                        (mine / "drive").mkdir()
                        (mine / "back").mkdir()
                        backups[name] = getattr(tools, name)(mine / "drive")
                        if (back := tools.restored(name, mine / "drive", mine / "back")) is None:
                            continue
                        restores[name] = back[0]
                        if digests(back[1]) != original:
                            sys.exit(f"{name}: what was restored differs from the original")
                found.setdefault(f"backup {files}", []).append(backups)
                found.setdefault(f"restore {files}", []).append(restores)
                print(f"copies, {files} files: {turn + 1} of {rounds}: {backups} {restores}", file=sys.stderr, flush=True)


# -- clones ----------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def loop_mount(kind: str, size: int, work: Path) -> Iterator[Path | None]:
    """An empty file system in a file; None where this machine cannot make one."""
    make = {"btrfs": ("mkfs.btrfs", "-q"), "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"), "ext4": ("mkfs.ext4", "-q", "-F")}[kind]
    with folder(work) as place:
        image, point = place / "image", place / "mount"
        point.mkdir()
        if not shutil.which(make[0]) or os.geteuid() != 0:
            yield None
            return
        image.touch()
        os.truncate(image, size)
        run(*make, image)
        if subprocess.run(("mount", "-o", "loop", image, point), capture_output=True, check=False).returncode != 0:
            yield None
            return
        try:
            yield point
        finally:
            run("umount", "-l", point)  # a keeper of this process may have its lock open


def written_bytes() -> int:
    """What this process had written to a disk, in bytes (proc_pid_io(5))."""
    return int(next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("write_bytes")).split()[1])


def taken(place: Path) -> int:
    os.sync()
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def copy_whole(place: Path, target: Path) -> None:
    run("cp", "--reflink=never", place, target)
    run("sync", "-f", target)


def clones(rounds: int, quick: bool, work: Path, found: Found) -> None:
    for kind in ("btrfs", "xfs", "ext4"):
        with loop_mount(kind, 3 * SIZES[quick] + GIB, work) as point:
            if point is None:
                continue
            root = point / "root"
            make_file(root / DATA / "file.bin", SIZES[quick])
            for turn in range(rounds):
                drive = point / f"drive-{turn}"
                drive.mkdir()
                shutil.rmtree(root / ".holdfast", ignore_errors=True)
                before, at = taken(point), written_bytes()
                seconds = timed(partial(back_up, root, drive))
                found.setdefault(f"clone {kind} seconds", []).append(seconds)
                found.setdefault(f"clone {kind} written", []).append(written_bytes() - at)
                found.setdefault(f"clone {kind} taken", []).append(taken(point) - before)
                copied = timed(partial(copy_whole, root / DATA / "file.bin", drive / "cp"))
                found.setdefault(f"clone {kind} cp", []).append(copied)
                shutil.rmtree(drive)
        print(f"clones: {kind}", file=sys.stderr, flush=True)


# -- what the caller waits ---------------------------------------------------------------------------------------------------


class Drive:
    """A drive that is away until it comes back."""

    def __init__(self) -> None:
        self.away = True

    def __call__(self, operation: str, path: str) -> None:
        if self.away:
            raise StoreUnreadable(errno.ENOTCONN, "the drive is away", path)


def held_by(keeper: Keeper, size: int, saves: int, *, renamed: bool) -> list[float]:
    """Seconds that `backup()` holds the caller, for a file that is written beside and renamed in, or rewritten under its name."""
    place, holds = keeper.root / "outputs" / "run" / "model.bin", []
    beside = place.with_name(".tmp-model.bin") if renamed else place
    block = random.Random(2).randbytes(4 * MIB)
    for number in range(saves):
        with beside.open("wb") as handle:
            handle.write(number.to_bytes(8, "big"))
            handle.writelines(block for _ in range(size // len(block)))
        beside.rename(place)
        begin = time.perf_counter()
        done = keeper.backup("outputs/run", progress=number)
        holds.append(time.perf_counter() - begin)
        assert done, done.results
        keeper.flush()
    return holds[1:]  # the first starts the processes that read and guard


def held(rounds: int, quick: bool, work: Path, found: Found) -> None:
    size, saves = (4 * MIB, 10) if quick else (64 * MIB, 60)
    with folder(work) as place:
        (place / "drive").mkdir()
        (place / "project" / "outputs" / "run").mkdir(parents=True)
        keeper = open_keeper(place / "project", place / "drive", mount=False, background=True)
        found.setdefault("held renamed", []).extend(held_by(keeper, size, saves, renamed=True))
        found.setdefault("held renamed large", []).extend(held_by(keeper, SIZES[quick], 4, renamed=True))
        keeper.flush()
    for kind in ("btrfs", "xfs"):
        with loop_mount(kind, 40 * size + GIB, work) as point:
            if point is None:
                continue
            (point / "drive").mkdir()
            (point / "project" / "outputs" / "run").mkdir(parents=True)
            keeper = open_keeper(point / "project", point / "drive", mount=False, background=True)
            found.setdefault(f"held in place {kind}", []).extend(held_by(keeper, size, saves, renamed=False))
            keeper.flush()
            _let_go(keeper)
    print("held", file=sys.stderr, flush=True)


def _let_go(keeper: Keeper) -> None:
    """End the processes that may have files of a mount open, so that it can be unmounted."""
    if keeper.worker is not None:
        keeper.worker.close()
        if keeper.worker.copies.guard is not None:
            keeper.worker.copies.guard.close()


def rewritten(rounds: int, quick: bool, work: Path, found: Found) -> None:
    """A file that is rewritten in place while its backup waits: the caller's and the writer's seconds, beside one `cp`."""
    size = SIZES[quick]
    with folder(work) as place:
        drive = Drive()
        (place / "drive").mkdir()
        root = place / "project"
        file = root / "outputs" / "run" / "last.pt"
        backend = Faulty(DirectoryBackend(place / "drive", "project"), drive)
        keeper = Keeper(
            Config(root, "outputs", "project", Path("/nowhere")), Store(backend), Workspace(root, reader=Apart()), background=True
        )
        assert keeper.commits is not None
        keeper.worker = Worker(keeper.commits)
        block = random.Random(3).randbytes(4 * MIB)
        file.parent.mkdir(parents=True)
        for number in range(-2, rounds + 1):  # the first two without a backup: what it costs to empty such a file
            os.sync()
            begin = time.perf_counter()
            with file.open("wb") as handle:
                opened = time.perf_counter() - begin
                handle.write(number.to_bytes(8, "big", signed=True))
                handle.writelines(block for _ in range(size // len(block)))
            if number < 0:
                found["rewritten alone"] = [opened]
                continue
            os.sync()
            copied = timed(lambda: run("cp", file, place / "cp"))
            (place / "cp").unlink()
            begin = time.perf_counter()
            assert keeper.backup("outputs/run", progress=number)
            caller = time.perf_counter() - begin
            if number:
                found.setdefault("rewritten open", []).append(opened)
            if number < rounds:
                found.setdefault("rewritten cp", []).append(copied)
                found.setdefault("rewritten caller", []).append(caller)
        drive.away = False
        keeper.flush(600, patient=True)
    print("rewritten", file=sys.stderr, flush=True)


# -- training --------------------------------------------------------------------------------------------------------------


_WORK = bytes(16 * MIB)


def train(keeper: Keeper | None, run_folder: Path, size: int, every: float, saves: int) -> float:
    """Seconds of a loop of so many saves. The steps between two saves are counted before, so both sides do the same work."""
    block = random.Random(4).randbytes(4 * MIB)
    begin = time.perf_counter()
    for number in range(1, saves + 1):
        for _ in range(int(every / _step_seconds())):
            hashlib.sha256(_WORK).digest()
        place = run_folder / f"checkpoint-{number}"
        place.mkdir(parents=True)
        with (place / "model.bin").open("wb") as handle:  # the Trainer's own save
            handle.write(number.to_bytes(8, "big"))
            handle.writelines(block for _ in range(size // len(block)))
        if number > 1:
            shutil.rmtree(run_folder / f"checkpoint-{number - 1}")
        if keeper is not None:
            assert keeper.backup("outputs/run", progress=number)
    for _ in range(int(every / _step_seconds())):
        hashlib.sha256(_WORK).digest()
    return time.perf_counter() - begin


_seconds: list[float] = []


def _step_seconds() -> float:
    if not _seconds:
        begin = time.perf_counter()
        for _ in range(40):
            hashlib.sha256(_WORK).digest()
        _seconds.append((time.perf_counter() - begin) / 40)
    return _seconds[0]


def training(rounds: int, quick: bool, work: Path, found: Found) -> None:
    every, saves = (1.0, 2) if quick else (6.0, 2)
    for turn in range(rounds):
        for name in ("none", "holdfast")[:: 1 if turn % 2 else -1]:
            with folder(work) as place:
                (place / "drive").mkdir()
                (place / "project" / "outputs" / "run").mkdir(parents=True)
                keeper = (
                    open_keeper(place / "project", place / "drive", mount=False, background=True) if name == "holdfast" else None
                )
                os.sync()
                seconds = train(keeper, place / "project" / "outputs" / "run", SIZES[quick], every, saves)
                found.setdefault(f"training {name}", []).append(seconds)
                if keeper is not None:
                    keeper.flush()
        print(f"training: {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    found["training every"], found["training saves"] = [every], [saves]


# -- memory ----------------------------------------------------------------------------------------------------------------


_PEAK = """
import json, logging, os, sys, time
from pathlib import Path
import holdfast
logging.getLogger("holdfast").setLevel(logging.ERROR)
what, root, drive = sys.argv[1:4]
def of(pid, word):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(l.split()[1]) * 1024 for l in lines if l.startswith(word)), 0)
def family():
    own = os.getpid()
    tasks = Path(f"/proc/{own}/task").iterdir()
    return [own, *(int(p) for t in tasks for p in (t / "children").read_text().split())]
keeper = holdfast.attach(root=root, drive=drive, background=False)
warm = Path(root) / "outputs" / "warm"
warm.mkdir(parents=True, exist_ok=True)
(warm / "file").write_bytes(os.urandom(4 << 20))
assert keeper.backup("outputs/warm")
(warm / "file").unlink()
assert keeper.ensure("outputs/warm")
idle = {p: of(p, "VmRSS") for p in family()}
for p in idle:
    Path(f"/proc/{p}/clear_refs").write_text("5")
begin = time.perf_counter()
done = keeper.backup("outputs/data") if what == "backup" else keeper.ensure("outputs/data")
seconds = time.perf_counter() - begin
assert done, done
peak = sum(of(p, "VmHWM") - idle.get(p, 0) for p in family())
print(json.dumps([peak, seconds, sum(idle.values())]))
"""


@contextlib.contextmanager
def two_disks(size: int, work: Path) -> Iterator[tuple[Path, Path]]:
    """Room for a large file and for its backup: two file systems that compress, where this machine can make them."""
    with loop_mount("btrfs", size, work) as one, loop_mount("btrfs", size, work) as two:
        if one is None or two is None:
            yield work, work
            return
        for point in (one, two):
            run("mount", "-o", "remount,compress-force=zstd:1", point)
        yield one, two


def memory(rounds: int, quick: bool, work: Path, found: Found) -> None:
    size = 256 * MIB if quick else 8 * GIB
    with two_disks(3 * size, work) as (one, two), folder(one) as place, folder(two) as drive:
        root = place / "root"
        file = root / DATA / "file.bin"
        file.parent.mkdir(parents=True)
        with file.open("wb") as handle:
            handle.writelines(number.to_bytes(8, "big") * (MIB // 8) for number in range(size // MIB))
        os.sync()
        for what in ("backup", "restore"):
            if what == "restore":
                file.unlink()
                shutil.rmtree(root / ".holdfast")
            done = subprocess.run((sys.executable, "-c", _PEAK, what, root, drive), stdout=subprocess.PIPE, check=True)
            peak, seconds, idle = json.loads(done.stdout)
            found.setdefault(f"memory {what}", []).append([size, peak, seconds, idle])
    print("memory", file=sys.stderr, flush=True)


# -- growth ----------------------------------------------------------------------------------------------------------------


def growth(rounds: int, quick: bool, work: Path, found: Found) -> None:
    for size in GROWTH[:4] if quick else GROWTH:
        with folder(work) as place:
            tools = Tools(place / "root", place)
            make_file(tools.data / "file.bin", size)
            for turn in range(rounds if size <= GIB else min(rounds, 3)):
                for name in ("cp", "holdfast")[:: 1 if turn % 2 else -1]:
                    with folder(place) as mine:
                        (mine / "drive").mkdir()
                        (mine / "back").mkdir()
                        backup = getattr(tools, name)(mine / "drive")
                        back = tools.restored(name, mine / "drive", mine / "back")
                        assert back is not None
                        found.setdefault(f"growth {size} {name}", []).append([backup, back[0]])
        print(f"growth: {size}", file=sys.stderr, flush=True)


PARTS: dict[str, Callable[[int, bool, Path, Found], None]] = {
    "copies": copies,
    "clones": clones,
    "held": held,
    "rewritten": rewritten,
    "training": training,
    "memory": memory,
    "growth": growth,
}


# -- the page --------------------------------------------------------------------------------------------------------------


def ratios(own: list[float], other: list[float]) -> list[float]:
    """Of the same round each."""
    return [a / b for a, b in zip(own, other, strict=True)]


def of(found: Found, name: str, *tools: str) -> list[list[float]]:
    """Seconds of these tools in the rounds that all of them were in."""
    rounds = [r for r in found.get(name, []) if all(t in r for t in tools)]
    return [[r[t] for r in rounds] for t in tools]


def spread(values: list[float], digits: int = 2, factor: float = 1.0) -> str:
    shown = [v * factor for v in values]
    return f"{statistics.median(shown):.{digits}f} ({min(shown):.{digits}f} to {max(shown):.{digits}f})"


def held_to(values: list[float], target: float) -> str:
    median = statistics.median(values)
    return f"| {spread(values)} | ≤ {target:g} | {'yes' if median <= target else 'no'} |"


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def ratio_table(found: Found) -> list[str]:
    lines = ["| work | Holdfast over | ratio, median (least to most) | target | met |", "| --- | --- | ---: | ---: | --- |"]
    size = "1 GiB"
    for files, shape in ((1, f"{size} in one file"), (8, f"{size} in 8 files")):
        for what, peers in (
            ("backup", (("cp", 1.0), ("dd", 1.15), ("rclone", 0.7), ("rsync", 0.95), ("restic", 0.25))),
            ("restore", (("cp", 1.0), ("restic", 0.8))),
        ):
            for peer, target in peers:
                own, other = of(found, f"{what} {files}", "holdfast", peer)
                if own:
                    lines.append(f"| {what} of {shape} | {NAMED[peer]} {held_to(ratios(own, other), target)}")
    return [*lines, ""]


NAMED = {
    "cp": "`cp -a`, then `sync -f`",
    "dd": "`dd bs=1M conv=fsync`",
    "rsync": "`rsync -a`, then `sync -f`",
    "rclone": "`rclone copy`, then `sync -f`",
    "restic": "`restic`, then `sync -f`",
    "holdfast": "Holdfast",
}


def seconds_table(found: Found) -> list[str]:
    lines = ["| tool | backup, one file | restore | backup, 8 files | restore |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, named in NAMED.items():
        cells = [of(found, f"{what} {files}", name)[0] for files in (1, 8) for what in ("backup", "restore")]
        lines.append(f"| {named} | {' | '.join(spread(c) if c else '-' for c in cells)} |")
    rounds = ", ".join(f"{n} {len(of(found, 'backup 1', n)[0])}" for n in NAMED)
    return [f"Seconds, median (least to most). Rounds: {rounds}.", "", *lines, ""]


def clone_table(found: Found) -> list[str]:
    kinds = [k for k in ("btrfs", "xfs", "ext4") if found.get(f"clone {k} seconds")]
    lines = [
        "| file system of both | backup (s) | written by the process (MiB) | blocks that are taken anew (MiB) | `cp --reflink=never` and `sync -f` (s) |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in kinds:
        written, blocks = found[f"clone {kind} written"], found[f"clone {kind} taken"]
        lines.append(
            f"| {kind}, loop mount | {spread(found[f'clone {kind} seconds'])} | {statistics.median(written) / MIB:.1f} | "
            f"{max(statistics.median(blocks), 0) / MIB:.1f} | {spread(found[f'clone {kind} cp'])} |"
        )
    return [*lines, ""]


def held_table(found: Found) -> list[str]:
    lines = ["| the file | calls | median (ms) | p99 (ms) | target | met |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    if not found.get("held renamed"):
        lines.append("| renamed in, or on a disk that clones: not measured in this run | | | | | |")
    for name, shown in (
        ("held renamed", "64 MiB, renamed in, ext4"),
        ("held renamed large", "1 GiB, renamed in, ext4"),
        ("held in place btrfs", "64 MiB, rewritten in place, btrfs"),
        ("held in place xfs", "64 MiB, rewritten in place, xfs"),
    ):
        if values := found.get(name):
            p99 = 1000 * quantile(values, 0.99)
            lines.append(
                f"| {shown} | {len(values)} | {1000 * statistics.median(values):.1f} | {p99:.1f} | ≤ 25 | {'yes' if p99 <= 25 else 'no'} |"
            )
    if found.get("rewritten cp"):
        caller, opened, cp = (found[f"rewritten {n}"] for n in ("caller", "open", "cp"))
        alone = found["rewritten alone"][0]
        both = [a + b for a, b in zip(caller, opened, strict=True)]
        added = [value - alone for value in both]
        lines += [
            "",
            "A file of 1 GiB that is rewritten in place on ext4 while its backup waits (the drive is away), beside one `cp` of it:",
            "",
            f"To open such a file for writing, and so to empty it, took {alone:.3f} s without a backup too.",
            "",
            "| `backup()` holds the caller (s) | the writer's next `open` (s) | `cp` (s) | both over `cp` | what the backup adds over `cp` | target | met |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | --- |",
            f"| {spread(caller, 3)} | {spread(opened, 3)} | {spread(cp, 3)} | {spread(ratios(both, cp))} {held_to(ratios(added, cp), 1.1)}",
        ]
    return [*lines, ""]


def training_table(found: Found) -> list[str]:
    if not found.get("training none"):
        return []
    every, saves = found["training every"][0], found["training saves"][0]
    pairs = list(zip(found["training holdfast"], found["training none"], strict=False))
    over = [a / b for a, b in pairs]
    a_save = [(a - b) / saves for a, b in pairs]
    a_minute = [1 + s / 60 for s in a_save]
    return [
        f"Steps of hashing in one thread; {saves} saves of 1 GiB in new folders, the older one removed, {every:g} s of steps before and after each. Both sides save; one also calls `backup()`.",
        "",
        "| | ratio, median (least to most) | target | met |",
        "| --- | ---: | ---: | --- |",
        f"| a save every {every:g} s, as measured | {spread(over, 3)} | | |",
        f"| what a save costs (s) | {spread(a_save, 3)} | | |",
        f"| so with a save every minute {held_to(a_minute, 1.02)}",
        "",
    ]


def memory_table(found: Found) -> list[str]:
    lines = [
        "| | file | peak above idle (MiB) | idle (MiB) | target | met | seconds |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for what in ("backup", "restore"):
        for size, peak, seconds, idle in found.get(f"memory {what}", []):
            met = "yes" if peak <= 64 * MIB else "no"
            lines.append(f"| {what} | {size / GIB:g} GiB | {peak / MIB:.1f} | {idle / MIB:.0f} | ≤ 64 | {met} | {seconds:.1f} |")
    return [*lines, ""]


def shown_size(size: int) -> str:
    return f"{size // GIB} GiB" if size >= GIB else f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def growth_table(found: Found) -> list[str]:
    lines = [
        "| one file of | backup (s) | `cp`, `sync -f` (s) | restore (s) | `cp` back, `sync -f` (s) |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in GROWTH:
        own, cp = (found.get(f"growth {size} {n}", []) for n in ("holdfast", "cp"))
        if own and cp:
            cells = [statistics.median(r[n] for r in rows) for n in (0, 1) for rows in (own, cp)]
            lines.append(f"| {shown_size(size)} | {' | '.join(f'{c:.3f}' for c in cells)} |")
    return [*lines, ""]


def plot(found: Found, place: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "bytes", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for name, column, label, style in (
        ("cp", 0, "cp, then sync -f", "s--"),
        ("holdfast", 0, "Holdfast, backup", "o-"),
        ("holdfast", 1, "Holdfast, restore", "^-"),
    ):
        sizes = [s for s in GROWTH if found.get(f"growth {s} {name}")]
        points = [(s, statistics.median(r[column] for r in found[f"growth {s} {name}"])) for s in sizes]
        axes.plot([s for s, _ in points], [t for _, t in points], style, label=label)
    axes.set(xlabel="one file of so many bytes", ylabel="seconds", xscale="log", yscale="log")
    axes.set_xticks(GROWTH, [shown_size(s) for s in GROWTH], rotation=45, fontsize=8)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})


def version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()


def page(found: Found, work: Path, note: str) -> str:
    versions = [f"holdfast {holdfast.__version__}", f"Python {platform.python_version()}", version("cp", "--version")]
    versions += [
        version(t, w) for t, w in (("rsync", "--version"), ("rclone", "version"), ("restic", "version")) if shutil.which(t)
    ]
    return (
        "\n".join(
            [
                "# The bytes of large files",
                "",
                "`.venv/bin/python benchmarks/bytes.py --write` made this (many minutes, 20 GB of disk; clones need root).",
                "",
                f"- Machine: {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, file system {file_system(work)}. {'; '.join(versions)}.",
                "- The tools took turns in every round, in an order by chance; a ratio is the median of the ratios of the rounds. Every peer was flushed (`sync -f`)",
                "  before it counted as done, as Holdfast is. The files are random bytes and lay in the page cache for every tool alike. Every",
                "  restore was compared with the original.",
                "- The others were started as commands. Holdfast was called as a notebook calls it: attaching and making the store are timed.",
                "- This machine is a virtual one that gives free memory back to its host, and gets it again piece by piece, at a price that falls",
                "  on whoever comes first. Hence some of the spread.",
                "",
                "## Backup and restore",
                "",
                *ratio_table(found),
                *seconds_table(found),
                "## A disk that clones",
                "",
                "Outputs and store on one file system, 1 GiB in one file. The copy that is taken and the payload share the blocks of the file; what is",
                "hashed is read from the payload. What is written is manifest, records and the file system's own. ext4 cannot, and is for comparison.",
                "",
                *clone_table(found),
                "## What the caller of `backup()` waits for, in the background",
                "",
                *held_table(found),
                "## Training",
                "",
                *training_table(found),
                "## Memory",
                "",
                "Of all processes, by the kernel's own peak (VmHWM), above what they had before. The file and the store lie on two disks of btrfs",
                "that compress, so that there is room for 16 GiB: every byte is read, hashed and written, and the seconds are those of compressing.",
                "",
                *memory_table(found),
                "## Growth",
                "",
                "![seconds over the size of one file](bytes.svg)",
                "",
                *growth_table(found),
            ]
        ).rstrip()
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument(
        "--tool", choices=NAMED, action="append", help="of copies only this beside Holdfast; may be given several times"
    )
    parser.add_argument("--rounds", type=int, help="default 7, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="small files")
    parser.add_argument("--gather", type=Path, help="add what is measured to this file, and show all that it holds")
    parser.add_argument("--only-show", action="store_true", help="measure nothing: show what was gathered")
    parser.add_argument("--note", default="", help="how it was measured, for the page")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/bytes.md and bytes.svg (needs matplotlib)")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where to work; a disk, not a tmpfs")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    rounds = given.rounds or (2 if given.quick else 7)
    found: Found = json.loads(given.gather.read_text()) if given.gather and given.gather.exists() else {}
    if not given.only_show:
        with tempfile.TemporaryDirectory(prefix="holdfast-bytes-", dir=given.dir) as name:
            for part in given.part or PARTS:
                if part == "copies" and given.tool:
                    copies(rounds, given.quick, Path(name).resolve(), found, tuple(given.tool))
                else:
                    PARTS[part](rounds, given.quick, Path(name).resolve(), found)
                if given.gather:
                    given.gather.write_text(json.dumps(found))
    text = page(found, given.dir, given.note)
    print(text, end="")
    if given.write:
        (HERE / "bytes.md").write_text(text, encoding="utf-8")
        plot(found, HERE / "bytes.svg")


if __name__ == "__main__":
    main()
