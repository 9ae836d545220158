"""Plain data as text that is equal where the data is, and on every machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

#: More than this is no constant of a program, but data, and data is a file.
MOST_BYTES = 1 << 20

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(...))


class NotPlain(Exception):
    """Something is no plain data. Its text says what it is."""


def text_of(value: Any, other: Callable[[Any], str] | None = None) -> str:
    """Numbers, text, paths, patterns, and tuples, lists, sets and dicts of them.

    Args:
        value: The data. Kinds count: 1 is not 1.0.
        other: Asked for what is none of these and stands in it.

    Raises:
        NotPlain: it is something else, or more than 1 MiB.
    """
    text = _text(value, other, [MOST_BYTES], ())
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise NotPlain("more than 1 MiB")
    return text


def _text(value: Any, other: Callable[[Any], str] | None, left: list[int], above: tuple[int, ...]) -> str:
    kind = type(value)
    if kind in _PLAIN:
        if isinstance(value, str | bytes | range):
            left[0] -= 1 if isinstance(value, range) else len(value)
        text = repr(value) if not isinstance(value, int) or value.bit_length() < 10_000 else hex(value)
    elif kind in (tuple, list, set, frozenset, dict):
        if id(value) in above:
            raise NotPlain("data that holds itself")
        within = (*above, id(value))
        if kind is dict:
            text = (
                "{" + ", ".join(f"{_text(k, other, left, within)}: {_text(v, other, left, within)}" for k, v in value.items()) + "}"
            )
        else:
            items = [_text(v, other, left, within) for v in value]
            text = f"{kind.__name__}({', '.join(items if kind in (tuple, list) else sorted(items))})"
    elif isinstance(value, PurePath):
        text = f"Path({value.as_posix()!r})"
    elif isinstance(value, re.Pattern):
        text = f"Pattern({value.pattern!r}, {value.flags})"
    elif other is not None:
        text = other(value)
    else:
        raise NotPlain(named(value))
    left[0] -= 1
    if left[0] < 0:
        raise NotPlain("more than 1 MiB")
    return text


def named(value: Any) -> str:
    """What something is, in words: `a numpy.ndarray`."""
    kind = type(value)
    name = (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    )
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
