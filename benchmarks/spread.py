"""What it costs to spread the trials of a study over processes, or over a Ray cluster of this machine.

Trials sleep, which needs no core, so what is measured beside the sleep is ours: the driver, the rule that decides what a trial may
see, the store. The first trial of each worker is left out, because processes start in it, and load what they need.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import optuna  # noqa: E402
from optuna.trial import FrozenTrial  # noqa: E402
from tests.spread.cluster.nodes import Nodes  # noqa: E402
from tests.spread.cluster.works import Sleep  # noqa: E402
from tests.support import Machine, Rig  # noqa: E402

import holdfast  # noqa: E402
from holdfast.integrations.spreading import Plan, SpreadStudy  # noqa: E402
from holdfast.spread.attempt import Attempt, Ended, Kept, Lost, Node, Told  # noqa: E402
from holdfast.spread.cluster.engine import ClusterEngine  # noqa: E402
from holdfast.spread.driver import drive  # noqa: E402
from holdfast.spread.engine import Engine, Ground, open_engine  # noqa: E402
from holdfast.spread.environment import environment_of  # noqa: E402
from holdfast.store.backends.wrappers import Counting  # noqa: E402

HOME = "outputs/study"
WORKERS = (1, 2, 4, 8, 16)
PLACES = (10, 100, 250, 500, 1000, 1500, 1975)
COUNTED = 25


@dataclass
class Run:
    """When each trial was finished, by the order of that; and of each what the driver worked, and asked the store for."""

    at: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    began: float = 0.0

    def rate(self, parallel: int) -> float:
        """Trials a minute, once each worker has had its first."""
        return 60 * (len(self.at) - parallel) / (self.at[-1] - self.at[parallel - 1])


class Units:
    """The study, to the driver; each trial is kept when it is finished."""

    def __init__(self, machine: Machine, counting: Counting, engine: Engine, study: optuna.Study, trials: int, plan: Plan) -> None:
        self.machine, self.counting, self.engine, self.trials = machine, counting, engine, trials
        self.keeper = machine.keep
        self.run = Run(began=time.perf_counter())
        self.study = SpreadStudy(study, engine, plan, self)
        self._asked, self._worked = self._count(), time.process_time()

    def _count(self) -> int:
        return sum(self.counting.counts.values())

    def room(self, trials: Sequence[FrozenTrial], seen: int) -> bool:
        return len(trials) < self.trials

    def next(self, running: Collection[str]) -> Attempt | None:
        return self.study.next(running)

    def is_over(self) -> bool:
        return self.study.is_over()

    def ended(self, event: Ended) -> None:
        self.study.ended(event)

    def recorded(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], ended: Ended) -> None:
        folder = self.machine.root / HOME
        parts = [folder / "study.db", folder / f"trials/trial-{trial.number:04d}"]
        whole = self.study.finished <= 1 or not parts[1].exists()
        assert self.keeper.backup(*([folder] if whole else parts), progress=self.study.finished)
        self.run.at.append(time.perf_counter())
        asked, worked = self._count(), time.process_time()
        self.run.asked.append(asked - self._asked)
        self.run.worked.append(worked - self._worked)
        self._asked, self._worked = asked, worked

    def kept(self, event: Kept) -> None:
        raise AssertionError("nothing is kept in between")

    asked = part_done = kept

    def began(self, trial: FrozenTrial, attempt: Attempt) -> None: ...

    def told(self, event: Told) -> None: ...

    def node(self, event: Node) -> None: ...

    def lost(self, event: Lost) -> None:
        raise AssertionError(event.why)

    def finish(self) -> None: ...


def run(engine: str, parallel: int, trials: int, work: Sleep, place: Path) -> Run:
    """A study from its beginning to its end."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        machine, counting = Rig(Path(folder)).counted()
        (machine.root / HOME).mkdir(parents=True)
        study = optuna.create_study(storage=f"sqlite:///{machine.root / HOME / 'study.db'}", study_name="sleeping")
        environment = environment_of(1)
        ground = Ground(machine.root, HOME, parallel, keeper=machine.keep, environment=environment)
        opened = ClusterEngine(ground, disk=0) if engine == "ray" else open_engine(engine, ground)
        plan = Plan(
            home=HOME,
            place=lambda number: f"trials/trial-{number:04d}",
            root=machine.root,
            work=pickle.dumps(work),
            parallel=parallel,
            environment=environment,
        )
        units = Units(machine, counting, opened, study, trials, plan)
        try:
            drive(opened, units, parallel)
        finally:
            opened.close()
            study._storage.remove_session()
    return units.run


def n_jobs(parallel: int, trials: int, work: Sleep, place: Path) -> Run:
    """The same with Optuna's own threads, each of which begins another trial whenever it has finished one. Nothing is kept."""
    found = Run(began=time.perf_counter())

    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_float("x", 0.0, 1.0)
        time.sleep(work.seconds(trial.number))
        return value

    def finished(study: optuna.Study, trial: FrozenTrial) -> None:
        found.at.append(time.perf_counter())

    with tempfile.TemporaryDirectory(dir=place) as folder:
        study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", study_name="sleeping")
        study.optimize(objective, n_trials=trials, n_jobs=parallel, callbacks=[finished])
    return found


