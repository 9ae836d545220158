"""Texts take turns at a model: in order, few at a time, with a limit, and one that fails harms no other."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from holdfast.pipeline.conversion.predict import Entity
from holdfast.pipeline.serving.turns import Busy, Turns


class Model:
    """Finds in each text itself. It waits until it is let go, and remembers what it was given at a time."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.go = threading.Event()

    def __call__(self, texts: Sequence[str]) -> list[list[Entity]]:
        self.groups.append(list(texts))
        assert self.go.wait(30)
        if "bad" in texts:
            raise ValueError("the model failed")
        return [_of(text) for text in texts]


def _of(text: str) -> list[Entity]:
    return [Entity(0, len(text), "ALL", text, 1.0)]


@contextlib.asynccontextmanager
async def running(model: Model, waiting: int = 64) -> AsyncIterator[Turns]:
    turns = Turns(model, waiting)
    task = asyncio.create_task(turns.run())
    try:
        yield turns
    finally:
        model.go.set()
        task.cancel()


async def _begun(model: Model, turns: Turns) -> asyncio.Task[list[list[Entity]]]:
    """The first text is in the model."""
    first = asyncio.create_task(turns.found(["first"]))
    while not model.groups:
        await asyncio.sleep(0.001)
    return first


def test_texts_of_many_requests_go_through_the_model_together_in_the_order_in_which_they_came() -> None:
    async def run() -> None:
        model = Model()
        async with running(model) as turns:
            first = await _begun(model, turns)
            others = [asyncio.create_task(turns.found([f"{n}", f"{n} again"])) for n in range(6)]
            await asyncio.sleep(0)
            assert turns.waiting == 12
            model.go.set()
            assert await first == [_of("first")]
            assert [await o for o in others] == [[_of(f"{n}"), _of(f"{n} again")] for n in range(6)]
        texts = [text for n in range(6) for text in (f"{n}", f"{n} again")]
        assert model.groups == [["first"], texts[:8], texts[8:]]

    asyncio.run(run())


def test_long_texts_go_through_the_model_one_by_one() -> None:
    async def run() -> None:
        model = Model()
        model.go.set()
        async with running(model) as turns:
            await turns.found(["a" * 15_000, "b" * 15_000, "c", "d" * 50_000])
        assert [[len(t) for t in group] for group in model.groups] == [[15_000], [15_000, 1], [50_000]]

    asyncio.run(run())


def test_when_too_many_wait_the_next_is_told_and_one_large_request_is_taken_where_nobody_waits() -> None:
    async def run() -> None:
        model = Model()
        async with running(model, waiting=3) as turns:
            first = await _begun(model, turns)
            large = asyncio.create_task(turns.found(["l"] * 5))
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await turns.found(["too late"])
            model.go.set()
            assert len(await large) == 5
            assert await first
            assert await turns.found(["now"]) == [_of("now")]

    asyncio.run(run())


def test_who_leaves_gives_up_its_place_and_its_texts_are_not_read() -> None:
    async def run() -> None:
        model = Model()
        async with running(model, waiting=2) as turns:
            first = await _begun(model, turns)
            leaving = asyncio.create_task(turns.found(["gone", "gone too"]))
            await asyncio.sleep(0)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            staying = asyncio.create_task(turns.found(["stays"]))
            await asyncio.sleep(0)
            model.go.set()
            assert (await first, await staying) == ([_of("first")], [_of("stays")])
        assert model.groups == [["first"], ["stays"]]

    asyncio.run(run())


def test_what_the_model_fails_on_is_told_to_those_who_asked_and_the_next_are_answered() -> None:
    async def run() -> None:
        model = Model()
        model.go.set()
        async with running(model) as turns:
            with pytest.raises(ValueError, match="the model failed"):
                await turns.found(["bad"])
            assert await turns.found(["good"]) == [_of("good")]

    asyncio.run(run())
