"""Writing a small file whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_text(place: Path, text: str) -> None:
    """Write text to a temporary beside the file, then move it in place. Missing folders are made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, place)


def write_json(place: Path, document: Any) -> None:
    """Write JSON that people can read, whole or not at all."""
    write_text(place, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
