"""What this machine notes of what it sends by the API: ids under which something was made, and uploads that are not finished.

A listing shows what was made minutes later, and a kill forgets everything. So the id of a file is noted before the request that
makes it, and the address of an upload before its first byte. Both lie in the workspace, readable for its owner only, because who
has the address of an upload can write. Losing them costs time, never content.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)

#: What was made longer ago than so many names is shown by every listing.
_KEPT = 4000
#: Uploads that nobody continued; Google forgets each after a week.
_UPLOADS = 64
_MADE, _SESSIONS = "made", "uploads"


@dataclass(frozen=True)
class Made:
    """Something that this machine made, or was about to make, in the store.

    Args:
        path: In the store.
        id: In Drive.
        is_folder: What it is.
        size: Of its content, once it is known to have arrived; None before.
        sha256: Likewise.
        md5: Likewise.
    """

    path: str
    id: str
    is_folder: bool = False
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def arrived(self) -> bool:
        """Drive has said of it that it has these bytes."""
        return self.size is not None


@dataclass(frozen=True)
class Upload:
    """An upload that began.

    Args:
        address: Where its bytes go. Secret.
        id: That the file gets.
        beginning: SHA-256 of the first bytes, by which the same content is known again.
    """

    address: str
    id: str
    beginning: str


class Notes:
    """The notes of one store on one machine.

    Args:
        folder: Where they lie; made when there is something to note. None keeps them in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._made: dict[str, Made] = {}
        self._uploads: dict[str, Upload] = {}
        self._going_on: set[str] = set()
        self._read()

    # -- what was made -------------------------------------------------------------------------------------------------

    def made(self, path: str) -> Made | None:
        """What this machine made under a path."""
        with self._lock:
            return self._made.get(path)

    def made_in(self, folder: str) -> list[Made]:
        """What it made directly in a folder."""
        with self._lock:
            return [m for p, m in self._made.items() if p.rpartition("/")[0] == folder and p]

    def note(self, made: Made) -> None:
        """Before the request, and again once it has arrived."""
        with self._lock:
            self._made.pop(made.path, None)
            self._made[made.path] = made
            self._append(asdict(made))

    def forget(self, path: str) -> None:
        """It was removed, or came to nothing."""
        with self._lock:
            if self._made.pop(path, None) is not None:
                self._append({"path": path})

    # -- uploads -------------------------------------------------------------------------------------------------------

    def begin(self, upload: Upload) -> None:
        """Before its first byte."""
        with self._lock:
            self._uploads[upload.id] = upload
            self._going_on.add(upload.id)
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    self._write(self._folder / _SESSIONS / upload.id, json.dumps(asdict(upload)))

    def left(self, beginning: str) -> Upload | None:
        """An upload of content with this beginning that nobody goes on with, to be gone on with now."""
        with self._lock:
            for upload in self._uploads.values():
                if upload.beginning == beginning and upload.id not in self._going_on:
                    self._going_on.add(upload.id)
                    return upload
            return None

    def pause(self, upload: Upload) -> None:
        """An attempt at it failed; a later one may go on."""
        with self._lock:
            self._going_on.discard(upload.id)

    def end(self, upload: Upload) -> None:
        """It is finished, or cannot be gone on with."""
        with self._lock:
            self._uploads.pop(upload.id, None)
            self._going_on.discard(upload.id)
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    (self._folder / _SESSIONS / upload.id).unlink()

    # -- below: with the lock held -------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            lines = (self._folder / _MADE).read_text(encoding="utf-8").splitlines()
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    said = json.loads(line)
                    self._made.pop(said["path"], None)
                    if "id" in said:
                        self._made[said["path"]] = Made(**said)
            if len(lines) > 2 * _KEPT:
                self._made = dict(list(self._made.items())[-_KEPT:])
                text = "".join(f"{json.dumps(asdict(m))}\n" for m in self._made.values())
                self._write(self._folder / f"{_MADE}.new", text)
                os.replace(self._folder / f"{_MADE}.new", self._folder / _MADE)
        with contextlib.suppress(OSError):
            found = sorted((self._folder / _SESSIONS).iterdir(), key=lambda p: p.stat().st_mtime)
            for old in found[:-_UPLOADS]:
                old.unlink()
            for place in found[-_UPLOADS:]:
                with contextlib.suppress(ValueError, TypeError):
                    upload = Upload(**json.loads(place.read_text(encoding="utf-8")))
                    self._uploads[upload.id] = upload

    def _append(self, said: dict[str, object]) -> None:
        """That it cannot be noted costs a proof, not safety."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._folder / _MADE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, f"{json.dumps(said)}\n".encode())
            finally:
                os.close(handle)
        except OSError as error:
            log.debug("what was made in Drive could not be noted (%s)", error.strerror)

    def _write(self, place: Path, text: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
