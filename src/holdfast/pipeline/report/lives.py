"""What became of a run, in words: which machines worked on it, what ended each, and what that cost. Pure.

A machine that vanishes says nothing. What is known is when it last kept something, and when another went on from that; what it did
in between is lost, and was done again. How much that was nobody knows: no more than the time between the two, and hardly more than
the longest time that it went without keeping anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.flow.life import Session
from holdfast.store.reporting.amounts import duration

#: How a session may say that it ended.
_ENDS = frozenset({"finished", "stopped"})


@dataclass(frozen=True)
class Told:
    """One session in words.

    Args:
        machine: Its name, and those of the nodes that did its work.
        began: When.
        far: How far it had come when it last kept something.
        kept: When that was; empty where it never did.
        end: How it ended.
        cost: What that cost.
        cut: It was cut off.
    """

    machine: str
    began: str
    far: str
    kept: str
    end: str
    cost: str
    cut: bool = False


def tell(sessions: Sequence[Session], unit: str) -> list[Told]:
    """Each session in words, with what its end cost those after it.

    Args:
        sessions: In their order.
        unit: What their progress counts: `trial` or `step`.
    """
    ordered = sorted(sessions, key=lambda s: s.began)
    rows = []
    for at, session in enumerate(ordered):
        following = ordered[at + 1] if at + 1 < len(ordered) else None
        end, cost = session.end, ""
        cut = session.end not in _ENDS and following is not None
        if cut and following is not None:
            end, cost = "cut off", _cost(session, following)
        elif session.end == "stopped":
            end, cost = "stopped as asked", "nothing"
        elif session.end not in _ENDS:
            end = "works, or was cut off"
        far, kept = ("nothing", "") if session.kept is None else (_far(session.progress, unit), moment(session.kept))
        nodes = f", on node {', then '.join(session.nodes)}" if session.nodes else ""
        rows.append(Told(session.machine + nodes, moment(session.began), far, kept, end, cost, cut))
    return rows


def disconnects(sessions: Sequence[Session]) -> int:
    """How many sessions were cut off and gone on with."""
    return sum(t.cut for t in tell(sessions, ""))


def _cost(session: Session, following: Session) -> str:
    away = max(0.0, following.began - (session.began if session.kept is None else session.kept))
    if session.kept is None:
        return f"all that it had done, at most {duration(away)}"
    lost = min(away, session.every)
    return f"went on {duration(away)} after it; about {duration(lost)} of work at most was done again"


def _far(progress: float | None, unit: str) -> str:
    if progress is None:
        return "its beginning"
    whole, part = divmod(progress, 1.0)
    if unit != "trial":
        return f"step {whole:.0f}"
    inside = f" and {part:.0%} of the next" if part else ""
    return f"{whole:.0f} trial{'' if whole == 1 else 's'}{inside}"


def moment(seconds: float) -> str:
    """A moment for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
