"""An attempt at a unit of work, and everything that an engine says of one. Plain data, which goes from process to process.

A unit is a trial. It may need several attempts, as processes and machines die. Each attempt has a number and a
token of its own, and only the driver says which of them counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: In a result: the process that gave it is of no more use, as its GPU answers nothing any more. It gets no other attempt.
SPOILT = "spoilt"


@dataclass(frozen=True)
class Resources:
    """What an attempt needs of the machine that it runs on.

    Args:
        cpus: Cores, and so many threads it computes with.
        gpus: GPUs, or a share of one.
    """

    cpus: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """One attempt at one unit of work. Everything in it is plain data, or bytes that only `perform` looks into.

    Args:
        unit: Name of the unit: `trial-0003`.
        number: From 1 on. The driver writes it into the study before it starts the attempt; after a driver's machine is lost
            with the last of that, a number may come again.
        token: Random letters and digits; no two attempts have the same, also where a number comes again.
        home: The folder of the study: its key where a keeper keeps it (`outputs/hpo/tiny`), else an absolute path.
        folder: The folder of the unit, written in the same way. What earlier attempts left there is there before the work begins.
        inputs: Keys, or absolute paths, that have to be present where it runs, before the work begins; they are only read.
        work: A pickled callable, `work(desk) -> mapping`. The very same object for all attempts of a study, so that an engine that
            sends it elsewhere may send it once.
        part: What is different in this attempt, pickled. `desk.part` hands it to the work.
        seen: What the work may know of other units, in pieces. A piece never changes, and later attempts have the same objects
            again with others behind them, so that an engine may send each once.
        account: Name of a file in the folder that attempts read and nobody else: where it is all that there is, nothing is kept of
            it at the end, nor brought.
        fresh: The unit was begun with this attempt: what drives it knows of nothing that was ever saved of it.
        environment: Variables that are to be set before the process begins that runs it: threads, the seed of hashes.
        resources: What it needs.
    """

    unit: str
    number: int
    token: str
    home: str
    folder: str
    work: bytes
    part: bytes = b""
    seen: tuple[bytes, ...] = ()
    inputs: tuple[str, ...] = ()
    account: str = ""
    fresh: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class Problem:
    """An error that ended an attempt, as data: it may be of a class that whoever reads of it cannot load.

    Args:
        kind: Name of its class.
        text: What it said, in one line.
        ours: It is one of `holdfast.errors`, and its text is a whole line for a person.
        passing: The same may go well another time.
        traceback: For the log.
    """

    kind: str
    text: str
    ours: bool = False
    passing: bool = False
    traceback: str = ""


# -- what an engine says -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """News of a running attempt, for people: `step` and `total`, `note`, or a `line` that stays. It may be lost.

    Args:
        attempt: Which.
        what: By name.
        where: As of `Ended`.
    """

    attempt: Attempt
    what: Mapping[str, Any]
    where: str = ""


@dataclass(frozen=True)
class Kept:
    """Something whole is in the folder of the unit. The work waits until `Engine.answer` is called for it.

    Args:
        attempt: Which.
        share: How far the unit is, from 0 to 1.
        where: As of `Ended`.
    """

    attempt: Attempt
    share: float
    where: str = ""


@dataclass(frozen=True)
class Asked:
    """The work asks for the store's copy of a path, because what is here is damaged. It waits for `Engine.answer`.

    Args:
        attempt: Which.
        path: Absolute.
        weights_only: What only going on needs may stay as it is.
        patient: Wait for a store that does not answer.
    """

    attempt: Attempt
    path: str
    weights_only: bool = False
    patient: bool = False


@dataclass(frozen=True)
class Ended:
    """The work gave its result.

    Args:
        attempt: Which.
        result: Plain data.
        where: The machine, as a person calls it; empty for this one.
        node_type: What kind of machine that is, as `Ground.node_type` asks for it; empty where the engine knows only this one.
        made: There is something in the unit's folder beside its account.
        kept: Something of the unit was kept where it ran, at whatever time.
    """

    attempt: Attempt
    result: Mapping[str, Any]
    where: str = ""
    node_type: str = ""
    made: bool = True
    kept: bool = True


@dataclass(frozen=True)
class Halted:
    """The work stopped as asked, with everything saved and kept."""

    attempt: Attempt


@dataclass(frozen=True)
class Failed:
    """The work ended in an error that is not its unit's own, such as a full disk: no other attempt would be spared.

    A trial that fails by itself is a result, and comes as `Ended`.
    """

    attempt: Attempt
    problem: Problem
    where: str = ""


@dataclass(frozen=True)
class Lost:
    """The process or the machine that ran it is gone, or gives no sign of life. Another attempt goes on with the unit.

    Args:
        attempt: Which.
        why: As a sentence goes on: `its process was ended by signal 9`.
        counts: It may be the work's own doing, as a process that ends by itself; a machine that is gone is not.
        where: As of `Ended`.
    """

    attempt: Attempt
    why: str
    counts: bool = True
    where: str = ""


@dataclass(frozen=True)
class Node:
    """A machine that came or went, in one line for a person.

    Args:
        name: The machine.
        line: What happened to it.
        gone: It went.
    """

    name: str
    line: str
    gone: bool = False


Event = Told | Kept | Asked | Ended | Halted | Failed | Lost | Node
#: What ends an attempt. Exactly one of these comes for each that was started, unless `stop` was called for it.
END = (Ended, Halted, Failed, Lost)
