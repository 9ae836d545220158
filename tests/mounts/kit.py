"""Real mounts of other kinds than Drive's, each from Debian's package, over a folder or a server on this machine."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.session.attach import open_keeper
from holdfast.session.doctor import Finding, examine
from holdfast.session.keeper import Keeper

SSHD = "/usr/sbin/sshd"
#: Commands that a kind needs.
NEEDED = {
    "rclone": ("rclone",),
    "rclone-cached": ("rclone",),
    "sshfs": ("sshfs", "ssh-keygen", SSHD),
    "davfs": ("mount.davfs", "rclone"),
    "gocryptfs": ("gocryptfs",),
    "bindfs": ("bindfs",),
    "mergerfs": ("mergerfs",),
}
PROJECT = "proj"
#: What the mounts here may remember; told to each, and to Holdfast where it matters.
REMEMBERS = 2


@dataclass(frozen=True)
class Tried:
    """A mount for a test.

    Args:
        kind: Key of `NEEDED`.
        point: Where it is mounted.
        below: The folder that it shows, or its server does, past the mount. Of gocryptfs it holds what is encrypted.
        again: Mounts the same once more, as another machine would.
        settle: Returns once everything that was written is in the folder below.
    """

    kind: str
    point: Path
    below: Path
    again: Callable[[], Path]
    settle: Callable[[], None]


def is_there(kind: str) -> bool:
    return all(shutil.which(command) for command in NEEDED[kind])


def until(true: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def is_mounted(point: Path) -> bool:
    return any(line.split(" ")[4] == str(point) for line in Path("/proc/self/mountinfo").read_text().splitlines())


@contextmanager
def server(*command: str, port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), f"{command[0]} listens")
        yield
    finally:
        process.terminate()
        process.wait(30)


class Mounts:
    """Makes mounts of one kind over one folder, and takes them down."""

    def __init__(self, folder: Path, kind: str, stack: ExitStack) -> None:
        self.folder, self.kind, self._stack = folder, kind, stack
        self.below = folder / "below"
        self.below.mkdir(parents=True)
        self._count = 0
        self._points: list[Path] = []
        self._port = free_port()
        if kind == "gocryptfs":
            (folder / "password").write_text("secret\n")
            self._run("gocryptfs", "-init", "-q", "-scryptn", "10", "-passfile", str(folder / "password"), str(self.below))
        if kind == "sshfs":
            stack.enter_context(self._sshd())
        if kind == "davfs":
            serve = ("rclone", "serve", "webdav", str(self.below), "--addr", f"127.0.0.1:{self._port}", "--dir-cache-time", "0s")
            stack.enter_context(server(*serve, port=self._port))

    def mount(self) -> Path:
        self._count += 1
        point = self.folder / f"mount-{self._count}"
        point.mkdir()
        self._run(*self._command(point))
        until(lambda: is_mounted(point), f"{self.kind} is mounted")
        self._points.append(point)
        self._stack.callback(self._take_down, point)
        return point

    def settle(self) -> None:
        """rclone's cache and davfs send what was closed some seconds later; unmounting waits for it only with the second."""
        if self.kind == "rclone-cached":
            until(lambda: not list(self._dirty()), "rclone has sent all")
        if self.kind == "davfs":
            for point in self._points:
                if is_mounted(point):
                    self._take_down(point)

    def _dirty(self) -> Iterator[Path]:
        for meta in self.folder.glob("cache-*/vfsMeta/**/*"):
            if meta.is_file() and '"Dirty": true' in meta.read_text().replace('"Dirty":true', '"Dirty": true'):
                yield meta

    def _take_down(self, point: Path) -> None:
        if not is_mounted(point):
            return
        if self.kind == "davfs":  # waits until all is sent
            self._run("umount", str(point))
        else:
            subprocess.run(("fusermount3", "-u", "-z", str(point)), check=True, timeout=60)

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def _command(self, point: Path) -> tuple[str, ...]:
        below, at = str(self.below), str(point)
        if self.kind.startswith("rclone"):
            cache = ("--cache-dir", str(self.folder / f"cache-{self._count}"))
            mode = ("--vfs-cache-mode", "writes", "--vfs-write-back", "1s") if self.kind == "rclone-cached" else ()
            config = self.folder / "rclone.conf"
            config.write_text("[here]\ntype = local\n")
            return ("rclone", "--config", str(config), "mount", f"here:{below}", at, "--daemon", *cache, *mode, *self.options)
        if self.kind == "sshfs":
            keys = f"IdentityFile={self.folder / 'user'},StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,LogLevel=ERROR"
            return (
                "sshfs",
                "-p",
                str(self._port),
                "-o",
                keys,
                "-o",
                f"dcache_timeout={REMEMBERS}",
                f"{getpass.getuser()}@127.0.0.1:{below}",
                at,
            )
        if self.kind == "davfs":
            return ("mount.davfs", "-o", f"conf={self._davfs_settings()}", f"http://127.0.0.1:{self._port}/", at)
        if self.kind == "gocryptfs":
            return ("gocryptfs", "-q", "-passfile", str(self.folder / "password"), below, at)
        return (self.kind, below, at)

    #: More for rclone's command line.
    options: tuple[str, ...] = ("--dir-cache-time", f"{REMEMBERS}s")

    def _davfs_settings(self) -> Path:
        place, secrets, cache = (self.folder / name for name in ("davfs2.conf", "secrets", "cache"))
        secrets.touch(mode=0o600)
        cache.mkdir(exist_ok=True)
        cache.chmod(0o777)
        for above in (cache, *cache.parents):  # mount.davfs goes on as a user of its own
            if Path(tempfile.gettempdir()) in above.parents:
                above.chmod(above.stat().st_mode | 0o011)
        place.write_text(  # with a smaller buf_size it lists nothing on new kernels
            f"secrets {secrets}\ncache_dir {cache}\nask_auth 0\nuse_locks 0\nbuf_size 64\ndir_refresh {REMEMBERS}\ndelay_upload 1\n"
        )
        return place

    @contextmanager
    def _sshd(self) -> Iterator[None]:
        for name in ("host", "user"):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
        settings = self.folder / "sshd_config"
        settings.write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {self.folder / 'host'}\n"
            f"AuthorizedKeysFile {self.folder / 'user.pub'}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "Subsystem sftp internal-sftp\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        with server(SSHD, "-D", "-f", str(settings), port=self._port):
            yield


