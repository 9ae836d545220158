"""Runs on the machine, detached from any connection: unpacks and installs, works, waits until all is safe, and leaves a proof.

Nothing but Python's own library, because nothing else is there yet. What is known of it from outside is a lock, held as long as
anything of it lives, a heartbeat, a log, and a result, which is written last.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import IO, Any

_BEAT_SECONDS = 2.0
_ATTEMPTS = 20
#: What tools keep for themselves, beside all that begins with a dot.
_NOBODYS = ("__pycache__", "holdfast-aside")
_TOLD = 5


class Job:
    """The work of one machine.

    Args:
        folder: Where its files lie.
        lock: Held by it and by all that it starts.
    """

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        self._folder, self._lock = folder, lock
        self._spec: dict[str, Any] = json.loads((folder / "spec.json").read_bytes())
        self._phase = "begin"
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._handed: Any = None
        self._variables: dict[str, str] = {}

    def run(self) -> None:
        """All of it, from top to bottom."""
        threading.Thread(target=self._beat, daemon=True).start()
        code = self._prepare()
        if code == 0 and self._spec["by_api"]:
            self._reach_by_api()
        if code == 0 and (self._folder / "stop").exists():
            self._phase, self._stopped, code = "work", True, 1
        elif code == 0:
            code = self._do("work", self._spec["command"], self._spec["project"])
        safe, end = True, os.fstat(1).st_size
        if self._phase == "work":
            unsafe = self._folder / "unsafe.json"
            unsafe.unlink(missing_ok=True)
            finish = [sys.executable, "-m", "holdfast.unattended.safe", str(self._spec["wait"]), str(unsafe)]
            for path in self._spec["fetch"] if code == 0 else ():
                if _is_below(path, self._spec["outputs"]):
                    self._do("fetch", [sys.executable, "-m", "holdfast", "ensure", path], self._spec["project"])
            safe = self._do("safe", finish, self._spec["project"]) == 0
        phase = "work" if self._phase in ("fetch", "safe") else self._phase
        result = {"code": code, "safe": safe, "phase": phase, "stopped": self._stopped, "at": time.time(), "end": end}
        result["outside"], result["outsides"] = self._outside([] if code or self._stopped else self._spec["fetch"])
        self._write("result.json", {**result, **({} if safe else _read(self._folder / "unsafe.json"))})

    def _prepare(self) -> int:
        project = Path(self._spec["project"])
        if not (self._folder / "unpacked").exists():
            self._phase = "unpack"
            project.mkdir(parents=True, exist_ok=True)
            with tarfile.open(self._folder / "project.tar.gz") as tar:
                tar.extractall(project, filter="data")
            self._write("sent.json", _beside(self._spec["outputs"], project))
            (self._folder / "unpacked").touch()
        if (self._folder / "installed").exists():
            return 0
        wheel = next(self._folder.glob("*.whl"))
        code = self._do(
            "install", [sys.executable, "-m", "pip", "install", "-q", f"{wheel}{self._spec['extras']}"], str(self._folder)
        )
        if code == 0:
            (self._folder / "installed").touch()
        return code

    def _outside(self, fetched: list[str]) -> tuple[list[str], int]:
        """A few of the files that the work wrote where nothing keeps them, and how many there are."""
        sent, now = _read(self._folder / "sent.json"), _beside(self._spec["outputs"], Path(self._spec["project"]))
        found = sorted(path for path, look in now.items() if sent.get(path) != look)
        found = [path for path in found if not any(_is_below(path, place) for place in fetched)]
        return found[:_TOLD], len(found)

    def _reach_by_api(self) -> None:
        """Have what is started here find Drive by its API, with a token that is handed over and stays in memory."""
        importlib.invalidate_caches()
        from holdfast.unattended.handed import Handed  # it is installed by now

        place = self._folder / "tokens"
        self._handed = Handed(0, place)
        self._variables = {"HOLDFAST_DRIVE": "gdrive:", "HOLDFAST_DRIVE_TOKENS": str(place)}
        self._phase = "token"
        end = time.monotonic() + self._spec["wait"]
        while not self._handed.has_one and time.monotonic() < end:
            time.sleep(0.2)

    def _do(self, phase: str, command: list[str], place: str) -> int:
        self._phase = phase
        if command[0] in ("python", "python3"):
            command = [sys.executable, *command[1:]]
        try:
            self._child = subprocess.Popen(  # noqa: S603
                command,
                cwd=place,
                stdin=subprocess.DEVNULL,
                pass_fds=[self._lock.fileno()],
                env={**os.environ, **self._variables},
            )
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", flush=True)  # noqa: T201 - into the log
            return 127
        code = self._child.wait()
        self._child = None
        return code if code >= 0 else 128 - code

    def _beat(self) -> None:
        while True:
            self._write(
                "heartbeat.json", {"at": time.time(), "phase": self._phase, **(self._handed.told() if self._handed else {})}
            )
            child = self._child
            if (self._folder / "stop").exists() and child is not None and self._phase in ("install", "work") and not self._stopped:
                self._stopped = True
                child.send_signal(signal.SIGTERM)
            time.sleep(_BEAT_SECONDS)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        fresh = self._folder / f"{name}.new"
        with fresh.open("w") as file:
            file.write(json.dumps(content))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / name)


def _is_below(path: str, place: str) -> bool:
    path, place = os.path.normpath(path), os.path.normpath(place)
    return place in (".", path) or path.startswith(f"{place}/")


def _beside(outputs: str, project: Path) -> dict[str, list[int]]:
    """Size and time of the files of the project outside of its outputs, by path; without those whose name begins with a dot."""
    found = {}
    for folder, folders, files in os.walk(project):
        above = os.path.relpath(folder, project)
        paths = {name: os.path.normpath(f"{above}/{name}") for name in (*folders, *files) if not name.startswith(".")}
        folders[:] = [f for f in folders if f in paths and f not in _NOBODYS and paths[f] != os.path.normpath(outputs)]
        for name in files:
            with contextlib.suppress(OSError):  # gone, or no file that is kept anywhere
                if name in paths:
                    look = os.lstat(os.path.join(folder, name))
                    found[paths[name]] = [look.st_size, look.st_mtime_ns]
    return found


def _read(place: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(place.read_bytes())
    except (OSError, ValueError):  # it did not get to that
        return {}
    return found


def main() -> None:
    """Work, unless another is at it."""
    folder = Path(__file__).resolve().parent
    lock = (folder / "lock").open("ab")
    for attempt in range(_ATTEMPTS):  # a look holds it for a moment
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if attempt == _ATTEMPTS - 1:
                return
            time.sleep(0.1)
    (folder / "result.json").unlink(missing_ok=True)
    print("the job begins", flush=True)  # noqa: T201 - into the log
    Job(folder, lock).run()


if __name__ == "__main__":
    main()
