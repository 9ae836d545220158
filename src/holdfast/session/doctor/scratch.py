"""Trying things out in a scratch folder that is removed again, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.platform import NO_BLOCK, NO_FOLLOW, get_attribute
from holdfast.session.doctor.by_api import Ask
from holdfast.session.doctor.patience import Answer, Patience
from holdfast.session.doctor.places import Place, shown
from holdfast.session.doctor.upload import Watched, watch

#: Attributes that Colab's Drive mount is said to answer by name (docs/colab-drive.md); none is trusted when absent.
DRIVE_ATTRIBUTES = ("id", "uncommitted", "md5")
PREFIX = "holdfast-doctor-"
#: rclone mounted without a cache refuses it (EPERM).
IN_PLACE = "writing in place"
#: A mount may show a name for a moment that was just removed. So often it is removed again, after so many seconds.
_AGAIN = (0.1, 0.3, 0.6, 1.0, 2.0)
_FILES = tuple(f"file-{n}" for n in range(5))
_UPLOAD = "upload"
#: Everything that is ever made in the scratch folder: a listing that lies must not decide what is removed.
_NAMES = (*_FILES, _UPLOAD, "link", "symlink", "a", "b", "Case", "case")
_BYTES = 4096


@dataclass(frozen=True)
class Ability:
    """One thing that a file system may offer, and what came of trying it."""

    topic: str
    answer: Answer[str]


@dataclass(frozen=True)
class Trial:
    """What came back in the scratch folder. None where it was not tried, because something before it failed.

    Args:
        scratch: The folder.
        mkdir: Making it.
        create: Five files of 4 KiB, flushed: mean seconds of one.
        stat: Asking for each by name, as above.
        read: Reading each, as above.
        same: Whether what was read is what was written.
        attributes: What each attribute of one file answered.
        age: Seconds from writing that file to asking.
        abilities: Each by trying it.
        watched: The upload of one file, if it was to be watched.
        listing: Which of the five files a listing lacks.
        listing_seconds: How long it took.
        left: What could not be removed, in words; empty where nothing is left.
    """

    scratch: Path
    mkdir: Answer[bool]
    create: Answer[float] | None = None
    stat: Answer[float] | None = None
    read: Answer[float] | None = None
    same: bool = True
    attributes: tuple[tuple[str, Answer[bytes]], ...] = ()
    age: float = 0.0
    abilities: tuple[Ability, ...] = ()
    watched: Watched | None = None
    listing: Answer[tuple[str, ...]] | None = None
    left: str = ""


def try_out(place: Place, patience: Patience, *, upload_wait: float = 0.0, interval: float = 1.0, ask: Ask | None = None) -> Trial:
    """Make a scratch folder in the drive folder, try everything in it, and remove it.

    Args:
        place: Where.
        patience: For every call.
        upload_wait: Longest time to watch an upload; 0 for not at all.
        interval: Seconds between two looks at it.
        ask: Asks Drive itself what it has of that file; None where nobody can.
    """
    scratch = place.folder / f"{PREFIX}{secrets.token_hex(4)}"
    trial = Trial(scratch, patience.ask("making a folder", functools.partial(_make, scratch)))
    if not trial.mkdir.came:
        left = f"{shown(scratch)} may appear once the mount answers again" if trial.mkdir.hung else ""
        return replace(trial, left=left)
    left = ""
    try:
        trial = _try_files(trial, patience, on_drive=place.on_drive, upload_wait=upload_wait, interval=interval, ask=ask)
    finally:
        left = clean(scratch, patience.seconds, empty=place.sort.empties)
    return replace(trial, left=left)


def _try_files(trial: Trial, patience: Patience, *, on_drive: bool, upload_wait: float, interval: float, ask: Ask | None) -> Trial:
    scratch = trial.scratch
    content = {name: secrets.token_bytes(_BYTES) for name in _FILES}
    trial = replace(trial, create=_mean(patience, "writing a small file", lambda n: _create(scratch / n, content[n])))
    written = time.monotonic()
    if not trial.create or not trial.create.came:
        return trial
    trial = replace(trial, stat=_mean(patience, "stat of a new file", lambda n: os.stat(scratch / n)))
    read: dict[str, bytes] = {}
    trial = replace(trial, read=_mean(patience, "reading a new file", lambda n: read.__setitem__(n, (scratch / n).read_bytes())))
    first = scratch / _FILES[0]
    trial = replace(
        trial,
        same=all(content[name] == found for name, found in read.items()),
        age=time.monotonic() - written,
        attributes=tuple(
            (n, patience.ask(f"asking for user.drive.{n}", functools.partial(_attribute, first, n))) for n in DRIVE_ATTRIBUTES
        ),
        abilities=_abilities(scratch, patience),
    )
    if upload_wait > 0 and on_drive:
        data = secrets.token_bytes(_BYTES)
        made = patience.ask("writing a small file", lambda: _create(scratch / _UPLOAD, data))
        if made.came:
            watched = watch(scratch / _UPLOAD, data, patience, seconds=upload_wait, interval=interval, ask=ask)
            trial = replace(trial, watched=watched)
    # Last, because a listing that hangs keeps the folder locked, so that nothing in it can be changed any more.
    return replace(trial, listing=patience.ask("listing a new folder", lambda: _missing(os.listdir(scratch))))


def _make(folder: Path) -> bool:
    os.mkdir(folder)
    return True


def _remove_folder(folder: Path) -> bool:
    os.rmdir(folder)
    return True


def _attribute(file: Path, name: str) -> bytes:
    return get_attribute(file, f"user.drive.{name}").strip()


def _missing(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in _FILES if name not in names)


def _mean(patience: Patience, what: str, call: Callable[[str], object]) -> Answer[float]:
    """The call for each of the five files, each with the whole limit; the first that fails is the answer."""
    seconds = 0.0
    answer: Answer[object] = patience.ask(what, functools.partial(call, _FILES[0]))
    for name in _FILES[1:]:
        if not answer.came:
            break
        seconds += answer.seconds
        answer = patience.ask(what, functools.partial(call, name))
    value = (seconds + answer.seconds) / len(_FILES) if answer.came else None
    return Answer(answer.what, answer.state, value, answer.error, answer.text, answer.seconds)


def _create(place: Path, data: bytes) -> bool:
    with open(place, "xb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    return True


def _abilities(scratch: Path, patience: Patience) -> tuple[Ability, ...]:
    file = scratch / _FILES[0]

    def exclusive() -> str:
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "refused for a name that is taken, as it must be"
        return ""

    def hard_link() -> str:
        os.link(file, scratch / "link")
        return "yes"

    def symbolic_link() -> str:
        os.symlink(file, scratch / "symlink")
        return "yes"

    def rename() -> str:
        (scratch / "a").write_bytes(b"a")
        os.replace(scratch / "a", scratch / "b")
        return "yes; whether it is atomic cannot be seen from here"

    def case() -> str:
        (scratch / "Case").write_bytes(b"c")
        return "names that differ by case are one" if (scratch / "case").exists() else "names that differ by case are two"

    def in_place() -> str:
        os.close(os.open(file, os.O_RDWR))
        return "yes"

    def mode() -> str:
        os.chmod(file, 0o640)
        return f"chmod 640 leaves {os.stat(file).st_mode & 0o777:o}"

    def grain() -> str:
        return "whole seconds" if os.stat(file).st_mtime_ns % 1_000_000_000 == 0 else "finer than a second"

    tried = {
        "exclusive create": exclusive,
        "hard link": hard_link,
        "symbolic link": symbolic_link,
        "rename": rename,
        "case of names": case,
        IN_PLACE: in_place,
        "modes": mode,
        "file times": grain,
    }
    return tuple(Ability(topic, patience.ask(f"trying: {topic}", call)) for topic, call in tried.items())


def clean(scratch: Path, seconds: float, *, empty: bool = True) -> str:
    """Remove a scratch folder: each file emptied first, since what is in Drive's trash counts. Returns what is left, in words.

    Only a removal that worked counts: a dead mount says of what is there that it is not.

    Args:
        scratch: The folder.
        seconds: Limit of each call. The first hang ends it: the others would hang as well.
        empty: Empty files first. Not where the mount still has an emptied one in hand when it is removed, and keeps its name.
    """
    patience = Patience(seconds, most=1)
    why = ""
    for name in _NAMES:
        answer = patience.ask("removing a file", functools.partial(_remove, scratch / name, empty=empty))
        if not answer.came and not why:
            why = answer.text or answer.state.value
    gone = patience.ask("removing a folder", functools.partial(_remove_folder, scratch))
    for wait in _AGAIN:
        if gone.error != "ENOTEMPTY":
            break
        time.sleep(wait)
        patience.ask("removing a file", functools.partial(_remove_again, scratch))
        gone = patience.ask("removing a folder", functools.partial(_remove_folder, scratch))
    if gone.came:
        return ""
    return f"{shown(scratch)} could not be removed ({why or gone.text or gone.state.value})"


def _remove_again(scratch: Path) -> bool:
    """What a listing still shows, of our own names."""
    for name in set(os.listdir(scratch)) & set(_NAMES):
        _remove(scratch / name, empty=False)
    return True


def _remove(place: Path, *, empty: bool) -> bool:
    try:
        kind = os.lstat(place).st_mode
    except FileNotFoundError:
        return False
    if empty and stat.S_ISREG(kind):
        with contextlib.suppress(OSError):  # emptying only spares quota; a full Drive may refuse it, and removing still works
            os.close(os.open(place, os.O_WRONLY | os.O_TRUNC | NO_FOLLOW | NO_BLOCK))
    os.unlink(place)
    return True
