"""What a caller counts, from any library, as a plain number; and durations as people write them."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from typing import Any

from holdfast.store.format.manifest import MAX_SIZE

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|min|m|h|d)?")


def seconds_of(text: str) -> float:
    """Seconds of a duration as people write it: `90s`, `5min`, `8h`, `1d`, or a bare number of seconds.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("should be a duration such as 90s, 30min or 8h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def plain_number(value: Any) -> int | float:
    """An int or a finite float of whatever is one number: Python's, numpy's, `Fraction`, `Decimal`, a tensor of one element.

    Args:
        value: Anything. What has `item()` is asked for it, so that a tensor may be on another device and need no gradient.

    Raises:
        ValueError: it is no number that can be compared; the text says why, in a few words.
    """
    if callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except Exception as error:  # whatever a library raises of an array of several
            raise ValueError("not a single number") from error
    if isinstance(value, bool):
        raise ValueError("true or false, not a number")  # noqa: TRY004 - callers ask for a ValueError
    if isinstance(value, str | bytes | bytearray | complex):
        raise ValueError("not a real number")  # noqa: TRY004 - as above
    try:
        return operator.index(value)
    except Exception:  # noqa: BLE001 - an object's own method; it may be no whole number
        return _as_float(value)


def whole_number(value: Any, least: int | None = None) -> int:
    """The same of what can only be a whole number, at least so much: `3`, `3.0`, `numpy.int64(3)`.

    Raises:
        ValueError: it is none; the text says what it should be.
    """
    with contextlib.suppress(ValueError):
        found = plain_number(value)
        if found == int(found) and (least is None or found >= least):
            return int(found)
    if least is None:
        raise ValueError("should be a whole number")
    raise ValueError(f"should be a whole number, at least {least}")


def _as_float(value: Any) -> float:
    try:
        found = float(value)
    except Exception as error:
        raise ValueError("not a number") from error
    if not math.isfinite(found):
        raise ValueError("not a finite number")
    return found


def countable(value: Any) -> int | float:
    """The same of what generations are compared by.

    Raises:
        ValueError: as above; or it is larger than every reader of JSON keeps exact.
    """
    found = plain_number(value)
    if abs(found) > MAX_SIZE:
        raise ValueError("larger than 2**53")
    return found
