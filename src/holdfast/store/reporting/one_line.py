"""An error as one line for a person: where, what, and what to do."""

from __future__ import annotations

import errno

from holdfast.errors import HoldfastError
from holdfast.store.format.keys import Key

#: Marks a logged line that should be read, and speaks of no trouble: whoever prints it calls it a note.
NEWS = {"news": True}


def describe(key: Key, error: HoldfastError) -> str:
    """One line for a person: which path, and what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        mend = "; it is mounted for reading only: mount it anew for writing, then run again" if error.errno == errno.EROFS else ""
        return f"{key}: {first_error(error)}{mend}"
    return f"{key}: {error}" if str(key) not in str(error) else str(error)


def first_error(error: OSError) -> str:
    """One line for a person, without the errno that Python puts in front."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text
