"""Many small files beside `cp -a` and `rsync -a`: backup, restore, nothing or one file changed, and how each grows with their number.

Each backup and each restore of ours is a process of its own, so that its peak memory is that of the whole. Sides take turns, and every
other turn begins with the other side. Turns can be gathered over several runs: `--state FILE` keeps what was measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holdfast
from holdfast.platform import file_system, sync_all
from holdfast.store.copies.leases import somebody_writes

HERE = Path(__file__).parent
DATA, NAME = "outputs/data", "many"
SIZE, FOLDERS = 1024, 200
COUNTS = (1, 10, 100, 1_000, 10_000, 100_000)
#: What is called unchanged has to be at rest for so long.
REST_SECONDS = 2.1
#: Calls on an unchanged folder in one process, after two that are not timed.
CALLS = 5
#: What the issue asks for: ratio to the peer, MiB.
TARGETS = {"backup": 0.3, "restore": 0.9, "unchanged": 0.8, "one changed": 0.8, "MiB": 250}
PEERS = {"backup": "cp -a, sync -f", "restore": "cp -a back, sync -f", "unchanged": "rsync -a", "one changed": "rsync -a, sync -f"}

Row = dict[str, Any]


def make(folder: Path, count: int) -> None:
    """Random bytes, last changed an hour ago, in at most 200 folders."""
    source, then = random.Random(count), time.time() - 3600
    each = max(count // FOLDERS, 1)
    for number in range(count):
        place = folder / f"part-{number // each:03}" / f"file-{number:06}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.randbytes(SIZE))
        os.utime(place, (then, then))


def change(root: Path) -> None:
    """One file has other bytes."""
    (root / DATA / "part-000" / "file-000000.bin").write_bytes(os.urandom(SIZE))


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and processor seconds of this process and those that it waited for."""
    os.sync()  # nobody pays for what was written before
    before, began = _processor(), time.perf_counter()
    call()
    return time.perf_counter() - began, _processor() - before


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def copied(source: Path, target: Path) -> Callable[[], None]:
    def call() -> None:
        target.mkdir(parents=True)
        run("cp", "-a", f"{source}/.", target)
        run("sync", "-f", target)

    return call


# -- one side, in a process of its own ------------------------------------------------------------------------------------


def one(what: str, root: Path, drive: Path) -> Row:
    """What one call of ours came to, in this process."""
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    attach = holdfast.attach  # loads what it needs
    if what in ("unchanged", "one changed"):
        keeper = attach(root=root, drive=drive, background=False)
        assert keeper.backup(DATA)
        assert keeper.backup(DATA)
        seconds = []
        for _ in range(CALLS):
            if what == "one changed":
                change(root)
            began = time.perf_counter()
            done = keeper.backup(DATA)
            seconds.append(time.perf_counter() - began)
            assert all(result.unchanged == (what == "unchanged") for result in done.results)
        return {"seconds": statistics.median(seconds)}

    def call() -> None:
        keeper = attach(root=root, drive=drive, background=False)
        done = keeper.backup(DATA) if what == "backup" else keeper.ensure(DATA)
        if not done or (what == "restore" and done.outcome is not holdfast.Outcome.RESTORED):
            sys.exit(f"holdfast did not {what}: {done}")

    seconds, processor = timed(call)
    return {"seconds": seconds, "processor": processor, "MiB": _peak()}


def _peak() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def ours(what: str, root: Path, drive: Path) -> Row:
    command = [sys.executable, __file__, "--one", what, str(root), str(drive)]
    answer: Row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer


# -- turns ----------------------------------------------------------------------------------------------------------------


