"""How long it takes to begin: a command where all is done, a run on a fresh machine with nothing to do, the built-in sample.

Of the sample a new project is made, and its whole pipeline is run as `make run` does. Then `holdfast status` and `holdfast ensure` take
turns with `python -c pass` as whole processes. Last, what is in its store lies on the simulated Drive, and machines that have nothing of
it run it again; the simulator's clock runs at one second a second, so these are its virtual seconds, our own work included.
"""

from __future__ import annotations

import argparse
import json
import logging
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

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.account import PROJECT, Account  # noqa: E402

from holdfast._version import __version__  # noqa: E402
from holdfast.flow.narration import Quiet  # noqa: E402
from holdfast.pipeline.experiment import load_experiment  # noqa: E402
from holdfast.pipeline.runner import Runner  # noqa: E402
from holdfast.session.config import Config  # noqa: E402
from holdfast.session.keeper import Keeper  # noqa: E402
from holdfast.store.backends.backend import Durability  # noqa: E402
from holdfast.store.backends.drive import DriveBackend  # noqa: E402
from holdfast.store.local.workspace import Workspace  # noqa: E402
from holdfast.store.store import Store  # noqa: E402

HOLDFAST = (sys.executable, "-m", "holdfast")
STARTS = {
    "`python -c pass`": (sys.executable, "-c", "pass"),
    "`holdfast status`": (*HOLDFAST, "status", "--drive", "drive"),
    "`holdfast ensure outputs/report`": (*HOLDFAST, "ensure", "outputs/report", "--drive", "drive"),
    "`holdfast ensure outputs` (all of it)": (*HOLDFAST, "ensure", "outputs", "--drive", "drive"),
}
SHARE = 0.85


def run_sample(project: Path) -> float:
    """Seconds of the whole pipeline."""
    (project / "drive").mkdir(parents=True)
    began = time.perf_counter()
    subprocess.run([*HOLDFAST, "run", "sample", "--root", ".", "--drive", "drive"], cwd=project, check=True, stdout=sys.stderr)
    return time.perf_counter() - began


