"""What outputs were made from, and how that differs from what is asked for now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from blake3 import blake3


def fingerprint(made_from: Mapping[str, Any]) -> str:
    """16 hex digits that differ wherever what something was made from differs. Order of keys does not matter."""
    return blake3(canonical(made_from)).hexdigest(length=8)


def canonical(value: Any) -> bytes:
    """One byte string per JSON value: sorted keys, no blanks, numbers as Python writes them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """The value as it comes back from JSON, so that tuples and lists compare equal."""
    return json.loads(canonical(value))


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each value that differs: `hpo.search_space.learning_rate.high: 0.0005 then, 0.001 now`."""
    # As text, in which 1 is not true and not 1.0, as in the fingerprint.
    before, after = ({k: canonical(v).decode() for k, v in _flat(plain(side)).items()} for side in (then, now))
    rows = ((key, before.get(key, "not set"), after.get(key, "not set")) for key in sorted(before.keys() | after.keys()))
    return [f"{key}: {was} then, {is_now} now" for key, was, is_now in rows if was != is_now]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found.update(_flat(inner, f"{prefix}.{key}" if prefix else str(key)))
    return found
