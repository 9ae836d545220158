"""Tokens for Drive's API: where they come from, and that nobody sees them.

In this order: what a supervisor hands over (`holdfast colab run`); a file of the user's own in the usual place of the platform,
with mode 600; Colab's own sign-in, where that is asked for; what `google.auth.default()` finds. Nothing of a token is ever written,
logged or shown by us.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, StoreUnreachable
from holdfast.session.environment import Environment, detect

#: The least scope that sees what a mount wrote. For reading alone `drive.readonly` is enough, and for a store that only one OAuth
#: client writes `drive.file` is.
SCOPE = "https://www.googleapis.com/auth/drive"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
#: Names the socket at which whoever supervises this machine's work gives a token.
SERVED_VARIABLE = "HOLDFAST_DRIVE_TOKENS"
_SERVED_SECONDS = 100.0
_FILE = "drive.json"
_INSTALL = "pip install 'holdfast[drive]'"
_SIGN_IN = "sign in again (docs/drive-api.md says how)"


def token_place(variables: Mapping[str, str] | None = None) -> Path:
    """Where the user's own token or OAuth client lies: the platform's usual place for settings."""
    env = os.environ if variables is None else variables
    if sys.platform == "win32" and env.get("APPDATA"):
        return Path(env["APPDATA"]) / "holdfast" / _FILE
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "holdfast" / _FILE
    return Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "holdfast" / _FILE


def need_packages() -> None:
    """Return where what the API needs is installed.

    Raises:
        ConfigurationError: it is not; the text says what to run.
    """
    missing = [name for name, module in (("requests", "requests"),) if find_spec(module) is None]
    if missing:
        raise ConfigurationError(f"Drive's API needs {', '.join(missing)}, which is not installed; {_INSTALL}")


class FixedToken:
    """A token that somebody else made, and that ends by itself."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, fresh: bool) -> str:
        """The token; there is no newer one."""
        return self._token

    def seconds_left(self) -> float | None:
        """Nobody said when it ends."""
        return None

    def __repr__(self) -> str:
        return "FixedToken()"


class Credentials:
    """Tokens from credentials of google-auth, refreshed in time."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()

    def __call__(self, fresh: bool) -> str:
        """A token that is good now.

        Raises:
            StoreUnreachable: there is none any more.
        """
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        with self._lock:
            if fresh or not self._credentials.valid:
                try:
                    self._credentials.refresh(Request())
                except GoogleAuthError as error:  # its text may hold what the server was sent
                    raise StoreUnreachable(
                        errno.EACCES, f"no token for Drive's API could be had ({type(error).__name__}): {_SIGN_IN}", "Drive's API"
                    ) from None
            return str(self._credentials.token)

    def seconds_left(self) -> float | None:
        """Until the token that was given last ends; None where that is not known."""
        expiry = self._credentials.expiry  # of UTC, without saying so
        return None if expiry is None else expiry.replace(tzinfo=datetime.UTC).timestamp() - time.time()

    def __repr__(self) -> str:
        return "Credentials()"


class ServedToken:
    """A token of the job that this process works for, asked for each time, because it is renewed there."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._last = ""

    def __call__(self, fresh: bool) -> str:
        """The newest one; another than the last where that was refused.

        Raises:
            StoreUnreachable: none was handed over.
        """
        refused = hashlib.sha256(self._last.encode()).hexdigest() if fresh else ""
        found = b""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_SERVED_SECONDS)
            asked.connect(self._place)
            asked.sendall(refused.encode() + b"\n")
            while data := asked.recv(1 << 16):
                found += data
        if not found:
            raise StoreUnreachable(
                errno.EACCES,
                "the supervisor has handed over no token: it does so as soon as `holdfast colab run` goes on",
                "Drive's API",
            )
        self._last = found.decode()
        return self._last

    def seconds_left(self) -> float | None:
        """The job that gives it knows."""
        return None

    def __repr__(self) -> str:
        return "ServedToken()"


def find_token(*, ask: bool = False, thorough: bool = True) -> FixedToken | Credentials | ServedToken | None:
    """Whatever gives a token here; None where nothing does.

    Args:
        ask: In a cell of Colab, ask the user to sign in.
        thorough: Look for a machine of Google's too, which takes seconds where there is none. Colab's is one.

    Raises:
        ConfigurationError: a file of the user's cannot be used, or what is needed is not installed.
        StoreUnreachable: the user did not sign in.
    """
    if served := os.environ.get(SERVED_VARIABLE):
        need_packages()
        return ServedToken(served)
    place = token_place()
    if place.exists():
        need_packages()
        return _of_file(place)
    if ask:
        _ask_in_colab()
    if find_spec("google") is None or find_spec("google.auth") is None:
        return None
    if not (thorough or _may_have_default()):
        return None
    need_packages()
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except GoogleAuthError:
        return None
    return Credentials(credentials)


def _may_have_default() -> bool:
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    signed_in = "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or (folder / "application_default_credentials.json").exists()
    return signed_in or detect() is Environment.COLAB


def _of_file(place: Path) -> FixedToken | Credentials:
    if os.name == "posix" and stat.S_IMODE(place.stat().st_mode) & 0o077:
        raise ConfigurationError(
            f"{place}: others on this machine can read it, and who has it has your Drive; run: chmod 600 {place}"
        )
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        if not isinstance(said, dict):
            raise TypeError
        if token := said.get("token"):
            return FixedToken(str(token))
        info = {key: str(said[key]) for key in ("client_id", "client_secret", "refresh_token")}
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{place}: no token for Drive can be read there; it holds JSON with `token`, or with `client_id`, `client_secret` and "
            "`refresh_token`"
        ) from None
    if find_spec("google") is None or find_spec("google.oauth2") is None:
        raise ConfigurationError(f"Drive's API needs google-auth, which is not installed; {_INSTALL}")
    from google.oauth2.credentials import Credentials as OfUser

    uri = str(said.get("token_uri") or TOKEN_URI)
    of_user: Any = OfUser
    return Credentials(of_user(None, token_uri=uri, scopes=[str(said.get("scope") or SCOPE)], **info))


def _ask_in_colab() -> None:
    try:
        from google.colab import auth
    except ImportError:
        return
    try:
        auth.authenticate_user()
    except Exception as error:  # noqa: BLE001 - Colab's own errors can be imported on Colab only
        raise StoreUnreachable(
            errno.EACCES, f"nobody signed in for Drive's API ({type(error).__name__}); run the cell again", "Drive's API"
        ) from None
