"""The `colab` command as it is: one call a method, each with a clock of ours around it. Nothing else here knows it.

It sits out connections that are dead, forgets machines that live, and gives status 0 for what failed. So a call that is too late is
ended, what it says is read (`told`), and what it forgets is written into its records again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import UsageError
from holdfast.platform import try_lock
from holdfast.unattended.told import GPUS, NONE, Assigned, Outcome, Told, assigned_in, balance_in, of_any, said

#: Seconds that a call may take. The command's own start is 5 s of a busy core.
_SHORT, _LONG, _TAKING = 120.0, 600.0, 420.0
#: Colab's own mounting gives up after 120 s; the command waits far longer, also on a machine that is gone.
_MOUNTING = 180.0
_OLDEST = (0, 7, 5)
_POLL = 0.1
#: So often the service is to say that it has a machine still, or to say nothing, until that is believed.
_TRIES = 3
#: As a shell says it of a program that it cannot run.
_NOT_RUN = 127
#: Around what a snippet prints, so that whatever else is printed is not taken for it.
_BEGIN, _END = "<<holdfast:", ":holdfast>>"
#: A file goes over as one JSON document, which both ends hold in memory.
PART_BYTES = 16 << 20


class ColabCommand:
    """The command, with records of its own.

    Args:
        program: Its path.
        records: The file in which it keeps the machines of this project.
        auth: How it signs in, `oauth2` or `adc`.
        slow: Every limit is taken so many times.
    """

    def __init__(self, program: str, records: Path, auth: str = "oauth2", slow: float = 1.0) -> None:
        self.program, self._records, self._auth, self._slow = program, records, auth, slow
        by = "sign in with `gcloud auth application-default login`" if auth == "adc" else "run `colab sessions` once by hand"
        #: What is said where nobody is signed in.
        self.signed_out = f"not signed in: {by}"

    # --- Before anything ---

    def version(self) -> str:
        """Which one it is.

        Raises:
            UsageError: too old.
        """
        text, _, _ = self._call(["version"], _SHORT)
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
        if found is None:
            raise UsageError(
                f"{self.program} does not tell its version ({said(text)}); install it anew: uv tool install google-colab-cli"
            )
        if tuple(map(int, found.groups())) < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise UsageError(f"{self.program} is version {found[0]}, and {oldest} is needed; uv tool upgrade google-colab-cli")
        return found[0]

    def usage(self) -> tuple[float, float] | None:
        """The account's compute units, and what it spends of them an hour; None where that could not be had."""
        text, _, _ = self._call(["usage"], _SHORT)
        return balance_in(text)

    # --- Machines ---

    def machines(self) -> list[Assigned] | Told:
        """What the service says that this account has, or how asking went."""
        text, in_time, status = self._call(["sessions"], _SHORT)
        told = of_any(text, in_time=in_time, status=status, proof="")
        if told.outcome is Outcome.SIGNED_OUT:
            return told  # it says "none" then, and status 0: that is no answer
        if not in_time or status != 0:
            return told
        found = assigned_in(text)
        return Told(Outcome.BROKEN, text, f"it does not list machines as is known: {said(text)}") if found is None else found

    def take(self, name: str, accelerator: str) -> Told:
        """Take a machine. `endpoint` has what it is called then."""
        option = [] if accelerator == NONE else ["--gpu" if accelerator in GPUS else "--tpu", accelerator]
        with self._records.with_suffix(".taking").open("ab") as lock:
            try_lock(lock)
            text, in_time, status = self._call(["new", "-s", name, *option], _TAKING, lock=lock.fileno())
        told = of_any(text, in_time=in_time, status=status, proof="Session READY")
        if told.outcome is Outcome.FAILED and re.search(
            r"\b(50\d|429)\b|Service Unavailable|Too Many Requests|timed out|Gateway", text
        ):
            return Told(Outcome.NO_MACHINE, text, told.line)
        if told.outcome is Outcome.FAILED and "Forbidden" in text:
            return Told(Outcome.NO_RIGHT, text, told.line)
        return told

    def being_taken(self) -> bool:
        """Whether a command that takes a machine lives still: it outlives the supervisor that began it."""
        try:
            with self._records.with_suffix(".taking").open("rb") as lock:
                return not try_lock(lock)
        except OSError:
            return False

    def endpoint(self, name: str) -> str | None:
        """What the command's records say that a machine is called at the service."""
        try:
            return str(json.loads(self._records.read_bytes())[name]["endpoint"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, name: str, endpoint: str) -> None:
        """Have the command know a machine that lives, also where it dropped it. No token is written: it asks for one."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(self._records.read_bytes())[name]["endpoint"] == endpoint:
                return
        fresh = self._records.with_suffix(".new")
        record = {"name": name, "token": "", "url": "", "endpoint": endpoint, "token_expires_at": None}
        fresh.write_text(json.dumps({name: record}), encoding="utf-8")
        fresh.replace(self._records)

    def give_back(self, name: str, endpoint: str) -> bool | Told:
        """Give a machine back. Returns whether the service has it no more, or how asking went where it does not say.

        A list that has it still is a word against it only where the command was signed in when it was told to stop it.
        """
        heard = unheard = 0
        while True:
            self.remember(name, endpoint)
            text, in_time, status = self._call(["stop", "-s", name], _SHORT)
            stopped, left = of_any(text, in_time=in_time, status=status, proof=""), self.machines()
            if isinstance(left, Told):
                unheard += 1
                if unheard == _TRIES:
                    return left
            elif all(machine.endpoint != endpoint for machine in left):
                return True
            elif stopped.outcome is Outcome.SIGNED_OUT:
                return stopped
            else:
                heard += 1
                if heard == _TRIES:
                    return False

    # --- On a machine ---

    def ask(self, name: str, code: str, seconds: float = 60.0) -> tuple[Told, object]:
        """Have a short piece of Python run there.

        Args:
            name: Which machine.
            code: It calls `tell(value)` once, with what can be JSON.
            seconds: It takes no longer.

        Returns:
            How it went, and what it told; None where it did not get to that.
        """
        whole = f"def tell(value):\n    import json\n    print({_BEGIN!r} + json.dumps(value) + {_END!r}, flush=True)\n{code}\n"
        text, in_time, status = self._call(["exec", "-s", name, "--timeout", str(int(seconds))], seconds + _SHORT, whole)
        told = of_any(text, in_time=in_time, status=status, proof="")
        found = text.partition(_BEGIN)[2].partition(_END)
        if not found[1]:
            return (told if told.outcome is not Outcome.DONE else Told(Outcome.FAILED, text, said(text))), None
        return Told(Outcome.DONE, text), json.loads(found[0].replace("\n", ""))

    def mount(self, name: str, point: str, *, person: bool = False) -> Told:
        """Mount Drive. Without consent the command never ends, so it is ended when it says so.

        Args:
            name: Which machine.
            point: Where.
            person: Somebody is at the terminal, and may be asked.
        """
        words = ["drivemount", "-s", name, point]
        if person:
            subprocess.run(self._words(words), check=False, env=_environment())  # noqa: S603 - what was named
            return Told(Outcome.DONE)
        text, in_time, status = self._call(words, _MOUNTING, enough=lambda text: "Error propagating" in text)
        return of_any(text, in_time=in_time, status=status, proof="ounted at")

    def upload(self, name: str, source: Path, target: str) -> Told:
        """Send a file."""
        text, in_time, status = self._call(["upload", "-s", name, str(source), target.lstrip("/")], _LONG)
        return of_any(text, in_time=in_time, status=status, proof="Uploaded")

    def download(self, name: str, source: str, target: Path) -> Told:
        """Fetch a file."""
        text, in_time, status = self._call(["download", "-s", name, source.lstrip("/"), str(target)], _LONG)
        return of_any(text, in_time=in_time, status=status, proof="Downloaded")

    # --- A call ---

    def _words(self, words: list[str]) -> list[str]:
        return [self.program, "--auth", self._auth, "--config", str(self._records), *words]

    def _call(
        self,
        words: list[str],
        seconds: float,
        told: str = "",
        enough: Callable[[str], bool] | None = None,
        lock: int | None = None,
    ) -> tuple[str, bool, int | None]:
        """What it printed, whether it ended by itself, and its status."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as given:
            given.write(told.encode())
            given.seek(0)
            try:  # A session of its own: a signal to us is none to it, and it finds no terminal to wait at.
                process = subprocess.Popen(  # noqa: S603 - what was named
                    self._words(words),
                    stdin=given,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=_environment(),
                    pass_fds=() if lock is None else (lock,),
                )
            except OSError as error:  # it, or the Python that it names, is gone
                return f"{self.program}: {error.strerror}", True, _NOT_RUN
            try:
                end = time.monotonic() + seconds * self._slow
                while process.poll() is None and time.monotonic() < end:
                    if enough is not None and enough(_read(out)):
                        break
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL if enough is None else 10 * _POLL)
                in_time = process.poll() is not None
            except BaseException:
                if words[0] == "new":  # it writes down what it is granted; ended now, nobody would know of it
                    raise
                _end(process)
                raise
            if not in_time:
                _end(process)
            return _read(out), in_time, process.returncode


def _environment() -> dict[str, str]:
    """Ours, without what leads a Python to our own packages: the command has an environment of its own."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: object) -> str:
    place = file.fileno()  # type: ignore[attr-defined]
    return os.pread(place, os.fstat(place).st_size, 0).decode(errors="replace")


def find(given: str | None) -> str:
    """The command's path.

    Raises:
        UsageError: it is not there.
    """
    found = shutil.which(given or "colab")
    if found is None:
        raise UsageError(
            f"{given or 'colab'}: there is no such command; install it in an environment of its own: "
            f"uv tool install google-colab-cli "
            "(or pipx install google-colab-cli)"
        )
    return found
