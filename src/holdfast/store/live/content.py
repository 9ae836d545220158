"""The bytes of one file as the checks read them: a few at a time, and never past its end without noticing."""

from __future__ import annotations

from typing import Protocol

#: A file up to this size may be read whole; of a larger one only some parts are.
SMALL = 1 << 20
#: No check reads more steps of a chain (members, blocks, frames) than this; what a longer chain ends like is not told.
STEPS = 4096


class Content(Protocol):
    """A file that is open somewhere, at one size.

    `size` is what one look said, in bytes; the file may have grown since. `read` gives the bytes from `offset` on, at most `length`
    of them, and fewer only where the file ends.
    """

    @property
    def size(self) -> int:
        """Its size in bytes when it was looked at."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on."""
        ...


class EndsEarly(Exception):
    """A part that the format promises lies behind the end of the file."""


class Untold(Exception):
    """The format is not understood from here on, or it would cost too much: nothing can be told."""


def exact(content: Content, offset: int, length: int) -> bytes:
    """These bytes, all of them.

    Raises:
        EndsEarly: the file is shorter.
    """
    if offset < 0 or offset + length > content.size:
        raise EndsEarly
    data = content.read(offset, length)
    if len(data) < length:
        raise EndsEarly
    return data


def tail(content: Content, length: int) -> bytes:
    """The last bytes, or all of a shorter file."""
    length = min(length, content.size)
    return content.read(content.size - length, length)


def little(data: bytes) -> int:
    """An unsigned number, least significant byte first."""
    return int.from_bytes(data, "little")


def big(data: bytes) -> int:
    """An unsigned number, most significant byte first."""
    return int.from_bytes(data, "big")


#: Control characters that text has: those of terminals, and of progress bars written to a file.
_TEXT_CONTROLS = frozenset(b"\a\b\t\n\v\f\r\x1b")


def is_text(head: bytes) -> bool:
    """True where the bytes may be text: no control characters but those of terminals. UTF-16 counts as not text."""
    return all(byte >= 0x20 or byte in _TEXT_CONTROLS for byte in head)


class Part:
    """The first `size` bytes of a content, as a content."""

    def __init__(self, content: Content, size: int) -> None:
        self._content = content
        self._size = min(size, content.size)

    @property
    def size(self) -> int:
        """Their number."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """As `Content.read`, and nothing behind the end of the part."""
        return self._content.read(offset, max(0, min(length, self._size - offset)))