def turn(count: int, number: int, work: Path) -> list[Row]:
    """One turn of everything for so many files. What it makes stays until the end of the run.

    On ext4 without a journal inodes that were freed in the last minutes are passed over one by one (`recently_deleted` in
    fs/ext4/ialloc.c): who makes files right after others were removed pays for that.
    """
    root, place = work / f"{count}" / NAME, work / f"turn-{count}-{number}"
    if not root.exists():
        make(root / DATA, count)
    place.mkdir()
    made = max(found.stat().st_ctime for found in root.glob(f"{DATA}/*/*"))
    shutil.rmtree(root / ".holdfast", ignore_errors=True)
    back = place / "back"
    (back / "config").mkdir(parents=True)
    (back / "config" / "paths.yaml").write_text(f"drive:\n  backup_base_dir: {NAME}\n")
    (place / "drive").mkdir()
    rows: list[Row] = []

    def both(what: str, peer: Callable[[], object], mine: Callable[[], Row]) -> None:
        def theirs() -> Row:
            seconds, processor = timed(peer)
            return {"seconds": seconds, "processor": processor}

        sides: list[tuple[str, Callable[[], Row]]] = [("peer", theirs), ("holdfast", mine)]
        for side, call in sides if number % 2 else reversed(sides):
            print(f"{count} files, turn {number}: {what}, {side}", file=sys.stderr, flush=True)
            rows.append({"files": count, "turn": number, "what": what, "side": side, **call()})

    both("backup", copied(root / DATA, place / "copy"), lambda: ours("backup", root, place / "drive"))
    both("restore", copied(place / "copy", place / "copied-back"), lambda: ours("restore", back, place / "drive"))
    run("diff", "-r", root / DATA, back / DATA)
    time.sleep(max(made + REST_SECONDS - time.time(), 0))
    again = ["rsync", "-a", f"{root / DATA}/", place / "copy"]
    both("unchanged", lambda: run(*again), lambda: ours("unchanged", root, place / "drive"))

    def after_change() -> None:
        change(root)  # takes next to nothing
        run(*again)
        run("sync", "-f", place / "copy")

    both("one changed", after_change, lambda: ours("one changed", root, place / "drive"))
    return rows


# -- system calls ---------------------------------------------------------------------------------------------------------


def calls(work: Path) -> dict[str, dict[str, float]]:
    """System calls for each file more, by side and name: of 2,000 files less those of 1,000, over 1,000."""
    found: dict[str, dict[str, float]] = {}
    counted: dict[str, list[dict[str, int]]] = {}
    for count in (1_000, 2_000):
        place = work / f"calls-{count}"
        root, back = place / NAME, place / "back"
        make(root / DATA, count)
        (place / "drive").mkdir()
        (back / "config").mkdir(parents=True)
        (back / "config" / "paths.yaml").write_text(f"drive:\n  backup_base_dir: {NAME}\n")
        time.sleep(REST_SECONDS)
        mine = [sys.executable, __file__, "--one"]
        for side, command in {
            "cp -a": ["cp", "-a", f"{root / DATA}/.", str(place / "copy")],
            "backup": [*mine, "backup", str(root), str(place / "drive")],
            "restore": [*mine, "restore", str(back), str(place / "drive")],
        }.items():
            told = place / f"{side}.strace"
            subprocess.run(["strace", "-f", "-c", "-o", told, *command], check=True, stdout=subprocess.DEVNULL)
            counted.setdefault(side, []).append(_told(told.read_text()))
    for side, (few, many) in counted.items():
        each = {name: (number - few.get(name, 0)) / 1000 for name, number in many.items()}
        found[side] = {name: number for name, number in sorted(each.items(), key=lambda item: -item[1]) if number >= 0.05}
    return found


def _told(text: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines())
    return {cells[-1]: int(cells[3]) for cells in lines if len(cells) >= 5 and cells[3].isdigit() and cells[-1] != "total"}


def bare(work: Path, count: int = 10_000) -> dict[str, float]:
    """Processor time for each file, microseconds, of nothing but the system calls that we make: no decision, no hash, no record."""
    root, back = work / "bare", work / "bare-back"
    make(root, count)
    places = [str(place) for place in sorted(root.glob("*/*"))]
    targets = [str(back / Path(place).relative_to(root)) for place in places]
    for target in {os.path.dirname(target) for target in targets}:
        os.makedirs(target)
    data = os.urandom(SIZE)

    def read() -> None:
        for place in places:
            os.lstat(place)
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            os.fstat(descriptor)
            somebody_writes(descriptor)
            os.pread(descriptor, SIZE + 1, 0)
            os.fstat(descriptor)
            os.close(descriptor)
            os.lstat(place)
            os.lstat(place)

    def write() -> None:
        for target in targets:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            os.write(descriptor, data)
            os.utime(descriptor, ns=(10**18, 10**18))
            os.fstat(descriptor)
            os.close(descriptor)
            os.lstat(target)
        sync_all(back)

    return {"backup": timed(read)[1] / count * 1e6, "restore": timed(write)[1] / count * 1e6}


