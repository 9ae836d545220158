"""The end of a process: what waits in the queue is sent, as far as there is time."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import weakref
from types import FrameType

from holdfast.errors import NotBackedUp
from holdfast.session.background.worker import Worker

log = logging.getLogger(__name__)

#: Colab and Kubernetes follow a SIGTERM with a SIGKILL after 10 to 30 seconds; who ends a program by hand waits a minute.
TERMINATED_SECONDS = 10.0
CHAINED_SECONDS = 3.0
EXIT_SECONDS = 60.0

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()
_installed: list[int] = []
#: What of each worker stayed behind, and was said.
_left: weakref.WeakKeyDictionary[Worker, object] = weakref.WeakKeyDictionary()


def flush_at_exit(worker: Worker) -> None:
    """Have a worker flushed when the process ends: at its exit, and on SIGTERM where nobody else handles that."""
    _workers.add(worker)
    if _installed:  # a forked child has it from its parent, and nothing of what that one has queued
        return
    _installed.append(os.getpid())
    # Before Python ends its threads: from then on no pool takes work, and from Python 3.12 on no thread begins.
    before_threads_end = getattr(threading, "_register_atexit", atexit.register)
    before_threads_end(_flush, EXIT_SECONDS)
    atexit.register(_flush, TERMINATED_SECONDS)  # what other exit handlers have backed up since
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    if signal.getsignal(number) is not _terminated:
        # Another handler came later and calls the one that it found, as Lightning's does. Whether the process ends is its to say,
        # and when: it may still have to save. The queue lives on; what is in it gets a little of the time that is left.
        _flush(CHAINED_SECONDS, ending=False)
        return
    _flush(TERMINATED_SECONDS)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _flush(seconds: float, *, ending: bool = True) -> None:
    for worker in list(_workers):
        queue = worker.queue()
        if _left.get(worker) == (queue.waiting, queue.errors):
            continue
        if waiting := queue.waiting:
            log.info("%d backup(s) are still being sent; the end waits for them up to %g s", len(waiting), seconds)
        try:
            worker.flush(seconds)
        except NotBackedUp as error:
            if ending:
                log.error("%s", error)
        if not ending:
            continue
        queue = worker.queue()
        _left[worker] = (queue.waiting, queue.errors)
        worker.close()
