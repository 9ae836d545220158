"""`fields=`: which parts of an answer the client wants."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from holdfast.simulator.drive_api.refusals import Refused, invalid

#: Names to what is wanted below them; None for all of it. `*` stands for every name.
Selection = dict[str, "Selection | None"]

_TOKEN = re.compile(r"\s*([\w*]+|[(),/])")


def parse(text: str) -> Selection:
    """Read a selection such as `files(id,owners/me),nextPageToken`.

    Raises:
        Refused: 400 where it cannot be read.
    """
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise _wrong(text)
    selection, rest = _several(tokens, text)
    if rest:
        raise _wrong(text)
    return selection


def _several(tokens: list[str], text: str) -> tuple[Selection, list[str]]:
    found: Selection = {}
    while True:
        if not tokens or not re.fullmatch(r"[\w*]+", tokens[0]):
            raise _wrong(text)
        name, tokens = tokens[0], tokens[1:]
        below: Selection | None = None
        if tokens and tokens[0] == "/":
            path, tokens = tokens[1:2], tokens[2:]
            below, left = _several(path, text)
            if left or (tokens and tokens[0] == "/"):
                raise _wrong(text)
            if tokens and tokens[0] == "(":
                deeper, tokens = _several(tokens[1:], text)
                below = dict.fromkeys(below, deeper)
                tokens = _closed(tokens, text)
        elif tokens and tokens[0] == "(":
            below, tokens = _several(tokens[1:], text)
            tokens = _closed(tokens, text)
        there = found.get(name)
        found[name] = {**there, **below} if there and below else below
        if not tokens or tokens[0] != ",":
            return found, tokens
        tokens = tokens[1:]


def _closed(tokens: list[str], text: str) -> list[str]:
    if not tokens or tokens[0] != ")":
        raise _wrong(text)
    return tokens[1:]


def _wrong(text: str) -> Refused:
    return invalid("fields", f"Invalid field selection {text}")


def check(selection: Selection | None, known: Collection[str]) -> None:
    """Refuse a name that the resource does not have.

    Raises:
        Refused: 400.
    """
    for name in selection or ():
        if name != "*" and name not in known:
            raise _wrong(name)


def select(selection: Selection | None, value: Any) -> Any:
    """The wanted parts of a value. What the value does not have is left out."""
    if selection is None:
        return value
    if isinstance(value, list):
        return [select(selection, each) for each in value]
    if not isinstance(value, dict):
        return value
    if "*" in selection:
        return {name: select(selection.get(name, selection["*"]), each) for name, each in value.items()}
    return {name: select(below, value[name]) for name, below in selection.items() if name in value}
