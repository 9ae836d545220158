"""What the tests of the simulator share."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.simulator import SimulatedDrive


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which(command[0]), f"this test runs {command[0]}: apt-get install attr fuse3 rclone"
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)


def error_of(call: Callable[[], Any]) -> int:
    """The errno that a call fails with; 0 where it works."""
    try:
        call()
    except OSError as error:
        return error.errno or -1
    return 0


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that another thread or process is about to do. The limit is for tests that are broken."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.002)


class Aside:
    """A call in another thread, for calls that hang."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001 - the test looks at it in its own thread
            self.error = error

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()


def attribute(path: Path, name: str) -> str:
    return os.getxattr(path, f"user.drive.{name}").decode()


def write(drive: SimulatedDrive, path: str, content: bytes = b"content") -> Path:
    place = drive.my_drive / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place
