"""The kill sweep where the store is reached by Drive's API: every request is a point, and so is every local call.

At a request the command is killed before it is looked at, or once it was done; or its answer is lost; or it is delivered twice.
"""

from __future__ import annotations

import enum
import fnmatch
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from holdfast.simulator.cloud import Cloud
from tests.faults.bench import environment_of, guarded
from tests.faults.oracle import examine, examine_in_haste
from tests.faults.scenarios import SCENARIOS, Prepared, prepare
from tests.faults.site import CONFIG, Site, copy_site, copy_tree
from tests.faults.strace import Point, kill, record
from tests.leaks import leaks_in

TOKEN = "ya29.a-token-that-nobody-may-see"
_SECONDS = 120


class How(enum.Enum):
    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    LOSE = "lose"
    TWICE = "twice"


@dataclass(frozen=True)
class ApiPoint:
    """One request of a command, and what happens at it; or one local call at which it is killed."""

    scenario: str
    how: How | None = None
    at: int = 0
    local: Point | None = None

    def __str__(self) -> str:
        if self.local is not None:
            return f"{self.scenario}: killed before {self.local.call} #{self.local.number} ({self.local.what})"
        assert self.how is not None
        return f"{self.scenario}: {self.how.value} at request {self.at}"


@dataclass(frozen=True)
class ApiResult:
    point: ApiPoint
    hit: bool
    violations: tuple[str, ...] = ()


class Server:
    """The simulated APIs of one worker, in a process that lasts as long as it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.api_server"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, **said: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(said)}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the simulated API has ended"
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=_SECONDS)


class ApiSite(Site):
    """The store is in `gdrive:`, whose cloud lies in the folder too."""

    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder)
        self.server = server
        self.drive = "gdrive:"  # type: ignore[assignment]
        self.config = f"{CONFIG}  remembers: 0\n"

    @property
    def sides(self) -> dict[str, Path]:
        return {"workspace": self.here, "store": self.folder / "cloud"}

    @property
    def environment(self) -> dict[str, str]:
        return {"HOLDFAST_DRIVE_API": self._address, "XDG_CONFIG_HOME": str(self.folder / "settings")}

    def set_up(self) -> None:
        place = self.folder / "settings" / "holdfast" / "drive.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps({"token": TOKEN}))
        place.chmod(0o600)
        self.begin()
        self._project(self.here)

    def begin(self, seed: int = 0) -> None:
        self._address = self.server.tell(open=str(self.folder / "cloud"))
        os.environ.update(self.environment)

    def tell(self, **said: object) -> int:
        return int(self.server.tell(**said))

    def holds(self, pattern: str) -> bool:
        """What lies in the cloud has no names there: Drive is asked."""
        cloud = Cloud(self.folder / "cloud", machine="somebody")
        try:
            return any(fnmatch.fnmatchcase(item.name, pattern) for item in cloud.everything())
        finally:
            cloud.close()

    def copy(self, target: Path) -> None:
        self.close()
        copy_tree(self.folder, target)
        self.begin()

    def close(self) -> None:
        self.server.tell(close=True)


class ApiBench:
    """One folder in which one point after the other is tried."""

    def __init__(self, scratch: Path, code: Path) -> None:
        self._live = scratch / "live"
        self._templates = scratch / "templates"
        self._log = scratch / "strace.log"
        self._known: dict[str, Prepared] = {}
        self._env = environment_of(scratch, code)
        scratch.mkdir(parents=True)
        self._templates.mkdir()
        self.server = Server()
        # What every forked command would load by itself.
        for module in ("requests", "holdfast.store.backends.api.backend", "holdfast.store.backup", "holdfast.store.restore"):
            importlib.import_module(module)

    def close(self) -> None:
        self.server.close()

    def record(self, name: str) -> list[ApiPoint]:
        """Every point of a command: each request in four ways, and each local call."""
        with self._laid_out(name) as (_, site):
            site.tell(plan="nothing")
            points = record(self._command(site, name), {"workspace": site.here}, self._all(site), self._log, site.fine)
            requests = site.tell()
        found = [ApiPoint(name, how, at) for at in range(1, requests + 1) for how in How]
        return found + [ApiPoint(name, local=p) for p in points]

    def try_point(self, point: ApiPoint) -> ApiResult:
        """Have it go wrong there, and judge what is left."""
        with self._laid_out(point.scenario) as (known, site):
            if not self._hit(point, site):
                return ApiResult(point, False)
            found = guarded(examine, site, known)
            shown = leaks_in(site.folder, (TOKEN.encode(),))
        violations = (*found.violations, *(f"a secret is shown: {leak}" for leak in shown))
        if found.done and point.how not in (How.LOSE, How.TWICE):  # a state can be used for one future only
            with self._laid_out(point.scenario) as (known, site):
                if self._hit(point, site):
                    violations += tuple(guarded(examine_in_haste, site).violations)
        return ApiResult(point, True, violations)

    def _hit(self, point: ApiPoint, site: ApiSite) -> bool:
        if point.local is not None:
            command = self._command(site, point.scenario)
            return kill(command, point.local, {"workspace": site.here}, self._all(site), self._log).killed
        assert point.how is not None
        site.tell(plan=point.how.value, at=point.at)
        child = site.start(*SCENARIOS[point.scenario].command)
        site.tell(pid=child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        site.tell(plan="nothing")
        if point.how in (How.LOSE, How.TWICE):
            assert code in site.fine, f"{point}: ended with {code}: {site.said()}"
            return True
        return code == -signal.SIGKILL

    @contextmanager
    def _laid_out(self, name: str) -> Iterator[tuple[Prepared, ApiSite]]:
        template = self._templates / name.replace(" ", "-")
        shutil.rmtree(self._live, ignore_errors=True)
        if name not in self._known:
            site = ApiSite(self._live, self.server)
            try:
                self._known[name] = prepare(SCENARIOS[name], site, template)
            finally:
                site.close()
            shutil.rmtree(self._live)
        copy_site(template, self._live)
        site = ApiSite(self._live, self.server)
        site.begin()
        try:
            yield self._known[name], site
        finally:
            site.close()

    def _all(self, site: ApiSite) -> dict[str, str]:
        return {**self._env, **site.environment}

    def _command(self, site: ApiSite, name: str) -> list[str]:
        return [sys.executable, "-P", "-m", "holdfast", *site.arguments(*SCENARIOS[name].command)]


def spread(points: list[ApiPoint], count: int, seeded: random.Random) -> list[ApiPoint]:
    """One at random out of each of `count` stretches."""
    edges = [round(i * len(points) / count) for i in range(count + 1)]
    return [points[seeded.randrange(a, b)] for a, b in pairwise(edges) if a < b]
