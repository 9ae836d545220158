"""The `q` of a list: reading it, and telling whether an item fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.simulator.drive_api.refusals import Refused, invalid
from holdfast.simulator.drive_api.times import parse_time


@dataclass(frozen=True)
class Compare:
    """A field beside a value."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True)
class Within:
    """A value that must be among those of a field, as `'ID' in parents`."""

    value: str
    field: str


@dataclass(frozen=True)
class Has:
    """A property that must have a value."""

    field: str
    key: str
    value: str


@dataclass(frozen=True)
class Both:
    """All of them."""

    terms: tuple[Query, ...]


@dataclass(frozen=True)
class Either:
    """One of them at least."""

    terms: tuple[Query, ...]


@dataclass(frozen=True)
class Not:
    """The opposite."""

    term: Query


Query = Compare | Within | Has | Both | Either | Not

_TOKEN = re.compile(r"\s*('(?:\\.|[^'\\])*'|[A-Za-z]+|<=|>=|!=|[=<>(){}])")
_TEXTS = ("name", "mimeType", "fullText")
_TIMES = ("modifiedTime", "createdTime", "viewedByMeTime", "sharedWithMeTime")
_FLAGS = ("trashed", "starred", "sharedWithMe")


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        Refused: 400 where it cannot be read.
    """
    return _Reader(text).all()


class _Reader:
    """Takes a query apart, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise _wrong()
            self._tokens.append(match[1])
            position = match.end()

    def all(self) -> Query:
        found = self._either()
        if self._tokens:
            raise _wrong()
        return found

    def _either(self) -> Query:
        terms = [self._both()]
        while self._take_if("or"):
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def _both(self) -> Query:
        terms = [self._one()]
        while self._take_if("and"):
            terms.append(self._one())
        return terms[0] if len(terms) == 1 else Both(tuple(terms))

    def _one(self) -> Query:
        if self._take_if("not"):
            return Not(self._one())
        if self._take_if("("):
            found = self._either()
            self._must(")")
            return found
        token = self._take()
        if token.startswith("'"):
            self._must("in")
            return Within(_text(token), self._named(("parents", "owners", "writers", "readers")))
        if token in ("properties", "appProperties"):
            return self._property(token)
        if token not in (*_TEXTS, *_TIMES, *_FLAGS, "visibility"):
            raise _wrong()
        return self._compared(token)

    def _compared(self, field: str) -> Compare:
        operator = self._take()
        allowed = ("=", "!=") if field in (*_FLAGS, "visibility") else ("=", "!=", "contains")
        if operator not in (("=", "!=", "<", "<=", ">", ">=") if field in _TIMES else allowed):
            raise _wrong()
        value = self._take()
        if field in _FLAGS:
            if value not in ("true", "false"):
                raise _wrong()
            return Compare(field, operator, value)
        return Compare(field, operator, _text(value))

    def _property(self, field: str) -> Has:
        self._must("has")
        self._must("{")
        self._must("key")
        self._must("=")
        key = _text(self._take())
        self._must("and")
        self._must("value")
        self._must("=")
        value = _text(self._take())
        self._must("}")
        return Has(field, key, value)

    def _named(self, names: tuple[str, ...]) -> str:
        token = self._take()
        if token not in names:
            raise _wrong()
        return token

    def _take(self) -> str:
        if not self._tokens:
            raise _wrong()
        return self._tokens.pop(0)

    def _take_if(self, word: str) -> bool:
        if self._tokens and self._tokens[0].lower() == word:
            self._tokens.pop(0)
            return True
        return False

    def _must(self, word: str) -> None:
        if not self._take_if(word):
            raise _wrong()


def _text(token: str) -> str:
    if not token.startswith("'"):
        raise _wrong()
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def _wrong() -> Refused:
    return invalid("q")


def folders(query: Query | None) -> frozenset[str] | None:
    """The ids of the folders that everything that fits must lie in; None where that is not known."""
    match query:
        case Within(value, "parents"):
            return frozenset((value,))
        case Both(terms):
            return next((found for term in terms if (found := folders(term)) is not None), None)
        case Either(terms):
            each = [folders(term) for term in terms]
            return None if None in each else frozenset().union(*filter(None, each))
    return None


def fits(query: Query | None, field: Callable[[str], Any]) -> bool:
    """Whether an item fits.

    Args:
        query: None fits everything.
        field: Gives a field of the item by its name.
    """
    match query:
        case None:
            return True
        case Both(terms):
            return all(fits(term, field) for term in terms)
        case Either(terms):
            return any(fits(term, field) for term in terms)
        case Not(term):
            return not fits(term, field)
        case Within(value, name):
            return value in (field(name) or ())
        case Has(name, key, value):
            return (field(name) or {}).get(key) == value
        case Compare(name, operator, value):
            return _compares(name, operator, value, field(name))


def _compares(name: str, operator: str, value: str, found: Any) -> bool:
    if name in _FLAGS:
        return (bool(found) is (value == "true")) is (operator == "=")
    if name in _TIMES:
        return _before_or_after(operator, parse_time(value), parse_time(found) if found else None)
    # The case of names is not documented; a client must compare again itself *(assumed)*.
    one, other = (found or "").casefold(), value.casefold()
    if operator == "contains":  # of a name: the beginnings of words
        return any(one.startswith(other, at) for at in (0, *(match.end() for match in re.finditer(r"[\W_]+", one))))
    return (one == other) is (operator == "=")


def _before_or_after(operator: str, value: datetime, found: datetime | None) -> bool:
    if found is None:
        return False
    return {
        "=": found == value,
        "!=": found != value,
        "<": found < value,
        "<=": found <= value,
        ">": found > value,
        ">=": found >= value,
    }[operator]
