"""A `!python` script beside a live kernel, spawned children, ranks under `torchrun`: one of them is killed at any moment.

All that was flushed comes back on a fresh machine, there is one head, and the workspace is free for whoever comes next.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.processes.job import BEGINNING, PATIENCE_SECONDS, Job, job
from tests.processes.test_kernel import Kernel
from tests.support import Rig

#: Each moment is one job; the whole is 50 moments for each kind of job.
ALL = range(50)

#: `work` says who it is, then each number that it has flushed, in a file that outlives it.
WORK = """
    def work(name, keep):
        said = os.open(root / f"said-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(said, f"{os.getpid()}\\n".encode())
        for number in range(400):
            write(f"outputs/run/{name}-{number}", f"{number}" * 200)
            assert keep.backup("outputs/run" if number % 3 else f"outputs/run/{name}-{number}", progress=number)
            keep.flush()
            os.write(said, f"{number}\\n".encode())
            if (root / "end").exists():
                break
"""
SPAWNED = """
    import multiprocessing

    def child(name):
        work(name, attach())

    if __name__ == "__main__":
        context = multiprocessing.get_context("spawn")
        children = [context.Process(target=child, args=(name,)) for name in ("one", "two")]
        for one in children:
            one.start()
        work("parent", attach())
        for one in children:
            one.join()
"""
RANK = """
    work(f"rank-{os.environ['RANK']}", attach())
"""
SCRIPT = """
    work("script", attach())
"""
#: The kernel has a thread that backs up, because its cell waits for the script.
KERNEL = """
    import threading
    logging.getLogger().addHandler(logging.FileHandler(root.parent / "kernel.log"))
    threading.Thread(target=work, args=("kernel", attach()), daemon=True).start()
"""


class Watched:
    """What the processes of a job have said so far."""

    def __init__(self, made: Job, names: Sequence[str]) -> None:
        self.made = made
        self.names = names

    def lines(self, name: str) -> list[int]:
        place = self.made.root / f"said-{name}"
        return [int(line) for line in place.read_text().splitlines()] if place.exists() else []

    def pid(self, name: str) -> int:
        return self.lines(name)[0]

    def flushed(self, name: str) -> int:
        """How many numbers it has flushed."""
        return max(0, len(self.lines(name)) - 1)

    def lives(self, name: str) -> bool:
        try:
            with open(f"/proc/{self.pid(name)}/stat", encoding="utf-8") as stat:
                return stat.read().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
            return False

    def until(self, what: Callable[[], bool], why: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert time.monotonic() < end, (why, {n: self.lines(n) for n in self.names}, [p.told() for p in self.made.running])
            time.sleep(0.01)

    def begin(self) -> None:
        """All of them have flushed something."""
        self.until(lambda: all(self.flushed(n) for n in self.names), "begin")

    def kill(self, rng: random.Random, name: str) -> None:
        """Once it has flushed a few more, in the midst of the next."""
        wanted = self.flushed(name) + rng.randrange(1, 4)
        self.until(lambda: self.flushed(name) >= wanted, name)
        time.sleep(rng.random() * 0.2)  # no condition waits for this: the moment is what is drawn
        os.kill(self.pid(name), signal.SIGKILL)
        self.until(lambda: not self.lives(name), name)

    def go_on(self, names: Sequence[str]) -> None:
        """Each of these flushes two more."""
        wanted = {n: self.flushed(n) + 2 for n in names}
        self.until(lambda: all(self.flushed(n) >= w for n, w in wanted.items()), "go on")

    def end(self) -> None:
        """Whoever still works comes to its end."""
        (self.made.root / "end").touch()
        self.until(lambda: not any(self.lives(n) for n in self.names if n != "kernel"), "end")

    def all_comes_back(self) -> None:
        """On a fresh machine; and who comes next, in the same workspace, gets in."""
        flushed = {n: self.flushed(n) for n in self.names}
        back = self.made.comes_back()
        for name, count in flushed.items():
            lacking = [n for n in range(count) if back.get(f"{name}-{n}") != f"{n}" * 200]
            assert lacking == [], (name, lacking)
        assert self.made.keeper().backup("outputs/run")
        assert self.made.comes_back().items() >= back.items()


@contextmanager
def watched(rig: Rig, *names: str) -> Iterator[Watched]:
    with job(rig) as made:
        seen = Watched(made, names)
        try:
            yield seen
        finally:
            for name in names:  # also those whose parent was killed
                if seen.lines(name) and seen.lives(name):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(seen.pid(name), signal.SIGKILL)


def kill_a_spawned_child_or_its_parent(rig: Rig, rng: random.Random) -> None:
    names = ("one", "two", "parent")
    with watched(rig, *names) as seen:
        seen.made.start(WORK + SPAWNED, "parent", module=("-W", "ignore"))
        seen.begin()
        victim = rng.choice(names)
        seen.kill(rng, victim)
        seen.go_on([n for n in names if n != victim])
        seen.end()
        seen.all_comes_back()


def kill_a_rank(rig: Rig, rng: random.Random) -> None:
    names = ("rank-0", "rank-1")
    with watched(rig, *names) as seen:
        run = seen.made.start(WORK + RANK, "ranks", module=("-m", "torch.distributed.run", "--nproc-per-node", "2"))
        seen.begin()
        seen.kill(rng, rng.choice(names))
        assert run.made.wait(PATIENCE_SECONDS) != 0  # torchrun ends the other rank, and says that one was lost
        seen.end()
        seen.all_comes_back()


def kill_a_script_or_its_kernel(rig: Rig, rng: random.Random) -> None:
    with watched(rig, "script", "kernel") as seen:
        root, beginning = seen.made.root, textwrap.dedent(BEGINNING)
        (root / "train.py").write_text(beginning + textwrap.dedent(WORK + SCRIPT))
        manager = Kernel()
        manager.start_kernel(cwd=str(root))
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=PATIENCE_SECONDS)
            arguments = f"import sys\nsys.argv = ['kernel', {str(root)!r}, {str(rig.drive)!r}, 'kernel']\n"
            client.execute(arguments + beginning + textwrap.dedent(WORK + KERNEL))
            client.execute("!{sys.executable} train.py {sys.argv[1]} {sys.argv[2]} script 2> ../script.log")
            seen.begin()
            victim = rng.choice(("script", "script", "kernel"))
            seen.kill(rng, victim)
            if victim == "script":  # a script whose kernel has gone is hung up with its terminal
                seen.go_on(["kernel"])
            seen.end()
        finally:
            manager.shutdown_kernel(now=True)  # SIGKILL, as when the machine goes
            client.stop_channels()
        seen.all_comes_back()
        assert not [n for n in ("script", "kernel") if "is a fork" in (rig.folder / f"{n}.log").read_text()]


KINDS = {
    "a script beside a kernel": kill_a_script_or_its_kernel,
    "spawned children": kill_a_spawned_child_or_its_parent,
    "ranks under torchrun": kill_a_rank,
}


@pytest.mark.parametrize("kind", ["a script beside a kernel", "spawned children"])
def test_what_was_flushed_before_one_was_killed_beside_others_comes_back(
    rig: Rig, kind: str, seeded: Callable[[int], random.Random]
) -> None:
    KINDS[kind](rig, seeded(1700))


@pytest.mark.torture
@pytest.mark.parametrize("moment", ALL)
@pytest.mark.parametrize("kind", KINDS)
def test_at_each_of_fifty_moments_what_was_flushed_beside_others_comes_back(
    rig: Rig, kind: str, moment: int, seeded: Callable[[int], random.Random]
) -> None:
    KINDS[kind](rig, seeded(1800 + moment))
