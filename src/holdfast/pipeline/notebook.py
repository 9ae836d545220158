"""The pipeline as a notebook holds it: one method for each cell, and no logic left for the cell.

Each method brings its stages to their end exactly as `holdfast run` does: what is done is recognised, what is missing comes back,
what is left is made and backed up. Whatever goes wrong is one error of one line (`HoldfastError`), shown without a traceback.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import Interrupted, StageFailed
from holdfast.flow.cell import Cell
from holdfast.pipeline.layout import PAGE
from holdfast.pipeline.libraries import WORKING, need
from holdfast.session.keeper import Keeper
from holdfast.session.seeing.notebook import Notebook, find_notebook

if TYPE_CHECKING:
    from holdfast.flow.narration import Narration
    from holdfast.flow.runner import Summary
    from holdfast.pipeline.runner import Runner


def open_pipeline(
    keep: Keeper, experiment: str, *, changes: Sequence[str] = (), fork: bool = False, narration: Narration | None = None
) -> NotebookPipeline:
    """Read an experiment, and say where its outputs are kept.

    Args:
        keep: The attached keeper.
        experiment: An experiment file, or the name of a built-in one: `sample`. A relative path starts at the current folder, else
            at the project's.
        changes: `key=value` each, to change single settings: `hpo.trials=5`.
        fork: Outputs made under other settings are left alone, and new ones are made beside them.
        narration: Tells how it goes; default the cell, or the terminal.

    Raises:
        ConfigurationError: one line: file, key, what is wrong, and the nearest valid key; or the library that is missing.
    """
    need("pydantic", *WORKING)
    from holdfast.flow.narration import Screen
    from holdfast.pipeline.experiment import load_experiment
    from holdfast.pipeline.runner import Runner

    here = find_notebook()
    if here is not None:  # tqdm, which several libraries import, misses widgets that nothing here needs
        warnings.filterwarnings("ignore", message="IProgress not found")
    told = narration or (Screen() if here is None else Cell(here))
    beside = keep.root / experiment
    place = str(beside) if not Path(experiment).exists() and beside.is_file() else experiment
    loaded = load_experiment(place, changes)
    runner = Runner(keep, loaded, fork=fork, narration=told)
    told.say(f"{loaded.name}: outputs are in {keep.root / keep.config.outputs}")
    if keep.store is None:
        keep.say_without_store(told.warn)
    else:
        told.say(f"They are backed up to {keep.store.backend.location} as they are made.")
    return NotebookPipeline(runner)


class NotebookPipeline:
    """The stages of one experiment. Every method may be called again, and does what is left; see `open_pipeline`.

    Args:
        runner: Does the work.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def hpo(self) -> None:
        """The documents, then the study of each backbone, trial by trial, backed up after each checkpoint and each trial."""
        self._through("hpo")

    def benchmark(self) -> None:
        """How fast the best trial of each study is; restored where it was measured before."""
        self._through("benchmark")

    def verify_benchmarks(self) -> None:
        """Have each benchmark here, check that it is one of these weights, and show it.

        Raises:
            NotRestored: one is neither here nor to be had.
            StageFailed: one is of something else.
        """
        self._through("benchmark")
        with self._one_line("benchmarks"):
            for name, finished in self._runner.done.items():
                if name.startswith("benchmark/"):
                    self._verify(name, finished)

    def select(self) -> None:
        """The best configuration, with every parameter from the study itself."""
        self._through("selection")

    def train(self) -> None:
        """The final training; each checkpoint is backed up as it is saved, and weights and metrics when it is over."""
        self._through("final_training")

    def restore_training(self) -> None:
        """Have the training cache and the trained weights here for the conversion, where that is still to be done.

        Raises:
            NotRestored: they are neither here nor to be had.
        """
        self._through("final_training")
        from holdfast.flow.found import State
        from holdfast.pipeline.steps.model import find_checkpoint

        runner = self._runner
        with self._one_line("final_training"):
            if "conversion" in runner.done or runner.examiner.find("conversion", runner.done).state is State.DONE:
                runner.narration.say("training cache and weights: not needed, the model is converted already")
                return
            cache = runner.done["final_training"].stage.outputs[-1]
            root = runner.keeper.root
            found = find_checkpoint(root / cache, root, lambda path: runner.examiner.ensure(path, precious=True))
            runner.narration.say(f"training cache and weights: here, in {found.relative_to(root)}")

    def convert(self) -> None:
        """The ONNX model, kept only if it gives what the trained one gives."""
        self._through("conversion")

    def summary(self) -> Summary:
        """The report, shown. Model, metrics and report are here then; it is said how good it is, and whether all is backed up."""
        from holdfast.pipeline.ending import told

        with self._one_line("report"):
            summary = self._runner.run()
        ran = len(summary.ran)
        self._say(
            f"Done: {ran} stage(s) ran, {len(summary.done) - ran} were done before."
            if ran
            else "Done: every stage was done before."
        )
        here = find_notebook()
        for line in told(self._runner.keeper, summary, "holdfast" if here is None else "!holdfast"):
            self._say(line)
        if here is not None and summary.finished:
            self._show_report(here)
        return summary

    def _show_report(self, notebook: Notebook) -> None:
        from holdfast.pipeline.report.framed import Framed

        place = self._runner.keeper.root / self._runner.done["report"].stage.folder / PAGE
        if place.is_file():  # an older version made none
            notebook.show(Framed(place.read_text(encoding="utf-8"), place))

    def _through(self, kind: str) -> None:
        with self._one_line(kind):
            self._runner.advance(kind)

    def _verify(self, name: str, finished: Any) -> None:
        stage = finished.stage
        record = stage.read(self._runner.examiner.require(stage.record))
        if record is None or record.fingerprint != stage.fingerprint:
            raise StageFailed(f"{name}: {stage.record} is no benchmark of the best trial; move it away, and it is measured again")
        document = json.loads((self._runner.keeper.root / stage.record).read_bytes())
        shown = ", ".join(f"{r['mean_ms']:.1f} ms for {r['batch_size']}" for r in document["results"])
        self._say(f"{name}: {stage.record}: {shown}")

    def _say(self, line: str) -> None:
        self._runner.narration.say(line)

    @contextlib.contextmanager
    def _one_line(self, what: str) -> Iterator[None]:
        """A person's interrupt becomes one line as well."""
        try:
            yield
        except Interrupted:
            raise
        except KeyboardInterrupt as error:
            self._runner.narration.end()
            raise Interrupted(f"{what}: interrupted. What was saved is kept; run all cells again to go on") from error
