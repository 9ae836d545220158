"""A page of a server in headless Chromium, which is told what to do by Chromium's own protocol."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

from tornado.websocket import websocket_connect

from tests.chromium import FLAGS, PROGRAM

_FLAGS = (*FLAGS, "--remote-debugging-port=0", "--remote-allow-origins=*")


@dataclass(frozen=True)
class Shown:
    """What came of it.

    Args:
        value: What the script came to.
        console: Errors and warnings of the console, and scripts that failed.
        requests: Addresses that were asked for.
    """

    value: Any
    console: list[str]
    requests: list[str]


def run_in(address: str, script: str) -> Shown:
    """Open a page, and run a script in it: an expression, whose promise is waited for."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            found = next(m for line in process.stderr if (m := re.search(r"ws://\S+", line)))
            return asyncio.run(_run(found[0], address, script))
        finally:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


async def _run(browser: str, address: str, script: str) -> Shown:
    line = await websocket_connect(browser)
    console, requests = list[str](), list[str]()
    numbers = iter(range(1, 1000))
    loaded = False

    async def hear() -> dict[str, Any]:
        nonlocal loaded
        text = await asyncio.wait_for(line.read_message(), 60)
        assert text is not None, "Chromium ended"
        told: dict[str, Any] = json.loads(text)
        what, given = told.get("method"), told.get("params", {})
        if what == "Network.requestWillBeSent":
            requests.append(given["request"]["url"])
        elif what == "Log.entryAdded":
            console.append(given["entry"]["text"])
        elif what == "Runtime.exceptionThrown":
            console.append(str(given["exceptionDetails"]))
        elif what == "Page.loadEventFired":
            loaded = True
        return told

    async def call(method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        number = next(numbers)
        of = {} if session is None else {"sessionId": session}
        await line.write_message(json.dumps({"id": number, "method": method, "params": given, **of}))
        while (told := await hear()).get("id") != number:
            pass
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    try:
        target = (await call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await call(f"{domain}.enable", session)
        await call("Page.navigate", session, url=address)
        while not loaded:
            await hear()
        came = await call("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in came, came
        return Shown(came["result"].get("value"), console, requests)
    finally:
        line.close()
