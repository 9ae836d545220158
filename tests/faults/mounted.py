"""A simulated Drive whose process is forked from a Python that has loaded the simulator, because a sweep mounts thousands."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from holdfast.simulator.control import ControlError
from holdfast.simulator.controls import Controls
from holdfast.simulator.mounting import unmount
from holdfast.simulator.setup import Setup
from tests.faults.warm_python import WarmPython

_START_SECONDS = 30.0


class Mounted(Controls):
    """Drive as one machine sees it, mounted until it is closed. Its clock is moved by hand.

    Args:
        python: Where its process is begun.
        mountpoint: A folder; made if missing.
        cloud: Folder that holds what Google has.
        seed: Of everything that is drawn.
    """

    def __init__(self, python: WarmPython, mountpoint: Path, cloud: Path, seed: int) -> None:
        # Not below the site's folder: a socket's path may only have about 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="drive-"))
        super().__init__(self._folder / "control", cloud)
        self._mountpoint = mountpoint
        mountpoint.mkdir(parents=True, exist_ok=True)
        setup = Setup(mountpoint, cloud, self.socket, seed=seed)
        self._python = python
        said = self._folder / "said"
        self._process = python.begin(["-m", "holdfast.simulator", *setup.arguments()], os.environ, said)
        os.kill(self._process, signal.SIGCONT)
        end = time.monotonic() + _START_SECONDS
        while not self._stands():
            if time.monotonic() > end:
                raise ControlError(f"nothing was mounted at {mountpoint}: {said.read_text()}")
            time.sleep(0.003)

    def _stands(self) -> bool:
        try:
            self.hanging()
        except ControlError:
            return False
        return True

    def close(self) -> None:
        """Take it away; what was not uploaded meets its fate."""
        try:
            self.disconnect()
        except ControlError:
            os.kill(self._process, signal.SIGKILL)
        self._python.end(self._process)
        unmount(self._mountpoint)
        shutil.rmtree(self._folder, ignore_errors=True)
