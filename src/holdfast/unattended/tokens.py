"""Access tokens for a machine: what this computer signs in with for Drive's API makes them, and they alone leave it."""

from __future__ import annotations

import errno
import json

from holdfast.errors import StoreUnreachable
from holdfast.session.drive_tokens import find_token
from holdfast.unattended.sealing import seal


def sealed_token(key: str) -> str:
    """A token that ends by itself, sealed for the job that has this key. What could make another one stays here.

    Raises:
        ConfigurationError, StoreUnreachable: there is none any more.
    """
    found = find_token()
    if found is None:
        raise StoreUnreachable(
            errno.EACCES, "nothing here gives a token any more: sign in again (docs/drive-api.md says how)", "Drive's API"
        )
    token = found(False)
    return seal(key, json.dumps({"token": token, "seconds": found.seconds_left()}).encode())