# -- the page -------------------------------------------------------------------------------------------------------------


def pairs(rows: list[Row], what: str, count: int, field: str = "seconds") -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"peer": [], "holdfast": []}
    for row in rows:
        if row["what"] == what and row["files"] == count and field in row:
            found[row["side"]].append(row[field])
    return found


def shown(values: list[float]) -> str:
    digits = 3 if statistics.median(values) < 10 else 1
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def page(rows: list[Row], counted: dict[str, dict[str, float]], alone: dict[str, float], work: Path) -> str:
    counts = sorted({row["files"] for row in rows})
    most = counts[-1]
    lines = [
        "### Against the targets",
        "",
        "| work | peer | peer (s) | Holdfast (s) | ratio | target | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for what, count in (
        ("backup", most),
        ("restore", most),
        *((w, c) for w in ("unchanged", "one changed") for c in counts if c >= most // 10),
    ):
        both = pairs(rows, what, count)
        target = TARGETS[what]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(both["holdfast"], both["peer"], strict=True))
        cells = (
            f"{what}, {count:,} files",
            PEERS[what],
            shown(both["peer"]),
            shown(both["holdfast"]),
            f"{ratio:.2f}",
            f"≤ {target}",
        )
        lines.append(f"| {' | '.join(cells)} | {'met' if ratio <= target else 'missed'} |")
    for what in ("backup", "restore"):
        peak = pairs(rows, what, most, "MiB")["holdfast"]
        met = "met" if max(peak) <= TARGETS["MiB"] else "missed"
        lines.append(f"| {what}, {most:,} files, peak memory (MiB) | | | {max(peak):.0f} | | ≤ {TARGETS['MiB']} | {met} |")
    lines += ["", "### Growth", "", "![seconds over the number of files](files.svg)", ""]
    lines += [f"| files | {' | '.join(f'{what} (s) | peer (s)' for what in PEERS)} |", f"|{' ---: |' * (1 + 2 * len(PEERS))}"]
    for count in counts:
        cells = [f"{count:,}"]
        for what in PEERS:
            both = pairs(rows, what, count)
            cells += [f"{statistics.median(both[side]):.4f}" for side in ("holdfast", "peer")]
        lines.append(f"| {' | '.join(cells)} |")
    if len(counts) > 1:
        lines += ["", "Microseconds for each file more, between the two largest numbers:", ""]
        for what, peer in PEERS.items():
            mine, theirs = (_slope(rows, what, counts[-2:], side) for side in ("holdfast", "peer"))
            lines.append(f"- {what}: {mine:.0f}, {peer}: {theirs:.0f}")
    lines += ["", "### What bounds it", "", *bounds(rows, most, counted, alone)]
    return "\n".join([*surroundings(rows, work), "", *lines, ""])


def _slope(rows: list[Row], what: str, counts: list[int], side: str) -> float:
    few, many = (statistics.median(pairs(rows, what, count)[side]) for count in counts)
    return (many - few) / (counts[1] - counts[0]) * 1e6


def bounds(rows: list[Row], most: int, counted: dict[str, dict[str, float]], alone: dict[str, float]) -> list[str]:
    lines = [
        "- One thread of Python does the work, and most of its time is its own, spent on what is known of each file: looks before and",
        "  after, a lease, two hashes, the tar, the rows of manifest and record. `cp` keeps none of that, and only reads and writes.",
    ]
    for what in ("backup", "restore"):
        both = pairs(rows, what, most, "processor")
        mine, theirs = (statistics.median(both[side]) / most * 1e6 for side in ("holdfast", "peer"))
        lines.append(f"- Processor time for each of {most:,} files, {what}: {mine:.0f} µs, {PEERS[what]}: {theirs:.0f} µs.")
        lines.append(
            f"- The system calls of a {what} alone, made from Python without anything else: {alone[what]:.0f} µs of "
            "processor time a file."
        )
    for side, names in counted.items():
        each = ", ".join(f"{name} {number:.1f}" for name, number in names.items())
        lines.append(f"- System calls for each file more, {side}: {sum(names.values()):.1f} ({each}).")
    return lines


