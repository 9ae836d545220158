"""An engine of which `holdfast status` shows what runs. It only looks on: every call goes to the engine inside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.session.running import Board, Running
from holdfast.spread.attempt import END, Asked, Attempt, Ended, Event, Kept, Told
from holdfast.spread.engine import Engine, Seat

_SECONDS = 1.0


class Shown:
    """See `Engine`.

    Args:
        engine: Runs the attempts.
        root: The project folder.
    """

    def __init__(self, engine: Engine, root: Path) -> None:
        self._engine = engine
        self._board = Board(root)
        self._steps: dict[str, tuple[Attempt, int, int]] = {}
        self._shown = 0.0

    @property
    def keeps(self) -> bool:
        """See `Engine`."""
        return self._engine.keeps

    def start(self, attempt: Attempt) -> None:
        """See `Engine`."""
        self._engine.start(attempt)
        self._steps[attempt.token] = (attempt, 0, 0)
        self._show()

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Engine`."""
        events = self._engine.wait(seconds)
        for event in events:
            if isinstance(event, Told) and event.attempt.token in self._steps and "step" in event.what:
                self._steps[event.attempt.token] = (event.attempt, int(event.what["step"]), int(event.what["total"]))
            elif isinstance(event, END):
                self._steps.pop(event.attempt.token, None)
        if time.monotonic() - self._shown >= _SECONDS:
            self._show()
        return events

    def seat(self, attempt: Attempt) -> Seat | None:
        """See `Engine`."""
        return self._engine.seat(attempt)

    def answer(self, event: Kept | Asked, value: object = None) -> None:
        """See `Engine`."""
        self._engine.answer(event, value)

    def take(self, ended: Ended, place: Path) -> None:
        """See `Engine`."""
        self._engine.take(ended, place)

    def halt(self) -> None:
        """See `Engine`."""
        self._engine.halt()

    def stop(self, attempt: Attempt) -> None:
        """See `Engine`."""
        self._steps.pop(attempt.token, None)
        self._engine.stop(attempt)

    def close(self) -> None:
        """See `Engine`."""
        self._board.close()
        self._engine.close()

    def _show(self) -> None:
        self._shown = time.monotonic()
        rows = []
        for attempt, step, total in self._steps.values():
            seat = self._engine.seat(attempt)
            where, kept = ("", "") if seat is None else (seat.machine, seat.kept)
            rows.append(Running(attempt.unit, attempt.home, where, kept, step, total))
        self._board.show(sorted(rows, key=lambda row: row.what))
