"""A pipeline of three stages that trains nothing: numbers are drawn, squared and summed.

`python -m tests.flow.toy ROOT DRIVE COUNT DIE_AT` runs it in a process of its own, which kills itself after so many squares.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.flow.bench import Bench
from holdfast.flow.flow import Flow
from holdfast.flow.runner import Runner, Summary
from holdfast.flow.stage import RECORD, Declared, Finished, Made, Stage
from holdfast.session.attach import open_keeper

#: So many numbers are squared before what there is is kept.
KEEP_EVERY = 10


class Sums(Flow):
    """Draws so many numbers by a seed, squares each, and sums them.

    Args:
        count: So many.
        seed: Decides them.
        die_at: The process kills itself after so many squares; 0 for never.
    """

    def __init__(self, count: int = 60, seed: int = 1, die_at: int = 0) -> None:
        self.count, self.seed, self.die_at = count, seed, die_at

    def names(self) -> list[str]:
        return ["numbers", "squares", "sum"]

    def declare(self, name: str, done: Mapping[str, Finished]) -> Declared:
        before = {"numbers": None, "squares": "numbers", "sum": "squares"}[name]
        if before is not None and before not in done:
            return Declared(name, None)
        made_from: dict[str, Any] = {"count": self.count, "seed": self.seed}
        if before is not None:
            made_from = {before: done[before].record.result}
        inputs = () if before is None else done[before].stage.outputs

        def build(fork: str) -> Stage:
            folder = f"outputs/{name}{'-' + fork if fork else ''}"
            return Stage(
                name=name,
                folder=folder,
                record=f"{folder}/{RECORD}",
                outputs=(f"{folder}/{name}.json",),
                inputs=inputs,
                made_from=made_from,
                work=f"tests.flow.toy:{name}",
                precious=name == "squares",
            )

        return Declared(name, build)

    def bench(self, bench: Bench) -> tuple[Bench, Sums]:
        return bench, self


def _made(bench: Bench, value: object) -> Made:
    place = bench.path(bench.stage.outputs[0])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(value))
    return Made(str(value))


def numbers(given: tuple[Bench, Sums]) -> Made:
    bench, flow = given
    dice = random.Random(flow.seed)
    return _made(bench, [dice.randrange(1000) for _ in range(flow.count)])


def squares(given: tuple[Bench, Sums]) -> Made:
    """Each number once, kept as it goes: how many were squared in all runs stands in a log."""
    bench, flow = given
    bench.begin({})
    source = json.loads(bench.path(bench.stage.inputs[0]).read_text())
    so_far = bench.folder / "so_far.json"
    found = json.loads(so_far.read_text()) if so_far.is_file() else []
    for number in source[len(found) :]:
        found.append(number * number)
        with (bench.keeper.root / "work.log").open("a") as log:
            log.write("square\n")
        if len(found) % KEEP_EVERY == 0:
            so_far.write_text(json.dumps(found))
            bench.keep(len(found))
        if len(found) == flow.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
    so_far.unlink(missing_ok=True)
    return _made(bench, found)


def sum(given: tuple[Bench, Sums]) -> Made:
    bench, _ = given
    total = 0
    for number in json.loads(bench.path(bench.stage.inputs[0]).read_text()):
        total += number
    return _made(bench, total)


def run(root: Path, drive: Path, flow: Sums, *, fork: bool = False) -> Summary:
    """Run it to its end."""
    return Runner(open_keeper(root, drive, mount=False), flow, fork=fork).run()


if __name__ == "__main__":
    here, there, count, die_at = sys.argv[1:]
    print(run(Path(here), Path(there), Sums(int(count), die_at=int(die_at))).ran)
