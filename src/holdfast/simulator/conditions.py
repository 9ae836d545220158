"""What the weather does to one call: let it pass, fail it, hold it, or cut it short."""

from __future__ import annotations

import dataclasses
import errno
import fnmatch
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.simulator.clock import Clock
from holdfast.simulator.counters import Counters
from holdfast.simulator.seeds import drawn
from holdfast.simulator.tree import MOUNTPOINT
from holdfast.simulator.weather import Death, Hang, Spared, Trouble, Weather

#: The operations that a trouble or a hang can name.
OPERATIONS = (
    *("lookup", "list", "open", "create", "read", "write", "truncate", "flush", "fsync", "attribute"),
    *("remove", "mkdir", "rmdir", "rename", "statfs", "chmod", "link", "symlink"),
)
CHANGES = frozenset({"create", "write", "truncate", "remove", "mkdir", "rmdir", "rename", "link", "symlink", "chmod"})


def refusal(number: int, path: str) -> OSError:
    """The error that the caller of the mount shall get."""
    return OSError(number, os.strerror(number), path)


class Conditions:
    """The current weather and its draws.

    Args:
        weather: To begin with.
        seed: Of every draw.
        clock: For latencies.
        counters: Where waits are counted.
    """

    def __init__(self, weather: Weather, seed: int, clock: Clock, counters: Counters) -> None:
        self._weather = weather
        self._seed = seed
        self._clock = clock
        self._counters = counters
        self._turned = threading.Condition()
        self._draws = 0
        self._stopped = False
        self._hanging: list[str] = []

    @property
    def weather(self) -> Weather:
        """The weather now."""
        return self._weather

    @property
    def hanging(self) -> list[str]:
        """The calls that are held now, as `operation path`."""
        with self._turned:
            return list(self._hanging)

    def change(self, fields: Mapping[str, Any]) -> None:
        """Change some of the weather; calls that are held and no longer match go on."""
        with self._turned:
            self._weather = self._weather.changed(fields)
            self._turned.notify_all()

    def release(self) -> None:
        """End every hang."""
        self.change({"hangs": ()})

    def stop(self) -> None:
        """Hold nothing from now on: the mount is going down."""
        with self._turned:
            self._stopped = True
            self._turned.notify_all()

    def check(self, operation: str, path: str) -> None:
        """Let a call pass, or hold it, or fail it.

        Args:
            operation: One of `OPERATIONS`.
            path: Below `My Drive`, or `/` for the mountpoint.

        Raises:
            OSError: what the caller shall see.
        """
        self._hold(operation, path)
        weather = self._weather
        if weather.death is Death.ENOTCONN:
            raise refusal(errno.ENOTCONN, path)
        if weather.death is Death.ENOENT and not _spares(weather.spared, path):
            raise refusal(errno.ENOENT, path)
        if weather.readonly and operation in CHANGES:
            raise refusal(errno.EROFS, path)
        for trouble in weather.troubles:
            if _matches(trouble, operation, path) and (trouble.share >= 1 or self._chance() < trouble.share):
                raise refusal(int(getattr(errno, trouble.error)), path)

    def _hold(self, operation: str, path: str) -> None:
        def held() -> bool:
            return not self._stopped and any(_matches(hang, operation, path) for hang in self._weather.hangs)

        with self._turned:
            if not held():
                return
            name = f"{operation} {path}"
            self._hanging.append(name)
            while held():
                self._turned.wait()
            self._hanging.remove(name)

    def _chance(self) -> float:
        with self._turned:
            self._draws += 1
            return drawn(self._seed, "call", self._draws).random()

    def readable(self, size: int, path: str) -> int:
        """How much of a read of `size` bytes is given, after short reads and a death in the middle.

        Raises:
            OSError: the mount died just before this read.
        """
        weather = self._weather
        if size > 1 and weather.short_reads and self._chance() < weather.short_reads:
            size = max(1, int(size * self._chance()))
        if weather.dies_after_bytes is None or size == 0:
            return size
        with self._turned:
            left = self._weather.dies_after_bytes
            if left is None or size <= left:
                self._weather = dataclasses.replace(self._weather, dies_after_bytes=None if left is None else left - size)
                return size
            self._weather = dataclasses.replace(self._weather, dies_after_bytes=None, death=self._weather.dies_as)
            self._turned.notify_all()
        if left == 0:
            self.check("read", path)
        return left

    def listed(self, path: str, name: str) -> bool:
        """Whether an incomplete listing shows this name."""
        return drawn(self._seed, "listing", path, name).random() >= self._weather.left_out

    def wait(self, seconds: Callable[[Weather], float]) -> None:
        """Let the time of a read pass, where latency is on."""
        if not self._weather.latency.on:
            return
        length = seconds(self._weather)
        self._counters.add("milliseconds_waited", round(length * 1000))
        self._clock.wait(length)


def _matches(rule: Trouble | Hang, operation: str, path: str) -> bool:
    return (not rule.operations or operation in rule.operations) and fnmatch.fnmatchcase(path, rule.pattern)


def _spares(spared: Spared, path: str) -> bool:
    if path == MOUNTPOINT:
        return spared is not Spared.NOTHING
    return path == "" and spared is Spared.MY_DRIVE
