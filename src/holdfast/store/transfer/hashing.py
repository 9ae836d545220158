"""The hash of what is read, made beside its writing: of a large file it takes half as long, and two cores share the two."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from blake3 import blake3

#: What comes after so many bytes is hashed by another thread: to start one takes as long as to hash a few hundred KiB.
BESIDE_BYTES = 16 << 20


#: Those that are at work in this process. Where there are several, the cores have enough to do.
_at_work: set[Hashing] = set()


class Hashing:
    """BLAKE3 of bytes that come one after the other. `with` ends its thread.

    Whoever calls is the only one. What is handed over must not be changed afterwards.
    """

    def __init__(self) -> None:
        self._hasher = blake3()
        self._size = 0
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[object] | None = None

    def __enter__(self) -> Hashing:
        _at_work.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _at_work.discard(self)
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def update(self, data: bytes) -> None:
        """Take what comes next. Of a large file it returns before that is hashed, but not before what came earlier is."""
        self._size += len(data)
        self._wait()
        if self._size > BESIDE_BYTES and len(_at_work) == 1:
            try:
                self._thread = self._thread or ThreadPoolExecutor(1, "holdfast: hashing")
                self._last = self._thread.submit(self._hasher.update, data)
            except RuntimeError:  # the process is ending, and no thread begins any more
                pass
            else:
                return
        self._hasher.update(data)

    def hexdigest(self) -> str:
        """Of all that was taken."""
        self._wait()
        return self._hasher.hexdigest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None
