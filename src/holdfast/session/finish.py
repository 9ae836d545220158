"""The end of a session: wait until everything is known to be safe, and only then give the machine back.

What the mount says of uploads is believed. Where it says nothing, Drive is flushed, unmounted and mounted again, and what the fresh
mount shows whole is safe. Anything else keeps the machine.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from holdfast.errors import HoldfastError, Interrupted, StoreUnreachable
from holdfast.session.colab import flush_drive, mount_drive, release_machine
from holdfast.session.config import Config
from holdfast.session.environment import Environment
from holdfast.session.seeing.status import Status
from holdfast.store.format.keys import Key, printable
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.same_store import look
from holdfast.store.reporting.amounts import duration
from holdfast.store.reporting.durability import Durability
from holdfast.store.store import Store

WAIT_SECONDS = 60.0
WAIT_TO_DISCONNECT_SECONDS = 3600.0
#: A second question for access may come hours after anybody looked.
CONSENT_SECONDS = 300.0
_NAMED = 5

_WORDS = {
    Durability.WRITTEN: "is still being uploaded",
    Durability.UNKNOWN: "is written, and the mount does not tell whether it is uploaded",
}


@dataclass(frozen=True)
class Finish:
    """How a session stands at its end. True where everything is safe.

    Args:
        missing: What is not known to be safe, one line each.
        released: The machine was given back.
    """

    missing: tuple[str, ...]
    released: bool = False

    def __bool__(self) -> bool:
        return not self.missing


class Finishing(Protocol):
    """What the end of a session asks of its keeper; see there."""

    config: Config
    workspace: Workspace
    environment: Environment

    @property
    def store(self) -> Store | None:
        """Where backups go."""

    @property
    def enabled(self) -> bool:
        """There is a store."""

    @property
    def on_drive(self) -> bool:
        """It lies on Drive's mount."""

    @property
    def without_store(self) -> str:
        """What to do where there is none."""

    def flush(self, seconds: float | None = None, *, patient: bool = False) -> None:
        """Wait for what is queued."""

    def confirm(self, wait: float = 0.0) -> dict[Key, Durability]:
        """How safe the newest backup of each artifact is."""

    def status(self) -> Status:
        """Every artifact."""

    def reopen(self) -> None:
        """Go on over the mount that stands there now."""


def finish(
    keeper: Finishing,
    *,
    disconnect: bool = False,
    wait: float | None = None,
    say: Callable[[str], None] | None = None,
) -> Finish:
    """See `Keeper.finish`.

    Args:
        keeper: Whose outputs.
        disconnect: Give the machine back, if everything is safe.
        wait: Seconds to wait for uploads.
        say: Is told how it goes, one line each; default standard output.
    """
    tell = say or _print
    seconds = wait if wait is not None else WAIT_TO_DISCONNECT_SECONDS if disconnect else WAIT_SECONDS
    deadline = time.monotonic() + seconds
    try:
        missing, flush = _not_safe(keeper, seconds)
        if disconnect and flush and keeper.environment is Environment.COLAB and keeper.on_drive:
            missing = _after_a_flush(keeper, max(deadline - time.monotonic(), keeper.config.timeout), tell)
    except HoldfastError as error:
        missing = [error.line]
    if missing:
        shown = [*missing[:_NAMED], *([f"and {len(missing) - _NAMED} more"] if len(missing) > _NAMED else [])]
        tell(f"NOT known to be safe after {duration(seconds)}: {'; '.join(shown)}" if keeper.enabled else missing[0])
        if disconnect:
            tell("The machine is kept, because giving it back would lose that.")
        return Finish(tuple(missing))
    where = keeper.store.backend.location if keeper.store else ""
    tell(f"Everything is safe in {where}.")
    if not disconnect or keeper.environment is not Environment.COLAB:
        return Finish(())
    tell("The machine is given back now; the notebook says that it is disconnected, and that is right.")
    try:
        release_machine()
    except HoldfastError as error:
        tell(error.line)
        return Finish(())
    return Finish((), released=True)


def _not_safe(keeper: Finishing, wait: float) -> tuple[list[str], bool]:
    """What would be lost with this machine, or may be; and whether that is only because the mount does not tell."""
    if not keeper.enabled:
        return [keeper.without_store], False
    keeper.flush(wait, patient=True)
    found = {key.value: durability for key, durability in keeper.confirm(wait).items()}
    for row in keeper.status():
        if row.durability:
            found.setdefault(row.key.value, Durability(row.durability))
    unsaved = _unsaved(keeper)
    open_ = {key: d for key, d in sorted(found.items()) if d is not Durability.CONFIRMED}
    only_untold = bool(open_) and not unsaved and Durability.WRITTEN not in open_.values()
    return [*unsaved, *(f"{key} {_WORDS[durability]}" for key, durability in open_.items())], only_untold


def _unsaved(keeper: Finishing) -> list[str]:
    rows = [r for r in keeper.status() if r.here != "no"]
    return [
        *(f"{r.key}: {r.unsaved} file(s) are not backed up" for r in rows if r.unsaved),
        *(printable(text) for r in rows for text in r.named),
    ]


def _after_a_flush(keeper: Finishing, seconds: float, tell: Callable[[str], None]) -> list[str]:
    """What a fresh mount does not show whole, after everything was flushed.

    Raises:
        StoreUnreachable: Drive could not be flushed, or not be mounted again.
    """
    point = keeper.config.mount_point
    tell("The mount does not tell what is uploaded; Drive is flushed and mounted again, to see it.")
    flush_drive(point, seconds, keeper.config.timeout)
    with _interrupting_after(CONSENT_SECONDS):
        try:
            mount_drive(point, seconds=keeper.config.timeout)
        except Interrupted as error:
            raise StoreUnreachable(
                0, "Drive was flushed, and access was not allowed again, so it is not seen whether all of it arrived", str(point)
            ) from error
    keeper.reopen()
    assert keeper.store is not None
    view = look(keeper.store, keeper.workspace)
    missing = _unsaved(keeper)
    for key in sorted(keeper.workspace.known_keys()):
        base = keeper.workspace.record(key).base
        if base is None:
            continue
        heads = keeper.store.heads(view.of(key))
        if not any(base.commit.id in (h.commit.id, *h.ancestors) for h in heads):
            missing.append(f"{key}: the backup {base.commit.id} did not arrive whole")
    return missing


@contextlib.contextmanager
def _interrupting_after(seconds: float) -> Iterator[None]:
    """Have the main thread interrupted, as by a person, if what stands below takes longer."""
    import _thread

    lock, over = threading.Lock(), threading.Event()

    def interrupt() -> None:
        with lock:
            if not over.is_set():
                _thread.interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            over.set()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
