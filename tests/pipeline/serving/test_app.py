"""What the server answers where its model is slow, busy or fails: a line that says what to do, and the next is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import httpx

from holdfast.pipeline.conversion.predict import Entity
from holdfast.pipeline.serving.app import make_app
from holdfast.pipeline.serving.limits import Limits

Ask = Callable[[str], Awaitable[httpx.Response]]


def asked(find: Callable[[Sequence[str]], list[list[Entity]]], limits: Limits, do: Callable[[Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        app = make_app(find, model="a model", labels=["NAME"], limits=limits, hosts=["testserver"])
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            await do(lambda text: client.post("/predict", json={"text": text}))

    asyncio.run(run())


def test_while_too_many_texts_wait_the_next_is_told_when_to_come_again() -> None:
    go = threading.Event()

    def find(texts: Sequence[str]) -> list[list[Entity]]:
        assert go.wait(30)
        return [[] for _ in texts]

    async def do(ask: Ask) -> None:
        waiting = [asyncio.ensure_future(ask(str(n))) for n in range(12)]
        await asyncio.sleep(0.2)
        go.set()
        answers = [await each for each in waiting]
        refused = [a for a in answers if a.status_code == 503]
        assert {a.status_code for a in answers} == {200, 503}
        assert refused[0].headers["Retry-After"] == "2"
        assert refused[0].json()["error"].endswith("texts wait already; come again in 2 s")
        assert (await ask("later")).status_code == 200

    asked(find, Limits(waiting=2), do)


def test_what_takes_too_long_is_given_up_in_one_line() -> None:
    go = threading.Event()

    def find(texts: Sequence[str]) -> list[list[Entity]]:
        assert go.wait(30)
        return [[] for _ in texts]

    async def do(ask: Ask) -> None:
        answer = await ask("slow")
        go.set()
        assert (answer.status_code, answer.json()["error"]) == (504, "no answer within 0.1 s; send less at a time")

    asked(find, Limits(seconds=0.1), do)


def test_what_the_model_fails_on_is_one_line_and_the_next_text_is_answered() -> None:
    def find(texts: Sequence[str]) -> list[list[Entity]]:
        if "bad" in texts:
            raise MemoryError
        return [[] for _ in texts]

    async def do(ask: Ask) -> None:
        answer = await ask("bad")
        assert (answer.status_code, list(answer.json())) == (500, ["error"])
        assert answer.json()["error"].startswith("the model failed on it: ")
        assert (await ask("good")).json() == {"entities": []}

    asked(find, Limits(), do)
