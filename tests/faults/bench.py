"""Where one worker of the sweep lays out states, records commands and kills them."""

from __future__ import annotations

import enum
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

from tests.faults import driver
from tests.faults.oracle import Findings, examine, examine_in_haste, naive_state
from tests.faults.scenarios import SCENARIOS, Kind, Prepared, Scenario, prepare
from tests.faults.site import Site, Tree, write_tree
from tests.faults.strace import Point, kill, record

P = ParamSpec("P")


class Tool(enum.Enum):
    HOLDFAST = "holdfast"
    COPY = "rmtree + copytree"


@dataclass(frozen=True)
class Result:
    """What became of one point."""

    scenario: str
    tool: Tool
    point: Point
    killed: bool
    what: str
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def covers(scenario: Scenario, tool: Tool) -> bool:
    """A naive copy keeps no generations, so it has nothing to prune."""
    return tool is Tool.HOLDFAST or scenario.kind is not Kind.PRUNE


class Bench:
    """One folder in which one point after the other is tried.

    The live site is always at the same path, because the workspace remembers at which path it met its store.

    Args:
        scratch: A folder of this worker alone.
        code: The folder with the copy of the package that is swept, compiled, so that an edit does not shift counts.
    """

    def __init__(self, scratch: Path, code: Path) -> None:
        self._live = scratch / "live"
        self._templates = scratch / "templates"
        self._log = scratch / "strace.log"
        self._known: dict[str, Prepared] = {}
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(scratch),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(code),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        scratch.mkdir(parents=True)
        self._templates.mkdir()

    def record(self, name: str, tool: Tool) -> list[Point]:
        """Every point of a command."""
        known, site = self._lay_out(name)
        command = self._command(site, known, tool)
        return record(command, site.sides, self._env, self._log)

    def try_point(self, name: str, tool: Tool, point: Point) -> Result:
        """Kill a command at one point, and judge what it leaves."""
        known, site = self._lay_out(name)
        command = self._command(site, known, tool)
        death = kill(command, point, site.sides, self._env, self._log)
        if not death.killed:
            return Result(name, tool, point, False, death.what)
        if tool is Tool.COPY:
            target, old, new = _copy(site, known)[1:]
            return Result(name, tool, point, True, death.what, tuple(naive_state(target, old, new)))
        found = _guarded(examine, site, known)
        violations = found.violations
        if found.done:  # a state can be used for one future only, so it is made once more
            known, site = self._lay_out(name)
            if not kill(command, point, site.sides, self._env, self._log).killed:
                return Result(name, tool, point, False, "killed once, and not the second time")
            violations = violations + _guarded(examine_in_haste, site).violations
        return Result(name, tool, point, True, death.what, tuple(violations), tuple(dict.fromkeys(found.notes)))

    def _lay_out(self, name: str) -> tuple[Prepared, Site]:
        template = self._templates / name.replace(" ", "-")
        shutil.rmtree(self._live, ignore_errors=True)
        if name not in self._known:
            self._known[name] = prepare(SCENARIOS[name], Site(self._live), template)
            shutil.rmtree(self._live)
        shutil.copytree(template, self._live, symlinks=True)
        return self._known[name], Site(self._live)

    @staticmethod
    def _command(site: Site, known: Prepared, tool: Tool) -> list[str]:
        python = [sys.executable, "-P"]
        if tool is Tool.HOLDFAST:
            return [*python, "-m", "holdfast", *site.arguments(*known.scenario.command)]
        source, target, old, new = _copy(site, known)
        for place, tree in ((source, new), (target, old)):
            shutil.rmtree(place, ignore_errors=True)
            if tree is not None:
                write_tree(place, tree)
                place.mkdir(parents=True, exist_ok=True)
        return [*python, driver.__file__, str(source), str(target)]


def _guarded(judge: Callable[P, Findings], *args: P.args, **kwargs: P.kwargs) -> Findings:
    try:
        return judge(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - a library that raises where it promised not to is a finding
        return Findings([f"the oracle itself was stopped by {type(error).__name__}: {error}"])


def _copy(site: Site, known: Prepared) -> tuple[Path, Path, Tree | None, Tree]:
    """Source and target of the naive copy that stands for a command; what the target holds before and after."""
    mirror = site.drive / "mirror"
    if known.scenario.kind is Kind.BACKUP:
        assert known.local_before is not None
        return site.artifact, mirror, known.before, known.local_before
    assert known.before is not None
    return mirror, site.artifact, known.local_before, known.before
