"""Where one worker of the sweep lays out states, records commands and kills them."""

from __future__ import annotations

import enum
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec

from tests.faults import driver, warm
from tests.faults.oracle import Findings, examine, examine_elsewhere, examine_in_haste, examine_remounted, naive_state
from tests.faults.scenarios import SCENARIOS, Kind, Prepared, Scenario, prepare
from tests.faults.site import MountedSite, Site, Tree, copy_site, write_tree
from tests.faults.strace import Point, kill, record
from tests.faults.warm_python import WarmPython

P = ParamSpec("P")

#: The `holdfast` command on a mount, where every call has a thread of its own, so that a hang can be left behind. strace counts
#: by thread, so here a thread runs where it is started: the calls are the same, in the same order.
_IN_ONE_THREAD = (
    "import sys, threading; threading.Thread.start = threading.Thread.run; "
    "from holdfast.cli.entry import _run; sys.exit(_run())"  # without stepping aside into a child, as it would on a FUSE mount
)
#: Virtual seconds from a kill to a disconnect: nothing, some or most of the command has been uploaded by then.
_LATER = (0.0, 5.0, 15.0, 40.0)


class Tool(enum.Enum):
    HOLDFAST = "holdfast"
    COPY = "rmtree + copytree"


class After(enum.Enum):
    """Where the state that a kill left is judged."""

    SAME = "where it was killed"
    ELSEWHERE = "after a disconnect, by a machine that never saw it"
    REMOUNTED = "after a disconnect, where it was killed"


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
    after: After = After.SAME


def covers(scenario: Scenario, tool: Tool) -> bool:
    """A naive copy keeps no generations, so it has nothing to prune."""
    return tool is Tool.HOLDFAST or scenario.kind is not Kind.PRUNE


def environment_of(home: Path, code: Path) -> dict[str, str]:
    """The variables of every command of a sweep: always the same, so that counts of calls do not shift."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(code),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Bench:
    """One folder in which one point after the other is tried.

    The live site is always at the same path, because the workspace remembers at which path it met its store.

    Args:
        scratch: A folder of this worker alone.
        code: The folder with the copy of the package that is swept, compiled, so that an edit does not shift counts.
        on_drive: The store lies on a simulated Drive, and in two of three points the mount is taken away after the kill.
    """

    def __init__(self, scratch: Path, code: Path, *, on_drive: bool = False) -> None:
        self._simulators = WarmPython(str(code), warm.SIMULATOR) if on_drive else None
        self._live = scratch / "live"
        self._templates = scratch / "templates"
        self._log = scratch / "strace.log"
        self._known: dict[str, Prepared] = {}
        self._env = environment_of(scratch, code)
        scratch.mkdir(parents=True)
        self._templates.mkdir()

    def record(self, name: str, tool: Tool) -> list[Point]:
        """Every point of a command."""
        with self._laid_out(name) as (known, site):
            points = record(self._command(site, known, tool), site.sides, self._env, self._log, site.fine)
        # What is not uploaded meets another fate at each point, so there each is a state of its own.
        fated = self._simulators is not None and tool is Tool.HOLDFAST
        return [replace(p, state=number) for number, p in enumerate(points)] if fated else points

    def try_point(self, name: str, tool: Tool, point: Point) -> Result:
        """Kill a command at one point, and judge what it leaves."""
        chance = random.Random(f"{name} {tool} {point.call} {point.number}")
        after = chance.choice(list(After)) if self._simulators is not None and tool is Tool.HOLDFAST else After.SAME
        with self._laid_out(name, seed=chance.randrange(1 << 32)) as (known, site):
            command = self._command(site, known, tool)
            death = kill(command, point, site.sides, self._env, self._log)
            if not death.killed:
                return Result(name, tool, point, False, death.what)
            if tool is Tool.COPY:
                target, old, new = _copy(site, known)[1:]
                return Result(name, tool, point, True, death.what, tuple(naive_state(target, old, new)))
            if after is not After.SAME:
                assert isinstance(site, MountedSite)
                site.disconnect(chance.choice(_LATER))
            judge = {After.SAME: examine, After.ELSEWHERE: examine_elsewhere, After.REMOUNTED: examine_remounted}[after]
            found = guarded(judge, site, known)
        violations = found.violations
        if found.done and after is After.SAME:  # a state can be used for one future only, so it is made once more
            with self._laid_out(name) as (known, site):
                if not kill(command, point, site.sides, self._env, self._log).killed:
                    return Result(name, tool, point, False, "killed once, and not the second time")
                violations = violations + guarded(examine_in_haste, site).violations
        return Result(name, tool, point, True, death.what, tuple(violations), tuple(dict.fromkeys(found.notes)), after)

    @contextmanager
    def _laid_out(self, name: str, *, seed: int = 0) -> Iterator[tuple[Prepared, Site]]:
        template = self._templates / name.replace(" ", "-")
        shutil.rmtree(self._live, ignore_errors=True)
        if name not in self._known:
            site = self._site()
            try:
                self._known[name] = prepare(SCENARIOS[name], site, template)
            finally:
                site.close()
            shutil.rmtree(self._live)
        copy_site(template, self._live)
        site = self._site()
        site.begin(seed)
        try:
            yield self._known[name], site
        finally:
            site.close()

    def _site(self) -> Site:
        return Site(self._live) if self._simulators is None else MountedSite(self._live, self._simulators)

    def _command(self, site: Site, known: Prepared, tool: Tool) -> list[str]:
        python = [sys.executable, "-P"]
        if tool is Tool.HOLDFAST:
            start = ["-c", _IN_ONE_THREAD] if self._simulators is not None else ["-m", "holdfast"]
            return [*python, *start, *site.arguments(*known.scenario.command)]
        source, target, old, new = _copy(site, known)
        for place, tree in ((source, new), (target, old)):
            shutil.rmtree(place, ignore_errors=True)
            if tree is not None:
                write_tree(place, tree)
                place.mkdir(parents=True, exist_ok=True)
        return [*python, driver.__file__, str(source), str(target)]


def guarded(judge: Callable[P, Findings], *args: P.args, **kwargs: P.kwargs) -> Findings:
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
