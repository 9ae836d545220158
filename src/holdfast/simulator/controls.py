"""The hand on the controls of a simulated mount, from any process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.simulator.control import ask
from holdfast.simulator.elsewhere import Elsewhere
from holdfast.simulator.fates import Change, Fate, Lost
from holdfast.simulator.weather import to_json


class Controls:
    """Changes the weather of a mount, moves its clock, reads its counters, and takes the machine away.

    Every method raises `ControlError` where the simulator refuses or is not there.

    Args:
        socket: The control socket.
        cloud: Folder that holds what Google has.
    """

    def __init__(self, socket: Path, cloud: Path) -> None:
        self.socket = socket
        self.cloud = cloud

    @property
    def elsewhere(self) -> Elsewhere:
        """The same account from another machine."""
        return Elsewhere(self.cloud)

    def _ask(self, do: str, **fields: Any) -> Any:
        return ask(self.socket, do, **fields)

    def weather(self, **fields: Any) -> None:
        """Change some of the weather, while mounted. The arguments are those of `Weather`."""
        self._ask("weather", **to_json(fields))

    def advance(self, seconds: float) -> float:
        """Let virtual time pass. Returns what the clock then shows."""
        return float(self._ask("advance", seconds=seconds))

    def drain(self) -> list[str]:
        """Let time pass until everything is uploaded. Returns the paths of what cannot be (quota, a dead mount)."""
        return list(self._ask("drain"))

    def pending(self) -> list[str]:
        """Paths of what the cloud does not have yet."""
        return list(self._ask("pending"))

    def release(self) -> None:
        """End every hang."""
        self._ask("release")

    def hanging(self) -> list[str]:
        """The calls that are held now, as `operation path`."""
        return list(self._ask("hanging"))

    def counters(self, *, reset: bool = False) -> dict[str, int]:
        """Counts by operation since the mount, or since the last reset."""
        return dict(self._ask("counters", reset=reset))

    def disconnect(self, fates: Mapping[str, Fate] | None = None) -> list[Lost]:
        """Take the machine away: what is not uploaded meets its fate, and the mount is gone.

        Args:
            fates: Glob over paths below `My Drive` to fate, for tests that want a certain one (`proj/*.json`, or
                `remove:*` for one kind of change); the rest is drawn by seed.

        Returns:
            Every pending change, and what the cloud holds of it.
        """
        wanted = {pattern: fate.value for pattern, fate in (fates or {}).items()}
        found = self._ask("disconnect", fates=wanted)
        return [Lost(entry["path"], Change(entry["change"]), Fate(entry["fate"]), entry["size"]) for entry in found]
