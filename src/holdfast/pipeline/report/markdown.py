"""The report as Markdown, from what the stages say of themselves. The same after any interruption, bit for bit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.flow.record import Record


def markdown(name: str, done: Mapping[str, Record]) -> str:
    """All of it.

    Args:
        name: Of the experiment.
        done: The records of the stages before the report.
    """
    final, conversion, selection = done["final_training"].summary, done["conversion"].summary, done["selection"].summary
    lines = [f"# {name}", "", "## Documents", ""]
    lines += [f"- {split}: {count}" for split, count in done["data"].summary["documents"].items()]
    lines += ["", "## Studies", ""]
    lines += [_study(stage.partition("/")[2], record.summary) for stage, record in done.items() if stage.startswith("hpo/")]
    lines += [
        "",
        "## Best configuration",
        "",
        f"{selection['backbone']}, trial {selection['trial']}: {selection['reason']}{_folds('', selection)}",
        "",
    ]
    lines += [f"- {key}: {value}" for key, value in sorted(selection["parameters"].items())]
    lines += ["", "## Test scores", "", "| | precision | recall | F1 | interval of F1 | entities |", "|---|---|---|---|---|---|"]
    test = final["test"]
    rows = [*sorted(test["by_label"].items()), ("micro", test["micro"]), ("macro", test["macro"])]
    lines += [f"| {label} | {_figures(row)} | {row['support']} |" for label, row in rows]
    floor = done["data"].summary.get("baseline_f1")  # records of an early version lack it
    if floor is not None:
        lines += ["", f"A dictionary of the training entities, with patterns, reaches F1 {floor:.4f}."]
    lines += ["", "## ONNX", "", "| model | F1 | bytes |", "|---|---|---|"]
    files = {"onnx": "model.onnx", "int8": "model.int8.onnx"}
    sizes = conversion["bytes"]
    lines += [f"| {files[k]} | {f1:.4f} | {sizes.get(files[k], 'not kept')} |" for k, f1 in conversion["f1"].items() if k in files]
    if "int8_refused" in conversion:
        may = conversion["int8_refused"]["may_lose"]
        lines += ["", f"The int8 model is not kept: it loses more than {may:g} of entity F1 (`conversion.int8_may_lose`)."]
    return "\n".join(lines) + "\n"


def _study(backbone: str, found: Mapping[str, Any]) -> str:
    states = ", ".join(f"{count} {state.lower()}" for state, count in sorted(found["states"].items()))
    line = f"- {backbone}: {found['trials']} trials ({states}), best {found['best_value']:.4f} (trial {found['best_trial']})"
    return line + _folds("best_", found)


def _folds(prefix: str, found: Mapping[str, Any]) -> str:
    """What a score is the mean of; nothing where there are no folds."""
    scores = found.get(f"{prefix}folds")
    if not scores:
        return ""
    each = ", ".join(f"{score:.4f}" for score in scores)
    return f"; mean of {len(scores)} folds, standard deviation {found[f'{prefix}deviation']:.4f}: {each}"


def _figures(row: Mapping[str, Any]) -> str:
    low, high = row.get("intervals", {}).get("f1", (None, None))
    between = "" if low is None else f"{low:.4f} to {high:.4f}"
    return " | ".join([*(f"{row[k]:.4f}" for k in ("precision", "recall", "f1")), between])
