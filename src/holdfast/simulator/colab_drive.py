"""`google.colab.drive` as the fake package offers it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from holdfast.simulator.colab import Consent, Flush, Mounting, Settings, mountpoints
from holdfast.simulator.control import ControlError, ask
from holdfast.simulator.mounting import mounted, unmount
from holdfast.simulator.setup import Setup, launch
from holdfast.simulator.tree import MY_DRIVE

_POLL_SECONDS = 0.01


class MessageError(Exception):
    """What `google.colab._message` raises when the browser refuses."""


class TIMEOUT(Exception):
    """What `pexpect` raises when DriveFS does not answer."""


class ColabDrive:
    """The two functions of `google.colab.drive`.

    Args:
        folder: Where the settings lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def _settings(self) -> Settings:
        return Settings.read(self._folder / "settings.json")

    def mount(self, mountpoint: str, force_remount: bool = False, timeout_ms: int = 120000, readonly: bool = False) -> None:
        """Mount Drive. A forced remount drops what is not uploaded.

        Raises:
            NotImplementedError: Colab Enterprise.
            ValueError: the mountpoint will not do, or mounting failed.
            TIMEOUT: DriveFS did not come up.
            MessageError: consent was refused.
            AttributeError: there is no notebook kernel, as in a `!command`.
        """
        settings = self._settings
        if settings.enterprise:
            raise NotImplementedError("google.colab.drive is unsupported in this environment.")
        if " " in mountpoint:
            raise ValueError("Mountpoint must not contain a space.")
        if os.path.islink(mountpoint):
            raise ValueError("Mountpoint must not be a symlink.")
        if not force_remount and os.path.isdir(os.path.join(mountpoint, MY_DRIVE)):
            _say(
                f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, "
                f'call drive.mount("{mountpoint}", force_remount=True).'
            )
            return
        if settings.needs_kernel and not _in_kernel():
            raise AttributeError("'NoneType' object has no attribute 'kernel'")
        if mounted(mountpoint) is not None:
            if not force_remount:
                raise ValueError("mount failed")
            self._drop(mountpoint)
        if os.path.exists(mountpoint) and (not os.path.isdir(mountpoint) or os.listdir(mountpoint)):
            raise ValueError("Mountpoint must not already contain files.")
        self._ask_consent()
        if settings.mounting is Mounting.STALLS:
            raise TIMEOUT("Timeout exceeded.")
        if settings.mounting is not Mounting.WORKS:
            timed_out = settings.mounting is Mounting.TIMES_OUT
            raise ValueError("timeout during initial read of root folder" if timed_out else "mount failed")
        self._serve(Path(os.path.abspath(mountpoint)), readonly=readonly)
        _say(f"Mounted at {mountpoint}")

    def _serve(self, mountpoint: Path, *, readonly: bool) -> None:
        settings = self._settings
        weather = settings.weather.changed({"readonly": readonly or settings.weather.readonly})
        with open(self._folder / "mountpoints", "a", encoding="utf-8") as file:
            file.write(f"{mountpoint}\n")
        setup = Setup(
            mountpoint,
            settings.cloud,
            settings.control,
            seed=settings.seed,
            speed=settings.speed,
            weather=weather,
            pace=settings.pace,
            quota=settings.quota,
        )
        try:
            # Detached: a kernel that is killed leaves DriveFS running, as on a real machine.
            process = launch(setup, detached=True)
        except ControlError as error:
            raise ValueError("mount failed") from error
        process.returncode = 0  # nobody waits for it here; without this the object warns when it is collected

    def _ask_consent(self) -> None:
        (self._folder / "asked").touch()
        while (consent := self._settings.consent) is Consent.HANGS:
            time.sleep(_POLL_SECONDS)
        if consent is Consent.REFUSED:
            raise MessageError("Error: credential propagation was unsuccessful")

    def _drop(self, mountpoint: str) -> None:
        with contextlib.suppress(ControlError):  # what served it is dead already
            ask(self._settings.control, "disconnect")
        unmount(mountpoint)

    def flush_and_unmount(self, timeout_ms: int = 86_400_000) -> None:
        """Upload everything and unmount.

        Raises:
            ValueError: it failed, or took longer than `timeout_ms` of virtual time; Drive stays mounted.
        """
        if not any(mounted(place) for place in mountpoints(self._folder)):
            _say("Drive not mounted, so nothing to flush and unmount.")
            return
        control = self._settings.control
        while (flush := self._settings.flush) is Flush.HANGS:
            time.sleep(_POLL_SECONDS)
        if flush is Flush.RAISES:
            raise ValueError("flush_and_unmount failed")
        if flush is Flush.DRAINS and ask(control, "drain", timeout=None):
            raise ValueError("flush_and_unmount failed")
        if flush is Flush.SLOW:
            end = ask(control, "advance", seconds=0) + timeout_ms / 1000
            while ask(control, "pending"):
                if ask(control, "advance", seconds=0) > end:
                    raise ValueError("flush_and_unmount failed")
                time.sleep(_POLL_SECONDS)
        ask(control, "disconnect")
        for place in mountpoints(self._folder):
            unmount(place)


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
