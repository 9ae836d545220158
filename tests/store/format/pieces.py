"""A file in pieces, made by hand: no version of ours writes one yet."""

from __future__ import annotations

from typing import Any

from tests.bad_input.support import Forge, commit_id, digest

#: Of three payloads: what is taken of each, in the order of the file. The first is used twice, and not all of it.
SLICES = ((0, 1000, 200_000), (1, 0, 300_000), (0, 500, 100), (2, 299_999, 1), (0, 0, 400_000), (1, 5, 1_000_000))
SIZE = 1_200_000


def in_pieces(forge: Forge, key: str, number: int) -> dict[str, bytes]:
    """A generation with a file in pieces, two names of it, and a plain file. Gives the content by path."""
    payloads = [(bytes(range(seed, 251)) * 5000)[:SIZE] for seed in (1, 2, 3)]
    sent = []
    for at, data in enumerate(payloads, start=1):
        attempt = "" if at == 1 else f"-{at}"
        sent.append(forge.payload(f"{key}/large@{number:06d}-{commit_id(number)}{attempt}", data))
    content = b"".join(payloads[which][offset : offset + length] for which, offset, length in SLICES)
    parts = [{"payload": sent[w]["payload"], "size": SIZE, "offset": o, "length": n} for w, o, n in SLICES]
    row: dict[str, Any] = {
        "path": "large",
        "size": len(content),
        "blake3": digest(content),
        "mode": "640",
        "mtime": "1700000000.000000001",
        "pieces": parts,
    }
    rows = [row, {**row, "path": "sub/same", "named": "large"}, {**forge.file(key, "x", b"x", number), "mtime": "5.000000000"}]
    folders = [{"path": path, "mode": "755", "mtime": "7.000000000"} for path in ("", "sub")]
    made = forge.body_2(key, number, rows, folders=folders, hard_links=[["large", "sub/same"]], writer="machine-1/1")
    forge.plant(key, number, made)
    return {"large": content, "sub/same": content, "x": b"x"}
