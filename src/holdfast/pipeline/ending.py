"""What a finished run came to, in lines for a terminal and for a notebook."""

from __future__ import annotations

from typing import Any

from holdfast.flow.runner import Summary
from holdfast.pipeline.layout import METRICS, ONNX
from holdfast.pipeline.training.intervals import SHARE
from holdfast.session.keeper import Keeper
from holdfast.store.reporting.amounts import size

_SAFE = {
    "CONFIRMED": "everything is backed up, and safe",
    "WRITTEN": "everything is written, and not confirmed yet",
    "UNKNOWN": "everything is written; this place cannot tell whether it is safe",
    "NOT BACKED UP": "NOT everything is backed up: see the errors above, then `holdfast status`",
    "NO STORE": "nothing is backed up: there is no store; give --drive DIR, or set HOLDFAST_DRIVE",
}


def told(keeper: Keeper, summary: Summary, command: str = "holdfast") -> list[str]:
    """What was made, how good it is, where it is, and whether it is backed up.

    Args:
        keeper: The project's.
        summary: What the run came to.
        command: How the command is called here.
    """
    lines = _made(keeper, summary, command) if summary.finished else []
    lines.append(f"  backup      {_SAFE[summary.safe]}")
    if keeper.store is not None:
        lines.append(f"  store       {keeper.store.backend.location}")
    return lines


def _made(keeper: Keeper, summary: Summary, command: str) -> list[str]:
    done = summary.done
    final, conversion = done["final_training"], done["conversion"]
    test: Any = final.record.summary["test"]
    f1 = conversion.record.summary["f1"]
    figures = ", ".join(f"{k} {v:.4f}" for k, v in f1.items())
    floor = done["data"].record.summary.get("baseline_f1")
    beaten = "" if floor is None else f"; a dictionary of the training entities {floor:.4f}"
    folder = keeper.root / conversion.stage.folder / ONNX
    model = folder / "model.onnx"
    refused = conversion.record.summary.get("int8_refused")
    warning = (
        [] if refused is None else [f"  NO int8     it lost more than {refused['may_lose']:g} of entity F1, so it is not kept"]
    )
    low, high = test["micro"].get("intervals", {}).get("f1", (None, None))
    between = "" if low is None else f"{SHARE} % interval {low:.4f} to {high:.4f}; "
    return [
        f"  entity F1   {test['micro']['f1']:.4f} on the test set ({between}macro {test['macro']['f1']:.4f}); {figures}{beaten}",
        *warning,
        f"  ONNX model  {model} ({size(conversion.record.summary['bytes'][model.name])})",
        f"  metrics     {keeper.root / final.stage.folder / METRICS}",
        *(f"  report      {keeper.root / place}" for place in done["report"].stage.outputs if (keeper.root / place).is_file()),
        f"  try it      {command} predict {folder} 'Jane Roe, jane.roe@example.com, knows Python'",
    ]
