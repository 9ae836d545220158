"""The drive of a drill: a folder, or the simulated mount, which drops what was not uploaded when its machine goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdfast.drill.report import Traffic
from holdfast.errors import UsageError
from holdfast.session.config import MY_DRIVE

if TYPE_CHECKING:
    from holdfast.simulator import SimulatedDrive


class Drive(Protocol):
    """A drive that outlives the machines that use it. One uses it at a time."""

    @property
    def folder(self) -> Path:
        """The drive folder, as long as a machine is connected."""

    def connect(self) -> None:
        """A machine comes."""

    def disconnect(self) -> int | None:
        """The machine goes. Gives how many changes had not been uploaded; None where there is no such thing."""

    @contextlib.contextmanager
    def seen(self) -> Iterator[None]:
        """What a fresh machine sees, for a look that is not counted."""

    @property
    def traffic(self) -> Traffic:
        """Of all machines that have gone, without looks."""

    def close(self) -> None:
        """Take it down, whatever state it is in. What it holds stays in its folder."""


class FolderDrive:
    """A plain folder: what is written is there. Only what appears in it can be counted.

    Args:
        place: A folder that is not there yet.
    """

    def __init__(self, place: Path) -> None:
        self.folder = place
        place.mkdir(parents=True)
        self._before: dict[str, int] = {}
        self.traffic = Traffic(0, None)

    def connect(self) -> None:
        """See `Drive`."""
        self._before = _sizes(self.folder)

    def disconnect(self) -> None:
        """See `Drive`. A name in a store is written once, so every name that is new was sent."""
        sent = sum(size for path, size in _sizes(self.folder).items() if path not in self._before)
        self.traffic += Traffic(sent, None)

    @contextlib.contextmanager
    def seen(self) -> Iterator[None]:
        """See `Drive`."""
        yield

    def close(self) -> None:
        """See `Drive`."""


def _sizes(folder: Path) -> dict[str, int]:
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found[f"{at}/{name}"] = os.lstat(f"{at}/{name}").st_size
    return found


def simulated(place: Path, seed: int, lag: tuple[float, float] | None = None) -> Drive:
    """Colab's Drive on FUSE, in real time: uploads come later and in any order.

    Args:
        place: A folder that is not there yet; mount and cloud lie below it.
        seed: Of everything that is drawn.
        lag: Seconds, from and to, until an upload begins, with reads that take no time; None for what Drive takes.

    Raises:
        UsageError: this machine lacks what the simulator needs.
    """
    from holdfast.simulator.mounting import lacking

    if (missing := lacking()) is not None:
        raise UsageError(f"--simulate-drive: {missing}")
    return _SimulatedDrive(place, seed, lag)


class _SimulatedDrive:
    """See `simulated`."""

    def __init__(self, place: Path, seed: int, lag: tuple[float, float] | None) -> None:
        place.mkdir(parents=True)
        self._place, self._seed, self._lag = place, seed, lag
        self._drive: SimulatedDrive | None = None
        self.folder = place / "mount" / MY_DRIVE
        self.traffic = Traffic()

    def _mount(self, *, quick: bool) -> None:
        from holdfast.simulator import Latency, Pace, SimulatedDrive, Weather
        from holdfast.simulator.control import ControlError

        self._drive = SimulatedDrive(
            self._place / "mount",
            cloud=self._place / "cloud",
            seed=self._seed,
            speed=1.0,
            weather=Weather(latency=Latency(on=not quick and self._lag is None)),
            pace=Pace() if self._lag is None else Pace(lag=self._lag, creates_per_second=100.0),
        )
        try:
            self._drive.__enter__()
        except ControlError as error:
            raise UsageError(f"--simulate-drive: {error}") from error

    def connect(self) -> None:
        """See `Drive`."""
        self._mount(quick=False)

    def disconnect(self) -> int:
        """See `Drive`. What becomes of each change is drawn by seed: it arrived after all, in part, or not."""
        from holdfast.simulator import Fate

        if self._drive is None:
            return 0
        counted = self._drive.counters()
        lost = self._drive.disconnect()
        self.close()
        self.traffic += Traffic(counted["bytes_up"], counted["bytes_down"])
        return sum(change.fate is not Fate.WHOLE for change in lost)

    @contextlib.contextmanager
    def seen(self) -> Iterator[None]:
        """See `Drive`. A mount of its own, so that it warms nothing up for the machine that comes next."""
        self._mount(quick=True)
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """See `Drive`."""
        drive, self._drive = self._drive, None
        if drive is not None:
            drive.close()
