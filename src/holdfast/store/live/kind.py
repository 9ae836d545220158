"""What is to be known of a kind of file that a program may hold open while a backup looks at it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Treatment(enum.Enum):
    """How a copy of a file has to be made while its owner may be writing."""

    LIBRARY = "library"  #: a consistent copy needs the library that owns the file
    WITH_LOG = "with its log"  #: the main file and then its log, and both are looked at again
    PREFIX = "prefix"  #: only its end grows: the first N bytes, N from one look, cut to the last whole record
    REST = "at rest"  #: copied at rest, looked at again, its end checked


@dataclass(frozen=True)
class FileKind:
    """One kind of file.

    Args:
        name: For people; unique.
        group: The section of the page.
        made_by: What writes such files.
        known_by: How it is recognised; empty where it is not.
        treatment: How it is copied while a program may be writing.
        worth: What a plain copy is worth that was made while its owner wrote.
        whole: When it is whole, and a copy of it safe.
        advice: What the user does about it.
        in_place: The file itself changes, so that a hard link of it sees every change; not so where each save is renamed in.
        locked: Its owner holds a POSIX lock on it: closing any descriptor of it within the owner's process drops that lock.
        data: False: a lock or shared memory, made anew by its owner, so that a copy of it is worth nothing.
        never_empty: Suffixes of names under which 0 bytes are a file that was begun and not written.
    """

    name: str
    group: str
    made_by: str
    known_by: str
    treatment: Treatment
    worth: str
    whole: str
    advice: str
    in_place: bool = True
    locked: bool = False
    data: bool = True
    never_empty: tuple[str, ...] = ()
