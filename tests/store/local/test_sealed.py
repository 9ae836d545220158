"""What a workspace remembers is written bit by bit, and is the JSON that it would be all at once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Corrupt
from holdfast.store.local.records import read_sealed, seal_of, write_sealed


def drawn(source: random.Random, depth: int = 0) -> Any:
    """Plain data of any shape."""
    kind = source.randrange(7 if depth < 4 else 5)
    if kind == 0:
        return source.choice((None, True, False, 0.5, -(1 << 60)))
    if kind < 5:
        return "".join(source.choice('aé"\\\n\x00\u2028\U0001f600{}[],:') for _ in range(source.randrange(9)))
    if kind == 5:
        return [drawn(source, depth + 1) for _ in range(source.randrange(4))]
    return {f"{n} é": drawn(source, depth + 1) for n in range(source.randrange(4))}


@pytest.mark.parametrize("seed", range(50))
def test_what_is_written_is_json_behind_its_digest(tmp_path: Path, seed: int) -> None:
    body = {"a": drawn(random.Random(seed)), "b": drawn(random.Random(-seed - 1))}
    place = tmp_path / "sealed.json"
    write_sealed(place, body)
    assert read_sealed(place) == body
    text = json.dumps(body, separators=(",", ":"))
    assert place.read_text(encoding="ascii").partition("\n") == (seal_of(place), "\n", text)


@pytest.mark.parametrize("rows", [0, 1, 4095, 4096, 4097, 8192, 10_000])
def test_a_large_table_and_a_large_manifest_are_the_same_json(tmp_path: Path, rows: int) -> None:
    table = {f"part-{n}/é": [n, "text", True] for n in range(rows)}
    manifest = b'{"a":"\\u00e9\\n"}' * rows * 10
    place = tmp_path / "sealed.json"
    write_sealed(place, {"base": {"manifest": manifest}, "here": table, "after": []})
    whole = {"base": {"manifest": manifest.decode()}, "here": table, "after": []}
    assert place.read_text(encoding="ascii").partition("\n")[2] == json.dumps(whole, separators=(",", ":"))
    assert read_sealed(place) == whole


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    place = tmp_path / "sealed.json"
    write_sealed(place, {"here": {"a": [1, 2]}})
    sound = place.read_bytes()
    for at in range(len(sound)):
        place.write_bytes(bytes(b ^ (n == at) for n, b in enumerate(sound)))
        with pytest.raises(Corrupt):
            read_sealed(place)
