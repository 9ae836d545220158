"""A folder whose file system dies at any moment: every error is one of ours, and none of them says that something is absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import StoreError, StoreNotFound
from holdfast.store.backends.directory import DirectoryBackend
from tests.support import PROJECT

CALLS: dict[str, Callable[[DirectoryBackend], object]] = {
    "check": DirectoryBackend.check,
    "siblings": DirectoryBackend.siblings,
    "list": lambda backend: backend.list("a"),
    "list what is missing": lambda backend: backend.list("nothing"),
    "stat": lambda backend: backend.stat("a/file"),
    "read": lambda backend: list(backend.read("a/file")),
    "create": lambda backend: backend.create("b/new", lambda: (b"new",)),
    "make a folder": lambda backend: backend.make_folder("b/c"),
    "remove": lambda backend: backend.remove("a/file"),
    "flush": lambda backend: (backend.create("b/new", lambda: (b"new",)), backend.flush()),
}
USED = ("open", "close", "read", "write", "fsync", "stat", "lstat", "fstat", "scandir", "mkdir", "unlink")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("moment", range(1, 10))
def test_a_mount_that_dies_in_any_call_raises_nothing_but_store_errors(
    call: str, moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PROJECT / "a").mkdir(parents=True)
    (tmp_path / PROJECT / "a" / "file").write_bytes(b"file")
    backend, calls = DirectoryBackend(tmp_path, PROJECT), 0
    backend.check()

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def done(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= moment:
                raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
            return real(*args, **kwargs)

        return done

    with monkeypatch.context() as dead:
        for name in USED:
            dead.setattr(os, name, dying(getattr(os, name)))
        try:
            CALLS[call](backend)
        except StoreNotFound:
            assert call == "list what is missing"
            assert calls < moment
        except StoreError:
            pass
