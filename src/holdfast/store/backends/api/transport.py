"""Requests to Drive's API, one at a time, each repeated where that is right; and nothing secret in any text.

One session of `requests` a thread, because a connection is not shared well. A body is always bytes: a file that is sent again after
a refreshed token is sent as nothing. No redirect is followed, because 308 is an answer here.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import StoreUnreachable, StoreUnreadable
from holdfast.store.backends.api.refusals import Refusal

log = logging.getLogger(__name__)

#: Gives a bearer token; a new one where the last one was refused.
Token = Callable[[bool], str]

GOOGLE = "https://www.googleapis.com"
#: For tests: another address, and behind a blank the certificate that it is trusted by.
ADDRESS_VARIABLE = "HOLDFAST_DRIVE_API"
#: Seconds until a connection stands, and until the next bytes come.
_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 60.0
#: A server that asks for a longer wait than this is given up on.
_LONGEST_WAIT_SECONDS = 120.0
#: Waits between the attempts at one request.
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_SECRET = re.compile(r"(upload_id=|[Bb]earer |access_token=|refresh_token=)[^&\s\"']+")


def without_secrets(text: str) -> str:
    """A text without the addresses of sessions and without tokens: whoever has one of them can write."""
    return _SECRET.sub(r"\1...", text)


class _CutOut(logging.Filter):
    """urllib3 logs whole addresses at DEBUG, those of sessions too."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if _SECRET.search(text):
            record.msg, record.args = without_secrets(text), ()
        return True


_CUT_OUT = _CutOut()


@dataclass(frozen=True)
class Address:
    """Where the API is.

    Args:
        root: Scheme, host and port.
        certificate: A file with the certificate that it is trusted by; None for those of the system.
    """

    root: str = GOOGLE
    certificate: str | None = None

    @classmethod
    def of_environment(cls) -> Address:
        """Google's, unless the variable names another."""
        root, _, certificate = os.environ.get(ADDRESS_VARIABLE, "").partition(" ")
        return cls(root.rstrip("/"), certificate or None) if root else cls()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        status: Of HTTP.
        headers: By name in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """What was asked for."""
        return 200 <= self.status < 300

    @property
    def refusal(self) -> Refusal:
        """What it says where it is not."""
        return Refusal(self.status, reason_in(self.body))

    def object(self) -> dict[str, Any]:
        """The JSON object in it.

        Raises:
            StoreUnreadable: it is none.
        """
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise StoreUnreadable(errno.EIO, "Drive answered with something that is no answer", "Drive's API")
        return found


def reason_in(body: bytes) -> str:
    """The word for what is wrong, in the body of a refusal; empty where there is none."""
    try:
        error = json.loads(body)["error"]
        found = error["errors"][0]["reason"] if "errors" in error else error.get("status", "")
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
    return found if isinstance(found, str) and found.isascii() and len(found) < 60 else ""


class Broken(StoreUnreachable):
    """No answer came, or not all of it: what the server did is not known."""


@dataclass
class Waits:
    """Waits between attempts: each is spread, and what the server asks for is heeded.

    Args:
        seconds: One wait before each further attempt.
        sleep: `time.sleep`, or a test's clock.
        spread: Gives a factor for each wait.
    """

    seconds: tuple[float, ...] = WAITS
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[], float] = field(default=lambda: random.uniform(0.5, 1.5))  # noqa: S311 - nothing here is secret

    def each(self) -> Iterator[float]:
        """The seconds before the second attempt, the third, and so on."""
        return (wait * self.spread() for wait in self.seconds)


