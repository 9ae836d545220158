"""What runs attempts: on this machine, or on a cluster. The driver knows no more of it than this."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from holdfast.errors import ConfigurationError
from holdfast.session.keeper import Keeper
from holdfast.spread.attempt import Asked, Attempt, Ended, Event, Kept, Resources

EngineName = Literal["local", "ray"]


class NoSuchNode(ConfigurationError):
    """No machine of the type that is asked for can have a part."""


@dataclass(frozen=True)
class Seat:
    """Where an attempt runs.

    Args:
        machine: As a person calls it; empty for this one.
        kept: The artifact in which what it saves is kept, or the part of one.
    """

    machine: str
    kept: str


class Engine(Protocol):
    """Runs attempts. Every method is called by one thread, the driver's."""

    @property
    def keeps(self) -> bool:
        """Whether what an attempt saves is kept where it runs. Else the driver backs it up at `Kept`, before it answers."""
        ...

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt, and return at once. The driver has no more than `parallel` of them at a time.

        It never retries anything by itself. Of two attempts at one unit, an earlier one may run on where it cannot be ended, as on
        a machine that hangs: nothing that it does from now on may reach the later one's files, and none of its events is given.

        Raises:
            HoldfastError: no attempt can be begun at all, as no machine has what it needs; its text says what to do.
        """
        ...

    def wait(self, seconds: float) -> Sequence[Event]:
        """What happened since the last call, in any order; at the latest after so many seconds, empty where nothing did."""
        ...

    def seat(self, attempt: Attempt) -> Seat | None:
        """Where an attempt that was started runs, for people; None where it waits for a machine, or runs no more."""
        ...

    def answer(self, event: Kept | Asked, value: object = None) -> None:
        """The work that waits goes on. Of `Kept` with nothing; of `Asked` with what it came to: `(why, unknown)`.

        Nothing to do for an engine whose attempts keep, and fetch, where they run: such a one gives `Kept` as news only, and never
        gives `Asked`.
        """
        ...

    def take(self, ended: Ended, place: Path) -> None:
        """Make what counts of an attempt's folder present in the unit's folder here, all of it or nothing.

        The driver has decided that it counts, and calls this before it writes the study. After a kill it may be called again for
        the same attempt, or never. An engine that works in place has nothing to do.

        Args:
            ended: The attempt that counts.
            place: The folder of the unit on this machine, absolute.
        """
        ...

    def halt(self) -> None:
        """Ask all that run to save and stop. Each comes to an end as `Halted`, or `Ended` where it was done by then."""
        ...

    def stop(self, attempt: Attempt) -> None:
        """End it now; no event of it comes any more. What it had saved stays."""
        ...

    def close(self) -> None:
        """End all that runs, at once, and everything that the engine had started. May be called twice."""
        ...


@dataclass(frozen=True)
class Ground:
    """Where a study stands, for the engine that is to run its attempts.

    Args:
        root: The project folder on this machine, absolute: keys start there.
        home: The folder of the study; see `Attempt.home`.
        parallel: Attempts at a time, at most.
        keeper: Keeps the study; None where nothing is kept.
        resources: What each attempt needs.
        environment: Variables of every attempt.
        node_type: Attempts run on machines of this type alone; empty for any. See `Ended.node_type`.
        fetch: For an engine whose attempts fetch where they run: asks a keeper for the store's copy of what is damaged, given the
            keeper, the path, `weights_only` and `patient`; answers as `Desk.fetch`. A function that pickle takes by its name.
        say: Tells a person a line that stays.
        warn: The same of what should not be missed.
    """

    root: Path
    home: str
    parallel: int
    keeper: Keeper | None = None
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, str] = field(default_factory=dict)
    node_type: str = ""
    fetch: Callable[[Keeper, Path, bool, bool], tuple[str, bool]] | None = None
    say: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None


def open_engine(name: str, ground: Ground) -> Engine:
    """The engine of a name; where a keeper keeps the study, one of which `status` shows what runs. What it needs is loaded here.

    Raises:
        ConfigurationError: there is none of that name, or what it needs is not installed.
        NoSuchNode: no machine of `ground.node_type` is there.
    """
    if name == "local":
        from holdfast.spread.local import LocalEngine

        engine: Engine = LocalEngine(ground)
    else:
        refuse_unknown(name)
        from holdfast.spread.cluster import open_cluster

        engine = open_cluster(ground)
    if ground.keeper is None:
        return engine
    from holdfast.spread.shown import Shown

    return Shown(engine, ground.root)


def refuse_unknown(name: str) -> None:
    """Refuse an engine that there is not, or that is not installed, before anything is begun.

    Raises:
        ConfigurationError: its text says what to do.
    """
    if name not in ("local", "ray"):
        raise ConfigurationError(f"engine: {name!r} is none; give local, or ray")
    if name == "ray" and not is_installed("ray"):
        raise ConfigurationError(
            'engine: ray is not installed; pip install "holdfast[ray]", or take engine: local, which runs on this machine'
        )


def is_installed(name: str) -> bool:
    """Whether a library is there, without loading it."""
    return importlib.util.find_spec(name) is not None
