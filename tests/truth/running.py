"""Running sessions, one after the other or several at once, and doing one again from its moves."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.truth.dice import Dice
from tests.truth.judging import Violation
from tests.truth.session import Counts, Crew, Move, Session, follow


@dataclass(frozen=True)
class Found:
    """What contradicts status, in one session.

    Args:
        seed: Of the session.
        background: Its keeper sent in the background.
        moves: All that it did until then.
        violations: What is wrong.
    """

    seed: int
    background: bool
    moves: tuple[Move, ...]
    violations: tuple[Violation, ...]

    def __str__(self) -> str:
        moves = "".join(f"    Move({m.who}, {m.verb!r}, {dict(m.args)!r}),\n" for m in self.moves)
        told = "".join(f"  {v}\n" for v in self.violations)
        return f"seed {self.seed}, background={self.background}, {len(self.moves)} moves:\n{told}{moves}"


@dataclass
class Outcome:
    """What came of many sessions."""

    counts: Counts = field(default_factory=Counts)
    found: list[Found] = field(default_factory=list)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many sessions contradict status, by kind."""
        kinds: dict[str, int] = {}
        for one in self.found:
            for kind in {v.kind for v in one.violations}:
                kinds[kind] = kinds.get(kind, 0) + 1
        return dict(sorted(kinds.items(), key=lambda k: -k[1]))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """What thousands of sessions log is of no use to anybody."""
    logger = logging.getLogger("holdfast")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def run(
    seeds: Iterable[int],
    *,
    weights: Mapping[str, float] | None = None,
    at_once: int = 4,
    until: float | None = None,
    only: tuple[str, ...] = (),
    stops: bool = True,
    say: Callable[[Found], None] = lambda found: None,
) -> Outcome:
    """Run a session for each seed.

    Args:
        seeds: One for each session.
        weights: Of moves that count otherwise than in `WEIGHTS`.
        at_once: Sessions that go on while another rests.
        until: Begin none after that, `time.monotonic`.
        only: Kinds of violations that have none of these in them are passed over; empty for none.
        stops: A session ends with the first violation that is not passed over.
        say: Is told of each that is found.
    """
    outcome, dices = Outcome(), {}
    with _silent(), tempfile.TemporaryDirectory(prefix="holdfast-truth-") as folder:
        crew = Crew()

        def sessions() -> Iterator[Session]:
            for seed in seeds:
                if until is not None and time.monotonic() > until:
                    return
                dice = Dice(seed, weights)
                session = Session(Path(folder) / str(seed), crew, dice, background=dice.background, only=only, stops=stops)
                dices[id(session)] = (seed, dice)
                yield session

        try:
            for session in follow(sessions(), at_once):
                seed, dice = dices.pop(id(session))
                outcome.counts.add(session.counts)
                if session.violations:
                    found = Found(seed, dice.background, tuple(session.log), tuple(session.violations))
                    outcome.found.append(found)
                    say(found)
        finally:
            crew.end()
    return outcome


def replay(moves: Sequence[Move], crew: Crew, *, background: bool, stops: bool = True) -> list[Violation]:
    """Do these moves, and no others, to the end or to the first violation."""
    with _silent(), tempfile.TemporaryDirectory(prefix="holdfast-truth-") as folder:
        session = Session(Path(folder) / "replay", crew, lambda _: moves, background=background, stops=stops)
        for _ in follow([session], 1):
            pass
    return session.violations


def shrink(found: Found, crew: Crew, seconds: float = 60.0) -> Found:
    """The same with fewer moves: those go without which one of its kinds is still found."""
    kinds, until = {v.kind for v in found.violations}, time.monotonic() + seconds

    def tried(moves: Sequence[Move]) -> Found | None:
        violations = replay(moves, crew, background=found.background)
        if not kinds & {v.kind for v in violations}:
            return None
        return Found(found.seed, found.background, tuple(moves), tuple(violations))

    best, step = found, max(1, len(found.moves) // 2)
    while step and time.monotonic() < until:
        at = 0
        while at < len(best.moves) and time.monotonic() < until:
            fewer = tried(best.moves[:at] + best.moves[at + step :])
            if fewer is None:
                at += step
            else:
                best = fewer
        step //= 2
    return best
