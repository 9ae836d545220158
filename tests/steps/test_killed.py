"""A chain of seven steps, killed with its machine again and again: each kill costs at most the step that it fell into."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STEPS, UNITS = 7, 10

#: What a user writes. Each step takes what the one before it made; WORK is a file beside the machine that says what was done.
SCRIPT = (
    """
import os, time
from pathlib import Path
import holdfast

keep = holdfast.attach(Path(__file__).parent, os.environ["DRIVE"], mount=False)


def done(word):
    with open(os.environ["WORK"], "a") as work:
        work.write(word + "\\n")


def worked(number, before):
    done(f"begins {number}")
    with open(f"outputs/{number}.txt", "a") as place:
        for unit in range(UNITS):
            place.write(f"{number}.{unit} after {before}\\n")
            place.flush()
            done(f"unit {number}")
            time.sleep(0.01)

UNITS = 10
""".replace("UNITS = 10", f"UNITS = {UNITS}")
    + "".join(
        f"""
@keep.step(outputs="outputs/{n}.txt", inputs=[{f"step_{n - 1}" if n else '"start.txt"'}], ignore=["done"])
def step_{n}():
    worked({n}, Path({f'"outputs/{n - 1}.txt"' if n else '"start.txt"'}).read_text()[-8:].strip())
"""
        for n in range(STEPS)
    )
    + f"\nstep_{STEPS - 1}()\n"
)


class Machines:
    """One machine after the other, and what was done on each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder / "machine" / "project"
        self._work = folder / "work.log"
        (folder / "drive").mkdir(parents=True)

    def start(self) -> subprocess.Popen[bytes]:
        """A fresh machine, with the script and nothing else."""
        shutil.rmtree(self._root.parent, ignore_errors=True)
        self._root.mkdir(parents=True)
        (self._root / "script.py").write_text(SCRIPT)
        (self._root / "start.txt").write_text("start")
        self._work.write_text("")
        environment = {**os.environ, "DRIVE": str(self._folder / "drive"), "WORK": str(self._work)}
        command = [sys.executable, "script.py"]
        return subprocess.Popen(command, cwd=self._root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def did(self) -> list[str]:
        return self._work.read_text().splitlines()

    def begun(self) -> list[int]:
        return [int(word.split()[1]) for word in self.did() if word.startswith("begins")]

    def outputs(self) -> dict[str, str]:
        return {p.name: p.read_text() for p in (self._root / "outputs").glob("*.txt")}


def uninterrupted(folder: Path) -> dict[str, str]:
    machines = Machines(folder)
    process = machines.start()
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert machines.begun() == list(range(STEPS))
    return machines.outputs()


def killed_again_and_again(folder: Path, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    expected = uninterrupted(folder / "whole")
    machines = Machines(folder / "killed")
    last, cost = 0, []
    for number in range(kills):
        left = (STEPS - 1 - last) * UNITS  # so that it is never over before
        at, then = dice.randrange(0, min(UNITS + 4, left) + 1), dice.uniform(0, 0.04)
        process = machines.start()
        while len(machines.did()) < at and process.poll() is None:
            time.sleep(0.002)
        time.sleep(then)
        assert process.poll() is None, f"kill {number}: it was over, or failed, before"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        begun = machines.begun()
        assert begun == sorted(set(begun))
        assert all(step >= last for step in begun), f"kill {number} cost more than the step that it fell into: {last} then {begun}"
        cost.append(sum(word == f"unit {begun[-1]}" for word in machines.did()) if begun else 0)
        last = begun[-1] if begun else last
    process = machines.start()
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    begun = machines.begun()
    assert begun[:1] == [last] or begun[:1] == [last + 1] or not begun
    assert begun == list(range(STEPS))[len(range(STEPS)) - len(begun) :]
    end = machines.outputs()
    assert end == {name: text for name, text in expected.items() if name in end}, "not what an uninterrupted run makes"
    assert f"{STEPS - 1}.txt" in end
    print(f"seed {seed}: {kills} kills, the last one in step {last}; units that were done again for each: {cost}")


def test_a_chain_that_is_killed_with_its_machine_goes_back_no_further_than_the_step_it_was_in(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, kills=4, seed=1)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_seven_killed_twenty_times_is_equal_in_the_end(tmp_path: Path, seed: int) -> None:
    killed_again_and_again(tmp_path, kills=20, seed=seed)
