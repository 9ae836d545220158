"""The simulated API in a process of its own, told by lines of JSON what goes wrong at which request.

`{"open": CLOUD}` is answered with the address of an API over that cloud, in place of the one before. `{"plan": "kill-before",
"at": 7}` arms the seventh request from then on; `{"pid": 123}` says whom a kill means; both, and anything else, are answered with
the number of requests since the last plan.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.faults import Fault, Faults, What

_FAULTS = {"lose": What.LOSE, "twice": What.TWICE}


class Plan:
    """What happens at one request."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._told = threading.Event()
        self._lock = threading.Lock()
        self.what, self.at, self.seen, self.done, self.pid = "", 0, 0, 0, 0
        faults.before, faults.after = self._before, self._after

    def begin(self, what: str, at: int) -> None:
        self._faults.clear()
        if what in _FAULTS:
            self._faults.add(Fault(_FAULTS[what], "*", skip=at - 1))
        self._told.clear()
        self.what, self.at, self.seen, self.done = what, at, 0, 0

    def whom(self, pid: int) -> None:
        self.pid = pid
        self._told.set()

    def _before(self, kind: str, number: int) -> None:
        with self._lock:
            self.seen += 1
            hit = self.seen == self.at
        if hit and self.what == "kill-before":
            self._kill()

    def _after(self, kind: str, number: int) -> None:
        with self._lock:
            self.done += 1
            hit = self.done == self.at
        if hit and self.what == "kill-after":
            self._kill()

    def _kill(self) -> None:
        self._told.wait(30)
        os.kill(self.pid, signal.SIGKILL)


def main() -> None:
    api, plan = None, Plan(Faults())
    for line in sys.stdin:
        said = json.loads(line)
        if "open" in said:
            if api is not None:
                api.close()
            faults = Faults()
            api, plan = DriveApi(Path(said["open"]), tls=False, faults=faults), Plan(faults)
            api.start()
            print(api.address, flush=True)
            continue
        if "close" in said and api is not None:
            api.close()
            api = None
        if "pid" in said:
            plan.whom(said["pid"])
        elif "plan" in said:
            plan.begin(said["plan"], said.get("at", 0))
        print(plan.seen, flush=True)


if __name__ == "__main__":
    main()
