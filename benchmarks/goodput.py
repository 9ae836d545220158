"""Goodput: the share of a machine's life that ends up in the result, where a machine is taken away every N minutes.

A job of three stages runs on the simulated Drive in virtual time, in three ways: nothing but finished stages are kept, every
checkpoint is kept by Holdfast, and the bound, which loses nothing but the time that a new machine takes. Steps, checkpoints, starts
and what Drive takes to read cost virtual time; uploads come later, and a machine that goes takes what has not arrived with it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import holdfast
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.simulator import SimulatedDrive
from holdfast.simulator.uploads import Pace
from holdfast.store.transfer.progress import Silent

HERE = Path(__file__).parent
MINUTE = 60.0
#: Virtual seconds.
STEP, CHECKPOINT_EVERY, START = 15.0, 5 * MINUTE, 3 * MINUTE
STAGES = {"search": 90 * MINUTE, "final_training": 60 * MINUTE, "conversion": 10 * MINUTE}
USEFUL = sum(STAGES.values())
CHECKPOINT_BYTES = 2_000_000
#: A checkpoint of 500 MB at Drive's 20 MB a second is 25 s; so are these at 80 kB.
PACE = Pace(bytes_per_second=CHECKPOINT_BYTES / 25)
EVERY_MINUTES = (8, 12, 20, 30, 45, 60, 75, 90, 120, 180, 240)
#: Who has not finished by then does not.
PATIENCE = 12 * USEFUL


class Gone(Exception):
    """The machine was taken away."""


@dataclass
class Life:
    """One machine: its virtual time, and the end of it.

    Args:
        drive: Its mount.
        until: Virtual seconds after which it is taken away.
    """

    drive: SimulatedDrive
    until: float
    lived: float = 0.0
    _waited: int = 0

    def spend(self, seconds: float) -> None:
        """So much time passes, or the machine goes in the middle of it."""
        passing = min(seconds, self.until - self.lived)
        self.drive.advance(passing)
        self.lived += passing
        if self.lived >= self.until:
            raise Gone

    def pay(self) -> None:
        """What the mount took to answer since the last time."""
        waited = self.drive.counters()["milliseconds_waited"]
        since, self._waited = waited - self._waited, waited
        self.spend(since / 1000)


def work(keeper: Keeper, life: Life, *, checkpoints: bool) -> None:
    """The job, from wherever it is. The state of a stage is the number of its steps, and a checkpoint's worth of bytes."""
    life.spend(START)
    for stage, seconds in STAGES.items():
        folder = keeper.root / "outputs" / stage
        if keeper.ensure(folder / "done"):
            life.pay()
            continue
        keeper.ensure(folder)
        life.pay()
        steps, every = int(seconds / STEP), int(CHECKPOINT_EVERY / STEP)
        state = folder / "state.json"
        begun = json.loads(state.read_text())["step"] if state.exists() else 0
        for step in range(begun + 1, steps + 1):
            life.spend(STEP)
            if step == steps or (checkpoints and step % every == 0):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "model.bin").unlink(missing_ok=True)
                (folder / "model.bin").write_bytes(random.Random(f"{stage} {step}").randbytes(CHECKPOINT_BYTES))
                state.write_text(json.dumps({"step": step}))
                if step == steps:
                    (folder / "done").write_text(stage)
                assert keeper.backup(folder, progress=step)
                life.pay()


def finish(every: float, *, checkpoints: bool, seed: int) -> tuple[float, int]:
    """Virtual seconds and machines until the job is done; infinite where it never is."""
    lived, machines = 0.0, 0
    with tempfile.TemporaryDirectory() as place:
        root, cloud = Path(place) / "machine", Path(place) / "cloud"
        while lived < PATIENCE:
            machines += 1
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            mount = Path(place) / "drive"
            with SimulatedDrive(mount, seed=seed * 1000 + machines, cloud=cloud, pace=PACE) as drive:
                life = Life(drive, every)
                (root / "config").mkdir()
                (root / "config/paths.yaml").write_text(f"drive:\n  mount_point: {mount}\n  backup_base_dir: job\n")
                try:
                    work(open_keeper(root, drive.my_drive, mount=False, progress=Silent()), life, checkpoints=checkpoints)
                except Gone:
                    lived += life.lived
                    continue
                return lived + life.lived, machines
    return float("inf"), machines


