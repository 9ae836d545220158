"""The report: what was made, and how good it is, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.flow.stage import Made
from holdfast.pipeline.layout import REPORT
from holdfast.pipeline.stages import Workbench
from holdfast.session.files import write_text


def write_report(bench: Workbench) -> Made:
    """Write it from what the stages say of themselves; nothing is fetched for it."""
    done = {n: f.record for n, f in bench.done.items()}
    final, conversion, selection = done["final_training"].summary, done["conversion"].summary, done["selection"].summary
    lines = [f"# {bench.experiment.name}", "", "## Documents", ""]
    lines += [f"- {split}: {count}" for split, count in done["data"].summary["documents"].items()]
    lines += ["", "## Studies", ""]
    for name, record in done.items():
        if name.startswith("hpo/"):
            s = record.summary
            states = ", ".join(f"{count} {state.lower()}" for state, count in sorted(s["states"].items()))
            lines.append(
                f"- {name.partition('/')[2]}: {s['trials']} trials ({states}), best {s['best_value']:.4f} (trial {s['best_trial']})"
            )
    lines += ["", "## Best configuration", "", f"{selection['backbone']}, trial {selection['trial']}: {selection['reason']}", ""]
    lines += [f"- {key}: {value}" for key, value in sorted(selection["parameters"].items())]
    lines += ["", "## Test scores", "", "| | precision | recall | F1 | entities |", "|---|---|---|---|---|"]
    test = final["test"]
    rows = [*sorted(test["by_label"].items()), ("micro", test["micro"]), ("macro", test["macro"])]
    lines += [f"| {label} | {_figures(row)} | {row['support']} |" for label, row in rows]
    floor = done["data"].summary.get("baseline_f1")  # records of an early version lack it
    if floor is not None:
        lines += ["", f"A dictionary of the training entities, with patterns, reaches F1 {floor:.4f}."]
    lines += ["", "## ONNX", "", "| model | F1 | bytes |", "|---|---|---|"]
    files = {"onnx": "model.onnx", "int8": "model.int8.onnx"}
    lines += [f"| {files[k]} | {f1:.4f} | {conversion['bytes'][files[k]]} |" for k, f1 in conversion["f1"].items() if k in files]
    write_text(bench.folder / REPORT, "\n".join(lines) + "\n")
    return Made(bench.stage.fingerprint, {"test_f1": test["micro"]["f1"]})


def _figures(row: Mapping[str, Any]) -> str:
    return " | ".join(f"{row[k]:.4f}" for k in ("precision", "recall", "f1"))
