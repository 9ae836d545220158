"""A study whose trials run at the same time: how many a minute, what the exact order costs, and what it asks of driver and store.

Objectives sleep, so that workers need no core, and the trials a minute are those of the machinery. `ray` is a cluster of this machine,
one node with as many CPUs as there are workers. Beside it Optuna's own `n_jobs` (threads of one process), which keeps nothing.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.metadata
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import optuna  # noqa: E402
from tests.spread.cluster.nodes import Nodes  # noqa: E402
from tests.spread.costs import Noted, costs  # noqa: E402
from tests.spread.objectives import close, keeper_of  # noqa: E402
from tests.support import Rig  # noqa: E402

import holdfast  # noqa: E402
from holdfast.integrations.exact import Exact  # noqa: E402
from holdfast.integrations.trials import KeptTrial  # noqa: E402

WORKERS = (1, 2, 4, 8, 16)
SLEEP = 2.0
#: Each worker has so many trials, and a quarter of them where there are few workers.
EACH, FEW = 60, 8
UNEVEN, AT_A_TIME = 96, 8
PLACES = (10, 100, 500, 1000, 2000)
WINDOW = 10
AIM = 0.85


def of_length(number: int, low: float, high: float) -> float:
    return random.Random(f"length {number}").uniform(low, high)


class Sleeping:
    """An objective that takes so many seconds, by the trial's number.

    Args:
        low: At least.
        high: At most.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, trial: KeptTrial | optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        time.sleep(random.Random(f"length {trial.number}").uniform(self.low, self.high))
        return x


@dataclass(frozen=True)
class Taken:
    """How long a study took.

    Args:
        whole: Seconds from the call to its return.
        rate: Trials a second once all workers run: begun from the first trial of the third round on to the first of the last round.
    """

    whole: float
    rate: float


def of_holdfast(trials: int, parallel: int, engine: str, objective: Sleeping, place: Path) -> Taken:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        keeper = keeper_of(Rig(Path(folder)).machine())
        (keeper.root / "outputs" / "study").mkdir(parents=True)
        study = optuna.create_study(
            study_name="sleep",
            storage=f"sqlite:///{keeper.root}/outputs/study/study.db",
            sampler=Exact(lambda seed: optuna.samplers.RandomSampler(seed=seed), seed=7),
        )
        began = time.perf_counter()
        keeper.optimize(study, objective, trials, parallel=parallel, engine=engine)
        return _taken(study, time.perf_counter() - began, trials, parallel)


def of_optuna(trials: int, parallel: int, objective: Sleeping, place: Path) -> Taken:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", sampler=optuna.samplers.RandomSampler(seed=7))
        began = time.perf_counter()
        study.optimize(objective, trials, n_jobs=parallel)
        return _taken(study, time.perf_counter() - began, trials, parallel)


def _taken(study: optuna.Study, whole: float, trials: int, parallel: int) -> Taken:
    begins = [t.datetime_start for t in study.get_trials(deepcopy=False) if t.datetime_start and t.datetime_complete]
    assert len(begins) == trials >= 4 * parallel
    first, last = 2 * parallel, trials - parallel
    close(study)
    return Taken(whole, (last - first) / (begins[last] - begins[first]).total_seconds())


