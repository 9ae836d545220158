"""One simulated mount in this process: puts the parts together, serves them, and answers the control channel."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from holdfast.simulator.clock import Clock
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.conditions import Conditions
from holdfast.simulator.control import Answer, ControlServer
from holdfast.simulator.counters import Counters
from holdfast.simulator.fates import Fate, Lost
from holdfast.simulator.machine import Machine
from holdfast.simulator.mount import Mount
from holdfast.simulator.mounting import unmount
from holdfast.simulator.setup import Setup
from holdfast.simulator.weather import Death, to_json

#: Held calls each keep a thread of the file system busy; others must still get through.
_THREADS = 100
SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Service:
    """Serves one mount until it is disconnected. The process ends with it. Its `clock` is virtual time."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        # Before any thread is made: signals go to a thread of ours, because libfuse would wait for the calls that hang.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.until(lambda: signal.sigwait(SIGNALS))
        setup.cloud.mkdir(parents=True, exist_ok=True)
        with_quota = Cloud(setup.cloud, quota=setup.quota)
        number = with_quota.begin_mount()
        with_quota.close()
        self.clock = Clock(setup.speed)
        epoch = time.time()
        self._cloud = Cloud(setup.cloud, machine=f"machine-{number}", now=lambda: epoch + self.clock.now())
        self._counters = Counters()
        self._conditions = Conditions(setup.weather, setup.seed, self.clock, self._counters)
        self._folder = setup.cloud / f"machine-{number}"
        self._folder.mkdir()
        self._machine = Machine(
            self._cloud,
            self.clock,
            self._conditions,
            self._counters,
            pace=setup.pace,
            seed=setup.seed,
            folder=self._folder,
            epoch=epoch,
            mount=number,
        )
        self._ending = threading.Lock()
        self._control = ControlServer(setup.control, self._answer)

    def run(self, announce: Callable[[], None]) -> NoReturn:
        """Mount and serve. Ends the process at a disconnect, at Ctrl-C or SIGTERM, and when somebody unmounts.

        Args:
            announce: Called once the mount stands.
        """
        from holdfast.simulator.libfuse import load

        def started() -> None:
            self._control.start()
            announce()

        load()(
            Mount(self._machine, self._conditions, self._counters, started),
            str(self._setup.mountpoint),
            foreground=True,
            fsname="drive",
            subtype="drive",
            # The kernel remembers nothing, so that the counters are exact and the weather acts at once.
            direct_io=True,
            attr_timeout=0,
            entry_timeout=0,
            negative_timeout=0,
            hard_remove=True,
            max_threads=_THREADS,
            allow_other=os.geteuid() == 0,
        )
        self.end()
        raise AssertionError("the process has ended")

    def settle(self) -> None:
        """Upload what is due by now."""
        self._machine.settle()

    def end(self) -> None:
        """Take the machine away with what is not uploaded, and end the process."""
        self._disconnect({})
        self._leave()

    def _disconnect(self, wanted: dict[str, Fate]) -> list[Lost]:
        self._ending.acquire()  # one end only: whoever comes second waits until the process is gone
        lost = self._machine.disconnect(wanted)
        self._conditions.change({"death": Death.ENOTCONN})
        unmount(self._setup.mountpoint)
        self._cloud.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._setup.control.unlink(missing_ok=True)
        return lost

    def _leave(self) -> None:
        sys.stdout.flush()
        # At once: calls that hang in libfuse's threads would keep an orderly exit waiting. The kernel fails them.
        os._exit(0)

    def until(self, ended: Callable[[], object]) -> None:
        """End when `ended` returns, so that a simulator does not outlive the one who started it."""

        def watch() -> None:
            ended()
            self.end()

        threading.Thread(target=watch, name="until", daemon=True).start()

    # --- The control channel ---

    def _answer(self, do: str, fields: dict[str, Any]) -> Answer:
        if do == "disconnect":
            lost = self._disconnect({pattern: Fate(fate) for pattern, fate in fields.get("fates", {}).items()})
            return [to_json(entry) for entry in lost], self._leave
        commands: dict[str, Callable[..., Any]] = {
            "weather": self._weather,
            "advance": self._advance,
            "drain": self._machine.drain,
            "pending": self._machine.pending,
            "release": self._conditions.release,
            "hanging": lambda: self._conditions.hanging,
            "counters": lambda reset=False: self._counters.reset() if reset else self._counters.read(),
            "state": self._state,
        }
        if do not in commands:
            raise ValueError(f"cannot do {do!r}; can do disconnect, {', '.join(commands)}")
        return commands[do](**fields), None

    def _weather(self, **fields: Any) -> Any:
        self._machine.settle()  # what was due in the old weather
        self._machine.change_weather(self._conditions.weather.changed(fields))
        self._conditions.change(fields)
        return to_json(self._conditions.weather)

    def _advance(self, seconds: float) -> float:
        self._machine.advance(seconds)
        return self.clock.now()

    def _state(self) -> dict[str, Any]:
        return {
            "now": self.clock.now(),
            "pending": self._machine.pending(),
            "hanging": self._conditions.hanging,
            "weather": to_json(self._conditions.weather),
            "counters": self._counters.read(),
        }