def surroundings(rows: list[Row], work: Path) -> list[str]:
    rsync = subprocess.run(["rsync", "--version"], capture_output=True, text=True, check=True).stdout.split("  protocol")[0]
    copy = subprocess.run(["cp", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    turns = min(len(pairs(rows, what, count)["peer"]) for what in PEERS for count in {row["files"] for row in rows})
    return [
        "# Many small files",
        "",
        "`.venv/bin/python benchmarks/files.py --write` made this.",
        "",
        f"- Machine: {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, file system {file_system(work)}.",
        f"- Versions: holdfast {holdfast.__version__}, Python {platform.python_version()}, {copy}, {rsync}.",
        f"- Files of {SIZE} bytes in at most {FOLDERS} folders, written just before, so read from memory. Median of at least {turns} turns (least to",
        "  most); sides take turns, and every other turn begins with the other side. Ratios are the median of those of each turn.",
        "- `cp` is flushed by `sync -f`. Holdfast returns once all is on the disk and verified; every restore was compared with the original.",
        "- A backup and a restore are each a process of their own; its import is not timed, attaching and making the store are. Peak",
        "  memory is that of the whole process.",
        f"- Unchanged, and one changed file: one keeper, two calls that are not timed, files at rest for more than 2 s; the median of {CALLS}",
        "  calls. rsync is started anew, and after a change it is flushed.",
    ]  # fmt: skip


def plot(rows: list[Row], place: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "files", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    counts = sorted({row["files"] for row in rows})
    figure, axes = plt.subplots(figsize=(7, 4.6))
    for what, colour in zip(PEERS, ("tab:blue", "tab:green", "tab:orange", "tab:red"), strict=True):
        for side, line, name in (("holdfast", "o-", what), ("peer", "s:", PEERS[what])):
            axes.plot(
                counts,
                [statistics.median(pairs(rows, what, c)[side]) for c in counts],
                line,
                color=colour,
                label=name,
                markersize=4,
            )
    axes.set(xlabel="files of 1 KiB", ylabel="seconds", xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 1,000 files, three turns")
    parser.add_argument("--files", type=int, nargs="*", help="only so many; none: measure nothing, show what --state has")
    parser.add_argument("--turns", type=int, help="default 7, with --quick 3")
    parser.add_argument("--state", type=Path, help="a file that keeps what was measured; what is in it counts as well")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/files.md and files.svg (needs matplotlib)")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where to work; a disk, not a tmpfs")
    parser.add_argument("--note", help="what else is to be known of the run, for the page")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]), Path(given.one[2]))))
        return
    rows: list[Row] = []
    if given.state and given.state.exists():
        rows = [json.loads(line) for line in given.state.read_text().splitlines()]
    counts = (COUNTS[:4] if given.quick else COUNTS) if given.files is None else given.files
    with tempfile.TemporaryDirectory(prefix="holdfast-files-", dir=given.dir) as name:
        work = Path(name).resolve()
        for count in counts:
            begun = max((row["turn"] for row in rows if row["files"] == count), default=0)
            for number in range(begun + 1, begun + 1 + (given.turns or (3 if given.quick else 7))):
                new = turn(count, number, work)
                rows += new
                if given.state:
                    with given.state.open("a") as file:
                        file.writelines(f"{json.dumps(row)}\n" for row in new)
        if given.files and not given.write:
            return
        text = page(rows, calls(work) if shutil.which("strace") else {}, bare(work), work)
        if given.note:
            text = text.replace("- Versions:", f"- {given.note}\n- Versions:", 1)
    print(text, end="")
    if given.write:
        (HERE / "files.md").write_text(text, encoding="utf-8")
        plot(rows, HERE / "files.svg")


if __name__ == "__main__":
    main()
