"""What `run`, `plan`, `predict` and `data` print."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.show import out, print_json
from holdfast.session.keeper import Keeper
from holdfast.store.format.keys import printable
from holdfast.store.reporting.amounts import size

if TYPE_CHECKING:
    from holdfast.flow.found import Found
    from holdfast.flow.narration import Narration
    from holdfast.flow.runner import Summary
    from holdfast.pipeline.conversion.predict import Entity
    from holdfast.pipeline.conversion.predict_files import Predicted
    from holdfast.pipeline.data.looking import Looked
    from holdfast.pipeline.settings import Experiment
    from holdfast.pipeline.space import Space
    from holdfast.pipeline.stages import Pipeline

#: How many files of a format, marked sentences and characters of one are shown.
_FILES, _SENTENCES, _LONG = 4, 20, 300


def opening(keeper: Keeper, experiment: Experiment, narration: Narration) -> None:
    """What is about to run, and where it is kept."""
    where = keeper.store.backend.location if keeper.store else "nowhere: there is no store, give --drive DIR"
    narration.say(f"{experiment.name}: outputs in {keeper.root / keeper.config.outputs}, backed up to {where}")


def called(argument: str) -> str:
    """How the command is called from here: by its name where that is found, else by its path, as in a checkout.

    Args:
        argument: What this process was called as.
    """
    if shutil.which("holdfast") is not None:
        return "holdfast"
    script = Path(argument)
    return os.path.relpath(script) if script.name == "holdfast" else f"{sys.executable} -m holdfast"


def ending(keeper: Keeper, experiment: Experiment, summary: Summary, *, as_json: bool) -> None:
    """What was made, how good it is, where it is, and whether it is backed up."""
    if as_json:
        print_json(
            [
                {
                    "path": f.stage.folder,
                    "outcome": "RAN" if name in summary.ran else "DONE",
                    "generation": None,
                    "error": None,
                    "stage": name,
                    "fingerprint": f.record.fingerprint,
                    "summary": dict(f.record.summary),
                    "safe": summary.safe,
                }
                for name, f in summary.done.items()
            ]
        )
        return
    from holdfast.pipeline.ending import told

    out("")
    if summary.stopped:
        out("Stopped as asked. What runs is saved; run the same command again to go on.")
    elif not summary.finished:
        out("Done with what --only named; the rest is left alone.")
    elif not summary.ran:
        out("Nothing to do: every stage is done, and nothing was run again.")
    else:
        out(f"Done: {len(summary.ran)} stage(s) ran, {len(summary.done) - len(summary.ran)} were done before.")
    for line in told(keeper, summary, called(sys.argv[0])):
        out(line)


def planned(keeper: Keeper, pipeline: Pipeline, found: Sequence[Found], space: Space, *, as_json: bool) -> None:
    """A line for each stage, and the space."""
    rows = [_row(f, pipeline) for f in found]
    if as_json:
        print_json(
            [
                {
                    "path": f.stage.folder if f.stage else None,
                    "outcome": f.state.name,
                    "generation": None,
                    "error": None,
                    "stage": f.name,
                    "here": f.here,
                    "in_store": f.stored,
                    "bytes_in_store": f.held.size if f.held else 0,
                    "why": text,
                    "differences": list(f.differences),
                }
                for f, (_, text) in zip(found, rows, strict=True)
            ]
        )
        return
    where = keeper.store.backend.location if keeper.store else "none (work is local only)"
    out(f"{pipeline.experiment.name}: store {where}")
    width = max(len(f.name) for f in found)
    for f, (what, text) in zip(found, rows, strict=True):
        out(f"  {f.name:{width}}  {what:14} {text}")
    out(f"space here      {_space(space.needed_here, space.free_here)}")
    if keeper.store is not None:
        out(f"space in store  {_space(space.needed_in_store, space.free_in_store)}")
    for name in space.guessed:
        out(f"  (the size of {name} is not known before it is loaded; it is taken for a large one)")


def _space(needed: int, free: int | None) -> str:
    there = "unknown how much is free" if free is None else f"{size(free)} free"
    short = "  <- NOT ENOUGH: make space first" if free is not None and needed > free else ""
    return f"at most {size(needed)} needed, {there}{short}"


def _row(found: Found, pipeline: Pipeline) -> tuple[str, str]:
    from holdfast.flow.found import State

    held = f" ({size(found.held.size)} in the store)" if found.held else ""
    if found.state is State.DONE:
        return "done", f"{found.why}{held}"
    if found.state is State.BEGUN:
        return "resume", f"{pipeline.how_far(found)}: {found.why}{held}"
    if found.state is State.OTHERWISE:
        return "made otherwise", f"{found.why}; set it back, or run with --fork"
    return "to do", found.why


def entities(found: Sequence[Entity], *, as_json: bool) -> None:
    """One entity a line: label, text, place, score."""
    if as_json:
        print_json([{"start": e.start, "end": e.end, "label": e.label, "text": e.text, "score": round(e.score, 6)} for e in found])
        return
    for e in found:
        out(f"{e.label:12} {' '.join(e.text.split())}  [{e.start}:{e.end}]  {e.score:.3f}")
    if not found:
        out("no entities")


def predicted(file: str, told: Predicted) -> None:
    """What was written of the files that were read."""
    out(printable(f"{told.documents:,} documents with {told.entities:,} entities are in {file}"))


def data(found: Looked, *, as_json: bool) -> None:
    """What data files hold: what they are, labels, marked sentences, what was noteworthy, and all problems."""
    if as_json:
        out(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        return
    from holdfast.pipeline.data.looking import marked

    same: dict[str, list[str]] = {}
    for file, name in found.formats:
        same.setdefault(name, []).append(file)
    for name, files in same.items():
        more = f" and {len(files) - _FILES:,} more" if len(files) > _FILES else ""
        out(f"{printable(', '.join(files[:_FILES]))}{more}: {printable(name)}")
    if found.splits:
        out(printable(f"as data.folder: {found.splits}"))
    counts = found.labels()
    characters = sum(len(d.text) for d in found.documents)
    out(f"{len(found.documents):,} documents, {characters:,} characters, {counts.total():,} entities")
    if found.documents and (without := sum(not d.spans for d in found.documents)):
        out(f"{without:,} of them without entities: there are none, or nobody has marked them yet")
    width = max((len(printable(label)) for label in counts), default=0)
    for label, count in sorted(counts.items()):
        out(f"  {printable(label):{width}}  {count:,}")
    shown = [d for d in found.documents if d.spans][:_SENTENCES]
    if shown:
        out(f"the first {len(shown)} with entities:" if len(shown) > 1 else "the first with entities:")
    for document in shown:
        line = marked(document)
        out(f"  | {printable(line if len(line) <= _LONG else line[: _LONG - 3] + '...')}")
    for file, noted in found.gathered():
        out(printable(f"note: {file}: {noted}"))
    for problem in found.problems:
        out(f"problem: {problem}")
    if found.problems:
        one = len(found.problems) == 1
        told = "1 problem: a run is refused until it is mended"
        out(told if one else f"{len(found.problems):,} problems: a run is refused until they are mended")


def written(file: str, found: Looked) -> None:
    """What became of the file that was to be written."""
    if found.problems:
        out(printable(f"nothing was written to {file}, because of the problems above"))
    else:
        out(printable(f"{len(found.documents):,} documents are in {file}"))
