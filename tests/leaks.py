"""No secret is shown: everything that a test of Drive's API left is read for what nobody may see.

Secret are tokens, what gives new ones, and the addresses of uploads, because who has one of them can write. Read are logs of every
level, errors, what was printed, by children too, the findings of `doctor`, and every file: projects, notes, stores, the cloud.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.session.doctor.findings import Finding
from holdfast.simulator.drive_api import DriveApi

#: An address of an upload with its key, and none that was cut out of it.
ADDRESS = re.compile(rb"upload_id=(?!\.\.\.)[\w-]")
_BLOCK, _OVERLAP = 1 << 24, 4096


class Watch:
    """Collects what is shown to people, and searches it, with a folder, for secrets.

    Args:
        folder: Everything below it is read.
        tokens: What may be nowhere but in the user's own file.
        addresses: Keys of uploads, which may be in the notes of a machine too, readable for nobody else.
    """

    def __init__(self, folder: Path, tokens: Callable[[], Collection[str]], addresses: Callable[[], Collection[str]]) -> None:
        self._folder = folder
        self._tokens = tokens
        self._addresses = addresses
        self._texts: list[tuple[str, str]] = []

    def add(self, where: str, text: object) -> None:
        """Something was shown."""
        self._texts.append((where, text.decode(errors="replace") if isinstance(text, bytes) else str(text)))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Collect what is logged, raised, found by `doctor`, and printed by children."""
        root = logging.getLogger()
        with pytest.MonkeyPatch.context() as patch:
            self._listen(patch)
            for other in root.handlers:  # they show what they showed
                patch.setattr(other, "level", max(other.level, root.level))
            patch.setattr(root, "handlers", [*root.handlers, _Handler(self)])
            level = root.level
            root.setLevel(logging.DEBUG)
            try:
                yield
            finally:
                root.setLevel(level)

    def _listen(self, patch: pytest.MonkeyPatch) -> None:
        add, found, ended = self.add, Finding.__init__, subprocess.Popen.communicate

        def raised(error: HoldfastError, *args: object, **named: object) -> None:
            add(type(error).__name__, args)
            super(HoldfastError, error).__init__(*args, **named)

        def finding(self: Finding, *args: Any, **named: Any) -> None:
            add("a finding", (args, named))
            found(self, *args, **named)

        def communicate(self: subprocess.Popen[Any], *args: Any, **named: Any) -> tuple[Any, Any]:
            printed = ended(self, *args, **named)
            for text in printed:
                if text is not None:
                    add("a child", text)
            return printed

        patch.setattr(HoldfastError, "__init__", raised)
        patch.setattr(Finding, "__init__", finding)
        patch.setattr(subprocess.Popen, "communicate", communicate)

    def found(self) -> list[str]:
        """Where a secret is shown."""
        tokens, addresses = _encoded(self._tokens()), _encoded(self._addresses())
        shown = [f"{where}: {text[:400]}" for where, text in self._texts if _holds(text.encode(), (*tokens, *addresses))]
        return shown + leaks_in(self._folder, tokens, addresses)


class _Handler(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.DEBUG)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.add(f"log {record.name}", self.format(record))


def _encoded(texts: Collection[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts if text)


def _holds(data: bytes, secrets: Collection[bytes]) -> bool:
    return ADDRESS.search(data) is not None or any(secret in data for secret in secrets)


def leaks_in(folder: Path, tokens: Collection[bytes], addresses: Collection[bytes] = ()) -> list[str]:
    """Every file below a folder that holds a secret which may not be there. What Google's side keeps of its own is not read."""
    found = []
    for name, folders, files in os.walk(folder):
        above = Path(name)
        google = above.name == "cloud"
        folders[:] = [f for f in folders if not (google and f == "api") and not os.path.ismount(above / f)]
        for place in (above / file for file in files):
            status = place.lstat()
            if not stat.S_ISREG(status.st_mode):
                continue
            own, private = place.parts[-2:] == ("holdfast", "drive.json"), not stat.S_IMODE(status.st_mode) & 0o077
            if own:
                continue
            noted = place.parent.name == "uploads" and private
            if any(_tells(block, tokens, () if noted else addresses, noted=noted) for block in _blocks(place)):
                found.append(f"{place}: mode {stat.S_IMODE(status.st_mode):o}")
    return found


def _tells(data: bytes, tokens: Collection[bytes], addresses: Collection[bytes], *, noted: bool) -> bool:
    return any(token in data for token in tokens) or (not noted and _holds(data, addresses))


def _blocks(place: Path) -> Iterator[bytes]:
    """A file in pieces that overlap, so that nothing is cut in two."""
    with open(place, "rb") as file:
        end = b""
        while data := file.read(_BLOCK):
            yield end + data
            end = data[-_OVERLAP:]


@pytest.fixture(autouse=True)
def nothing_secret_is_shown(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """After every test of Drive's API: neither a token nor the address of an upload is anywhere but where it has to be."""
    if "api" not in request.fixturenames:
        yield
        return
    api: DriveApi = request.getfixturevalue("api")
    watch = Watch(tmp_path, lambda: api.book.tokens, lambda: api.book.uploads)
    takes = {"capsys", "capfd"}.isdisjoint(request.fixturenames)
    printed: pytest.CaptureFixture[str] | None = request.getfixturevalue("capfd") if takes else None
    with watch.watching():
        yield
    if printed is not None:
        out, err = printed.readouterr()
        watch.add("stdout", out)
        watch.add("stderr", err)
        print(out, end="")
    assert watch.found() == []