class Transport:
    """Requests to the API at one address.

    Args:
        token: Gives the bearer token.
        address: Where the API is; default by the environment.
        waits: Between attempts.
    """

    def __init__(self, token: Token, *, address: Address | None = None, waits: Waits | None = None) -> None:
        self._token = token
        self.address = address or Address.of_environment()
        self.waits = waits or Waits()
        self._threads = threading.local()
        for name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection"):
            logging.getLogger(name).addFilter(_CUT_OUT)

    def ask(
        self,
        method: str,
        path: str,
        *,
        where: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask until there is an answer that is not about this moment. Only for what may be asked twice.

        Args:
            method: Of HTTP.
            path: Below the address, or a whole address.
            where: What it is about, for messages.
            query: Parameters.
            body: Bytes.
            headers: Further ones.

        Raises:
            StoreUnreachable: no answer came, however often it was asked.
        """
        waits = self.waits.each()
        while True:
            try:
                answer = self.ask_once(method, path, where=where, query=query, body=body, headers=headers)
            except Broken as error:
                wait = next(waits, None)
                if wait is None:
                    raise
                log.debug("asking again in %.1f s (%s)", wait, error)
            else:
                if answer.is_good or not answer.refusal.passes:
                    return answer
                wait = next(waits, None)
                if wait is None:
                    return answer
                wait = max(wait, asked_wait(answer))
                log.debug("%s: %d %s; asking again in %.1f s", where, answer.status, answer.refusal.reason, wait)
            self.waits.sleep(wait)

    def ask_once(
        self,
        method: str,
        path: str,
        *,
        where: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; with a new token once more, where the token was refused.

        Raises:
            Broken: no answer came, or not all of it.
        """
        for again in (False, True):
            with self._sent(method, path, where, query, body, headers, fresh=again) as response:
                if response.status_code == 401 and not again:
                    continue
                data = self._bytes(response, where)
                return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, data)
        raise AssertionError

    def download(self, path: str, *, where: str, query: Mapping[str, str], offset: int, chunk: int) -> Iterator[Answer | bytes]:
        """The head of an answer, and then its body in pieces; a refusal is its head with all of the body.

        Raises:
            Broken: while iterating; less came than was promised.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        for again in (False, True):
            with self._sent("GET", path, where, query, None, headers, fresh=again) as response:
                if response.status_code == 401 and not again:
                    continue
                known = {k.lower(): v for k, v in response.headers.items()}
                if response.status_code not in (200, 206):
                    yield Answer(response.status_code, known, self._bytes(response, where))
                    return
                yield Answer(response.status_code, known, b"")
                while data := self._piece(response, chunk, where):
                    yield data
                return

    def _sent(
        self,
        method: str,
        path: str,
        where: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        *,
        fresh: bool,
    ) -> Any:
        import requests

        token = self._token(fresh)
        sent = {"Accept-Encoding": "identity", "Authorization": f"Bearer {token}", **(headers or {})}
        try:
            return self._session().request(
                method,
                path if "://" in path else f"{self.address.root}{path}",
                params=query,
                data=body,
                headers=sent,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                allow_redirects=False,
                stream=True,
                verify=self.address.certificate or True,
            )
        except (requests.RequestException, OSError) as error:  # an OSError of its own where a certificate is not there
            # Its text has the address in it, and with that the key to a session.
            raise Broken(errno.ECONNRESET, f"no answer came from Drive's API ({type(error).__name__})", where) from None

    def _bytes(self, response: Any, where: str) -> bytes:
        return b"".join(iter(lambda: self._piece(response, 1 << 20, where), b""))

    def _piece(self, response: Any, size: int, where: str) -> bytes:
        from urllib3.exceptions import HTTPError

        try:
            data = response.raw.read(size)
        except (HTTPError, OSError) as error:
            raise Broken(errno.ECONNRESET, f"the answer of Drive's API was cut off ({type(error).__name__})", where) from None
        assert isinstance(data, bytes)
        return data

    def _session(self) -> Any:
        import requests

        held = getattr(self._threads, "held", None)
        if held is None or held[0] != os.getpid():  # a forked child shares no connection
            session = requests.Session()
            session.auth = _keep_ours  # else a ~/.netrc puts its own in place of the token
            held = self._threads.held = (os.getpid(), session)
        return held[1]


def _keep_ours(request: Any) -> Any:
    return request


def asked_wait(answer: Answer) -> float:
    """Seconds for which the server asks to be left alone."""
    try:
        return min(float(answer.headers.get("retry-after", "0")), _LONGEST_WAIT_SECONDS)
    except ValueError:
        return 0.0
