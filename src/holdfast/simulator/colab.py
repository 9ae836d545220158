"""A `google.colab` package that mounts the simulator, for this process, its subprocesses and notebook kernels.

Its settings lie in a file that is read at every call, so that a test can change them while a kernel runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.simulator.control import ControlError
from holdfast.simulator.controls import Controls
from holdfast.simulator.mounting import unmount
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Weather, to_json


class Consent(enum.Enum):
    """What the person at the browser does."""

    GIVEN = "given"
    HANGS = "hangs"  #: nobody answers; the call ends when it is interrupted, or when consent is given
    REFUSED = "refused"


class Mounting(enum.Enum):
    """How the mount itself goes."""

    WORKS = "works"
    FAILS = "fails"
    TIMES_OUT = "times-out"
    STALLS = "stalls"  #: DriveFS does not come up: `pexpect.TIMEOUT`


class Flush(enum.Enum):
    """What `flush_and_unmount` does (ct#2683, ct#4773)."""

    DRAINS = "drains"  #: everything is uploaded, the clock moves on by what that takes
    SLOW = "slow"  #: waits for the uploads in their own time
    RAISES = "raises"
    HANGS = "hangs"


@dataclass(frozen=True)
class Settings:
    """How the fake `google.colab` behaves, and what it mounts.

    Args:
        cloud: Folder that holds what Google has.
        control: Path of the control socket of what it mounts.
        seed, speed, weather, pace, quota: As for `SimulatedDrive`.
        consent, mounting, flush: As they say.
        enterprise: Whether this is Colab Enterprise, which has no Drive.
        needs_kernel: Whether mounting works in a notebook kernel only, as on a real machine.
    """

    cloud: Path
    control: Path
    seed: int = 0
    speed: float = 0.0
    weather: Weather = field(default_factory=Weather)
    pace: Pace = field(default_factory=Pace)
    quota: int | None = None
    consent: Consent = Consent.GIVEN
    mounting: Mounting = Mounting.WORKS
    flush: Flush = Flush.DRAINS
    enterprise: bool = False
    needs_kernel: bool = False

    def changed(self, fields: Mapping[str, Any]) -> Settings:
        """The same with some fields changed."""
        return dataclasses.replace(self, **fields)

    def write(self, place: Path) -> None:
        """Keep them in a file; a reader sees the old ones or the new ones."""
        fields = {**to_json(self), "cloud": str(self.cloud), "control": str(self.control)}
        fresh = place.with_suffix(".new")
        fresh.write_text(json.dumps(fields), encoding="utf-8")
        fresh.replace(place)

    @classmethod
    def read(cls, place: Path) -> Settings:
        """Those that `write` kept."""
        fields = json.loads(place.read_text(encoding="utf-8"))
        return cls(
            **{
                **fields,
                "cloud": Path(fields["cloud"]),
                "control": Path(fields["control"]),
                "weather": Weather().changed(fields["weather"]),
                "pace": Pace(**{**fields["pace"], "lag": tuple(fields["pace"]["lag"])}),
                "consent": Consent(fields["consent"]),
                "mounting": Mounting(fields["mounting"]),
                "flush": Flush(fields["flush"]),
            }
        )


_PACKAGE = {
    "__init__.py": "from google.colab import _message, drive, runtime\n",
    "_message.py": "from holdfast.simulator.colab_drive import MessageError\n",
    "drive.py": (
        "import pathlib\n"
        "from holdfast.simulator.colab_drive import ColabDrive\n"
        "_drive = ColabDrive(pathlib.Path(__file__).resolve().parents[2])\n"
        "mount = _drive.mount\n"
        "flush_and_unmount = _drive.flush_and_unmount\n"
    ),
    "runtime.py": ("import pathlib\ndef unassign():\n    (pathlib.Path(__file__).resolve().parents[2] / 'released').touch()\n"),
}


class FakeColab:
    """Lays out a fake `google.colab` in a folder, and takes down what was mounted through it.

    ::

        with FakeColab(cloud=tmp_path / "cloud") as colab, colab.installed():
            from google.colab import drive
            drive.mount("/content/drive")
            colab.drive.weather(death=Death.ENOENT)

    Args:
        cloud: Folder that holds what Google has.
        fields: Other fields of `Settings`.
    """

    def __init__(self, *, cloud: Path, **fields: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="colab-"))
        self._settings = Settings(Path(os.path.abspath(cloud)), self.folder / "control").changed(fields)
        self.drive = Controls(self._settings.control, self._settings.cloud)
        package = self.folder / "google" / "colab"  # no __init__ in `google`: others share that name
        package.mkdir(parents=True)
        for name, text in _PACKAGE.items():
            (package / name).write_text(text, encoding="utf-8")
        self.set()

    def set(self, **fields: Any) -> None:
        """Change how it behaves, for every process that uses it."""
        self._settings = self._settings.changed(fields)
        self._settings.write(self.folder / "settings.json")

    @property
    def asked(self) -> bool:
        """Whether anybody was asked for consent yet."""
        return (self.folder / "asked").exists()

    @property
    def released(self) -> bool:
        """Whether the machine was given back (`google.colab.runtime.unassign`). The process goes on, so that a test can look."""
        return (self.folder / "released").exists()

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a subprocess or kernel that shall take itself for a Colab machine."""
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        found = {"PYTHONPATH": os.pathsep.join(paths), "COLAB_RELEASE_TAG": "release-colab-simulated"}
        return {**found, "VERTEX_PRODUCT": "COLAB_ENTERPRISE"} if self._settings.enterprise else found

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Have `google.colab` importable in this process."""
        _forget()
        sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(self.folder))
            _forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take down what is mounted, and remove the package."""
        with contextlib.suppress(ControlError):  # nothing is mounted, or what served it is dead
            self.drive.disconnect()
        for place in mountpoints(self.folder):
            unmount(place)
        shutil.rmtree(self.folder, ignore_errors=True)


def mountpoints(folder: Path) -> list[Path]:
    """Where the fake package in this folder has mounted."""
    place = folder / "mountpoints"
    return [Path(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.exists() else []


def _forget() -> None:
    for name in [name for name in sys.modules if name == "google.colab" or name.startswith("google.colab.")]:
        del sys.modules[name]
    google = sys.modules.get("google")
    if google is not None and hasattr(google, "colab"):
        del google.colab
