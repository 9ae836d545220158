"""What a trial costs in a long study: a thousand trials whose trainings are arithmetic, kept by Holdfast after each, and kept by nobody.

Everything but the training is the pipeline's own. The sampler is random, because TPE's own cost grows with the study.
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
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.pipeline import cheap  # noqa: E402
from tests.pipeline.project import Lines  # noqa: E402
from tests.support import Rig  # noqa: E402

import holdfast  # noqa: E402


class Ends(Lines):
    """Notes when each trial ended, and what was asked of the store until then."""

    def __init__(self, counts: dict[str, int]) -> None:
        super().__init__()
        self.at = [time.perf_counter()]
        self.counts = counts
        self.operations = [0]

    def say(self, text: str) -> None:
        if "]" in text:
            self.at.append(time.perf_counter())
            self.operations.append(sum(self.counts.values()))


def measure(trials: int, *, kept: bool) -> Ends:
    with tempfile.TemporaryDirectory() as place:
        machine, counting = Rig(Path(place)).counted()
        told = Ends(counting.counts)
        cheap.run(machine, trials, "none", narration=told, sampler="random", keep=None if kept else lambda folder, progress: None)
    return told


def hundreds(told: Ends, at: int) -> tuple[float, float]:
    """Milliseconds, and operations on the store, of each of a hundred trials: medians."""
    times = [1000 * (b - a) for a, b in zip(told.at[at : at + 100], told.at[at + 1 : at + 101], strict=True)]
    operations = told.operations[at + 100] - told.operations[at]
    return statistics.median(times), operations / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/study.md")
    given = parser.parse_args()
    logging.getLogger("holdfast").setLevel(logging.ERROR)
    cheap.EPOCHS = 1
    alone, kept = measure(given.trials, kept=False), measure(given.trials, kept=True)
    lines = [
        "# A long study",
        "",
        "`.venv/bin/python benchmarks/study.py --write` made this.",
        "",
        f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, Python {platform.python_version()}; a store in a folder on the local disk.",
        f"- {given.trials} trials of one epoch whose training is arithmetic, random sampler. Each is backed up twice: with its checkpoint, and when it is told. Medians of hundred trials each.",
        "- What is asked of the store does not grow (tests/pipeline/study/test_study_cost.py asserts it). The time here does, a little: each backup looks at every file of the study, and describes each in its manifest.",
        "- Optuna's own part grows as well, because it reads its trials again; the study's database grows too, and is sent whole.",
        "",
        "| trials | kept by nobody, a trial (ms) | kept by Holdfast (ms) | difference (ms) | operations on the store, a trial |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for at in range(0, given.trials, 100):
        (without, _), (with_, operations) = hundreds(alone, at), hundreds(kept, at)
        lines.append(f"| {at + 1} to {at + 100} | {without:.0f} | {with_:.0f} | {with_ - without:.0f} | {operations:.1f} |")
    text = "\n".join([*lines, ""])
    print(text)
    if given.write:
        (HERE / "study.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
