"""What the engine and the process that holds Ray say to each other. Plain data, and no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Machine:
    """A node of the cluster, as Ray lists it.

    Args:
        id: Ray's own name of it.
        host: Name of its machine.
        address: Where it is reached.
        resources: What it has in all, in Ray's words: `CPU`, `GPU`, `memory`.
    """

    id: str
    host: str
    address: str
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a person calls it. Several nodes may be on one machine, so a part of Ray's own name is in it."""
        return f"{self.host} ({self.address}, {self.id[:6]})"


# -- to the process that holds Ray -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Begin:
    """Join the cluster at this address, or start one: see `alone.HERE`."""

    address: str


@dataclass(frozen=True)
class Put:
    """Remember these bytes under a name, for what is submitted after it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Forget:
    """Nothing that is submitted from now on is called with these bytes."""

    name: str


@dataclass(frozen=True)
class Submit:
    """Have a function called on one node.

    Args:
        name: What it is called in the answer.
        function: `probe`, which needs nothing on the node but Python and Ray; or `work`, which needs this package there.
        argument: What it is called with.
        node: Id of the node; nowhere else.
        put: Names of bytes that it is called with as well.
        resources: What Ray counts as used meanwhile.
        environment: Variables that its process has from its beginning.
    """

    name: str
    function: str
    argument: Any
    node: str
    put: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Withdraw:
    """Nobody waits for it any more; end its process where it can be reached."""

    name: str


@dataclass(frozen=True)
class Leave:
    """End what was begun."""


# -- from it ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """It is part of the cluster at this address."""

    address: str


@dataclass(frozen=True)
class NotJoined:
    """It could not be, and why, in one line."""

    why: str


@dataclass(frozen=True)
class Machines:
    """The nodes that Ray takes for alive. Said at the beginning, and whenever they are others."""

    alive: tuple[Machine, ...]


@dataclass(frozen=True)
class Returned:
    """A function came back with this."""

    name: str
    value: Any


@dataclass(frozen=True)
class Broke:
    """A function did not come back.

    Args:
        name: As it was submitted.
        why: As a sentence goes on: `ended for want of memory`.
        process: It was its process; else its node is not there.
    """

    name: str
    why: str
    process: bool


Word = Begin | Put | Forget | Submit | Withdraw | Leave | Joined | NotJoined | Machines | Returned | Broke
