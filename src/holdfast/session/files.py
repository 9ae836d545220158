"""Small services for files of a stage: written whole, hashed, set aside."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from blake3 import blake3


def write_text(place: Path, text: str) -> None:
    """Write text to a temporary beside the file, then move it in place. Missing folders are made."""
    write_bytes(place, text.encode())


def write_bytes(place: Path, data: bytes) -> None:
    """The same of bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, place)


def write_json(place: Path, document: Any) -> None:
    """Write JSON that people can read, whole or not at all."""
    write_text(place, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def file_identity(place: Path) -> str:
    """BLAKE3 of the bytes of a file, 64 hex digits."""
    hasher = blake3(max_threads=blake3.AUTO)
    with place.open("rb") as file:
        while block := file.read(1 << 22):
            hasher.update(block)
    return hasher.hexdigest()


def set_aside(place: Path, word: str) -> Path:
    """Rename what cannot be used to a free name beside it, such as `study.db.damaged-1`. Nothing is deleted.

    Args:
        place: The file.
        word: What is wrong with it.
    """
    number = 1
    while (aside := place.with_name(f"{place.name}.{word}-{number}")).exists():
        number += 1
    os.replace(place, aside)
    return aside
