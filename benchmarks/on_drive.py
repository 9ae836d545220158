"""Many small files on Colab's Drive, simulated: until all of them are known to be safe there, and until they are back.

Times are virtual: what the simulator's clock says, whose latencies and rates are those that were measured of the mount
(docs/colab-drive.md). So another machine, or a busy one, prints the same. Only the restore by Holdfast is timed with the clock running
at the speed of this world, because what it asks for side by side it waits for once.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast._version import __version__
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import Pace, SimulatedDrive
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store

HERE = Path(__file__).parent
FILES, SIZE = 5000, 4096
#: The lag before an upload begins is the mount's own, whoever writes. With the shorter one it is not most of what is measured.
PACES = {"1 to 5 s": Pace(lag=(1.0, 5.0)), "1 to 30 s": Pace()}
SHORT = ("1 to 5 s",)
TRANSFERS = 16
COPIES = {
    "cp -r": ("cp", "-r", "{source}", "{target}"),
    f"rclone copy --transfers {TRANSFERS}": (
        "rclone",
        "--config",
        "",
        "copy",
        "--transfers",
        str(TRANSFERS),
        "{source}",
        "{target}",
    ),
}
#: How many waits of each pass at once, at the best.
AT_ONCE = {"cp -r": 1, f"rclone copy --transfers {TRANSFERS}": TRANSFERS}
PARALLEL = 8
#: Seeds for the peers: theirs is a sum of thousands of waits, which hardly varies, and costs minutes of this world.
PEERS = 1
DATA = "outputs/data"


def make_files(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05}.bin").write_bytes(f"{number:04}".encode()[:4] * (SIZE // 4))
    return folder


def keeper(root: Path, drive: SimulatedDrive, machine: str) -> Keeper:
    (root / "outputs").mkdir(parents=True, exist_ok=True)
    backend = DriveBackend(drive.my_drive, "proj", mount_point=drive.my_drive.parent)
    store = Store(backend, parallel=PARALLEL, machine=machine)
    return Keeper(Config(root, "outputs", "proj", drive.my_drive.parent), store, Workspace(root))


class Virtual:
    """Virtual seconds that pass: of the clock, and of the waits that a clock that stands still only counts."""

    def __init__(self, drive: SimulatedDrive, at_once: int = 1) -> None:
        self._drive, self._at_once = drive, at_once
        drive.counters(reset=True)
        self._began = drive.advance(0)

    def passed(self) -> float:
        waited = self._drive.counters()["milliseconds_waited"] / 1000 / self._at_once
        return self._drive.advance(0) - self._began + waited


def copied(tool: str, source: Path, pace: Pace, seed: int, scratch: Path) -> tuple[float, float, int]:
    """Virtual seconds until all is uploaded, and until it is back on another machine; and the files that were created."""
    cloud = scratch / "cloud"
    with SimulatedDrive(scratch / "first", cloud=cloud, pace=pace, seed=seed) as drive:
        time_ = Virtual(drive, AT_ONCE[tool])
        run(tool, source, drive.my_drive / "copy")
        if drive.drain():
            sys.exit(f"{tool}: something was never uploaded")
        up, creates = time_.passed(), drive.counters()["creates"]
        drive.disconnect()
    with SimulatedDrive(scratch / "second", cloud=cloud, pace=pace, seed=seed) as drive:
        time_ = Virtual(drive, AT_ONCE[tool])
        run(tool, drive.my_drive / "copy", scratch / "back")
        down = time_.passed()
    compare(source, scratch / "back")
    return up, down, creates


def run(tool: str, source: Path, target: Path) -> None:
    command = [part.format(source=source, target=target) for part in COPIES[tool]]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def kept(source: Path, pace: Pace, seed: int, scratch: Path) -> tuple[float, float, int]:
    """The same by Holdfast: until it says that everything is confirmed, and until a fresh machine has it."""
    cloud, mine, other = scratch / "cloud", scratch / "mine" / "proj", scratch / "other" / "proj"
    shutil.copytree(source, mine / DATA)
    with SimulatedDrive(scratch / "first", cloud=cloud, pace=pace, seed=seed) as drive:
        time_ = Virtual(drive)
        keep = keeper(mine, drive, "one")
        if not keep.backup(DATA):
            sys.exit("holdfast did not back up")
        if drive.drain() or set(keep.confirm().values()) != {Durability.CONFIRMED}:
            sys.exit("holdfast: something was never uploaded")
        up, creates = time_.passed(), drive.counters()["creates"]
        drive.drain()
        drive.disconnect()
    with SimulatedDrive(scratch / "second", cloud=cloud, pace=pace, seed=seed, speed=1.0) as drive:
        began = time.perf_counter()
        if keeper(other, drive, "two").ensure(DATA).outcome is not Outcome.RESTORED:
            sys.exit("holdfast did not restore")
        down = time.perf_counter() - began
    compare(source, other / DATA)
    return up, down, creates


def compare(source: Path, back: Path) -> None:
    for place in sorted(source.iterdir()):
        if (back / place.name).read_bytes() != place.read_bytes():
            sys.exit(f"{place.name} came back as something else")


def spread(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    digits = 0 if middle > 100 else 1
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return f"{statistics.median(ours) / statistics.median(theirs):.4f}"


def table(lag: str, pace: Pace, files: int, seeds: int, work: Path) -> list[str]:
    source = make_files(work / f"source-{len(lag)}", files)
    taken: dict[str, list[tuple[float, float, int]]] = {tool: [] for tool in (*COPIES, "holdfast")}
    for seed in range(seeds):
        for tool, times in taken.items():
            if tool != "holdfast" and seed >= PEERS:
                continue
            print(f"lag {lag}, seed {seed}: {tool}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=work) as scratch:
                take = kept if tool == "holdfast" else lambda *a, tool=tool: copied(tool, *a)
                times.append(take(source, pace, seed, Path(scratch)))
    ours = taken["holdfast"]
    rows = []
    for tool, found in taken.items():
        ups, downs = [f[0] for f in found], [f[1] for f in found]
        ratios = ["", ""] if tool == "holdfast" else [ratio([o[0] for o in ours], ups), ratio([o[1] for o in ours], downs)]
        rows.append(f"| {tool} | {found[0][2]:,} | {spread(ups)} | {ratios[0]} | {spread(downs)} | {ratios[1]} |")
    return [
        f"### {files:,} files of {SIZE // 1024} KiB, a lag of {lag} before an upload begins",
        "",
        "| tool | files created | until confirmed (s) | holdfast / it | back on a fresh machine (s) | holdfast / it |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="500 files, one seed")
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write benchmarks/on_drive.md")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    files, seeds = (500, 1) if given.quick else (FILES, given.seeds)
    rclone = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    with tempfile.TemporaryDirectory(prefix="holdfast-on-drive-", dir=given.dir) as name:
        work = Path(name).resolve()
        tables = [line for lag, pace in PACES.items() for line in table(lag, pace, files, seeds if lag in SHORT else 1, work)]
    page = "\n".join(
        [
            "# Many small files on the simulated Drive",
            "",
            "`.venv/bin/python benchmarks/on_drive.py --write` made this.",
            "",
            f"- holdfast {__version__}, Python {platform.python_version()}, {rclone}, Linux {platform.release()}.",
            f"- Medians (least to most) of {seeds} seeds, of the peers and with the longer lag of one, in virtual seconds.",
            f"- The mount: {Pace().slots} uploads at a time, {Pace().creates_per_second} new files a second, "
            f"{Pace().bytes_per_second / 1e6:.0f} MB/s; a small cold file takes 0.4 to 1 s to read, a listing 0.3 s.",
            f"- Restores: cp waits for one file after the other; of rclone {TRANSFERS} waits are taken to pass at once, the most that it could",
            f"  do. Holdfast reads {PARALLEL} at a time, and is timed with the clock running at one second a second, its own work included.",
            f"- When this ended, {os.getloadavg()[1]:.0f} processes wanted a processor, on average of five minutes: with many, Holdfast's own part",
            "  of a restore is longer than it is on a machine that is free.",
            "- Targets: 0.005 until confirmed, 0.01 until it is back. What bounds the restore is reads that depend on each other, 0.4 to 1 s",
            "  each: the store's identity, the manifest, the tar; and two listings. The longer lag is the mount's own, and alone more than",
            "  0.005 of what cp takes.",
            "",
            *tables,
        ]
    )
    print(page, end="")
    if given.write:
        (HERE / "on_drive.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
