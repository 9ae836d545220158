"""What a backup costs the one who works: how long `backup()` holds the caller, and what training steps take meanwhile.

On a simulated Drive in real time, with the reading delays that were seen on Colab: sent before `backup` returns, and in the
background. The loops take turns; the work of a step is the same arithmetic every time.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import platform
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import holdfast
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.simulator import SimulatedDrive

HERE = Path(__file__).parent
MIB = 1024**2
STEPS = 60
EVERY = 10
_WORK = bytes(16 * MIB)


@dataclass
class Loop:
    """What one way of backing up did to a training loop."""

    holds: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)


def step() -> None:
    """A tenth of a second of arithmetic, or so, that leaves Python alone, as a training step does."""
    for _ in range(4):
        hashlib.sha256(_WORK).digest()


def write_checkpoint(folder: Path, number: int, size: int) -> Path:
    """As a Trainer leaves it: new weights, a few small files."""
    place = folder / f"checkpoint-{number}"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(random.Random(number).randbytes(size))
    for name in ("trainer_state.json", "rng_state.pth", "scheduler.pt", "training_args.bin"):
        (place / name).write_bytes(os.urandom(4000))
    return place


def train(keeper: Keeper | None, size: int, loop: Loop) -> None:
    """Steps, with a checkpoint every so many; with a keeper each is backed up."""
    with tempfile.TemporaryDirectory() as nowhere:
        run = (Path(nowhere) if keeper is None else keeper.root) / "outputs" / "run"
        began = time.perf_counter()
        for number in range(1, STEPS + 1):
            at = time.perf_counter()
            step()
            loop.steps.append(time.perf_counter() - at)
            if number % EVERY:
                continue
            write_checkpoint(run, number, size)
            if keeper is not None:
                at = time.perf_counter()
                done = keeper.backup("outputs/run", progress=number)
                loop.holds.append(time.perf_counter() - at)
                assert done, done.results
        loop.totals.append(time.perf_counter() - began)
        if keeper is not None:
            keeper.flush()


def measure(size: int, turns: int) -> dict[str, Loop]:
    loops = {name: Loop() for name in ("no backup", "before it returns", "in the background")}
    for turn in range(turns):
        names = list(loops)
        for name in names[turn % 3 :] + names[: turn % 3]:
            with tempfile.TemporaryDirectory() as place, SimulatedDrive(Path(place) / "drive", speed=1.0) as drive:
                root = Path(place) / "project"
                root.mkdir()
                keeper = None
                if name != "no backup":
                    keeper = open_keeper(root, drive.my_drive, mount=False, background=name == "in the background")
                train(keeper, size, loops[name])
    return loops


def table(size: int, loops: dict[str, Loop]) -> str:
    plain = loops["no backup"]
    lines = [
        f"### Checkpoints of {size // MIB} MiB, one every {EVERY} steps",
        "",
        "| backups | `backup()` holds the caller (s) | a step (s) | to none | the whole loop (s) | to none |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, loop in loops.items():
        hold = f"{statistics.median(loop.holds):.3f} (at most {max(loop.holds):.3f})" if loop.holds else "-"
        step_, total = statistics.median(loop.steps), statistics.median(loop.totals)
        lines.append(
            f"| {name} | {hold} | {step_:.3f} | {step_ / statistics.median(plain.steps):.2f} | {total:.1f} "
            f"| {total / statistics.median(plain.totals):.2f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/background.md")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    tables = [table(size, measure(size, given.turns)) for size in (2 * MIB, 100 * MIB)]
    head = [
        "# Backups in the background",
        "",
        "`.venv/bin/python benchmarks/background.py --write` made this.",
        "",
        f"- Machine: {os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, Python {platform.python_version()}.",
        "- The store lies on the simulated Drive in real time: a small cold file takes 0.4 to 1 s to read, a listing 0.3 s. It is a",
        "  process on the same machine, and takes its share of the CPUs, which Colab's does as well.",
        f"- {STEPS} steps in a loop, {given.turns} loops of each sort in turns; medians. A step is hashing, in one thread.",
        "- The loop's end does not wait for what is still being sent.",
        "",
    ]
    text = "\n".join([*head, *tables])
    print(text, end="")
    if given.write:
        (HERE / "background.md").write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
