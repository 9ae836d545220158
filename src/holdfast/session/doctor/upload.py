"""Watching one file on its way to Google, as the mount's attributes tell it."""

from __future__ import annotations

import functools
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.platform import get_attribute
from holdfast.session.doctor.by_api import SAFE, Ask, id_of
from holdfast.session.doctor.patience import Answer, Patience
from holdfast.store.backends.drive import LOCAL_ID

#: How long the checksum is waited for once the file is said to be uploaded.
_CHECKSUM_SECONDS = 10.0
_NAMES = ("id", "uncommitted", "md5")
_NOT_PENDING = ("0", "false")


@dataclass(frozen=True)
class Sample:
    """What the attributes said at one moment. A value that did not come is its errno's name in brackets.

    Args:
        seconds: Since the file was written.
        id: Of `user.drive.id`.
        uncommitted: Of `user.drive.uncommitted`.
        md5: Of `user.drive.md5`.
        drive: What Drive itself said then; empty where it was not asked.
    """

    seconds: float
    id: str
    uncommitted: str
    md5: str
    drive: str = ""

    @property
    def values(self) -> tuple[str, str, str, str]:
        """All of it without the time."""
        return self.id, self.uncommitted, self.md5, self.drive

    @property
    def arrived(self) -> bool:
        """Whether Drive itself has all of the file."""
        return self.drive == SAFE

    @property
    def in_cloud(self) -> bool:
        """Whether the file has an id that Google gave it."""
        return has_value(self.id) and not self.id.startswith(LOCAL_ID.decode())

    @property
    def uploaded(self) -> bool:
        """Whether the mount says that all of the file is at Google."""
        return self.in_cloud and self.uncommitted in _NOT_PENDING

    @property
    def silent(self) -> bool:
        """Whether no attribute answered."""
        return not any(has_value(v) for v in (self.id, self.uncommitted, self.md5))


@dataclass(frozen=True)
class Watched:
    """The way of one file.

    Args:
        samples: The first look, and each one that differed from the one before.
        md5: What the checksum really is.
        seconds: How long it was watched.
    """

    samples: tuple[Sample, ...]
    md5: str
    seconds: float


def has_value(text: str) -> bool:
    """Whether an attribute answered with something."""
    return bool(text) and not text.startswith("(")


def watch(file: Path, data: bytes, patience: Patience, *, seconds: float, interval: float, ask: Ask | None = None) -> Watched:
    """Look at a file that was just written until it is said to be uploaded, with its checksum, or the time is over.

    Where Drive itself can be asked, until it has the file too.

    Args:
        file: The file.
        data: Its content.
        patience: For every call.
        seconds: Longest time.
        interval: Seconds between two looks.
        ask: Asks Drive itself; None where nobody can.
    """
    started = time.monotonic()
    samples: list[Sample] = []
    uploaded_at: float | None = None
    while True:
        answers = {n: patience.ask(f"asking for user.drive.{n}", functools.partial(_value, file, n)) for n in _NAMES}
        passed = time.monotonic() - started
        own = "" if ask is None else _by_drive(ask, file, data, patience)
        found = Sample(passed, **{name: _shown(answer) for name, answer in answers.items()}, drive=own)
        if not samples or samples[-1].values != found.values:
            samples.append(found)
        if found.uploaded and uploaded_at is None:
            uploaded_at = passed
        over = uploaded_at is not None and (has_value(found.md5) or passed - uploaded_at >= _CHECKSUM_SECONDS)
        over = over and (ask is None or found.arrived)
        gone = any(a.hung or a.error in ("ENOTCONN", "ENOENT") for a in answers.values())
        if over or gone or passed >= seconds:
            return Watched(tuple(samples), hashlib.md5(data, usedforsecurity=False).hexdigest(), passed)
        time.sleep(min(interval, seconds - passed))


def _by_drive(ask: Ask, file: Path, data: bytes, patience: Patience) -> str:
    folder, name, id_ = file.parent.name, file.name, patience.ask("asking for its id", lambda: id_of(file)).value
    return _shown(patience.ask("asking Drive itself", lambda: ask(folder, name, data, id_)))


def _value(file: Path, name: str) -> str:
    return get_attribute(file, f"user.drive.{name}").strip().decode("utf-8", "backslashreplace").lower()


def _shown(answer: Answer[str]) -> str:
    if answer.came:
        return answer.got()
    return f"({answer.error or answer.state.value})"
