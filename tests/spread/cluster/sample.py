"""The built-in sample pipeline as a process that may be killed; each step of a trial is counted, on whatever node it is done.

python -m tests.spread.cluster.sample ROOT DRIVE ENGINE TRIALS
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from holdfast.pipeline.experiment import load_experiment
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.study import spread
from tests.pipeline.study.driver import CountedWork, Printed
from tests.support import Machine

PARALLEL = 4
#: Steps between two checkpoints of a trial, which has about a hundred.
INTERVAL = 10
SETTINGS = [
    f"hpo.parallel={PARALLEL}",
    "hpo.startup_trials=1",
    f"training.checkpoint.steps={INTERVAL}",
    "training.checkpoint.every=null",
    "final_training.training.epochs=3",
    "benchmark.iterations=5",
    "run.device=cpu",
]


def main() -> None:
    root, drive, engine, trials = sys.argv[1:]
    keeper = Machine(Path(root), Path(drive)).keeper()
    experiment = load_experiment("sample", [*SETTINGS, f"hpo.engine={engine}", f"hpo.trials={trials}"])
    with mock.patch.object(spread, "TrialWork", CountedWork):
        Runner(keeper, experiment, narration=Printed()).run()


if __name__ == "__main__":
    main()
