"""What one look at a store shows, as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import ManifestName, key_code


class Presence(enum.Enum):
    """What lies where the store should be."""

    STORE = "a store"
    PLAIN = "a folder that no backup was made to yet"
    NONE = "no store yet"


@dataclass(frozen=True)
class View:
    """One look at the store.

    Args:
        presence: What was found.
        store_id: Its identity, or None without a store.
        names: Every manifest by name, none of them read.
        strays: Other names in `generations/`.
        sentinel_problem: Why the sentinel could not be used although a store is there, or the beginnings of one; or None.
    """

    presence: Presence
    store_id: str | None = None
    names: tuple[ManifestName, ...] = ()
    strays: tuple[str, ...] = ()
    sentinel_problem: str | None = None

    def of(self, key: Key) -> tuple[ManifestName, ...]:
        """The manifests of one artifact."""
        code = key_code(key)
        return tuple(n for n in self.names if n.key_code == code)

    def codes(self) -> frozenset[str]:
        """The key of every artifact, as it stands in names."""
        return frozenset(n.key_code for n in self.names)


class State(enum.Enum):
    """What a generation is worth."""

    WHOLE = "whole"
    INCOMPLETE = "incomplete"  #: the manifest verifies, a payload is missing or short
    NEWER = "newer"  #: of a format that this version does not read
    CUT_OFF = "cut off"  #: the end of the manifest never arrived
    TORN = "torn"  #: the manifest was read to its end and does not verify


@dataclass(frozen=True)
class Generation:
    """A generation that was looked into. `manifest` is None where it is torn, cut off or newer."""

    name: ManifestName
    manifest: Manifest | None
    state: State
    problem: str = ""