@contextmanager
def tried(folder: Path, kind: str, *, options: tuple[str, ...] | None = None) -> Iterator[Tried]:
    """A mount of one kind."""
    with ExitStack() as stack:
        made = Mounts(folder, kind, stack)
        if options is not None:
            made.options = options
        yield Tried(kind, made.mount(), made.below, made.mount, made.settle)


# -- one machine that uses it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A project on a machine of its own, as the command sees it."""

    root: Path
    drive: Path

    def write(self, path: str, content: str | bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def settings(self, **drive: object) -> None:
        (self.root / "config").mkdir(parents=True, exist_ok=True)
        (self.root / "config" / "paths.yaml").write_text(json.dumps({"drive": {"backup_base_dir": PROJECT, **drive}}))

    def holdfast(self, *words: str) -> tuple[int, str]:
        """Exit code, and what was said."""
        command = (sys.executable, "-c", "from holdfast.cli import main; main()", *words, "--drive", str(self.drive))
        done = subprocess.run(command, check=False, cwd=self.root, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def keeper(self) -> Keeper:
        """A session of its own, as a new process has it."""
        return open_keeper(self.root, self.drive)

    def doctor(self) -> dict[str, Finding]:
        return {finding.topic: finding for finding in examine(self.keeper())}

    def killed_in_a_backup(self, path: str, when: str) -> None:
        """A backup of which the process is killed in the middle of writing a file with this in its path."""
        command = (sys.executable, "-c", KILLED, str(self.drive), path, when)
        done = subprocess.run(command, check=False, cwd=self.root, capture_output=True, text=True, timeout=300)
        assert done.returncode == -signal.SIGKILL, done


KILLED = """
import os, signal, sys
from holdfast.session.attach import open_keeper
from holdfast.store.backends.wrappers import Faulty

class Killed(Faulty):
    def create(self, path, source):
        def cut():
            for chunk in source():
                yield chunk[: len(chunk) // 2]
                os.kill(os.getpid(), signal.SIGKILL)
        super().create(path, cut if sys.argv[3] in path else source)

keep = open_keeper(drive=sys.argv[1])
keep.store.backend = Killed(keep.store.backend, lambda operation, path: None)
keep.backup(sys.argv[2])
"""


def site(folder: Path, drive: Path, **settings: object) -> Site:
    made = Site(folder, drive)
    folder.mkdir(parents=True)
    made.settings(**settings)
    return made
