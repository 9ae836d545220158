"""What is asked of a machine: short pieces of Python that look at files and come back, whatever the kernel has been through."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any

#: On the machine.
FOLDER = "/content/holdfast-job"
DRIVE = "/content/drive"
#: Of the log, at one look.
LOG_BYTES = 256 << 10

_LOOK = """
def _look(folder, drive, offset, most):
    import base64, fcntl, json, os, time, zlib
    def read(name):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                return json.loads(file.read())
        except (OSError, ValueError):
            return None
    os.makedirs(folder, exist_ok=True)
    running = False
    try:
        with open(os.path.join(folder, "lock"), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                running = True
    except OSError:
        pass
    beat = read("heartbeat.json") or {}
    log, size = b"", 0
    try:
        with open(os.path.join(folder, "log"), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            log = file.read(most)
    except OSError:
        pass
    spec = read("spec.json")
    return {"work": (spec or {}).get("work"), "mounted": os.path.isdir(os.path.join(drive, "MyDrive")), "running": running,
            "result": None if running else read("result.json"), "phase": beat.get("phase", ""),
            "silent": time.time() - beat["at"] if beat else 0.0, "size": size,
            "key": beat.get("key", ""), "wanted": beat.get("wanted", ""),
            "log": base64.b64encode(zlib.compress(log)).decode(), "begun": os.path.exists(os.path.join(folder, "log"))}
"""

_START = """
def _start(folder, saving):
    import fcntl, os, subprocess, sys, time
    for name in ["/result.json"] + ([] if saving else ["/stop"]):
        if os.path.exists(folder + name):
            os.unlink(folder + name)
    if saving:
        open(folder + "/stop", "w").close()
    with open(folder + "/log", "ab") as log:
        if not os.path.exists(folder + "/stdin"):
            os.mkfifo(folder + "/stdin", 0o600)
        given = os.open(folder + "/stdin", os.O_RDWR)  # so it never ends
        job = subprocess.Popen([sys.executable, "-u", folder + "/job.py"], stdin=given, stdout=log, stderr=log,
                               start_new_session=True, cwd="/content")
        os.close(given)
    for _ in range(300):  # until it holds its lock, or is over
        with open(folder + "/lock", "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        if job.poll() is not None:
            return True
        time.sleep(0.1)
    return True
"""

_HAND = """
def _hand(folder, line):
    import os
    try:
        given = os.open(folder + "/stdin", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.write(given, line.encode() + b"\\n")
    os.close(given)
    return True
"""

_UNPACK = """
def _unpack(folder, parts):
    import os, tarfile
    with open(folder + "/cargo.tar", "wb") as whole:
        for part in parts:
            with open(os.path.join(folder, part), "rb") as file:
                whole.write(file.read())
    for name in ("unpacked", "installed", "log", "result.json", "stop"):
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    with tarfile.open(folder + "/cargo.tar") as tar:
        tar.extractall(folder)
"""

_PACK = """
def _pack(folder, project, paths):
    import os, tarfile
    there = [path for path in paths if os.path.lexists(os.path.join(project, path))]
    with tarfile.open(folder + "/fetch.tar.gz", "w:gz") as tar:
        for path in there:
            tar.add(os.path.join(project, path), arcname=path)
    return {"size": os.path.getsize(folder + "/fetch.tar.gz"), "there": there}
"""


@dataclass(frozen=True)
class Seen:
    """What a look at a machine showed.

    Args:
        work: The number of the work that was sent there; empty where none was.
        mounted: Drive is.
        running: Something of the job lives.
        begun: It was started once.
        phase: What it does.
        silent: Seconds since its last heartbeat, by the machine's own clock.
        result: Its proof: `code`, `safe`, `phase`, `stopped`.
        log: New bytes of its log.
        key: Of the job, to seal a token for.
        wanted: Why it wants one; empty where it does not.
        size: Bytes of all of it.
    """

    work: str = ""
    mounted: bool = False
    running: bool = False
    begun: bool = False
    phase: str = ""
    silent: float = 0.0
    result: dict[str, Any] | None = None
    log: bytes = field(default=b"", repr=False)
    key: str = field(default="", repr=False)
    wanted: str = ""
    size: int = 0


def look(offset: int) -> str:
    """How the job is, and what is new in its log."""
    return f"{_LOOK}\ntell(_look({FOLDER!r}, {DRIVE!r}, {offset}, {LOG_BYTES}))"


def seen_in(told: object) -> Seen | None:
    """What `look` told."""
    if not isinstance(told, dict):
        return None
    return Seen(
        work=str(told.get("work") or ""),
        mounted=bool(told.get("mounted")),
        running=bool(told.get("running")),
        begun=bool(told.get("begun")),
        phase=str(told.get("phase", "")),
        silent=float(told.get("silent", 0.0)),
        result=told["result"] if isinstance(told.get("result"), dict) else None,
        log=zlib.decompress(base64.b64decode(told["log"])) if told.get("log") else b"",
        key=str(told.get("key", "")),
        wanted=str(told.get("wanted", "")),
        size=int(told.get("size", 0)),
    )


def start() -> str:
    """Start the job, detached."""
    return f"{_START}\ntell(_start({FOLDER!r}, False))"


def hand(sealed: str) -> str:
    """Give the job a line on its standard input, which is a pipe: nothing of it is written anywhere."""
    return f"{_HAND}\ntell(_hand({FOLDER!r}, {sealed!r}))"


def unpack(parts: list[str]) -> str:
    """Unpack what was sent, and start the job."""
    return f"{_UNPACK}\n_unpack({FOLDER!r}, {parts!r})\n{start()}"


def save() -> str:
    """Start the job without its work: it only waits until all is safe."""
    return f"{_START}\ntell(_start({FOLDER!r}, True))"


def stop() -> str:
    """Have the job end its work, keep what it has, and leave its proof."""
    return f"open({FOLDER + '/stop'!r}, 'w').close()\ntell(True)"


def pack(project: str, paths: tuple[str, ...]) -> str:
    """Pack paths of the project, to be fetched."""
    return f"{_PACK}\ntell(_pack({FOLDER!r}, {project!r}, {list(paths)!r}))"
