"""What guard and callback add to a training step of 50 ms: a loop of one's own beside the same one in `keep.training`, in turns.

The two take turns step by step in one process, so whatever else the machine does falls on both. A step waits for 50 ms, as one does
for its GPU; what is measured is from asking for a batch to having it, which is where all of ours happens.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import holdfast
from holdfast.keeper import Keeper, attach

HERE = Path(__file__).parent
STEP_SECONDS = 0.05
KINDS = {"32 x 512 int64": (32, 512), "32 x 3 x 224 x 224 float32": (32, 3, 224, 224)}
GUARDS = {"callback alone": False, "callback and guard": True}


def batches(shape: tuple[int, ...], count: int) -> list[torch.Tensor]:
    made = torch.randn(shape) if len(shape) > 2 else torch.randint(30000, shape)
    return [made + number for number in range(count)]


def measure(keeper: Keeper, name: str, shape: tuple[int, ...], guard: bool, count: int) -> tuple[list[float], list[float]]:
    """Seconds from asking for a batch to having it, without and with."""
    data = batches(shape, 8)
    loader: list[Any] = [data[i % 8] for i in range(count)]
    model = torch.nn.Linear(4, 4)
    plain, kept = [], []
    with keeper.training(f"outputs/{name}", model=model, loader=loader, epochs=1, every="1h", guard=guard) as run:
        ours, theirs = iter(run), iter(loader)
        for number in range(count):
            for draws, took in ((theirs, plain), (ours, kept)) if number % 2 else ((ours, kept), (theirs, plain)):
                at = time.perf_counter()
                next(draws)
                took.append(time.perf_counter() - at)
                time.sleep(STEP_SECONDS)
        run.stop()
        list(ours)
    return plain[2:], kept[2:]


def table(count: int) -> str:
    lines = [
        "| batch | with | added to a step (ms) | nine in ten at most (ms) | of a step of 50 ms |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as place:
        for folder in ("project", "drive"):
            (Path(place) / folder).mkdir()
        keeper = attach(Path(place) / "project", Path(place) / "drive", mount=False, quiet=True)
        for kind, shape in KINDS.items():
            for said, guard in GUARDS.items():
                plain, kept = measure(keeper, f"{len(shape)}-{guard}", shape, guard, count)
                base = statistics.median(plain)
                added = statistics.median(kept) - base
                most = statistics.quantiles(kept, n=10)[-1] - base
                lines.append(f"| {kind} | {said} | {added * 1e3:.3f} | {most * 1e3:.3f} | {added / STEP_SECONDS:.2%} |")
        keeper.flush()
        holdfast.detach()
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/training_step.md")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    head = [
        "# What a training step costs more",
        "",
        "`.venv/bin/python benchmarks/training_step.py --write` made this.",
        "",
        f"- Machine: {os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, torch {torch.__version__}, Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}.",
        f"- {given.steps} steps each, a step with and a step without in turns; medians. A step waits for {STEP_SECONDS * 1e3:g} ms.",
        "- No checkpoint falls due meanwhile. The guard reads all of a small batch, and 256 bytes of each sample of a large one.",
        "",
    ]
    text = "\n".join([*head, table(given.steps)])
    print(text, end="")
    if given.write:
        (HERE / "training_step.md").write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
