"""What a kill sweep has found: its table, and a file of lines of JSON that keeps it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.bench import After, Result, Tool
from tests.faults.scenarios import SCENARIOS
from tests.faults.strace import Point

_COLUMNS = ("operations", "killed", "same state", "not hit", "violations")

#: A command as swept: its name, by which tool, on which side.
Group = tuple[str, Tool, str]


@dataclass(frozen=True)
class Sweep:
    """A sweep that is through.

    Args:
        points: All that there are, by group.
        results: What became of those that were tried.
        sides: Which sides were swept.
    """

    points: dict[Group, tuple[Point, ...]]
    results: tuple[Result, ...]
    sides: tuple[str, ...]

    def killed(self, tool: Tool) -> int:
        return sum(r.killed for r in self.results if r.tool is tool)

    def same(self, tool: Tool, name: str | None = None, side: str | None = None) -> int:
        """Points that were not tried and find the very bytes that a point found that was."""
        tried, found = set(), set()
        for r in self.results:
            tried.add((r.scenario, r.tool, r.point.call, r.point.number))
            if r.killed:
                found.add((r.scenario, r.tool, r.point.state))
        return sum(
            (n, t, p.state) in found and (n, t, p.call, p.number) not in tried
            for (n, t, s), points in self.points.items()
            if t is tool and name in (None, n) and side in (None, s)
            for p in points
        )

    def not_hit(self, tool: Tool) -> list[Result]:
        """Points at which the command was not killed, or elsewhere than recorded; nothing was judged there."""
        return [r for r in self.results if r.tool is tool and not r.killed]

    def broken(self, tool: Tool) -> list[Result]:
        """Points that left a state which breaks a promise."""
        return [r for r in self.results if r.tool is tool and r.violations]

    def failures(self) -> list[str]:
        """One paragraph for each point at which Holdfast broke a promise."""
        return [
            f"{r.scenario}, {r.point.side}, before {r.point.call} #{r.point.number} ({r.what}):\n  " + "\n  ".join(r.violations)
            for r in self.broken(Tool.HOLDFAST)
        ]

    def judged(self) -> Counter[str]:
        """How many kills were judged where."""
        return Counter(r.after.value for r in self.results if r.killed and r.tool is Tool.HOLDFAST)

    def notes(self) -> Counter[str]:
        """What is worth knowing though it is allowed, with how often it came up."""
        return Counter(f"{r.scenario}: {n}" for r in self.results for n in r.notes)

    def table(self) -> str:
        """Numbers of points, by what became of them: by command and side, ours and the naive copy's."""
        head = ["command", "side", *(f"{t.value}: {c}" for t in Tool for c in _COLUMNS)]
        rows = [[name, side, *self._cells(name, side)] for name in SCENARIOS for side in self.sides]
        rows.append(["all", "both" if len(self.sides) > 1 else self.sides[0], *self._cells(None, None)])
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        rule = ["-" * w if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        return "\n".join(_line(row, widths) for row in [head, rule, *rows])

    def _cells(self, name: str | None, side: str | None) -> list[str]:
        cells = []
        for tool in Tool:
            there = sum(len(p) for (g, t, s), p in self.points.items() if t is tool and name in (None, g) and side in (None, s))
            tried = [r for r in self.results if r.tool is tool and name in (None, r.scenario) and side in (None, r.point.side)]
            hit = [r for r in tried if r.killed]
            broken = sum(bool(r.violations) for r in hit)
            numbers = (there, len(hit), self.same(tool, name, side), len(tried) - len(hit), broken)
            cells += [str(n) for n in numbers] if there else ["-"] * len(numbers)
        return cells


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row of a Markdown table; words to the left, numbers to the right."""
    padded = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return f"| {' | '.join(padded)} |"


@dataclass
class Kept:
    """A sweep as its file has it, with which it can go on another time.

    Args:
        path: The file; None keeps nothing.
        about: Of what it is. A file of something else is refused.
    """

    path: Path | None
    about: dict[str, Any]
    points: dict[Group, tuple[Point, ...]] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            self._add({"about": self.about})
            return
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        if self.about and lines[0]["about"] != self.about:
            raise ValueError(f"{self.path} is of {lines[0]['about']}, and this is {self.about}: name another file")
        self.about = lines[0]["about"]
        for line in lines[1:]:
            if "points" in line:
                self._found(_group(line["group"]), tuple(Point(**p) for p in line["points"]))
            elif "result" in line:
                self.results.append(_result(line["result"]))
            else:
                self.seconds += line["seconds"]

    def found(self, points: dict[Group, tuple[Point, ...]]) -> None:
        """These are the points that there are. What was found at others before does not count any more."""
        for (name, tool, side), them in points.items():
            self._found((name, tool, side), them)
            self._add({"group": [name, tool.value, side], "points": [asdict(p) for p in them]})

    def _found(self, group: Group, points: tuple[Point, ...]) -> None:
        if self.points.get(group, points) != points:
            self.results = [r for r in self.results if (r.scenario, r.tool, r.point.side) != group]
        self.points[group] = points

    def add(self, results: Sequence[Result], seconds: float) -> None:
        self.results += results
        self.seconds += seconds
        for r in results:
            self._add({"result": {**asdict(r), "tool": r.tool.value, "after": r.after.value}})
        self._add({"seconds": seconds})

    def sweep(self) -> Sweep:
        """What is known by now. Where a kill missed, and another one met the same state later, the miss is forgotten."""
        met = {(r.scenario, r.tool, r.point.state) for r in self.results if r.killed}
        results = [r for r in self.results if r.killed or (r.scenario, r.tool, r.point.state) not in met]
        return Sweep(self.points, tuple(sorted(results, key=_order)), tuple(self.about["sides"]))

    def _add(self, line: dict[str, Any]) -> None:
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(f"{json.dumps(line)}\n")


def _order(result: Result) -> tuple[str, str, str, int]:
    return (result.scenario, result.point.side, result.point.call, result.point.number)


def _group(told: list[str]) -> Group:
    name, tool, side = told
    return name, Tool(tool), side


def _result(told: dict[str, Any]) -> Result:
    return Result(
        **{
            **told,
            "tool": Tool(told["tool"]),
            "point": Point(**told["point"]),
            "after": After(told["after"]),
            "violations": tuple(told["violations"]),
            "notes": tuple(told["notes"]),
        }
    )