def starts(project: Path, pairs: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of whole processes, which take turns: that pass, and of processor time."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTS}
    for turn in range(pairs + 1):  # the first one reads what was backed up right after it was written, and is not counted
        for name, command in STARTS.items():
            began = time.perf_counter()
            process = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{name} ended with {process.returncode}")
            if turn:
                taken[name].append((1000 * (time.perf_counter() - began), 1000 * (used.ru_utime + used.ru_stime)))
    return taken


class NotUploaded(DriveBackend):
    """A folder of which nothing was uploaded yet."""

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        return Durability.WRITTEN


def more_generations(account: Account, project: Path, generations: int) -> None:
    """The store of a project on the simulated Drive, and so many generations more of each artifact, none of them removed.

    They are made in a folder of which nothing was uploaded, so that no generation is needless, and moved there as a whole.
    """
    local = account.folder / "made"
    shutil.copytree(project / "drive" / project.name, local / PROJECT)
    site = account.machine()
    store = Store(NotUploaded(local, PROJECT), parallel=8)
    keeper = Keeper(Config(site.root, "outputs", PROJECT, local), store, Workspace(site.root))
    keys = sorted(p.parent for p in (project / "outputs").rglob("stage.json")) if generations else []
    paths = [k.relative_to(project).as_posix() for k in keys]
    for path in paths:
        keeper.require(path)
    for number in range(generations):
        for path in paths:
            note = site.write(f"{path}/notes.txt", f"note {number}")
            if number == generations - 1:
                note.unlink()
            if not keeper.backup(path):
                sys.exit(f"{path}: not backed up")
    shutil.copytree(local / PROJECT, account.drive.my_drive / PROJECT)
    if account.drive.drain() or account.drive.disconnect():
        sys.exit("something was never uploaded")


def nothing_to_do(project: Path, generations: int, seeds: int, work: Path) -> list[tuple[float, dict[str, int]]]:
    """Virtual seconds of a run on fresh machines, and what they asked of the mount."""
    found = []
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        account = Account(Path(scratch))
        with account.mounted():
            more_generations(account, project, generations)
            for seed in range(seeds):
                drive = account.mount(speed=1.0, seed=seed)
                drive.counters(reset=True)
                keeper = account.keeper(account.machine(), parallel=8)
                began = time.perf_counter()
                summary = Runner(keeper, load_experiment("sample", []), narration=Quiet()).run()
                found.append((time.perf_counter() - began, drive.counters()))
                if not summary.finished or summary.ran or summary.safe != "CONFIRMED":
                    sys.exit(f"there was something to do: {summary.ran}, {summary.safe}")
    return found


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def page_of(project: Path, seconds: float | None, pairs: int, seeds: int, generations: int, work: Path) -> str:
    taken = starts(project, pairs)
    least = taken["`python -c pass`"]
    lines = []
    for name, values in taken.items():
        cells = []
        for part in (0, 1):
            ratios = [v[part] / p[part] for v, p in zip(values, least, strict=True)]
            cells += [spread([v[part] for v in values], 1), spread(ratios, 1)]
        lines.append(f"| {name} | {' | '.join(cells)} | {'' if values is least else '10'} |")
    drives = {0: nothing_to_do(project, 0, seeds, work), generations: nothing_to_do(project, generations, seeds, work)}
    few = statistics.median(s for s, _ in drives[0])
    rows = []
    for more, found in drives.items():
        times, counts = [s for s, _ in found], found[0][1]
        share = statistics.median(times) / few
        asked = " | ".join(f"{counts[name]:,}" for name in ("listings", "cold_reads", "warm_reads", "creates"))
        rows.append(f"| {more} | {spread(times, 2)} | {share:.2f} | {asked} |")
    scores = json.loads((project / "outputs" / "final_training" / "tiny" / "metrics.json").read_text())["test"]["micro"]["f1"]
    sample = "not timed in this run" if seconds is None else f"{seconds:.0f} s (target: 120)"
    return "\n".join(
        [
            "# Beginning",
            "",
            "`.venv/bin/python benchmarks/starts.py --write` made this.",
            "",
            f"- {os.cpu_count()} CPUs, Linux {platform.release()}; holdfast {__version__}, Python {platform.python_version()}.",
            f"- Medians (least to most). Ratios are of the pairs, and their median. When this ended, {os.getloadavg()[0]:.1f} processes wanted",
            "  a processor, on average of a minute: with many, what passes is not what it costs.",
            "",
            "## The built-in sample",
            "",
            f"`holdfast run sample`, all stages, once: {sample}; entity F1 on test {scores:.4f} (target: at least {SHARE}).",
            "",
            "## Whole processes, where the pipeline is finished",
            "",
            f"{pairs} of each, in turns, with the sample's outputs here and its store in a folder.",
            "",
            "| process | ms that pass | over `python -c pass` | ms of processor time | over `python -c pass` | target |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *lines,
            "",
            "Of these processes, Python itself is one part, and most of the rest is the loading of what they use: `tests/cli/test_starts.py`",
            "asserts what they do not load. With a `config/paths.yaml` the library that reads YAML comes in, about one part more.",
            "",
            "## A fresh machine on the simulated Drive, nothing to do",
            "",
            f"{seeds} seeds; six artifacts, seven stages. Target: 5 s, and 1.2 times that of few generations with {generations} more of each.",
            "",
            "| generations more | seconds until it is known | times | listings | cold reads | warm reads | creates |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "What bounds it: reads that depend on each other, 0.4 to 1 s each (the store's identity, the manifests side by side, the small",
            "files that they name side by side, the model), and two listings of 0.3 s. `tests/flow/test_fresh_machine_on_drive.py` asserts",
            "the counts.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--project", type=Path, help="a finished sample with its store in drive/, instead of a run of it")
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="write benchmarks/starts.md")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    pairs, seeds, generations = (5, 2, 5) if given.quick else (given.pairs, given.seeds, given.generations)
    with tempfile.TemporaryDirectory(prefix="holdfast-starts-", dir=given.dir) as name:
        work = Path(name).resolve()
        project = given.project.resolve() if given.project else work / "sample"
        seconds = None if given.project else run_sample(project)
        page = page_of(project, seconds, pairs, seeds, generations, work)
    print(page, end="")
    if given.write:
        (HERE / "starts.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
