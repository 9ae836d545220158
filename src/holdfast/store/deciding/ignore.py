"""Stub until the real one is merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unread:
    number: int
    text: str
    why: str


@dataclass(frozen=True)
class Rules:
    unread: tuple[Unread, ...] = ()

    @classmethod
    def parse(cls, data: bytes = b"", extra: Sequence[str] = ()) -> Rules:
        return cls()

    def __bool__(self) -> bool:
        return False

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        return False
