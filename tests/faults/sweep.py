"""The kill sweep: SIGKILL at every file-system call of each command, on both sides, and the same for a naive copy.

    python -m tests.faults.sweep [--on-drive] [--sample N] [--seed S] [--jobs J]

prints a table and ends with 1 if Holdfast breaks a promise (`oracle.py`), or if the sweep finds nothing wrong with
rmtree + copytree, in which case it could not find anything. With --on-drive the store lies on a simulated Drive, which outlives
the command, and the kills are those on the store's side.
"""

from __future__ import annotations

import argparse
import compileall
import logging
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import holdfast
from tests.faults.bench import Bench, Result, Tool, covers
from tests.faults.scenarios import SCENARIOS
from tests.faults.strace import Point, StraceError, require_strace

SIDES = ("workspace", "store")
#: Points that a worker is handed at a time: it keeps its states, so a change of command costs it a second once.
_BATCH = 6
_TRIES = 3

_COLUMNS = ("operations", "killed", "not hit", "violations")

#: A command as swept: its name, by which tool, on which side.
Group = tuple[str, Tool, str]


@dataclass(frozen=True)
class Sweep:
    """A sweep that is through.

    Args:
        operations: How many points there are, by group.
        results: What became of those that were tried.
        sides: Which sides were swept.
    """

    operations: dict[Group, int]
    results: tuple[Result, ...]
    sides: tuple[str, ...] = SIDES

    def killed(self, tool: Tool) -> int:
        return sum(r.killed for r in self.results if r.tool is tool)

    def not_hit(self, tool: Tool) -> list[Result]:
        """Points at which the command was not killed, or elsewhere than recorded; nothing was judged there."""
        return [r for r in self.results if r.tool is tool and not r.killed]

    def broken(self, tool: Tool) -> list[Result]:
        """Points that left a state which breaks a promise."""
        return [r for r in self.results if r.tool is tool and r.violations]

    def failures(self) -> list[str]:
        """One paragraph for each point at which Holdfast broke a promise."""
        return [
            f"{r.scenario}, {r.point.side}, before {r.point.call} #{r.point.number} ({r.what}):\n  " + "\n  ".join(r.violations)
            for r in self.broken(Tool.HOLDFAST)
        ]

    def judged(self) -> Counter[str]:
        """How many kills were judged where."""
        return Counter(r.after.value for r in self.results if r.killed and r.tool is Tool.HOLDFAST)

    def notes(self) -> Counter[str]:
        """What is worth knowing though it is allowed, with how often it came up."""
        return Counter(f"{r.scenario}: {n}" for r in self.results for n in r.notes)

    def table(self) -> str:
        """Operations, points killed, not hit, and points with violations: by command and side, ours and the naive copy's."""
        head = ["command", "side", *(f"{t.value}: {c}" for t in Tool for c in _COLUMNS)]
        rows = [[name, side, *self._cells(name, side)] for name in SCENARIOS for side in self.sides]
        rows.append(["all", "both", *self._cells(None, None)])
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        rule = ["-" * w if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        return "\n".join(_line(row, widths) for row in [head, rule, *rows])

    def _cells(self, name: str | None, side: str | None) -> list[str]:
        cells = []
        for tool in Tool:
            there = sum(n for (g, t, s), n in self.operations.items() if t is tool and name in (None, g) and side in (None, s))
            tried = [r for r in self.results if r.tool is tool and name in (None, r.scenario) and side in (None, r.point.side)]
            hit = [r for r in tried if r.killed]
            numbers = (there, len(hit), len(tried) - len(hit), sum(bool(r.violations) for r in hit))
            cells += [str(n) for n in numbers] if there else ["-"] * len(numbers)
        return cells


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row of a Markdown table; words to the left, numbers to the right."""
    padded = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return f"| {' | '.join(padded)} |"


def run(
    *,
    sample: int | None = None,
    seed: int = 0,
    jobs: int = 2,
    on_drive: bool = False,
    only: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Sweep.

    Args:
        sample: How many points of Holdfast to try, spread evenly over commands, sides and time, and a quarter as many of
            the naive copy; all of both where None.
        seed: Chooses the sample.
        jobs: Worker processes.
        on_drive: The store lies on a simulated Drive; only its side is swept.
        only: One command; None for all.
        say: Told how far it is.

    Raises:
        StraceError: strace is missing or may not trace.
    """
    require_strace()
    sides = ("store",) if on_drive else SIDES
    with tempfile.TemporaryDirectory(prefix="holdfast-sweep-") as name:
        scratch = Path(os.path.realpath(name))
        code = scratch / "code"
        shutil.copytree(Path(holdfast.__file__).parent, code / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(code, quiet=1)
        # Spawned, so that each worker has one thread and may fork commands of its own.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _start_worker, (scratch, code, on_drive)) as pool:
            names = [name for name in SCENARIOS if only in (None, name)]
            wanted = [(name, tool) for name in names for tool in Tool if covers(SCENARIOS[name], tool)]
            recorded = dict(zip(wanted, pool.map(_record, wanted), strict=True))
            groups = {(n, t, s): [p for p in ps if p.side == s] for (n, t), ps in recorded.items() for s in sides}
            chosen = groups if sample is None else _choose(groups, sample, random.Random(seed))
            batches = [(n, t, p[i : i + _BATCH]) for (n, t, _), p in chosen.items() for i in range(0, len(p), _BATCH)]
            say(f"{sum(map(len, groups.values()))} points, {sum(map(len, chosen.values()))} to try, seed {seed}")
            futures = [pool.submit(_try, *b) for b in batches]
            results: list[Result] = []
            for number, future in enumerate(as_completed(futures), start=1):
                results += future.result()
                if number % 20 == 0:
                    broken = sum(bool(r.violations) for r in results if r.tool is Tool.HOLDFAST)
                    say(f"{len(results)} points tried, {broken} at which Holdfast broke a promise")
    return Sweep({g: len(p) for g, p in groups.items()}, tuple(sorted(results, key=_order)), sides)


def _order(result: Result) -> tuple[str, str, str, int]:
    return (result.scenario, result.point.side, result.point.call, result.point.number)


def _choose(groups: dict[Group, list[Point]], sample: int, seeded: random.Random) -> dict[Group, list[Point]]:
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


def _record(wanted: tuple[str, Tool]) -> list[Point]:
    assert _bench is not None
    return _bench.record(*wanted)


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
    options = parser.parse_args()
    try:
        done = run(
            sample=options.sample, seed=options.seed, jobs=options.jobs, on_drive=options.on_drive, only=options.only, say=_say
        )
    except StraceError as error:
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
