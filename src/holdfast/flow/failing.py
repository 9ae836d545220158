"""What an error of a library means for whoever runs it again. Pure."""

from __future__ import annotations

import sqlite3

#: The disk, in words of libraries that raise no OSError for it.
DISK = (
    "no space left",
    "disk quota",
    "read-only file system",
    "input/output error",
    "os error",
    "failed writing",
)

#: Libraries whose errors are about the network.
NETWORK = ("httpx", "httpcore", "requests", "urllib3")


def in_words(error: BaseException) -> str:
    """Type and text in one line of bounded length."""
    text = " ".join(str(error).encode(errors="backslashreplace").decode().split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def may_pass(error: BaseException) -> bool:
    """Whether the same may go well another time: what disk, network or memory said, not what follows from settings."""
    if type(error).__module__.startswith(NETWORK):
        return True
    text = str(error).lower()
    passing = isinstance(error, OSError | MemoryError | sqlite3.OperationalError) or any(words in text for words in DISK)
    missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    return passing and not missing
