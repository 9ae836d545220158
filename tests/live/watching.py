"""Backups of programs that never rest, and what each generation is worth."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from holdfast.errors import NotBackedUp
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.store.format.manifest import Manifest
from holdfast.store.looking.same_store import look
from holdfast.store.transfer.progress import Silent
from tests.live.writers import NEEDS, PROGRAMS, Beat

_START_SECONDS = 120
#: Libraries that do not bear a fork after they were loaded, or that only some programs need.
_NOT_PRELOADED = {"duckdb", "wandb", "mlflow", "lance", "rocksdict"}


@dataclass(frozen=True)
class Seen:
    """What one backup of one program came to.

    Args:
        verdict: `good`, `behind` (a state from before the backup began), `mixed`, `fails`, or `nothing` where no generation came.
        torn: Why the generation names files of it as torn.
        refused: Why the backup refused files of it.
        problem: What is wrong with what lies there.
    """

    verdict: str
    torn: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_named(self) -> bool:
        return bool(self.torn or self.refused)

    @property
    def is_wrong(self) -> bool:
        """Neither a state that the program had, nor named."""
        return self.verdict not in ("good", "behind") and not self.is_named


@dataclass
class Result:
    """What all backups of one program came to."""

    program: str
    seen: list[Seen] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def wrong(self) -> list[Seen]:
        return [one for one in self.seen if one.is_wrong]

    def count(self, verdict: str, *, named: bool) -> int:
        return sum(one.verdict == verdict and one.is_named == named for one in self.seen)

    @property
    def reasons(self) -> str:
        """What was said of those that are named."""
        said = Counter(re.sub(r"\s*\(.*\)", "", why) for one in self.seen for why in {*one.torn, *one.refused})
        return "; ".join(why for why, _ in said.most_common(2))


def installed(names: Sequence[str] = tuple(PROGRAMS)) -> list[str]:
    """Those of which all libraries are here."""
    return [name for name in names if all(find_spec(module) for module in NEEDS[name])]


class Bench:
    """Programs that run, a project around what they write, and a drive.

    Args:
        folder: Empty; on the file system to be tried.
        names: The programs.
        size: `short` or `long`.
        seed: Of the moments.
    """

    def __init__(self, folder: Path, names: Sequence[str], size: str, seed: int) -> None:
        self.folder = folder
        self.names = list(names)
        self.random = random.Random(seed)
        self._size = size
        self._number = 0
        self._seen: set[str] = set()
        self.root, self.drive = folder / "project", folder / "drive"
        self.beats = folder / "beats"
        for place in (self.root / "outputs", self.drive, self.beats):
            place.mkdir(parents=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[Keeper]:
        """The programs and the judge run, and a keeper in this process watches them."""
        loaded = sorted({m for name in self.names for m in NEEDS[name]} - _NOT_PRELOADED)
        outputs = str(self.root / "outputs")
        with (
            _process("writers", self._size, outputs, str(self.beats), *self.names) as writers,
            _process("judges", *loaded) as self._judge,
        ):
            assert writers.stdout is not None
            assert writers.stdout.readline() == "ready\n"
            keep = open_keeper(self.root, self.drive, background=True, progress=Silent())
            try:
                yield keep
            finally:
                keep.close()

    def wait_for_first(self, name: str) -> None:
        """Until the program has written its first state."""
        until = time.monotonic() + _START_SECONDS
        while self.beat(name).complete == 0:
            assert time.monotonic() < until, f"{name} does not write"
            time.sleep(0.02)

    def beat(self, name: str) -> Beat:
        return Beat(self.beats / str(self.names.index(name)))

    def key(self, name: str) -> str:
        return f"outputs/{self.names.index(name)}"

    def back_up(self, keep: Keeper, name: str, result: Result) -> None:
        """One backup at a random moment; what it made is restored and judged."""
        time.sleep(self.random.uniform(0, 0.15))
        key, before, begun = self.key(name), self.beat(name).complete, time.monotonic()
        backup = keep.backup(key)
        result.seconds.append(time.monotonic() - begun)
        problem = ""
        try:
            keep.flush(60, patient=True)
        except NotBackedUp as error:
            problem = str(error)
        results = keep.worker.results(list(backup.results)) if keep.worker is not None else list(backup.results)
        # A link that leads out says nothing of the files.
        refused = tuple(why for one in results for why in one.refused.values() if "symbolic link" not in why)
        if not backup and not refused:
            problem = "; ".join(one.error for one in results)
        for manifest in self._new(keep, key):
            result.seen.append(self._judged(keep, name, key, manifest, before, refused))
        if problem:
            result.seen.append(Seen("nothing", refused=refused, problem=problem))

    def _new(self, keep: Keeper, key: str) -> list[Manifest]:
        """Manifests that are new in the store, oldest first."""
        store = keep.store
        assert store is not None
        found = [n for n in look(store, keep.workspace).of(keep.workspace.key(key)) if n.commit.id not in self._seen]
        self._seen |= {n.commit.id for n in found}
        return [store.manifest(n) for n in sorted(found, key=lambda n: n.commit)]

    def _judged(self, keep: Keeper, name: str, key: str, manifest: Manifest, before: int, refused: tuple[str, ...]) -> Seen:
        self._number += 1
        to = self.folder / f"restored-{self._number}"
        restored = keep.restore(key, generation=manifest.commit.id, to=to)
        torn = tuple(manifest.torn.values())
        if not restored:
            return Seen("fails", torn, refused, restored.error)
        assert self._judge.stdin is not None
        assert self._judge.stdout is not None
        print(json.dumps([name, str(to / key)]), file=self._judge.stdin, flush=True)
        verdict, number, problem = json.loads(self._judge.stdout.readline())
        shutil.rmtree(to)
        if verdict == "good" and number > self.beat(name).begun and "two writers" not in name:
            verdict, problem = "mixed", f"state {number} comes from the future"
        if verdict == "good" and number < before:
            verdict = "behind"
        return Seen(verdict, torn, refused, problem)


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A module of this package, as a process that ends with its input."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.live.{module}", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    heads = ("program", "generations", "a state it had", "of these, from before the backup began", "named, and a state")
    heads = (*heads, "named, and none", "wrong", "slowest `backup()`", "what was said")
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 2)} --- |"]
    for one in results:
        good, behind = one.count("good", named=False), one.count("behind", named=False)
        named_good = one.count("good", named=True) + one.count("behind", named=True)
        named = sum(s.is_named for s in one.seen) - named_good
        slowest = max(one.seconds, default=0)
        lines.append(
            f"| {one.program} | {len(one.seen)} | {good + behind} | {behind} | {named_good} | {named} | {len(one.wrong)} | "
            f"{slowest:.1f} s | {one.reasons} |"
        )
    return "\n".join(lines) + "\n"
