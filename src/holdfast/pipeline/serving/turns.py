"""Texts of many requests take turns at one model: a few go through it at a time, in one thread, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from holdfast.pipeline.conversion.predict import Entity

#: Texts, and characters, that go through the model at a time: more of them make one another wait, and are hardly faster.
_AT_A_TIME, _CHARACTERS = 8, 20_000

Find = Callable[[Sequence[str]], Sequence[list[Entity]]]


class Busy(Exception):
    """So many texts wait already that no more are taken."""


@dataclass(frozen=True)
class _Waiting:
    text: str
    answer: asyncio.Future[list[Entity]]


class Turns:
    """The queue before a model. For one event loop.

    Args:
        find: The entities of each text. It is called in a thread, one call at a time.
        waiting: Texts that may wait. A request that has more by itself is taken where nobody waits.
    """

    def __init__(self, find: Find, waiting: int) -> None:
        self._find = find
        self._limit = waiting
        self._queue: deque[_Waiting] = deque()
        self._there = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Texts that wait, and whose requests do."""
        return sum(not one.answer.done() for one in self._queue)

    async def found(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities of each text. Who is cancelled while it waits gives up its place.

        Raises:
            Busy: too many wait.
            Exception: whatever `find` raises.
        """
        waiting = self.waiting
        if waiting and waiting + len(texts) > self._limit:
            raise Busy
        loop = asyncio.get_running_loop()
        mine = [_Waiting(text, loop.create_future()) for text in texts]
        self._queue.extend(mine)
        self._there.set()
        try:
            return list(await asyncio.gather(*(one.answer for one in mine)))
        finally:
            for one in mine:
                one.answer.cancel()

    async def run(self) -> None:
        """Answer, until it is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "model") as thread:
            while True:
                group = self._next()
                if not group:
                    self._there.clear()
                    await self._there.wait()
                    continue
                try:
                    answers = await loop.run_in_executor(thread, self._find, [one.text for one in group])
                except Exception as error:  # noqa: BLE001 - it is the answer of those who asked
                    for one in group:
                        if not one.answer.done():
                            one.answer.set_exception(error)
                    continue
                for one, answer in zip(group, answers, strict=True):
                    if not one.answer.done():
                        one.answer.set_result(answer)

    def _next(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._queue and len(group) < _AT_A_TIME:
            one = self._queue[0]
            if group and size + len(one.text) > _CHARACTERS:
                break
            self._queue.popleft()
            if not one.answer.done():
                group.append(one)
                size += len(one.text)
        return group
