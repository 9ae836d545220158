"""The local side: the root, its outputs, the memory of them, and whoever opens files there."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import LocalError
from holdfast.platform import random_hex
from holdfast.store.apart.reading import InProcess, Reader
from holdfast.store.format.keys import Key
from holdfast.store.local.disk import local_errors, remove_tree
from holdfast.store.local.records import Here, Record
from holdfast.store.local.remembered import Remembered
from holdfast.store.local.still import Expected

if TYPE_CHECKING:
    from holdfast.store.copies.proofs import Proof, Proofs

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A look into files has so long, and so much more for what they hold: a disk that is slower than this is not working.
_READ_SECONDS, _READ_BYTES_PER_SECOND = 300.0, 1e6
ASIDE_FOLDER = "holdfast-aside"


class Workspace(Remembered):
    """A project folder on this machine.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        lock_seconds: How long to wait for another process that works in this workspace.
        clock: Unix seconds; names what is moved aside, decides nothing.
        ignore: Patterns of what is left out, in gitignore's syntax, beside those of `.holdfastignore`.
        follow: Paths of symbolic links that are followed.
        accept: Paths of what cannot be kept and may be lost.
        reader: Opens files of outputs; by default this process, which then must not have any of them open itself.
    """

    def __init__(
        self,
        root: Path,
        outputs: str = "outputs",
        *,
        lock_seconds: float = 600.0,
        clock: Callable[[], float] = time.time,
        ignore: tuple[str, ...] = (),
        follow: tuple[str, ...] = (),
        accept: tuple[str, ...] = (),
        reader: Reader | None = None,
    ) -> None:
        super().__init__(root, outputs, lock_seconds=lock_seconds, ignore=ignore, follow=follow, accept=accept)
        self._clock = clock
        self._reader = reader or InProcess()
        #: What was found out of files whose signature proved nothing when they were last taken, for as long as this lives.
        self.proven: dict[tuple[Key, str], Here] = {}
        self._expected: dict[Key, Expected] = {}

    def expected(self, key: Key, record: Record) -> Expected | None:
        """What a walk of an artifact finds where all is as a record says; None where that cannot be said name by name."""
        expected = self._expected.get(key)
        if expected is None or not expected.is_of(record):
            expected = Expected.of(record)
            self._expects(key, expected)
        return expected

    def looked_into(self, key: Key, before: Record, after: Record, scope: tuple[str, ...]) -> None:
        """What is remembered of an artifact is another record now, which differs from the one before in a scope only."""
        expected = self._expected.get(key)
        if expected is not None and expected.is_of(before) and not expected.is_of(after):
            self._expects(key, None if "" in scope else expected.after(after, scope))

    def _expects(self, key: Key, expected: Expected | None) -> None:
        if expected is None:
            self._expected.pop(key, None)
        else:
            self._expected[key] = expected

    @functools.cached_property
    def proofs(self) -> Proofs:
        """What is proven on the devices that this workspace meets. Loaded where a file has to be looked into."""
        from holdfast.store.copies.proofs import Proofs

        return Proofs(self.read)

    def read(self, function: Callable[..., T], *args: object, size: int = 0) -> T:
        """Run a function that opens files of outputs, where that costs no program its locks.

        Args:
            function: At the top of a module.
            args: Plain data.
            size: Bytes that it may have to read, which decides how long it may take.

        Raises:
            LocalError: it took too long.
        """
        return self._reader.call(function, *args, seconds=_READ_SECONDS + size / _READ_BYTES_PER_SECOND)

    @property
    def times_prove(self) -> bool:
        """True where a file that is published here cannot change later without its times."""
        return self.proof_at(self.new_folder(self._state / "tmp"))[1].maps_move_times

    def proof_at(self, folder: Path) -> tuple[int, Proof]:
        """What times prove where a scratch folder lies: the device, and the proof."""
        with local_errors():
            self.proofs.learn(folder)
            device = os.lstat(folder).st_dev
        return device, self.proofs.of(device)

    @contextlib.contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[None]:
        """Hold the workspace. The system drops the lock when the process dies, however it dies.

        What a killed run left in the scratch space is removed, and its finished publications are recorded.

        Args:
            seconds: How long to wait at the most, where that is less than `lock_seconds`.

        Raises:
            WorkspaceBusy: another process held it too long.
            LocalError: the folder beside outputs cannot be written.
        """
        limit = self._lock_seconds if seconds is None else min(seconds, self._lock_seconds)
        with self._in_turn(limit):
            self._finish_publications()
            remove_tree(self._state / "tmp")
            yield

    def set_aside(self, *places: Path) -> Path:
        """Move files or folders out of outputs, never deleting them. Gives the folder where they are now.

        Args:
            places: Absolute paths below the root; a database before its side files, so that a kill in between leaves
                side files without a database, which every restore moves aside first.

        Raises:
            LocalError: the disk refuses.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        folder = self._beside / ASIDE_FOLDER / f"{stamp}-{random_hex(2)}"
        for source in places:
            target = folder / self.outputs.value / source.relative_to(self._outputs)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(source, target)
            except OSError as error:
                raise LocalError(error.errno, f"cannot move it aside: {error.strerror}", str(source)) from error
        log.warning("%s was moved aside to %s", places[0], folder)
        return folder