def bound(every: float) -> float:
    """Virtual seconds where nothing is lost but the starts."""
    sessions = max(-(-USEFUL // (every - START)), 1)
    return USEFUL + sessions * START


@dataclass(frozen=True)
class Row:
    minutes: int
    stages: float
    holdfast: float
    most: float
    machines: int


def measure(seeds: int) -> Iterator[Row]:
    for minutes in EVERY_MINUTES:
        every = minutes * MINUTE
        shares: dict[bool, list[float]] = {False: [], True: []}
        machines = 0
        for checkpoints, found in shares.items():
            for seed in range(seeds):
                took, used = finish(every, checkpoints=checkpoints, seed=seed)
                found.append(USEFUL / took)
                machines = used
                if took == float("inf"):
                    break
        means = {k: sum(v) / len(v) for k, v in shares.items()}
        yield Row(minutes, means[False], means[True], USEFUL / bound(every), machines)


def plot(rows: list[Row], place: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "goodput", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    x = [r.minutes for r in rows]
    axes.plot(x, [100 * r.most for r in rows], ":", color="gray", label="nothing lost but the starts of machines")
    axes.plot(
        x,
        [100 * r.holdfast for r in rows],
        "o-",
        color="tab:blue",
        label=f"Holdfast, a checkpoint every {CHECKPOINT_EVERY / MINUTE:.0f} min",
    )
    axes.plot(x, [100 * r.stages for r in rows], "s--", color="tab:red", label="from the last finished stage")
    axes.set(xlabel="a machine lives so many minutes", ylabel="share of machine time in the result, %", ylim=(0, 100), xscale="log")
    axes.set_xticks(x, [str(m) for m in x])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each sort; what a machine takes with it is drawn by seed")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/goodput.md and goodput.svg (needs matplotlib)")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.CRITICAL)
    rows = []
    print("| a machine lives | from the last finished stage | Holdfast | nothing lost but starts | machines with Holdfast |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for row in measure(given.seeds):
        rows.append(row)
        print(_line(row), flush=True)
    if given.write:
        head = [
            "# Goodput",
            "",
            "`.venv/bin/python benchmarks/goodput.py --write` made this. All times are virtual, so the machine that it runs on does not matter.",
            "",
            "![share of machine time in the result](goodput.svg)",
            "",
            f"- A job of three stages of {', '.join(f'{s / MINUTE:.0f}' for s in STAGES.values())} minutes. A machine is taken away after so many minutes of life, start included; a new one takes "
            f"{START / MINUTE:.0f} minutes to start.",
            f"- The store is on the simulated Drive. Uploads begin 1 to 30 s after a file is written; a checkpoint takes {CHECKPOINT_BYTES / PACE.bytes_per_second:.0f} s to upload. What has not arrived when a "
            "machine goes is lost, torn or whole, as drawn.",
            f'- "From the last finished stage" backs up when a stage ends. Holdfast backs up every {CHECKPOINT_EVERY / MINUTE:.0f} minutes of work.',
            "- A machine that lives no longer than its start and one checkpoint interval gets nowhere, whoever keeps what it makes.",
            f"- 0 % means: not finished after {PATIENCE / 3600:.0f} hours of machine time. Mean of {given.seeds} runs. holdfast {holdfast.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs.",
            "",
            "| a machine lives | from the last finished stage | Holdfast | nothing lost but starts | machines with Holdfast |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        (HERE / "goodput.md").write_text("\n".join([*head, *map(_line, rows), ""]), encoding="utf-8")
        plot(rows, HERE / "goodput.svg")


def _line(row: Row) -> str:
    shares = " | ".join(f"{100 * s:.0f} %" for s in (row.stages, row.holdfast, row.most))
    return f"| {row.minutes} min | {shares} | {row.machines} |"


if __name__ == "__main__":
    main()
