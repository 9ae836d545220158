"""The errors that Holdfast raises, as one tree.

::

    HoldfastError
    |-- UsageError (ValueError)              you asked for something that cannot be
    |   |-- OutsideOutputs                   a path that is not below outputs
    |   |-- ConfigurationError               a configuration file says something that cannot be
    |   |-- BadData                          a data file cannot be read as what it should be
    |   `-- MadeOtherwise                    outputs are there, made under other settings
    |-- Refused (OSError)                    a local file that cannot be kept: a link, a pipe, a broken database
    |-- WorkspaceBusy (TimeoutError)         another process works in this workspace
    |-- LocalError (OSError)                 the local disk is full or denies us
    |-- NotRestored (RuntimeError)           `require`: absent, or in the store and not restored
    |-- NotBackedUp (RuntimeError)           `flush`: what was queued is not in the store
    |-- AnotherSession (RuntimeError)        a live session works on it, and was there first
    |-- StageFailed (RuntimeError)           a step of the pipeline could not make what it should
    |-- CommandFailed (RuntimeError)         a command that was to be rehearsed fails by itself, or gets no further
    |-- Interrupted (KeyboardInterrupt)      a person ended it; what was kept before stays
    |-- Corrupt                              bytes were fully read and are wrong
    |   |-- NewerFormat                      they are sound, and of a format that this version does not read
    |   `-- CutOff                           the end of them is missing, as after an upload that was cut off
    `-- StoreError (OSError)                 the store
        |-- StoreNotFound (FileNotFoundError)    one path in it does not exist
        |-- StoreExists (FileExistsError)        the name is taken: names are written once
        |-- StoreDenied (PermissionError)        read-only, or permission denied
        |-- StoreFull                            no space, or over quota
        `-- StoreUnreadable                      it is there, and cannot be read
            `-- StoreUnreachable (ConnectionError)   mount dead, folder missing, wrong device
                `-- StoreTimeout (TimeoutError)      a call did not come back in time

Missing, unreadable, corrupt and refused are different types, because what a program does next differs: missing may be
made again, unreadable is tried again, corrupt falls back a generation, refused needs a person. Each also inherits the
builtin that fits, so that `except OSError` keeps working. `Corrupt` has none on purpose: no builtin means damage, and
borrowing ValueError for it is how damage gets mistaken for a typing error.
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Root of everything that Holdfast raises on purpose. Its text is one line for a person."""

    @property
    def line(self) -> str:
        """What it says, without the errno that Python puts in front of an OSError."""
        text = getattr(self, "strerror", None)
        if not text:
            return str(self)
        place = getattr(self, "filename", None)
        return f"{place}: {text}" if place else str(text)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback (it asks any exception for this, from 7.34 to 9)."""
        return [f"{type(self).__name__}: {self.line}"]


class UsageError(HoldfastError, ValueError):
    """The request itself cannot be served, whatever is on the disk."""


class OutsideOutputs(UsageError):
    """The path is not below the outputs folder, or reaches it through a link or `..`."""


class ConfigurationError(UsageError):
    """A configuration file, an option or an environment variable holds a value that cannot be used."""


class BadData(UsageError):
    """A data file is not what it should be. Its text names the file, the position and the mend."""


class MadeOtherwise(UsageError):
    """Outputs are there that were made under other settings. Its text shows the difference and the ways on."""


class Refused(HoldfastError, OSError):
    """A local file cannot be kept as it is: not a regular file, a name that is not UTF-8, a broken database."""


class WorkspaceBusy(HoldfastError, TimeoutError):
    """Another process holds this workspace and did not let go in time."""


class LocalError(HoldfastError, OSError):
    """The local disk is full, read-only, or denies access."""


class NotRestored(HoldfastError, RuntimeError):
    """`require` found the path neither here nor restorable."""


class NotBackedUp(HoldfastError, RuntimeError):
    """`flush` found that something which was queued is not in the store. Its text says what, and why."""


class AnotherSession(HoldfastError, RuntimeError):
    """Another live session works on the same artifact, and was there first. Its text says where it runs, and the ways on.

    `path` is what a process of the same project works on, where it is one; else empty.
    """

    path: str = ""


class StageFailed(HoldfastError, RuntimeError):
    """A step of the pipeline could not make what it should have made. What was made before it stays."""


class WrongOrder(StageFailed):
    """A training that goes on draws other batches than it did before it was cut off. It was stopped before it learnt from one."""


class CommandFailed(HoldfastError, RuntimeError):
    """A command that was to be rehearsed failed by itself, or gets no further after a kill. Its text has the end of its output."""


class Interrupted(HoldfastError, KeyboardInterrupt):
    """A person interrupted a cell or a command. What was kept before it stays."""


class Corrupt(HoldfastError):
    """Bytes were read to the end and are not what was written."""


class NewerFormat(Corrupt):
    """A manifest of another format: sound, and not for this version. Upgrading reads it."""


class CutOff(Corrupt):
    """The beginning of what was written, or nothing of it: its end never arrived. Nobody changed it."""


class StoreError(HoldfastError, OSError):
    """An operation on the store failed."""


class StoreNotFound(StoreError, FileNotFoundError):
    """One path does not exist in a store that is otherwise there."""


class StoreExists(StoreError, FileExistsError):
    """The name is taken. A name in the store is written once, so the caller takes the next free one."""


class StoreDenied(StoreError, PermissionError):
    """The store is read-only, or denies access. Trying again does not help."""


class StoreFull(StoreError):
    """No space left, or over quota. Trying again does not help until space is made."""


class StoreUnreadable(StoreError):
    """Something is there and cannot be read now. It is neither absent nor damaged: try again later."""


class StoreUnreachable(StoreUnreadable, ConnectionError):
    """The store cannot be seen at all: the mount is dead, the folder is missing, the device is another one."""


class StoreTimeout(StoreUnreachable, TimeoutError):
    """A call to the store did not come back in time. A hang is a dead mount."""