@contextmanager
def cluster(cpus: int, place: Path) -> Iterator[None]:
    """A cluster of one node with so many CPUs, which studies of this process join."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        nodes = Nodes(Path(folder))
        try:
            nodes.add(cpus=cpus)
            os.environ.update({**nodes.environment, "RAY_ADDRESS": nodes.address})
            yield
        finally:
            nodes.close()


def least(lengths: Sequence[float], places: int, in_order: bool) -> float:
    """Seconds that trials of such lengths take at best, so many at a time: each as soon as a place is free, or also in the exact order.

    In the exact order trial k begins when all trials below k - places + 1 are finished.
    """
    ends: list[float] = []
    if not in_order:
        free = [0.0] * places
        heapq.heapify(free)
        for length in lengths:
            end = heapq.heappop(free) + length
            ends.append(end)
            heapq.heappush(free, end)
        return max(ends)
    for number, length in enumerate(lengths):
        ends.append(max(ends[: max(number - places + 1, 0)], default=0.0) + length)
    return max(ends)


# -- the page ------------------------------------------------------------------------------------------------------------------


def scale_table(each: int, workers: Sequence[int], place: Path) -> list[str]:
    lines = [
        "| engine | workers | trials | trials a minute, once all run | efficiency | of the whole study, begin counted |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    objective = Sleeping(SLEEP, SLEEP)
    for engine in ("local", "ray"):
        for count in workers:
            mine = each if count >= FEW else each // 4
            trials, best = mine * count, mine * SLEEP
            if engine == "ray":
                with cluster(count, place):
                    taken = of_holdfast(trials, count, engine, objective, place)
            else:
                taken = of_holdfast(trials, count, engine, objective, place)
            shares = f"{SLEEP * taken.rate / count:.3f} | {best / taken.whole:.3f}"
            lines.append(f"| {engine} | {count} | {trials} | {60 * taken.rate:.0f} | {shares} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def uneven_table(trials: int, rounds: int, place: Path) -> list[str]:
    objective = Sleeping(1.0, 3.0)
    lengths = [of_length(n, 1.0, 3.0) for n in range(trials)]
    ours, theirs = list[Taken](), list[Taken]()
    for turn in range(rounds):
        for mine in (True, False)[:: 1 if turn % 2 else -1]:
            if mine:
                ours.append(of_holdfast(trials, AT_A_TIME, "local", objective, place))
            else:
                theirs.append(of_optuna(trials, AT_A_TIME, objective, place))
        print(f"uneven: {ours[-1]}, {theirs[-1]}", file=sys.stderr, flush=True)
    exact, free = least(lengths, AT_A_TIME, True), least(lengths, AT_A_TIME, False)
    ratio = statistics.median(a.whole / b.whole for a, b in zip(ours, theirs, strict=True))
    return [
        "| | Holdfast, in the exact order | Optuna, `n_jobs` | ratio |",
        "| --- | ---: | ---: | ---: |",
        f"| the least by reckoning, s | {exact:.1f} | {free:.1f} | {exact / free:.2f} |",
        f"| measured, begin of the workers counted, s | {_middle(ours)} | {_middle(theirs)} | {ratio:.2f} |",
    ]


def _middle(taken: Sequence[Taken]) -> str:
    return f"{statistics.median(t.whole for t in taken):.1f}"


def _window(noted: Sequence[Noted], end: int) -> tuple[float, float, float]:
    """Of one trial, means of those before this one: operations on the store, statements to the study's file, ms of the driver.

    Trials that share a backup are not told apart, so there are more than `WINDOW` of them where one backup served more.
    """
    last = noted[end - 1]
    first = next(n for n in reversed(noted[:end]) if n.trials <= last.trials - WINDOW)
    trials = last.trials - first.trials
    asked: Counter[str] = last.counts - first.counts
    statements = sum(count for name, count in asked.items() if name.startswith("file: "))
    return (asked.total() - statements) / trials, statements / trials, 1000 * (last.seconds - first.seconds) / trials


def workers_table(workers: Sequence[int], place: Path) -> list[str]:
    lines = ["| workers | operations on the store | statements to the study's file |", "| ---: | ---: | ---: |"]
    for count in workers:
        operations, statements, _ = _window(costs(place / f"workers-{count}", 60, count), 60)
        lines.append(f"| {count} | {operations:.1f} | {statements:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def trials_table(trials: int, place: Path) -> list[str]:
    lines = [
        "| trials | operations on the store | statements to the study's file | driver, ms of processor time |",
        "| ---: | ---: | ---: | ---: |",
    ]
    noted = costs(place / "trials", trials, 4)
    for end in (max(p, 2 * WINDOW) for p in PLACES if p <= trials):
        operations, statements, ms = _window(noted, end)
        lines.append(f"| {end} | {operations:.1f} | {statements:.1f} | {ms:.1f} |")
    print("\n".join(lines), file=sys.stderr, flush=True)
    return lines


def page(each: int, workers: Sequence[int], rounds: int, trials: int, place: Path) -> str:
    tables = [scale_table(each, workers, place), uneven_table(UNEVEN, rounds, place), workers_table(workers, place)]
    tables.append(trials_table(trials, place))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("optuna", "ray"))
    return "\n".join(
        [
            "# Trials at the same time",
            "",
            "`.venv/bin/python benchmarks/spread.py --write` made this.",
            "",
            f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the end; holdfast "
            f"{holdfast.__version__}, Python {platform.python_version()}, {versions}.",
            "- The store is a folder on the local disk, the study is SQLite, the sampler is random. Every trial is kept when it ends.",
            "- Ray's processes are without `rfc3987-syntax`, which Jupyter Server brings and which takes each of them a second to load.",
            "",
            "## Trials a minute",
            "",
            f"Each trial sleeps {SLEEP:.0f} s. Efficiency: the time that the sleeping takes at best, over the time that passed. Once all run: from",
            "the third round of the trials to the last. The whole study: from the call to its return. Between the two lies mostly the begin of the",
            f"workers: each is a Python of its own that loads Optuna, and Ray, and {os.cpu_count()} cores start them all here. Target: at least {AIM}",
            "with 16 workers.",
            "",
            *tables[0],
            "",
            "Each trial is also kept; the next one begins before that, and one backup serves trials that end together. Workers, driver, store",
            f"and Ray share {os.cpu_count()} cores here, which with 400 trials a minute have {60 * (os.cpu_count() or 1) / 400:.1f} s for each trial, all in all.",
            "",
            "## What the exact order costs",
            "",
            f"{UNEVEN} trials of 1 to 3 s, {AT_A_TIME} at a time, {rounds} rounds in turns, medians. A trial begins when all those are finished that it",
            "may see, so a long one holds up the others. In return the study is the same every time, whatever ends first.",
            "",
            *tables[1],
            "",
            "## What a trial asks",
            "",
            f"Means of the last of 60 trials that do nothing, engine local: of {WINDOW}, or of as many as one backup served.",
            "",
            *tables[2],
            "",
            "Means of the trials before each place, as many, 4 workers. `tests/spread/test_cost.py` asserts the counts.",
            "",
            *tables[3],
            "",
            "Target: flat. These trials do nothing, so many end together and share one backup. Where each is backed up by itself, that grows",
            "with the study: see [a long study](study.md), where the copy of the database and the proof that it is sound go over all of it.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--write", action="store_true", help="write benchmarks/spread.md")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="holdfast-spread-", dir=given.dir) as name:
        place = Path(name).resolve()
        text = page(16, (1, 2), 1, 100, place) if given.quick else page(EACH, WORKERS, 3, max(PLACES), place)
    print(text, end="")
    if given.write:
        (HERE / "spread.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
