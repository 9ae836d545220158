"""What there is of each stage: here, in the store, in part, made otherwise, or nothing. Decides; does not run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from holdfast.errors import NotRestored, StoreError
from holdfast.flow.flow import Flow
from holdfast.flow.found import Found, State
from holdfast.flow.outputs import any_file
from holdfast.flow.record import Record
from holdfast.flow.stage import FORK_DIGITS, Build, Finished, Stage
from holdfast.session.files import set_aside
from holdfast.session.finding.held import Held
from holdfast.session.keeper import Keeper
from holdfast.store.format.keys import Key
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import Outcome, Restored

T = TypeVar("T")

log = logging.getLogger(__name__)


class Patience(Protocol):
    """What to do where the store cannot be read."""

    @property
    def on_restore_failure(self) -> str:
        """`stop`, `continue`, or `auto`: stop only before what is precious would be made anew."""

    @property
    def restore_patience(self) -> float:
        """Seconds for which the store is asked again before that."""


@dataclass(frozen=True)
class Patient:
    """See `Patience`."""

    on_restore_failure: str = "auto"
    restore_patience: float = 120.0


class Examiner:
    """Finds out what there is, and brings records back for it. Every restore of the runner goes through here.

    Args:
        keeper: The project's.
        flow: The stages.
        patience: What to do where the store cannot be read.
        fork: Outputs made otherwise are left alone, and new ones are made beside them.
        sleep: Waits so many seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        keeper: Keeper,
        flow: Flow,
        patience: Patience,
        *,
        fork: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keeper = keeper
        self.flow = flow
        self._patience = patience
        self._fork = fork
        self._sleep = sleep
        self._clock = clock

    def all(self) -> list[Found]:
        """Every stage, as far as it can be known now."""
        done: dict[str, Finished] = {}
        found = []
        with self.keeper.one_look():
            self.keeper.read_ahead()
            for name in self.flow.names():
                one = self.find(name, done)
                found.append(one)
                if one.state is State.DONE and one.stage is not None and one.record is not None:
                    done[name] = Finished(one.stage, one.record)
        return found

    def find(self, name: str, done: Mapping[str, Finished]) -> Found:
        """One stage, given those that are done.

        Raises:
            NotRestored: the store cannot be read, and the stage is too precious to begin anew for that.
        """
        build = self.flow.declare(name, done).build
        if build is None:
            return Found(name, State.LATER, why="an earlier stage is not done")
        for stage in self._variants(build):
            record = self._record(stage)
            if record is None:
                return self._without_record(stage)
            if self.flow.same(record.made_from, stage.made_from):
                return self._judge(stage, record)
            if not self._fork and (how := self.flow.narrowed(record.made_from, stage.made_from)):
                found = self._judge(stage, record)
                if found.state is State.BEGUN:
                    return replace(found, why=f"{found.why}; {how}")
            if stage.beside and not record.finished:
                return Found(name, State.BEGUN, stage, None, "begun and not finished")
            if stage.beside and self._nothing_left(stage, record):
                return self._without_record(stage)
            lines = tuple(self.flow.differing(record.made_from, stage.made_from))
            other = Found(name, State.OTHERWISE, stage, record, why="; ".join(lines[:3]), differences=lines)
        return other

    def _variants(self, build: Build) -> Iterator[Stage]:
        """The plain folder, then the fork of this fingerprint: looked for where the plain one is taken by something else."""
        plain = build("")
        yield plain
        forked = build(plain.fingerprint[:FORK_DIGITS])
        if self._fork or self._record(forked) is not None:
            yield forked

    def _record(self, stage: Stage) -> Record | None:
        place = self.keeper.root / stage.record
        if not self.ensure(stage.record, precious=stage.precious):
            return None
        record = stage.read(place)
        if record is not None:
            return record
        log.warning("%s: cannot be read as a record; moved to %s", stage.record, set_aside(place, "unreadable").name)
        return stage.read(place) if self.ensure(stage.record, precious=stage.precious) else None

    def _nothing_left(self, stage: Stage, record: Record) -> bool:
        """Whether a record speaks of what is gone: its outputs were removed here, and the store has none."""
        here = any(any_file(self.keeper.root / key) for key in (*stage.outputs, *record.files))
        return not here and not (record.files.keys() & self._held(stage).files.keys())

    def _without_record(self, stage: Stage) -> Found:
        held = self._held(stage) if stage.own else None
        there = bool(held) or any(any_file(self.keeper.root / k) for k in _places(stage))
        if there:
            return Found(
                stage.name, State.BEGUN, stage, None, "files are there, and nothing says what they were made from", held=held
            )
        return Found(
            stage.name, State.TO_DO, stage, None, "nothing of it is here" + (" or in the store" if self.keeper.enabled else "")
        )

    def _judge(self, stage: Stage, record: Record) -> Found:
        held = self._held(stage)
        expected = {stage.folder + "/" + p: h for p, h in record.files.items()} if stage.own else {stage.record: ""}
        if stage.beside:
            expected = dict(record.files)
        own_record = {stage.record} if stage.own or stage.beside else set()
        present = {k for k in expected if (self.keeper.root / k).is_file()}
        here = {k for k in present if expected[k] in ("", self.keeper.identity(k))}
        changed = tuple(sorted(present - here))
        stored = {k for k, h in expected.items() if k in held.files and h in ("", held.files[k][1])}
        missing = sorted(expected.keys() - here - stored)
        all_here, all_stored = len(here) == len(expected), len(stored) == len(expected) and own_record <= held.files.keys()
        if not record.finished:
            return Found(stage.name, State.BEGUN, stage, record, "begun and not finished", all_here, all_stored, held)
        more = stage.more_asked(record)
        if more:
            return Found(stage.name, State.BEGUN, stage, record, f"more is asked for: {more}", all_here, all_stored, held)
        if missing:
            what = "is not what was made" if missing[0] in changed else "is neither here nor in the store"
            return Found(stage.name, State.BEGUN, stage, record, f"{missing[0]} {what}", held=held, changed=changed)
        where = "here and in the store" if all_here and all_stored else "here" if all_here else "in the store"
        return Found(stage.name, State.DONE, stage, record, where, all_here, all_stored, held, changed)

    # -- restoring ---------------------------------------------------------------------------------------------------

    def ensure(self, key: str | Path, *, precious: bool) -> Restored:
        """Make a path present, as patiently as the settings say.

        Args:
            key: The path.
            precious: What is missing would be made anew at a high price.

        Raises:
            NotRestored: it could not be restored, or the store could not be read, and going on would be too dear; or the store has
                another checkpoint or database than what is here, and somebody has to say which counts.
        """

        def ask() -> Restored:
            return self.patiently(
                str(key), precious, lambda: self.keeper.ensure(key), lambda r: r.error if r.outcome is Outcome.FAILED else ""
            )

        answer = ask()
        if answer.outcome is Outcome.DIFFERS and self.flow.mended(self.keeper, self.keeper.root / key):
            answer = ask()
        if answer.outcome is Outcome.DIFFERS:
            raise NotRestored(answer.error)
        return answer

    def _held(self, stage: Stage) -> Held:
        """What the store holds of a stage's folder, or of what lies beside its record; nothing where there is no store."""
        nothing = Held(Key.parse(stage.folder))
        if not self.keeper.enabled:
            return nothing

        def ask() -> tuple[Held, str]:
            try:
                return together(self.keeper.held(*(stage.artifacts if stage.beside else (stage.folder,)))), ""
            except StoreError as error:
                return nothing, describe(nothing.key, error)

        return self.patiently(stage.folder, stage.precious, ask, lambda answer: answer[1])[0]

    def patiently(self, what: str, precious: bool, ask: Callable[[], T], problem_of: Callable[[T], str]) -> T:
        """Ask the store again and again while it fails, as long as the settings say; then stop, or take what there is."""
        mode = self._patience.on_restore_failure
        deadline = self._clock() + (self._patience.restore_patience if mode == "auto" and precious else 0.0)
        wait = 1.0
        while problem := problem_of(answer := ask()):
            if mode == "continue" or (mode == "auto" and not precious):
                log.warning("%s: going on without what the store may hold of it; nothing there will be overwritten", what)
                return answer
            left = deadline - self._clock()
            if left <= 0:
                raise NotRestored(
                    f"{problem}. Stopped before it would be made again: run again when the store can be read, or set "
                    "run.on_restore_failure: continue to begin anew beside it"
                )
            log.warning("%s: trying again in %.0f s, for %.0f s more (%s)", what, min(wait, left), left, problem)
            self._sleep(min(wait, left))
            wait = min(wait * 2, 60.0)
        return answer

    def require(self, key: str) -> Path:
        """A path that a stage needs.

        Raises:
            NotRestored: it is neither here nor to be had.
        """
        result = self.ensure(key, precious=True)
        if not result:
            raise NotRestored(
                result.error or f"{key}: neither here nor in the store, and a stage needs it; run the stage that makes it"
            )
        return self.keeper.root / key


def _places(stage: Stage) -> tuple[str, ...]:
    """Where files of a stage would lie that no record speaks of."""
    if stage.own:
        return (stage.folder,)
    return stage.outputs if stage.beside else ()


def together(held: Sequence[Held]) -> Held:
    """What the store holds of several paths, under the name of the first."""
    first, *others = held
    if not others:
        return first
    return Held(first.key, {k: f for one in held for k, f in one.files.items()}, first.progress, any(one.ahead for one in held))
