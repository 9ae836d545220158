"""The kill sweep over Drive's API, as a command of its own.

    python -m tests.faults.api_sweep [--sample N] [--seed S] [--jobs J] [--only COMMAND] [--minutes M]

ends with 1 if a promise is broken (`oracle.py`).
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
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import holdfast
from tests.faults.api_site import ApiBench, ApiPoint, ApiResult, spread
from tests.faults.scenarios import SCENARIOS
from tests.faults.strace import require_strace

_BATCH = 5
NAMES = tuple(SCENARIOS)


@dataclass(frozen=True)
class ApiSweep:
    """A sweep that is through: how many points there are by command, and what became of those that were tried."""

    points: dict[str, int]
    results: tuple[ApiResult, ...]

    def hit(self) -> int:
        return sum(r.hit for r in self.results)

    def failures(self) -> list[str]:
        return [f"{r.point}\n  " + "\n  ".join(r.violations) for r in self.results if r.violations]

    def table(self) -> str:
        """By command and by what went wrong: points tried, hit, and with violations."""
        rows: Counter[tuple[str, str]] = Counter()
        hits: Counter[tuple[str, str]] = Counter()
        broken: Counter[tuple[str, str]] = Counter()
        for result in self.results:
            how = "local call" if result.point.how is None else result.point.how.value
            for group in ((result.point.scenario, how), ("all", "all")):
                rows[group] += 1
                hits[group] += result.hit
                broken[group] += bool(result.violations)
        lines = ["| command | at | tried | hit | violations |", "| --- | --- | --: | --: | --: |"]
        return "\n".join(lines + [f"| {g[0]} | {g[1]} | {rows[g]} | {hits[g]} | {broken[g]} |" for g in sorted(rows)])


def run(
    *,
    sample: int | None,
    seed: int,
    jobs: int,
    only: str | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
) -> ApiSweep:
    """Sweep; all points where there is no sample, else so many, half of them at requests.

    They are tried in an order that is drawn, so that what is through after some minutes is spread over all commands too.
    """
    require_strace()
    seeded = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="holdfast-api-sweep-") as name:
        scratch = Path(os.path.realpath(name))
        code = scratch / "code"
        shutil.copytree(Path(holdfast.__file__).parent, code / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(code, quiet=1)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _start_worker, (scratch, code)) as pool:
            names = [name for name in NAMES if only in (None, name)]
            if sample is not None and sample < len(names) * 2:
                names = seeded.sample(names, max(1, sample // 2))
            recorded = dict(zip(names, pool.map(_record, names), strict=True))
            chosen: list[list[ApiPoint]] = []
            for number, points in enumerate(recorded.values()):
                wire, local = [p for p in points if p.how is not None], [p for p in points if p.how is None]
                if sample is not None:
                    share = sample * (number + 1) // len(names) - sample * number // len(names)
                    wire = spread(wire, min(len(wire), (share + 1) // 2), seeded)
                    local = spread(local, min(len(local), share - len(wire)), seeded)
                both = wire + local
                chosen += [both[i : i + _BATCH] for i in range(0, len(both), _BATCH)]
            seeded.shuffle(chosen)
            say(f"{sum(map(len, recorded.values()))} points, {sum(map(len, chosen))} to try, seed {seed}")
            results: list[ApiResult] = []
            begun, tried = time.monotonic(), [pool.submit(_try, batch) for batch in chosen]
            for future in as_completed(tried):
                if future.cancelled():
                    continue
                for result in future.result():
                    results.append(result)
                    if result.violations:
                        say(f"violation: {result.point}: {'; '.join(result.violations)}")
                say(f"{len(results)} points tried, {sum(bool(r.violations) for r in results)} with violations")
                if minutes is not None and time.monotonic() - begun > 60 * minutes:
                    for other in tried:
                        other.cancel()
    return ApiSweep({name: len(points) for name, points in recorded.items()}, tuple(results))


_bench: ApiBench | None = None


def _start_worker(scratch: Path, code: Path) -> None:
    global _bench  # noqa: PLW0603 - the one thing that a worker keeps between its tasks
    logging.getLogger("holdfast").addHandler(logging.NullHandler())
    logging.getLogger("holdfast").propagate = False
    for name in ("fsync", "sync"):  # what a kill leaves is in the kernel's memory, so the checks need not wait for the disk
        setattr(os, name, lambda *_: None)
    _bench = ApiBench(scratch / f"worker-{os.getpid():08d}", code)


def _record(name: str) -> list[ApiPoint]:
    assert _bench is not None
    return _bench.record(name)


def _try(points: list[ApiPoint]) -> list[ApiResult]:
    assert _bench is not None
    return [_hit(_bench, p) for p in points]


def _hit(bench: ApiBench, point: ApiPoint) -> ApiResult:
    first = bench.try_point(point)
    return first if first.hit else bench.try_point(point)


def main() -> int:
    parser = argparse.ArgumentParser(description="Have every request and every local call of each command go wrong.")
    parser.add_argument("--only", choices=NAMES, help="one command")
    parser.add_argument("--sample", type=int, metavar="N", help="try N points only, spread evenly")
    parser.add_argument("--minutes", type=float, help="begin no more points after so long")
    parser.add_argument("--seed", type=int, default=0, help="chooses the sample, and the order")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="worker processes")
    options = parser.parse_args()
    done = run(
        sample=options.sample,
        seed=options.seed,
        jobs=options.jobs,
        only=options.only,
        minutes=options.minutes,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(done.table())
    for text in done.failures():
        print(f"violation: {text}")
    return 1 if done.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
