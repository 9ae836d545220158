"""What it costs to back up one large file that is rewritten in place before its backup was sent.

The drive is away while the file is rewritten, so that every backup waits. Three ways of keeping what was taken: a hard link that a read
lease guards, which costs the writer a copy when it opens the file again; a copy at once, which costs the caller of `backup`; and no
backup at all.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from holdfast._version import __version__
from holdfast.errors import StoreUnreachable
from holdfast.session.background.worker import Worker
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.apart.job import Apart
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.copies.guard import Guard
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

HERE = Path(__file__).parent
MIB = 1 << 20
WAYS = ("no backup", "held by a lease", "copied at once")


class NoGuard(Guard):
    """Holds nothing, as where the file system has no leases."""

    def hold(self, link: Path) -> bool:
        return False


class Drive:
    """A drive that is away until it comes back."""

    def __init__(self) -> None:
        self.away = True

    def __call__(self, operation: str, path: str) -> None:
        if self.away:
            raise StoreUnreachable(errno.ENOTCONN, "the drive is away", path)


def keeper_in(folder: Path, drive: Drive, way: str) -> Keeper:
    (folder / "drive").mkdir(parents=True)
    root = folder / "project"
    (root / "outputs" / "run").mkdir(parents=True)
    backend = Faulty(DirectoryBackend(folder / "drive", "project"), drive)
    workspace = Workspace(root, reader=Apart())
    keeper = Keeper(Config(root, "outputs", "project", Path("/nowhere")), Store(backend), workspace, background=True)
    assert keeper.worker is not None
    assert keeper.commits is not None
    keeper.worker = Worker(keeper.commits)
    if way == "copied at once":
        keeper.worker.copies.guard = NoGuard(workspace.proofs)
    return keeper


def write(place: Path, size: int, value: int) -> tuple[float, float]:
    """Seconds until the file is open, and until it is written."""
    block = bytes([value]) * MIB
    began = time.perf_counter()
    with open(place, "wb") as file:
        opened = time.perf_counter()
        file.writelines(block for _ in range(size // MIB))
    return opened - began, time.perf_counter() - began


def measure(way: str, size: int, rounds: int, pause: float, scratch: Path) -> dict[str, float]:
    drive = Drive()
    keeper = keeper_in(scratch / way.replace(" ", "-"), drive, way)
    place = keeper.root / "outputs" / "run" / "last.pt"
    holds, opens, writes, kept = [], [], [], 0
    for number in range(rounds):
        opened, written = write(place, size, number % 250)
        if number:
            opens.append(opened)
            writes.append(written)
            kept = max(kept, keeper.queue.size)
        if way != WAYS[0]:
            began = time.perf_counter()
            assert keeper.backup("outputs/run", progress=number)
            holds.append(time.perf_counter() - began)
            kept = max(kept, keeper.queue.size)
        time.sleep(pause)
    if way != WAYS[0]:
        drive.away = False
        keeper.flush(600, patient=True)
        (entry, *_) = keeper.history("outputs/run")
        assert entry.progress == rounds - 1
    return {
        "hold": statistics.median(holds[1:]) if holds else 0.0,
        "open": statistics.median(opens),
        "write": statistics.median(writes),
        "kept": kept / MIB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--pause", type=float, default=60.0, help="seconds between a backup and the next rewriting")
    parser.add_argument("--write", action="store_true", help="write benchmarks/rewritten.md")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=HERE.parent) as scratch:
        results = {way: measure(way, asked.size * MIB, asked.rounds, asked.pause, Path(scratch)) for way in WAYS}
    rows = [f"| {way} | {f['hold']:.3f} | {f['open']:.3f} | {f['write']:.2f} | {f['kept']:.0f} |" for way, f in results.items()]
    page = "\n".join(
        [
            "# A large file that is rewritten in place while its backup waits",
            "",
            f"`.venv/bin/python benchmarks/rewritten.py --size {asked.size} --rounds {asked.rounds} --pause {asked.pause:g} --write` made this.",
            "",
            f"- Machine: {os.cpu_count()} CPUs, Linux {platform.release()}, ext4; holdfast {__version__}, Python {platform.python_version()}.",
            f"- A file of {asked.size} MiB, rewritten in place {asked.rounds} times, {asked.pause:g} s after each backup; the drive is away all the time.",
            "- Medians in seconds. What waits at the most is in MiB.",
            "",
            "| the copy | `backup()` holds the caller | the writer's next `open` | the writing, `open` included | waits at the most |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )
    print(page)
    if asked.write:
        (HERE / "rewritten.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
