"""The server's paths: the page, `/predict`, `/health`, `/openapi.json`. Every refusal is a line of JSON that says what to do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from holdfast.flow.failing import in_words
from holdfast.pipeline.conversion.predict import Entity
from holdfast.pipeline.conversion.predict_files import as_row
from holdfast.pipeline.serving.described import description
from holdfast.pipeline.serving.limits import Limits
from holdfast.pipeline.serving.turns import Busy, Find, Turns

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 2


class _Json(JSONResponse):
    """JSON as people read it; half a character, which UTF-8 has not, is escaped."""

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return json.dumps(content).encode()


def make_app(find: Find, *, model: str, labels: Sequence[str], limits: Limits, hosts: Sequence[str]) -> Starlette:
    """The application.

    Args:
        find: The entities of each text; see `Turns`.
        model: What to call the model.
        labels: What it finds.
        limits: What is taken.
        hosts: Names under which it may be asked. A page of somebody else's, whose name was made to lead here, is not answered.
    """
    turns = Turns(find, limits.waiting)
    page = files("holdfast.pipeline.serving").joinpath("page.html").read_text(encoding="utf-8")
    described = description(model, limits)
    about = {"model": model, "labels": list(labels)}

    async def predict(request: Request) -> Response:
        single, texts = _texts(await _body(request, limits), limits)
        try:
            async with asyncio.timeout(limits.seconds):
                found = await _while_there(request, turns.found(texts))
        except HTTPException:
            raise
        except Busy as error:
            again = {"Retry-After": str(_AGAIN_SECONDS)}
            raise HTTPException(503, f"{turns.waiting} texts wait already; come again in {_AGAIN_SECONDS} s", again) from error
        except TimeoutError as error:
            raise HTTPException(504, f"no answer within {limits.seconds:g} s; send less at a time") from error
        except Exception as error:
            log.error("the model failed on a text: %s", in_words(error))
            raise HTTPException(500, f"the model failed on it: {in_words(error)}") from error
        rows = [{"entities": [as_row(e) for e in entities]} for entities in found]
        return _Json(rows[0] if single else {"documents": rows}, headers={"Cache-Control": "no-store"})

    async def health(_: Request) -> Response:
        return _Json({**about, "waiting": turns.waiting}, headers={"Cache-Control": "no-store"})

    async def openapi(_: Request) -> Response:
        return _Json(described)

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy(page), "Referrer-Policy": "no-referrer"})

    @contextlib.asynccontextmanager
    async def alive(_: Starlette) -> AsyncIterator[None]:
        answering = asyncio.create_task(turns.run())
        try:
            yield
        finally:
            answering.cancel()

    return Starlette(
        routes=[
            Route("/", show),
            Route("/predict", predict, methods=["POST"]),
            Route("/health", health),
            Route("/openapi.json", openapi),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={HTTPException: _refused},
        lifespan=alive,
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    elsewhere = "; POST to /predict, or see /openapi.json" if error.status_code in (404, 405) else ""
    return _Json({"error": f"{error.detail}{elsewhere}"}, error.status_code, dict(error.headers or {}))


async def _while_there(request: Request, work: Coroutine[Any, Any, list[list[Entity]]]) -> list[list[Entity]]:
    """What the work comes to. It is cancelled where the client goes."""
    working = asyncio.create_task(work)
    leaving = asyncio.ensure_future(request.receive())  # after the body nothing else comes
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HTTPException(400, "the client is gone")
        return await working
    finally:
        working.cancel()
        leaving.cancel()


async def _body(request: Request, limits: Limits) -> bytes:
    """What was sent, if it is not too much. What is too much is not read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, 'send JSON, as {"text": "..."}, with Content-Type: application/json')
    declared = request.headers.get("content-length", "")
    body = bytearray()
    try:
        if not (declared.isdecimal() and int(declared) > limits.size):
            async with asyncio.timeout(limits.body_seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > limits.size:
                        break
                else:
                    return bytes(body)
    except TimeoutError as error:
        raise HTTPException(408, f"the text did not come within {limits.body_seconds:g} s; send it again") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the request ended before its text did") from error
    raise HTTPException(413, f"more than {limits.size:,} bytes; send less at a time", {"Connection": "close"})


def _texts(body: bytes, limits: Limits) -> tuple[bool, list[str]]:
    """Whether it was a single text, and the texts."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, 'that is no JSON in UTF-8; send {"text": "..."}') from error
    if isinstance(given, dict):
        if given.keys() == {"text"} and isinstance(given["text"], str):
            return True, [given["text"]]
        texts = given.get("texts")
        if given.keys() == {"texts"} and isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts):
            if len(texts) <= limits.texts:
                return False, texts
            raise HTTPException(422, f"{len(texts)} texts; send at most {limits.texts} at a time")
    raise HTTPException(422, 'send {"text": "..."}, or {"texts": ["...", "..."]}, and nothing else')


def policy(page: str) -> str:
    """What a browser lets the page do: its own script and style, and calls to this server."""
    script, style = (_hashes(page, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(page: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found)


def finder(entities_of_all: Any) -> Find:
    """A predictor's way of finding, for several texts at once."""
    return lambda texts: list[list[Entity]](entities_of_all(texts))
