"""How long work says how far it is. The store reports; the session decides whether and how to show it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Follows one transfer at a time. Called from several threads."""

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        """A transfer of so many files and bytes begins."""
        ...

    def advance(self, size: int) -> None:
        """So many more bytes moved."""
        ...

    def file_done(self) -> None:
        """One more file is finished."""
        ...

    def end(self) -> None:
        """The transfer is over, finished or not."""
        ...


class Silent:
    """Shows nothing."""

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        pass

    def advance(self, size: int) -> None:
        pass

    def file_done(self) -> None:
        pass

    def end(self) -> None:
        pass