@contextmanager
def cluster(place: Path) -> Iterator[None]:
    """Four nodes of this machine, each with room for four trials."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        nodes = Nodes(Path(folder))
        try:
            for _ in range(4):
                nodes.add(cpus=4)
            os.environ.update({**nodes.environment, "RAY_ADDRESS": nodes.address})
            yield
        finally:
            nodes.close()


def measured(place: Path, rounds: int, long: int) -> dict[str, Any]:
    equal, uneven = Sleep(2.0, 2.0), Sleep(1.0, 3.0)
    found: dict[str, Any] = {"equal": {}, "uneven": {}}
    engines = ("local", "ray")
    with cluster(place):
        for workers in WORKERS:
            for engine in engines:
                found["equal"][engine, workers] = run(engine, workers, workers * (rounds + 1), equal, place)
                print(engine, workers, f"{found['equal'][engine, workers].rate(workers):.1f} a minute", flush=True)
        for workers in (4, 8, 16):
            trials = workers * (rounds + 1)
            for engine in engines:
                found["uneven"][engine, workers] = run(engine, workers, trials, uneven, place)
            found["uneven"]["n_jobs", workers] = n_jobs(workers, trials, uneven, place)
            print(workers, {e: f"{found['uneven'][e, workers].rate(workers):.1f}" for e in (*engines, "n_jobs")}, flush=True)
        found["long"] = {"local": run("local", 4, long, Sleep(0.0, 0.0), place)}
        print("long", flush=True)
    return found


def page(found: dict[str, Any], rounds: int, long: int, command: str) -> str:
    equal, uneven = found["equal"], found["uneven"]
    lines = [
        "# Trials on several workers",
        "",
        f"`{command}` made this.",
        "",
        f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the end; holdfast "
        f"{holdfast.__version__}, Python {platform.python_version()}, Optuna {optuna.__version__}; a store in a folder on the local disk.",
        "- Trials sleep, which needs no core. `local`: processes of this machine. `ray`: four nodes of this machine, four trials each at most.",
        f"- Each worker has {rounds} trials after its first, in which processes start; that one is left out. One run of each.",
        "",
        "## Trials of 2 s",
        "",
        "| workers | local, trials a minute | efficiency | ray, trials a minute | efficiency | local: operations on the store | ray: of the driver |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workers in WORKERS:
        row = [f"| {workers} |"]
        for engine in ("local", "ray"):
            rate = equal[engine, workers].rate(workers)
            row.append(f"{rate:.1f} | {rate / workers / 30:.2f} |")
        row += [f"{statistics.median(equal[e, workers].asked[workers:]):.0f} |" for e in ("local", "ray")]
        lines.append(" ".join(row))
    lines += [
        "",
        "Efficiency: over 30 trials a minute for each worker, which is what sleeping alone allows. Target: at 16 workers at least 0.85. "
        "Operations on the store: median by trial.",
        "",
        "## Trials of 1 to 3 s: what the rule costs",
        "",
        "With P at a time, trial *k* waits for all trials up to *k - P*, so that what it sees does not depend on who was quicker. Optuna's "
        "`n_jobs` waits for none, keeps nothing, and no second run of it has the same trials.",
        "",
        "| workers | local, trials a minute | ray | Optuna's n_jobs | local over n_jobs | ray over n_jobs |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workers in (4, 8, 16):
        rates = [uneven[e, workers].rate(workers) for e in ("local", "ray", "n_jobs")]
        lines.append(
            f"| {workers} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[2]:.1f} | {rates[0] / rates[2]:.2f} | {rates[1] / rates[2]:.2f} |"
        )
    lines += [
        "",
        "## A long study",
        "",
        f"{long} trials that take no time, 4 workers, `local`. The driver's own CPU time by trial, and operations on the store: medians of "
        f"{COUNTED}.",
        "",
        "| trials before | driver, ms | over the first row | operations on the store |",
        "| ---: | ---: | ---: | ---: |",
    ]
    it, first = found["long"]["local"], None
    for at in (p for p in PLACES if p + COUNTED <= long):
        ms = 1000 * statistics.median(it.worked[at : at + COUNTED])
        first = first or ms
        lines.append(f"| {at} | {ms:.1f} | {ms / first:.2f} | {statistics.median(it.asked[at : at + COUNTED]):.0f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="trials of each worker after its first")
    parser.add_argument("--long", type=int, default=2000, help="trials of the long study")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to work")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/spread.md")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    command = " ".join([".venv/bin/python", "benchmarks/spread.py", *sys.argv[1:]])
    text = page(measured(given.folder, given.rounds, given.long), given.rounds, given.long, command)
    print(text)
    if given.write:
        (HERE / "spread.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
