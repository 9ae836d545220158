"""What happened, as the service saw it: who had which machine when, and how it ended. A test reads the truth here."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Held:
    """One machine that somebody had.

    Args:
        endpoint: Its name at the service.
        accelerator: What it had: `NONE`, `T4`.
        began: Monotonic seconds.
        ended: The same; None while it is held.
        how: `given back` or `vanished`; empty while it is held.
    """

    endpoint: str
    accelerator: str
    began: float
    ended: float | None = None
    how: str = ""


class Book:
    """Every event, in memory and as one line of JSON each in a file.

    Args:
        place: The file; what it holds stays.
    """

    def __init__(self, place: Path) -> None:
        self._lock = threading.Lock()
        self._file = place.open("a", encoding="utf-8")
        self._held: dict[str, Held] = {}
        self._events: list[dict[str, Any]] = []

    def write(self, event: str, **fields: Any) -> None:
        """Something happened."""
        now = time.monotonic()
        with self._lock:
            row = {"event": event, "at": round(time.time(), 3), **fields}
            self._events.append(row)
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            if event == "granted":
                endpoint = fields["endpoint"]
                self._held[endpoint] = Held(endpoint, fields["accelerator"], now)
            elif event in ("given back", "vanished"):
                self._held[fields["endpoint"]] = replace(self._held[fields["endpoint"]], ended=now, how=event)

    def events(self, event: str | None = None) -> list[dict[str, Any]]:
        """What happened, oldest first; only of one kind where that is named."""
        with self._lock:
            return [row for row in self._events if event is None or row["event"] == event]

    def machines(self) -> list[Held]:
        """Every machine that was ever held, oldest first."""
        with self._lock:
            return list(self._held.values())

    def most_at_once(self) -> int:
        """The largest number of machines that were held at one moment."""
        changes = sorted(
            change
            for held in self.machines()
            for change in ((held.began, 1), *([(held.ended, -1)] if held.ended is not None else []))
        )
        now = most = 0
        for _, change in changes:
            now += change
            most = max(most, now)
        return most

    def units(self, rates: dict[str, float], speed: float = 1.0) -> float:
        """Compute units that all machines have cost until now.

        Args:
            rates: Units an hour, by accelerator.
            speed: Virtual seconds in a real one.
        """
        now = time.monotonic()
        return sum(
            ((now if held.ended is None else held.ended) - held.began) * speed / 3600 * rates.get(held.accelerator, 0.0)
            for held in self.machines()
        )

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()
