"""Where the supervisor of a project keeps what it has to know, and the lock that lets one at a time work there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import UsageError
from holdfast.platform import try_lock


class Place:
    """The folder `.holdfast/unattended` of a project.

    Args:
        root: The project.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".holdfast" / "unattended"
        self.ledger = self.folder / "ledger.json"
        self.records = self.folder / "sessions.json"
        self.lines = self.folder / "supervisor.log"
        self._stop = self.folder / "stop"

    def log_of(self, machine: str) -> Path:
        """What the work printed on a machine. Its length is how much of it was fetched."""
        return self.folder / f"{machine}.log"

    def logs(self) -> list[Path]:
        """Those of all machines, oldest first."""
        return sorted(self.folder.glob("holdfast-*.log"), key=lambda place: (place.stat().st_mtime, place.name))

    def ask_to_stop(self, *, abandon: bool) -> None:
        """Have whoever supervises end."""
        self._stop.write_text("abandon" if abandon else "", encoding="utf-8")

    def asked_to_stop(self) -> tuple[bool, bool]:
        """Whether somebody said stop, and whether what is not safe may be lost."""
        try:
            return True, self._stop.read_text(encoding="utf-8") == "abandon"
        except OSError:
            return False, False

    def forget_stop(self) -> None:
        """It was done."""
        self._stop.unlink(missing_ok=True)

    def supervised(self) -> bool:
        """Whether a supervisor lives."""
        try:
            with (self.folder / "lock").open("rb") as file:
                return not try_lock(file)
        except OSError:
            return False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Supervise, and nobody else.

        Raises:
            UsageError: somebody else does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("ab") as file:
            if not try_lock(file):
                raise UsageError(
                    f"{self.root}: another `holdfast colab run` supervises this project on this machine; "
                    f"`holdfast colab status` shows it, "
                    "`holdfast colab stop` ends it"
                )
            yield
