"""The kill sweep: SIGKILL at every file-system call of each command, on both sides, and the same for a naive copy.

    python -m tests.faults.sweep [--on-drive] [--sample N] [--seed S] [--jobs J] [--results FILE]

prints a table and ends with 1 if Holdfast breaks a promise (`oracle.py`), or if the sweep finds nothing wrong with
rmtree + copytree, in which case it could not find anything. With --on-drive the store lies on a simulated Drive, which outlives
the command, and the kills are those on the store's side. Of points between which nothing was changed one is tried: what a kill
leaves there is, byte for byte, the same. With --results it can be stopped, and goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import holdfast
from tests.faults.bench import Bench, Result, Tool, covers
from tests.faults.scenarios import SCENARIOS
from tests.faults.strace import Point, require_strace
from tests.faults.swept import Group, Kept, Sweep
from tests.faults.warm_python import CommandError

SIDES = ("workspace", "store")
#: Points that a worker is handed at a time: it keeps its states, so a change of command costs it a second or two once.
_BATCH = 6
_TRIES = 3
#: To build what a command starts from takes longer than a point, so a sample is of so many commands as give each this many points.
_OF_A_COMMAND = 4
#: In a sample the naive copy, which is there to be caught, stands for so many of them.
_COPIES = 2

#: Points of one command that a worker tries one after the other.
Batch = tuple[str, Tool, Sequence[Point]]


def run(
    *,
    sample: int | None = None,
    seed: int = 0,
    jobs: int = 2,
    on_drive: bool = False,
    only: str | None = None,
    results: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Sweep.

    Args:
        sample: How many points of Holdfast to try, spread evenly over some of the commands, sides and time, and a quarter as
            many of the naive copy; all of both where None.
        seed: Chooses the sample, and which of the points that find the same state is tried.
        jobs: Worker processes.
        on_drive: The store lies on a simulated Drive; only its side is swept.
        only: One command; None for all.
        results: A file to keep what is found in. What it has already is not tried again.
        say: Told how far it is.

    Raises:
        CommandError: strace is missing or may not trace.
    """
    require_strace()
    sides = ("store",) if on_drive else SIDES
    kept = Kept(results, {"sides": list(sides), "on_drive": on_drive, **_here()})
    seeded = random.Random(seed)
    with _workers(jobs, on_drive) as workers:
        names = [name for name in SCENARIOS if only in (None, name)]
        if sample is not None:
            names = seeded.sample(names, min(len(names), -(-sample // _OF_A_COMMAND)))
        copied = [name for name in names if covers(SCENARIOS[name], Tool.COPY)][: None if sample is None else _COPIES]
        tools = {name: [Tool.HOLDFAST, *([Tool.COPY] if name in copied else [])] for name in names}
        recorded = {n: workers[i % jobs].submit(_record, n, tools[n]) for i, n in enumerate(names)}
        groups = {(n, t, s): ps for n, future in recorded.items() for t, s, ps in future.result() if s in sides}
        kept.found(groups)
        chosen = _distinct(groups, kept, seeded) if sample is None else _choose(groups, sample, seeded)
        say(f"{sum(map(len, groups.values()))} points, {sum(map(len, chosen.values()))} to try, seed {seed}")
        piles = [deque[Batch]() for _ in workers]
        for (name, tool, _), points in sorted(chosen.items(), key=lambda item: item[0][1] is Tool.COPY):
            pile = piles[names.index(name) % jobs]
            pile.extend((name, tool, points[i : i + _BATCH]) for i in range(0, len(points), _BATCH))
        _work_off(workers, piles, kept, say)
    return kept.sweep()


def _here() -> dict[str, str]:
    """What is swept: the commit, and whether more than that."""
    git = ["git", "-C", str(Path(__file__).parent)]
    commit, changed = (
        subprocess.run([*git, *words], capture_output=True, text=True, check=False).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    )
    return {"commit": commit + ("+" if changed else ""), "python": platform.python_version()}


@contextmanager
def _workers(jobs: int, on_drive: bool) -> Iterator[list[ProcessPoolExecutor]]:
    """Processes that each keep the states that they built."""
    with tempfile.TemporaryDirectory(prefix="holdfast-sweep-") as name, ExitStack() as stack:
        scratch = Path(os.path.realpath(name))
        code = scratch / "code"
        shutil.copytree(Path(holdfast.__file__).parent, code / "holdfast")  # so that an edit does not shift counts
        # Spawned, so that each worker has one thread and may fork commands of its own.
        context = multiprocessing.get_context("spawn")
        start = (scratch, code, on_drive)
        yield [stack.enter_context(ProcessPoolExecutor(1, context, _start_worker, start)) for _ in range(jobs)]


def _work_off(
    workers: Sequence[ProcessPoolExecutor], piles: Sequence[deque[Batch]], kept: Kept, say: Callable[[str], None]
) -> None:
    """Each worker tries what it recorded; one that has nothing left takes from one that has more than it is about to try."""
    lock = threading.Lock()
    began = time.monotonic()

    def next_of(worker: int) -> Batch | None:
        with lock:
            if piles[worker]:
                return piles[worker].popleft()
            longest = max(piles, key=len)
            return longest.pop() if len(longest) > 1 else None

    def work(worker: int) -> None:
        nonlocal began
        while (batch := next_of(worker)) is not None:
            results = workers[worker].submit(_try, *batch).result()
            with lock:
                now = time.monotonic()
                kept.add(results, now - began)
                began = now
                broken = sum(bool(r.violations) for r in kept.results if r.tool is Tool.HOLDFAST)
                left = sum(len(points) for pile in piles for *_, points in pile)
                say(f"{len(kept.results)} points tried, {left} left, {broken} at which Holdfast broke a promise")

    with ThreadPoolExecutor(len(workers)) as threads:
        for future in [threads.submit(work, number) for number in range(len(workers))]:
            future.result()


def _distinct(groups: dict[Group, tuple[Point, ...]], kept: Kept, seeded: random.Random) -> dict[Group, list[Point]]:
    """One point at random for each state, but for states that a kill was judged in already."""
    done = {(r.scenario, r.tool, r.point.state) for r in kept.results if r.killed}
    drawn: dict[tuple[str, Tool], dict[int, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for (name, tool, _), points in groups.items():
        for point in points:
            drawn[name, tool][point.state].append(point)
    chosen: dict[Group, list[Point]] = {group: [] for group in groups}
    for (name, tool), states in drawn.items():
        for state, points in states.items():
            point = seeded.choice(points)
            if (name, tool, state) not in done:
                chosen[name, tool, point.side].append(point)
    return chosen


def _choose(groups: dict[Group, tuple[Point, ...]], sample: int, seeded: random.Random) -> dict[Group, list[Point]]:
    chosen: dict[Group, list[Point]] = {}
    for tool, budget in ((Tool.HOLDFAST, sample), (Tool.COPY, sample // 4)):
        rest = sorted((g for g in groups if g[1] is tool), key=lambda g: len(groups[g]))
        left = budget
        for number, group in enumerate(rest):  # small groups first: what they cannot give, the larger ones do
            share = min(len(groups[group]), -(-left // (len(rest) - number)))
            chosen[group] = _spread(groups[group], share, seeded)
            left -= share
    return chosen


def _spread(points: Sequence[Point], count: int, seeded: random.Random) -> list[Point]:
    """One point at random out of each of `count` stretches of equal length."""
    edges = [round(i * len(points) / count) for i in range(count + 1)] if count else [0]
    return [points[seeded.randrange(a, b)] for a, b in pairwise(edges)]


_bench: Bench | None = None


def _start_worker(scratch: Path, code: Path, on_drive: bool) -> None:
    global _bench  # noqa: PLW0603 - the one thing that a worker keeps between its tasks
    logging.getLogger("holdfast").addHandler(logging.NullHandler())
    logging.getLogger("holdfast").propagate = False
    # What a kill leaves is in the kernel's memory, so the checks need not wait for the disk. What is killed does.
    for name in ("fsync", "sync"):
        setattr(os, name, lambda *_: None)
    _bench = Bench(scratch / f"worker-{os.getpid():08d}", code, on_drive=on_drive)


def _record(name: str, tools: Sequence[Tool]) -> list[tuple[Tool, str, tuple[Point, ...]]]:
    """Every point of a command, by tool and side."""
    assert _bench is not None
    points = {tool: _bench.record(name, tool) for tool in tools}
    return [(t, side, tuple(p for p in ps if p.side == side)) for t, ps in points.items() for side in SIDES]


def _try(name: str, tool: Tool, points: Sequence[Point]) -> list[Result]:
    assert _bench is not None
    return [_hit(_bench, name, tool, p) for p in points]


def _hit(bench: Bench, name: str, tool: Tool, point: Point) -> Result:
    """A command makes a call less from time to time, where its threads meet otherwise: then the last of them is not reached."""
    for _ in range(_TRIES - 1):
        if (result := bench.try_point(name, tool, point)).killed:
            return result
    return bench.try_point(name, tool, point)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill every command at every file-system call, and see what is left.")
    parser.add_argument("--on-drive", action="store_true", help="with the store on a simulated Drive")
    parser.add_argument("--only", choices=SCENARIOS, help="one command")
    parser.add_argument("--sample", type=int, metavar="N", help="try N points only, spread evenly")
    parser.add_argument("--seed", type=int, default=0, help="chooses the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="worker processes")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep what is found there, and go on with what it has")
    options = parser.parse_args()
    try:
        done = run(**vars(options), say=_say)
    except (CommandError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(done.table())
    for text, count in sorted(done.judged().items()):
        print(f"judged {text}: {count} points")
    for text, count in sorted(done.notes().items()):
        print(f"note: {text} ({count} points)")
    for result in done.not_hit(Tool.HOLDFAST) + done.not_hit(Tool.COPY):
        point = result.point
        print(f"not hit: {result.scenario}, {result.tool.value}: {point.call} #{point.number} {point.what}: {result.what}")
    for text in done.failures():
        print(f"violation: {text}")
    return 1 if done.broken(Tool.HOLDFAST) or not done.broken(Tool.COPY) else 0


if __name__ == "__main__":
    sys.exit(main())
