"""The engine's end of the pipe to the process that holds Ray."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import sys
import time

from holdfast.errors import ConfigurationError, StageFailed
from holdfast.spread.cluster.alone import HERE
from holdfast.spread.cluster.words import Begin, Joined, Leave, NotJoined, Word
from holdfast.store.apart.child import Child, Gone

#: Joining takes a second, starting a cluster up to half a minute where the machine is busy.
JOIN_SECONDS = 180.0
_LEAVE_SECONDS = 15.0
#: Ray gives up a start that takes half a minute, as it may on a machine that is busy just then.
_STARTS = 2
_ENTRY = "holdfast.spread.cluster.holder:serve"


def address_to_join() -> str:
    """The cluster that `ray.init` of this process or `RAY_ADDRESS` names; else `alone.HERE`.

    Raises:
        ConfigurationError: it is an address of Ray's client, through which no node can be named.
    """
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().gcs_address)
    address = os.environ.get("RAY_ADDRESS", "").strip() or HERE
    if address.startswith("ray://"):
        raise ConfigurationError(
            f"RAY_ADDRESS: {address} is for Ray's client; run on a machine of the cluster, with the address of its head, as in "
            "RAY_ADDRESS=192.168.1.10:6379"
        )
    return address


class Link:
    """A process that holds Ray, part of a cluster.

    Args:
        address: Of the cluster; see `address_to_join`.

    Raises:
        ConfigurationError: the cluster cannot be joined, or none can be started.
        LocalError: no process could be started.
    """

    def __init__(self, address: str) -> None:
        self.is_alone = address == HERE
        for _ in range(_STARTS if self.is_alone else 1):
            self.address = address
            self._child = Child(_ENTRY, site=True)  # Ray starts its workers without, where this has none, and they find no Ray then
            try:
                self.say(Begin(address))
                answer = self.hear(JOIN_SECONDS)
            except StageFailed:  # Ray ends a process in the middle of what it does
                answer = NotJoined("Ray ended while it was asked")
            if isinstance(answer, Joined):
                self.address = answer.address
                return
            self.close()
        why = answer.why if isinstance(answer, NotJoined) else f"no answer within {JOIN_SECONDS:.0f} s"
        what = "no cluster could be started on this machine" if self.is_alone else f"the cluster at {address} cannot be joined"
        raise ConfigurationError(f"engine: ray: {what} ({why})")

    def say(self, word: Word) -> None:
        """Say something.

        Raises:
            StageFailed: the cluster is lost.
        """
        try:
            self._child.pipe.send(pickle.dumps(word))
        except Gone as error:
            raise self._lost() from error

    def hear(self, seconds: float) -> Word | None:
        """What was said; None where nothing was in so many seconds.

        Raises:
            StageFailed: the cluster is lost.
        """
        try:
            if not select.select([self._child.pipe.reading], [], [], max(seconds, 0.0))[0]:
                return None
            word: Word = pickle.loads(self._child.pipe.receive())  # noqa: S301 - from our own process
        except (Gone, ValueError) as error:  # ValueError: the pipe is closed
            raise self._lost() from error
        return word

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        with contextlib.suppress(StageFailed, OSError):
            self.say(Leave())
            until = time.monotonic() + _LEAVE_SECONDS
            while self._child.lives() and time.monotonic() < until:
                time.sleep(0.05)
        self._child.end()

    def _lost(self) -> StageFailed:
        if self.is_alone:
            which, then = "that was started on this machine is lost", "this is run again"
        else:
            which, then = f"at {self.address} is lost, or its head", "this is run again with a cluster that is there"
        return StageFailed(f"engine: ray: the cluster {which}; what was kept is safe, and goes on when {then}")
