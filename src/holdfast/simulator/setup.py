"""What one simulated mount is made of, and starting the process that serves it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.simulator.control import ControlError, ask
from holdfast.simulator.mounting import lacking, unmount
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Weather, to_json

_START_SECONDS = 30.0


@dataclass(frozen=True)
class Setup:
    """What to serve, and how.

    Args:
        mountpoint: An existing folder.
        cloud: Folder that holds what Google has.
        control: Path of the control socket.
        seed: Of everything that is drawn.
        speed: Virtual seconds in a real second; 0 for a clock that is moved by hand.
        weather: To begin with.
        pace: Of uploads.
        quota: Bytes of the account; None to keep what the cloud has.
    """

    mountpoint: Path
    cloud: Path
    control: Path
    seed: int = 0
    speed: float = 0.0
    weather: Weather = field(default_factory=Weather)
    pace: Pace = field(default_factory=Pace)
    quota: int | None = None

    def arguments(self) -> list[str]:
        """The command line of `python -m holdfast.simulator` that serves this."""
        options = {
            "--cloud": str(self.cloud),
            "--control": str(self.control),
            "--seed": str(self.seed),
            "--speed": str(self.speed),
            "--weather": json.dumps(to_json(self.weather)),
            "--pace": json.dumps(to_json(self.pace)),
            **({} if self.quota is None else {"--quota": str(self.quota)}),
        }
        return [str(self.mountpoint), *(part for option in options.items() for part in option)]


def launch(setup: Setup, *, detached: bool) -> subprocess.Popen[bytes]:
    """Start a process that serves a mount, and wait until the mount stands.

    Args:
        setup: What to serve.
        detached: Whether it goes on when this process ends, however that happens.

    Raises:
        ControlError: it could not be mounted, with what the process wrote.
    """
    if (missing := lacking()) is not None:
        raise ControlError(f"nothing was mounted at {setup.mountpoint}: {missing}")
    setup.mountpoint.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "holdfast.simulator", *setup.arguments()]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own words
            command if detached else [*command, "--until-stdin-closes"],
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in a terminal is for the client, not for Drive
        )
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                ask(setup.control, "hanging")
            except ControlError as error:
                if process.poll() is None and time.monotonic() < end:
                    time.sleep(0.005)
                    continue
                stop(process, setup.mountpoint)
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise ControlError(f"nothing was mounted at {setup.mountpoint}: {said or error}") from error
            return process


def stop(process: subprocess.Popen[bytes], mountpoint: Path) -> None:
    """Have the process gone and nothing mounted, whatever state they are in."""
    if process.stdin is not None:
        process.stdin.close()
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    else:
        process.kill()
    process.wait()
    unmount(mountpoint)
