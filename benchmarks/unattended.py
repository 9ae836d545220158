"""An hour on machines that vanish: `holdfast colab run` beside `colab run` in a shell loop, with the real `colab` command.

    python benchmarks/unattended.py --write

Both go to the simulated service, one after the other, with the same script, and the machines of both live equally long. Kernels, the
command and Holdfast are real, so their clock cannot be a virtual one: it is scaled, and what takes real seconds (taking a machine,
installing, asking) counts as that many times longer. Needs Linux, the right to `unshare`, and `HOLDFAST_COLAB` or `colab` in the path.
A quarter of an hour for each seed at most.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import holdfast
from holdfast.simulator.colab_service import ColabService, Habits

HERE = Path(__file__).parent
#: Minutes, all virtual: so long is watched, a machine lives on average, the work takes, a step takes, and between two backups.
WATCHED, LIFE, WORK, STEP, BACKUP = 60.0, 20.0, 36.0, 0.5, 2.0
ACCELERATOR = "T4"

#: The work: steps that go on where they were, if that is there. With Holdfast installed it is.
SCRIPT = """
import json, pathlib, time
try:
    import holdfast
    keep = holdfast.attach()
    keep.ensure("outputs/run")
except ImportError:
    keep = None
place = pathlib.Path("outputs/run/state.json")
done = json.loads(place.read_text()) if place.exists() else 0
print("begins at", done, flush=True)
place.parent.mkdir(parents=True, exist_ok=True)
while done < {steps}:
    time.sleep({seconds})
    done += 1
    place.write_text(json.dumps(done))
    print("step", done, flush=True)
    if keep and (done % {every} == 0 or done == {steps}):
        keep.backup("outputs/run")
        print("kept", done, flush=True)
