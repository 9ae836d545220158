"""The work of a step: what is half-made goes, the function runs, and what it must not do is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, UsageError
from holdfast.flow.bench import Bench
from holdfast.flow.record import Record, write_record
from holdfast.flow.stage import Made
from holdfast.steps.task import Doing, forked
from holdfast.steps.values import named


def work(given: tuple[Bench, Doing]) -> Made:
    """Run it once. See `Stage.work`.

    In order: what is there goes aside, or away where it is half-made · a record "begun" is written here · the function runs. After
    it the runner holds the outputs against what was promised, writes the record "finished" with their hashes, and backs all up.
    """
    bench, doing = given
    task, stage, root = doing.task, bench.stage, bench.keeper.root
    counted = task.counts()
    _clear(bench)
    write_record(root / stage.record, Record(stage.name, stage.made_from))
    folders = {forked(k, "") for k in task.folders}
    for key, plain in zip(stage.outputs, task.outputs, strict=True):
        place = root / key
        (place if plain in folders else place.parent).mkdir(parents=True, exist_ok=True)
    try:
        answer = task.act(_paths(bench, doing))
    except HoldfastError:
        raise
    except Exception as error:
        doing.raised = error
        raise
    if answer is not None:
        raise UsageError(
            f"{task.name}: returned {named(answer)}, which nobody would have on the next machine; write it to an output, and "
            "return nothing"
        )
    now = task.counts()
    if now != counted:
        names = sorted(_changed(counted.get("code", {}), now.get("code", {})))
        raise UsageError(
            f"{task.name}: changes {', '.join(names) or 'an argument'}, which it reads too, so that it would count as another the "
            "next time; give it as an argument, or name it in ignore="
        )
    return Made("")


def _changed(then: dict[str, str], now: dict[str, str]) -> set[str]:
    return {k or "its code" for k in then.keys() | now.keys() if then.get(k) != now.get(k)}


def _clear(bench: Bench) -> None:
    """What was made by a run that was cut off is removed; what anybody else made is moved aside."""
    root, stage = bench.keeper.root, bench.stage
    record = stage.read(root / stage.record)
    half_made = record is not None and not record.finished
    for key in stage.outputs:
        place = root / key
        if half_made:
            _remove(place)
            continue
        if not os.path.lexists(place) and bench.keeper.enabled and bench.keeper.held(key)[0]:
            bench.restore(Path(key))  # so that what is made now stands on it, and is no second line beside it
        if os.path.lexists(place):
            bench.keeper.workspace.set_aside(place)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _paths(bench: Bench, doing: Doing) -> dict[str, Any]:
    """The paths that a function asks for: one, or a tuple where there are several."""
    root, task = bench.keeper.root, doing.task
    outputs = tuple(root / k for k in bench.stage.outputs)
    given = {
        "outputs": outputs[0] if len(outputs) == 1 else outputs,
        "inputs": tuple(root / p if isinstance(p, str) else tuple(root / k for k in p) for p in doing.inputs.places),
    }
    return {name: given[name] for name in task.asks}
