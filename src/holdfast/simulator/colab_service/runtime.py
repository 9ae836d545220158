"""One machine: processes in a namespace of their own, with a root of their own in which `/content` begins empty."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

from holdfast.simulator.colab import FakeColab
from holdfast.simulator.colab_service.package import lay_out
from holdfast.simulator.colab_service.relay import Line, Relay
from holdfast.simulator.control import ControlError, ask

__all__ = ["Line", "Runtime", "lay_out_packages"]

# Runs as the first process of the namespace. What is mounted here vanishes with it, and every other process in it dies with it.
_BOOT = r"""
set -eu
root=$1 content=$2 home=$3; shift 3
mount --make-rprivate /
# A new machine has no Drive that was mounted outside, and keeps none in use that goes there.
mounts=$(cat /proc/mounts)
while read -r _ place kind _; do
    case $kind:$place in fuse*:"${TMPDIR:-/tmp}"/*) umount -l "$(printf %b "$place")" || : ;; esac
done <<< "$mounts"
mount -t tmpfs tmpfs "$root"
for entry in /*; do
    case $entry in /proc|/content|/lost+found) continue ;; esac
    if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"
    fi
done
mkdir "$root/proc" "$root/content"
mount -t proc proc "$root/proc"
mount --bind "$content" "$root/content"
exec chroot "$root" bash -c 'cd /content; "$@" & while :; do sleep 1000 & wait $! || :; done' bash "$@"
"""


class Runtime:
    """A machine that runs until it vanishes.

    Args:
        folder: Of its own; what it leaves is removed with it.
        endpoint: Its name.
        accelerator: What it has: `NONE`, `T4`.
        packages: The folder with the packages that are installed on every machine.
        cloud: What Google has of the account's Drive.
        drive: Fields of the fake `google.colab`, such as the weather of its Drive.
        token_seconds: How long a token is good.
        variables: Of its environment besides.
    """

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        accelerator: str,
        packages: Path,
        cloud: Path,
        drive: dict[str, object],
        token_seconds: float,
        variables: dict[str, str],
    ) -> None:
        self.endpoint, self.accelerator = endpoint, accelerator
        self.folder = folder
        self.content = folder / "content"
        for place in (self.content, folder / "root", folder / "home"):
            place.mkdir(parents=True)
        self._token_seconds = token_seconds
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()
        self.colab = FakeColab(cloud=cloud, **drive)
        lay_out(self.colab.folder / "google" / "colab")
        python = _python_of(folder / "python", packages)
        port = _free_port()
        server = [str(python), "-m", "jupyter_server", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", *_SERVER]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "HOLDFAST_", "JUPYTER"))}
        environment |= {**self.colab.environment, "PYTHONPATH": str(self.colab.folder), "HOME": str(folder / "home")}
        environment |= variables
        environment |= {"PATH": f"{python.parent}:{os.environ.get('PATH', '')}", "COLAB_GPU": "" if accelerator == "NONE" else "1"}
        with (folder / "server.log").open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - of a test's own
                ["unshare", "--mount",  # noqa: S607
                  "--pid", "--fork", "--kill-child", "bash", "-c", _BOOT, "bash", str(folder / "root"),
                 str(self.content), str(folder / "home"), *server],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip
        self.relay = Relay(port, self._good)
        self._port = port

    @property
    def url(self) -> str:
        """Where its server is reached."""
        return f"http://127.0.0.1:{self.relay.port}"

    def wait_until_up(self, seconds: float = 180.0) -> None:
        """Wait until its server answers.

        Raises:
            RuntimeError: it did not come up; its log says why.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.endpoint} did not come up: {(self.folder / 'server.log').read_text(errors='replace')[-2000:]}")

    def token(self, speed: float = 1.0) -> tuple[str, int]:
        """A new token for it, and how many seconds it is good."""
        made = secrets.token_hex(12)
        with self._lock:
            self._tokens[made] = time.monotonic() + self._token_seconds / speed
        return made, int(self._token_seconds)

    def _good(self, token: str) -> bool:
        with self._lock:
            return self._tokens.get(token, 0.0) > time.monotonic()

    def processes(self) -> dict[int, str]:
        """Its processes and their command lines, by their number outside."""
        first = self._first()
        if first is None:
            return {}
        space = os.readlink(f"/proc/{first}/ns/pid")
        found = {}
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.readlink(f"/proc/{name}/ns/pid") == space:
                    found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def _first(self) -> int | None:
        try:
            return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0])
        except (OSError, IndexError):
            return None

    def kill(self, words: str) -> list[int]:
        """SIGKILL those of its processes whose command line has these words. Returns their numbers."""
        killed = [number for number, line in self.processes().items() if words in line and number != self._first()]
        for number in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return killed

    def end(self) -> None:
        """It is gone at once: work first, then what DriveFS had not uploaded, then all the rest and its folder."""
        self.relay.close()
        first = self._first()
        for number, line in self.processes().items():
            if number != first and "holdfast.simulator" not in line:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        with contextlib.suppress(ControlError):
            ask(self.colab.folder / "control", "disconnect", timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.colab.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_SERVER = (
    "--allow-root",
    "--no-browser",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.root_dir=/",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.allow_origin=*",
    "--ServerApp.terminals_enabled=False",
    "--ContentsManager.allow_hidden=True",
)


def lay_out_packages(folder: Path) -> Path:
    """The packages that every machine has: those of this Python, but for holdfast, which is to be installed there.

    Returns:
        The folder that holds links to them.
    """
    folder.mkdir(parents=True)
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith(("holdfast", "__editable__", "_editable", "__pycache__")) and entry.suffix != ".pth":
                with contextlib.suppress(FileExistsError):
                    (folder / entry.name).symlink_to(entry)
    return folder


def _python_of(folder: Path, packages: Path) -> Path:
    import venv

    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "machine.pth").write_text(f"{packages}\n", encoding="utf-8")
    return folder / "bin" / "python"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