"""


@dataclass(frozen=True)
class Hour:
    """What became of an hour, in virtual minutes.

    Args:
        machines: How many were had.
        vanished: Of them.
        held: All machines together.
        worked: In steps, those that were made twice or lost included.
        useful: In steps that are kept at the end, or came to it.
        units: Compute units that the machines cost.
        done: When the work was done; None where it was not.
        load: Of this computer, on average: above the number of its CPUs all that is real takes longer.
    """

    machines: int
    vanished: int
    held: float
    worked: float
    useful: float
    units: float
    done: float | None
    load: float

    @property
    def wasted(self) -> float:
        """Compute units for machine time that came to nothing."""
        return self.units * (1 - self.useful / self.held) if self.held else 0.0


def lives(seed: int) -> list[float]:
    """How long each machine lives, in virtual minutes: the same for both."""
    chance = random.Random(seed)
    return [chance.expovariate(1 / LIFE) for _ in range(1000)]


def watch(folder: Path, command: list[str], seed: int, speed: float, *, loop: bool) -> Hour:
    """An hour of one of the two."""
    project = folder / "project"
    project.mkdir(parents=True)
    steps, every = round(WORK / STEP), round(BACKUP / STEP)
    (project / "train.py").write_text(SCRIPT.format(steps=steps, seconds=STEP * 60 / speed, every=every))
    with ColabService(folder / "service", habits=Habits(speed=speed), speed=speed) as service:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" or not loop}
        (folder / "printed").touch()
        began, ends = time.monotonic(), {}
        with (folder / "printed").open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=project,
                env={**environment, **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            planned, loads = lives(seed), []
            while process.poll() is None and time.monotonic() < began + WATCHED * 60 / speed:
                for held in service.book.machines():
                    end = ends.setdefault(held.endpoint, held.began + planned[len(ends)] * 60 / speed)
                    if held.ended is None and end < time.monotonic():
                        service.vanish(held.endpoint)
                loads.append(os.getloadavg()[0])
                time.sleep(0.1)
            ended = time.monotonic()
            done = process.poll() == 0
            machines = service.book.machines()
            units = service.units()
            printed = (folder / "printed").read_text(errors="replace")
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
    minutes = speed / 60
    held = sum(((ended if m.ended is None else m.ended) - m.began) * minutes for m in machines)
    kept = [int(number) for number in re.findall(r"^kept (\d+)", printed, re.MULTILINE)]
    useful = steps if done else max(kept, default=0)
    vanished = sum(m.how == "vanished" for m in machines)
    worked = len(re.findall(r"^step \d+", printed, re.MULTILINE))
    after = (ended - began) * minutes if done else None
    return Hour(len(machines), vanished, held, worked * STEP, useful * STEP, units, after, sum(loads) / len(loads))


def row(name: str, seed: int, hour: Hour) -> str:
    done = "not in the hour" if hour.done is None else f"after {hour.done:.0f} min"
    share = hour.useful / hour.held if hour.held else 0.0
    return (
        f"| {name} | {seed} | {hour.machines}, of which {hour.vanished} vanished | {hour.held:.1f} min | {hour.worked:.1f} min "
        f"| {hour.useful:.1f} min | **{share:.0%}** | {hour.units:.2f} | **{hour.wasted:.2f}** | {done} | {hour.load:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/unattended.md")
    parser.add_argument("--speed", type=float, default=10.0, help="virtual seconds in a real one")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    program = os.environ.get("HOLDFAST_COLAB") or shutil.which("colab")
    if program is None:
        sys.exit("the colab command is not there: uv tool install google-colab-cli, or name it in HOLDFAST_COLAB")
    look = f"{60 / given.speed / 3:g}"
    ours = [sys.executable, "-m", "holdfast", "colab", "run", "--colab", program, "--gpu", ACCELERATOR, "--every", look]
    shell = f"until {program} run --gpu {ACCELERATOR} train.py; do sleep 1; done"
    ways = {
        "`holdfast colab run`": ([*ours, "--", "python", "train.py"], False),
        "`colab run` in a loop": (["sh", "-c", shell], True),
    }
    rows = []
    for seed in given.seeds:
        for name, (command, loop) in ways.items():
            with tempfile.TemporaryDirectory(prefix="unattended-") as folder:
                hour = watch(Path(folder), command, seed, given.speed, loop=loop)
            rows.append(row(name, seed, hour))
            print(rows[-1], flush=True)
    if given.write:
        write(rows, given.speed, program, [", ".join(f"{life:.0f}" for life in lives(seed)[:4]) for seed in given.seeds])


def write(rows: list[str], speed: float, program: str, shown: list[str]) -> None:
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.strip().splitlines()[-1:]
    table = "\n".join(rows)
    text = f"""# An hour on machines that vanish

`python benchmarks/unattended.py --write` made this. The real `colab` command ({"".join(version)}),
unmodified, against the simulated service; not the live one.

The clock is **scaled, not virtual**, because kernels, command and Holdfast are real: one minute here
is {60 / speed:g} s. So what takes real seconds (starting a machine, installing Holdfast, each call of
the command, which takes seconds of a busy core) counts {speed:g} times here. On the live service the
share of useful time is larger by that for both.

Machines live {LIFE:.0f} minutes on average, by chance and the same for both (the first ones of each
seed: {"; ".join(shown)} min). The work is {WORK:.0f} minutes of steps of {STEP:g} minutes, backed up every {BACKUP:g}
minutes with Holdfast. Without it the same script finds nothing on a fresh machine and begins anew.
A {ACCELERATOR} costs {Habits().rates[ACCELERATOR]} compute units an hour there. Where a machine happens to live longer
than all of the work takes, the loop is through with that one, and what differs is Holdfast's own
time. Where none does, the loop begins anew for ever.

| | seed | machines | held | worked | useful | useful share | compute units | wasted | done | load |
|---|---|---|---|---|---|---|---|---|---|---|
{table}

*Useful* are steps that are kept at the end of the hour, or came to the end of the work; *wasted* are
the compute units for the rest of the time that machines were held. *Load* is the average number of
processes that wanted a CPU meanwhile; where it is above the CPUs of this computer, something else
ran beside, and whatever is real took longer.

{os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, Python {platform.python_version()}.
"""
    (HERE / "unattended.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
