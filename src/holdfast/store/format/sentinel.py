"""The sentinel: the small file that makes a folder a store, and gives the store an identity of its own."""

from __future__ import annotations

import json
import re

from blake3 import blake3

from holdfast.errors import Corrupt, StoreUnreadable

#: Of the store itself. Which format a generation is written in, its manifest says.
FORMAT = 1

MAX_SENTINEL_BYTES = 1 << 16
_STORE_ID = re.compile(r"[0-9a-f]{32}")


def sentinel_bytes(store_id: str) -> bytes:
    """The canonical content of `holdfast.json`."""
    text = json.dumps({"format": FORMAT, "store": store_id}, sort_keys=True, separators=(",", ":"))
    digest = blake3(text.encode()).hexdigest()
    return f'{{"digest":"{digest}","sentinel":{text}}}\n'.encode()


def parse_sentinel(data: bytes, where: str) -> str:
    """The store id.

    Raises:
        Corrupt: torn or damaged.
        StoreUnreadable: written by a version with another format; nothing may be written here.
    """
    try:
        body = json.loads(data)["sentinel"]
        found, store_id = body["format"], body["store"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Corrupt(f"{where}: torn or damaged ({type(error).__name__})") from None
    if isinstance(found, int) and found != FORMAT:
        raise StoreUnreadable(0, f"{where}: a store of format {found}, and this version reads {FORMAT}; upgrade holdfast")
    if not isinstance(store_id, str) or _STORE_ID.fullmatch(store_id) is None or sentinel_bytes(store_id) != data:
        raise Corrupt(f"{where}: damaged: its digest does not match its content")
    return store_id
