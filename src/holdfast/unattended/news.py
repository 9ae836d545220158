"""What is told: one line for a person, and one event for a command that passes it on."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_SECONDS = 30.0


class News:
    """Tells a person, the log of the supervisor, and whoever wants events.

    Args:
        say: Prints a line.
        place: The file that keeps all lines.
        command: Words of the command that is given each event as JSON on standard input; none to tell nobody.
    """

    def __init__(self, say: Callable[[str], None], place: Path, command: tuple[str, ...] = ()) -> None:
        self._say, self._place, self._command = say, place, command
        self._once = ""

    def line(self, text: str) -> None:
        """One line."""
        with self._place.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._say(text)

    def once(self, text: str, event: str = "") -> None:
        """One line, or an event, but for the one that `once` told last."""
        if text == self._once:
            return
        self._once = text
        if event:
            self.event(event, text)
        else:
            self.line(text)

    def told_anew(self) -> None:
        """What `once` tells next is told in any case."""
        self._once = ""

    def event(self, event: str, text: str, **fields: object) -> None:
        """One line, and the event."""
        self.line(text)
        if not self._command:
            return
        content = json.dumps({"event": event, "text": text, "at": time.time(), **fields}).encode()
        try:
            told = subprocess.run(list(self._command), input=content, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - the user's own
        except (OSError, subprocess.TimeoutExpired) as error:
            self.line(f"--notify: {self._command[0]} could not be told ({error})")
            return
        if told.returncode:
            self.line(f"--notify: {self._command[0]} ended with {told.returncode}")
