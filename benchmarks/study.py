"""What a trial costs in a long study, by the number of trials before it: time that Holdfast takes, and bytes that it sends of the study's database.

A study of trials whose trainings are arithmetic runs to its end; everything but the training is the pipeline's own, and the sampler is
random, because TPE's own cost grows with the study. At some places of it a few trials are kept, each backed up twice: with its
checkpoint, and when it is told. What is measured is the time inside these backups. Beside it, generations of one small file.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.pipeline import cheap  # noqa: E402
from tests.support import Machine, Rig  # noqa: E402

import holdfast  # noqa: E402
from holdfast.session.parts import parts_of  # noqa: E402
from holdfast.store import backup  # noqa: E402
from holdfast.store.copies import capture  # noqa: E402
from holdfast.store.format.manifest import Manifest  # noqa: E402
from holdfast.store.local.remembered import Remembered  # noqa: E402
from holdfast.store.transfer.pages import Pages  # noqa: E402

#: After so many trials a few are kept, and so many of them are counted; before these, what lies there is backed up and settles.
PLACES = (10, 100, 250, 500, 1000, 1500, 1975)
SETTLING, COUNTED = 3, 22
#: Where the time goes: what is called for it.
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "SQLite's copy of the database, and its check": ((capture, "copy_database"),),
    "the copy hashed, and its blocks compared": ((capture, "hash_raw"), (Pages, "look")),
    "the manifest put together and proven": ((Manifest, "encoded_after"), (backup, "prove_readable")),
    "what is remembered here": ((Remembered, "save"),),
    "`fsync`": ((os, "fsync"),),
}
#: Those that SQLite and the hash need for a database of that size, whatever else is done.
LEAST = tuple(PARTS)[:2]
REST = "all else"
GENERATIONS = (10, 100, 250, 500, 1000, 2000, 5000, 9900)


@dataclass
class Window:
    """What was measured of the trials from one place on.

    Args:
        at: How many trials there were.
        seconds: In backups, by trial.
        sent: Bytes of payload that hold the database or what differs of it, by backup; 0 for a whole copy, which is told apart.
        whole: How many whole copies there were.
        described: Bytes of a manifest that say of what the database is put together, by backup.
        operations: On the store, by trial.
        size: Of the database at the end.
        parts: Of `seconds`, all together, by `PARTS`.
    """

    at: int
    seconds: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    whole: int = 0
    described: list[int] = field(default_factory=list)
    operations: list[int] = field(default_factory=list)
    size: int = 0
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def of(self, part: str) -> float:
        """Milliseconds of a part, for a trial (mean)."""
        return 1000 * self.parts[part] / len(self.seconds)


@contextmanager
def apart(seconds: dict[str, float]) -> Iterator[None]:
    """Time the parts of what is called meanwhile: each without the others that it calls."""
    others = 0.0

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal others
            before, others, began = others, 0.0, time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                took = time.perf_counter() - began
                seconds[part] += took - others
                others = before + took

        return call

    with ExitStack() as stack:
        for part, owners in PARTS.items():
            for owner, name in owners:
                stack.enter_context(mock.patch.object(owner, name, timed(part, getattr(owner, name))))
        yield


class Study:
    """The study, and which of its trials are kept."""

    def __init__(self, machine: Machine, counts: dict[str, int], trials: int) -> None:
        self._keeper = machine.keeper()
        self._folder = (machine.root / cheap.STUDY).absolute()
        self._counts = counts
        self.windows = {at: Window(at) for at in PLACES if at < trials}
        self._seconds: dict[int, float] = {}

    def keep(self, folder: Path, progress: float) -> Any:
        return self._kept((), progress)

    def keep_parts(self, parts: Sequence[Path], progress: float) -> Any:
        return self._kept([p.absolute() for p in parts], progress)

    def _kept(self, parts: Sequence[Path], progress: float) -> Any:
        told = progress == int(progress)
        number = int(progress) - told
        window = next((w for at, w in self.windows.items() if at <= number < at + SETTLING + COUNTED), None)
        if window is None:
            return False  # and so the first that is kept is all of it
        split = defaultdict[str, float](float)
        with apart(split):
            before, began = sum(self._counts.values()), time.perf_counter()
            done = self._keeper.backup(*(parts_of(self._keeper, self._folder, parts) or [self._folder]), progress=progress)
            took, asked = time.perf_counter() - began, sum(self._counts.values()) - before
        if number < window.at + SETTLING:
            return True
        split[REST] = took - sum(split.values())
        for part, seconds in split.items():
            window.parts[part] += seconds
        if told:
            window.seconds.append(self._seconds.pop(number) + took)
            window.operations[-1] += asked
        else:
            self._seconds[number] = took
            window.operations.append(asked)
        manifest = done.results[0].manifest
        assert manifest is not None
        window.size = manifest.files["study.db"].size
        for payload, size in manifest.sent_payloads().items():
            if payload.endswith(".pieces"):
                window.sent.append(size)
                pieces = manifest.files["study.db"].pieces
                window.described.append(
                    sum(
                        len(f'{{"length":{p.length},"offset":{p.offset},"payload":"{p.payload}","size":{p.size}}},') for p in pieces
                    )
                )
            elif payload.rpartition("/")[2].startswith("study@"):
                window.whole += 1
        return True


def of_trials(trials: int, place: Path) -> list[Window]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        machine, counting = Rig(Path(folder)).counted()
        study = Study(machine, counting.counts, trials)
        cheap.run(machine, trials, "none", sampler="random", keep=study.keep, keep_parts=study.keep_parts)
    return [w for w in study.windows.values() if w.seconds]


def of_generations(most: int, place: Path) -> list[tuple[int, float, float]]:
    """How many there were, milliseconds of one more, and operations on the store. Medians of 40."""
    times, operations = list[float](), list[int]()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        machine, counting = Rig(Path(folder)).counted()
        keeper = machine.keeper()
        for number in range(most):
            machine.write("outputs/run/log.txt", f"{number}\n" * 100)
            before, began = sum(counting.counts.values()), time.perf_counter()
            assert keeper.backup("outputs/run")
            times.append(1000 * (time.perf_counter() - began))
            operations.append(sum(counting.counts.values()) - before)
    return [
        (at, statistics.median(times[at : at + 40]), statistics.mean(operations[at : at + 40]))
        for at in GENERATIONS
        if at + 40 <= most
    ]


def spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def page(windows: list[Window], generations: list[tuple[int, float, float]], trials: int, disk: str) -> str:
    first = statistics.median(windows[0].seconds)
    lines = [
        "# A long study",
        "",
        "`.venv/bin/python benchmarks/study.py --write` made this.",
        "",
        f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the end; holdfast "
        f"{holdfast.__version__}, Python {platform.python_version()}; a store in a folder on {disk}.",
        f"- One study of {trials} trials of one epoch whose training is arithmetic, random sampler. Of some trials, {COUNTED} in a row each, "
        "both backups are timed: with the checkpoint, and when it is told. Medians, with quartiles.",
        "- `study.db`: bytes of payload that one trial, with both of its backups, sends of the database (means), over the size of the "
        "database; with the share of a whole copy every 50 generations; and what the manifest says of its pieces beside that.",
        "",
        "| trials before | a trial kept, ms | over the first row | operations on the store | study.db, KB | sent, KB | of it | with whole copies | pieces told, KB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for w in windows:
        ratio = statistics.median(w.seconds) / first
        sent = 2 * statistics.mean(w.sent) if w.sent else float(2 * w.size)
        told = 2 * statistics.mean(w.described) if w.described else 0.0
        share = sent / w.size + (2 / 50 if w.sent else 0)
        lines.append(
            f"| {w.at + SETTLING} | {spread([1000 * s for s in w.seconds])} | {ratio:.2f} | {statistics.mean(w.operations):.0f} | "
            f"{w.size / 1e3:.0f} | {sent / 1e3:.0f} | {sent / w.size:.3f} | {share:.3f} | {told / 1e3:.0f} |"
        )
    lines += [
        "",
        "Target: at the 1,000th trial at most 1.2 times the 10th in time, and at most 0.1 of the database sent. A database under 64 KB is sent whole.",
        "",
        "### What bounds it",
        "",
        *bounds(windows[0], next((w for w in windows if w.at == 1000), windows[-1])),
        "",
        "![a trial kept, by the trials before it](study.svg)",
        "",
        "## Generations of one small file",
        "",
        "| generations before | one more, ms | operations on the store |",
        "| ---: | ---: | ---: |",
        *(f"| {at} | {ms:.1f} | {operations:.1f} |" for at, ms, operations in generations),
        "",
    ]
    return "\n".join(lines)


def bounds(first: Window, late: Window) -> list[str]:
    more = {part: late.of(part) - first.of(part) for part in (*PARTS, REST)}
    begin, least = sum(first.of(part) for part in more), sum(more[part] for part in LEAST)
    return [
        f"Where the milliseconds of a trial go, means, after {first.at + SETTLING} trials and after {late.at + SETTLING}:",
        "",
        "| part | first | late | more | more, over all of the first |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {part} | {first.of(part):.1f} | {late.of(part):.1f} | {m:.1f} | {m / begin:.2f} |" for part, m in more.items()),
        "",
        "SQLite copies and checks all of the database, and every byte of the copy is hashed: that it is sound, and what of it is new, is",
        f"not known before. With these two parts alone a late trial would take {1 + least / begin:.2f} of the first. Only blocks that differ are",
        "sent. A manifest names every file of its generation, so that each can be restored without the ones before; it is put together",
        "and proven from the rows of the one before, and written whole.",
    ]


def plot(windows: list[Window], generations: list[tuple[int, float, float]], place: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "study", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    at = [w.at + SETTLING for w in windows]
    left.plot(at, [1000 * statistics.median(w.seconds) for w in windows], "o-", label="a trial kept")
    left.plot([a for a, _, _ in generations], [ms for _, ms, _ in generations], "s--", label="a generation of one small file")
    left.set(xlabel="trials, or generations, before", ylabel="ms", ylim=(0, None))
    left.legend(frameon=False)
    right.plot(at, [w.size / 1e3 for w in windows], "o-", label="study.db")
    right.plot(at, [2 * statistics.mean(w.sent or [w.size]) / 1e3 for w in windows], "s--", label="sent of it for a trial")
    right.set(xlabel="trials before", ylabel="KB", ylim=(0, None))
    right.legend(frameon=False)
    figure.savefig(place, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--generations", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="300 trials and generations")
    parser.add_argument("--folder", type=Path, help="where to work; default the folder for temporary files")
    parser.add_argument("--disk", default="the local disk", help="what to call it on the page")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/study.md and study.svg (needs matplotlib)")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    cheap.EPOCHS = 1
    trials, most = (300, 300) if given.quick else (given.trials, given.generations)
    place = given.folder or Path(tempfile.gettempdir())
    windows, generations = of_trials(trials, place), of_generations(most, place)
    text = page(windows, generations, trials, given.disk)
    print(text)
    if given.write:
        plot(windows, generations, HERE / "study.svg")
        (HERE / "study.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
