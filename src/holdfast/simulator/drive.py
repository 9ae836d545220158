"""A simulated Drive for tests and rehearsals: a mount in a process of its own, and the hand on its controls."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.simulator.control import ControlError
from holdfast.simulator.controls import Controls
from holdfast.simulator.fates import Fate, Lost
from holdfast.simulator.mounting import unmount
from holdfast.simulator.setup import Setup, launch, stop
from holdfast.simulator.tree import ALIAS
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Weather


class SimulatedDrive(Controls):
    """Mounts Drive as one machine sees it, and takes it away again.

    ::

        with SimulatedDrive(tmp_path / "drive", seed=7) as drive:
            (drive.my_drive / "a.txt").write_text("hello")
            drive.advance(60)
            drive.weather(death=Death.ENOTCONN)

    It is served by another process, so that no hang and no kill of it takes the test down.

    Args:
        mountpoint: A folder; made if missing.
        seed: Of everything that is drawn.
        speed: Virtual seconds in a real second; 0 for a clock that only `advance` and `drain` move.
        cloud: Folder that holds what Google has; give it to the next drive to see what a fresh machine sees. None for one
            that is deleted at the end.
        weather: To begin with; by default healthy.
        pace: Of uploads.
        quota: Bytes of the account; None for what the cloud has (15 GB at first).
    """

    def __init__(
        self,
        mountpoint: Path | str,
        *,
        seed: int = 0,
        speed: float = 0.0,
        cloud: Path | str | None = None,
        weather: Weather | None = None,
        pace: Pace | None = None,
        quota: int | None = None,
    ) -> None:
        # Not below the test's folder: a socket's path may only have about 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="drive-"))
        super().__init__(self._folder / "control", self._folder / "cloud" if cloud is None else Path(os.path.abspath(cloud)))
        self.mountpoint = Path(os.path.abspath(mountpoint))
        self._setup = Setup(
            self.mountpoint,
            self.cloud,
            self.socket,
            seed=seed,
            speed=speed,
            weather=weather or Weather(),
            pace=pace or Pace(),
            quota=quota,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def my_drive(self) -> Path:
        """The account's own folder, by the name without a space."""
        return self.mountpoint / ALIAS

    def __enter__(self) -> Self:
        try:
            self._process = launch(self._setup, detached=False)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def disconnect(self, fates: Mapping[str, Fate] | None = None) -> list[Lost]:
        """As `Controls.disconnect`; the server has ended when this returns."""
        lost = super().disconnect(fates)
        self._end()
        return lost

    def kill(self) -> None:
        """Kill the server as a crash of DriveFS: the mount stays in the mount table and answers ENOTCONN to everything.

        What was pending is missing in the cloud; nothing is torn by this.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Take everything down, whatever state it is in. A mount that still serves is disconnected."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.disconnect()
            except ControlError:
                self.kill()
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            stop(process, self.mountpoint)
        unmount(self.mountpoint)
