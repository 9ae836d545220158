"""JSON as tools write it: a list, an object a line, objects one after the other, or one object around the list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from holdfast.pipeline.data.formats.shape import Problems
from holdfast.pipeline.data.formats.source import Source

#: How many values are looked at to tell what a file is.
LOOK = 50
_ONE_OBJECT = "each line should hold one whole object"

#: Objects that hold the list under a key of their own: the key, and those that must stand beside it.
_AROUND = {"annotations": {"classes"}}


@dataclass(frozen=True)
class Values:
    """The values of a file: the first of them to look at, and all of them, each with its place, as often as they are asked for."""

    first: tuple[tuple[str, Any], ...]
    all: Callable[[Problems], Iterator[tuple[str, Any]]]


def values_of(source: Source, lines: bool, problems: Problems) -> Values | None:
    """The values of a file. What is no JSON is added to the problems.

    Args:
        source: The file.
        lines: Whether its name says that each line is a value of its own.
        problems: Takes what is wrong.

    Returns:
        None where not one value could be read.
    """
    if _is_a_line_each(source, lines):
        first = tuple(islice(_each_line(source, Problems()), LOOK))
        return Values(first, lambda wrong: _each_line(source, wrong)) if first else None
    found = _whole(source.text(), lines, problems)
    return Values(tuple(found[:LOOK]), lambda _: iter(found)) if found else None


def _is_a_line_each(source: Source, lines: bool) -> bool:
    """True where the first line is a whole object, or a list in a file whose name says lines, and more lines come."""
    begun = source.begun().lstrip()
    if not begun.startswith("{") and not (lines and begun.startswith("[")):
        return False
    line = source.first_line()
    if line is None:
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str))


def _each_line(source: Source, problems: Problems) -> Iterator[tuple[str, Any]]:
    for number, line in source.lines():  # not splitlines: U+2028 may stand in a JSON string
        if line and line.strip(" \t\r\ufeff"):
            place = f"line {number}"
            try:
                yield place, loads(line.strip("\ufeff"), problems, place)
            except json.JSONDecodeError as error:
                problems.add(f"{place}, column {error.colno}", f"not JSON ({error.msg})", _ONE_OBJECT)
            except (ValueError, RecursionError) as error:
                problems.add(place, f"not JSON that can be read ({error})", _ONE_OBJECT)


def _whole(text: str, lines: bool, problems: Problems) -> list[tuple[str, Any]] | None:
    begun = text.lstrip()
    if lines and not begun.startswith("["):
        return _several(text, problems)
    try:
        top = loads(text, problems, "top level")
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" or lines:
            return _several(text, problems)
        problems.add(f"line {error.lineno}, column {error.colno}", f"not JSON ({error.msg})", "mend it there")
    except RecursionError:
        problems.add("", "lists in lists too deep to read", "it should hold annotated documents")
    except ValueError as error:  # a number of thousands of digits
        problems.add("", f"not JSON that can be read ({error})", "it should hold annotated documents")
    else:
        return list(_listed(top, lines))
    return None


def _listed(top: Any, lines: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(top, dict):
        for key, beside in _AROUND.items():
            if isinstance(top.get(key), list) and beside <= top.keys():
                top = top[key]
                break
        else:
            yield ("line 1" if lines else "top level"), top
            return
    if not isinstance(top, list):
        yield "top level", top
        return
    for number, given in enumerate(top, start=1):
        yield f"document {number}", given


def _several(text: str, problems: Problems) -> list[tuple[str, Any]] | None:
    """Values one a line; or, where the first line is no whole value, one after the other."""
    rows = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip(" \t\r\ufeff")]
    found: list[tuple[str, Any]] = []
    wrong = []
    for number, line in rows:  # not splitlines: U+2028 may stand in a JSON string
        try:
            found.append((f"line {number}", loads(line.strip("\ufeff"), problems, f"line {number}")))
        except json.JSONDecodeError as error:
            wrong.append((f"line {number}, column {error.colno}", f"not JSON ({error.msg})"))
        except (ValueError, RecursionError) as error:
            wrong.append((f"line {number}", f"not JSON that can be read ({error})"))
    if wrong and len(rows) > 1 and (chained := _chained(text)):
        return chained
    for place, what in wrong:
        problems.add(place, what, _ONE_OBJECT)
    return found or None


def _chained(text: str) -> list[tuple[str, Any]]:
    """Objects one after the other, with their inner line breaks; empty where that is not all there is."""
    decoder = json.JSONDecoder()
    found: list[tuple[str, Any]] = []
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,\ufeff":
            at += 1
        if at == len(text):
            return found
        try:
            value, after = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found.append((f"document {len(found) + 1}, line {text.count(chr(10), 0, at) + 1}", value))
        at = after


def loads(text: str, problems: Problems, place: str) -> Any:
    """The value; a key that one object gives twice is a problem, since only the last of the two would count."""
    twice: list[str] = []

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return made

    value = json.loads(text, object_pairs_hook=whole)
    for key in twice:
        problems.add(place, f"the key {key!r} is given twice in one object", "leave the one that holds")
    return value


def kind(value: Any) -> str:
    """What a value is, in plain words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def short(value: Any) -> str:
    """A value as it is shown in a message."""
    try:
        shown = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError, TypeError):  # it could just be read, and cannot be written one call deeper
        shown = "lists in lists"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
