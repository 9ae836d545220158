"""Choosing the best configuration across studies. Pure: it reads nothing, measures nothing, and knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.errors import StageFailed


@dataclass(frozen=True)
class Candidate:
    """A complete trial.

    Args:
        backbone: Name of its study.
        trial: Its number.
        value: Its score, larger is better.
        size: Number of weights.
        parameters: What the search chose for it.
        latency: Mean milliseconds of one call at the smallest batch size, as measured for its backbone; None where not measured.
        folds: The score of each fold, of which `value` is the mean; empty where there are none.
        deviation: The standard deviation of these.
    """

    backbone: str
    trial: int
    value: float
    size: int
    parameters: Mapping[str, Any]
    latency: float | None = None
    folds: tuple[float, ...] = ()
    deviation: float = 0.0


def choose(candidates: Sequence[Candidate], *, by: str, tolerance: float) -> dict[str, Any]:
    """The best candidate, and for every candidate why it is not.

    Quality first. Scores within `tolerance` of the best count as equal; among those the smaller model is taken, then the earlier
    trial, then the first backbone by name. With `by="latency"` the lower latency decides among equals before size does.

    Returns:
        `best` and `candidates`, each with its `reason`, as plain data.

    Raises:
        StageFailed: there is no candidate, or latency should decide and was not measured.
    """
    if not candidates:
        raise StageFailed("selection: no study has a complete trial")
    top = max(c.value for c in candidates)
    equal = [c for c in candidates if c.value >= top - tolerance]
    unmeasured = sorted({c.backbone for c in equal if c.latency is None})
    if by == "latency" and unmeasured:
        raise StageFailed(f"selection.by is latency, and {unmeasured[0]} was not measured; run the benchmark of it first")

    def rank(c: Candidate) -> tuple[float, int, int, str]:
        return (c.latency or 0.0 if by == "latency" else 0.0, c.size, c.trial, c.backbone)

    best = min(equal, key=rank)
    rows = sorted(candidates, key=lambda c: (-c.value, c.backbone, c.trial))
    return {
        "best": _plain(best, _why_best(best, equal, by, tolerance), by),
        "rule": {"by": by, "tolerance": tolerance},
        "candidates": [_plain(c, "chosen" if c == best else _why_not(c, best, top, tolerance, by), by) for c in rows],
    }


def _why_best(best: Candidate, equal: Sequence[Candidate], by: str, tolerance: float) -> str:
    if len(equal) == 1:
        return "the highest score"
    what = (
        "lowest latency, then the smallest model, then the earliest trial"
        if by == "latency"
        else "smallest model, then the earliest trial"
    )
    return f"of {len(equal)} within {tolerance:g} of the highest score the {what}"


def _why_not(c: Candidate, best: Candidate, top: float, tolerance: float, by: str) -> str:
    if c.value < top - tolerance:
        return f"{top - c.value:.4f} below the highest score"
    if by == "latency" and c.latency != best.latency:
        return f"slower: {c.latency:.2f} ms against {best.latency:.2f} ms"
    if c.size != best.size:
        return f"a larger model: {c.size} weights against {best.size}"
    return "a later trial of equal score" if c.trial != best.trial else "as good; the first backbone by name is taken"


def _plain(c: Candidate, reason: str, by: str) -> dict[str, Any]:
    """A measured latency is a clock: it is in the record only where it decides, so that two runs make the same record."""
    row = {**asdict(c), "parameters": dict(c.parameters), "reason": reason}
    if by != "latency":
        del row["latency"]
    if not c.folds:
        del row["folds"], row["deviation"]
    return row
