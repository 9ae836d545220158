"""The runner: each stage done, or restored, or made and backed up. The loop is short, and everything else is below it."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.errors import (
    HoldfastError,
    MadeOtherwise,
    NotBackedUp,
    NotRestored,
    StageFailed,
    StoreError,
    UsageError,
)
from holdfast.flow.bench import Bench
from holdfast.flow.examination import Examiner, Patience, Patient
from holdfast.flow.failing import in_words
from holdfast.flow.flow import Flow
from holdfast.flow.found import Found, State
from holdfast.flow.life import LIFE, Life
from holdfast.flow.narration import Narration, Quiet
from holdfast.flow.record import Record, went_on, write_record
from holdfast.flow.stage import RECORD, Finished, Made, Stage, Stopped
from holdfast.platform import host_name
from holdfast.session.files import file_identity, set_aside
from holdfast.session.keeper import Keeper
from holdfast.session.parts import parts_of
from holdfast.store.reporting.amounts import duration

log = logging.getLogger(__name__)

#: Where nothing that passes is to blame.
_NO_USE = "a second run most likely ends here again; first change what it names: a setting, the data, or a library's version"


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Args:
        finished: Every stage is done.
        stopped: It was stopped as asked before that.
        ran: Names of the stages that did work.
        done: All stages that are done, with their records.
        safe: `CONFIRMED`, `WRITTEN`, `UNKNOWN`, `NOT BACKED UP`, or `NO STORE`.
    """

    finished: bool
    stopped: bool
    ran: tuple[str, ...]
    done: Mapping[str, Finished] = field(default_factory=dict)
    safe: str = "NO STORE"


class Runner:
    """Runs a pipeline to its end, from wherever it is.

    Args:
        keeper: The project's.
        flow: The stages.
        patience: What to do where the store cannot be read.
        fork: Outputs made under other settings are left alone, and new ones are made beside them.
        only: Names of the stages to run; empty runs all.
        stop_after: Seconds after which no more work is begun, and what runs is saved; None runs to the end.
        narration: Tells how it goes.
        clock: Monotonic seconds.
        now: Unix seconds, for people.
    """

    def __init__(
        self,
        keeper: Keeper,
        flow: Flow,
        patience: Patience | None = None,
        *,
        fork: bool = False,
        only: Sequence[str] = (),
        stop_after: float | None = None,
        narration: Narration | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keeper = keeper
        self.flow = flow
        self.examiner = Examiner(keeper, flow, patience or Patient(), fork=fork, clock=clock)
        self.narration = narration or Quiet()
        self._only = self._chosen(only)
        self._clock = clock
        self._stop_at = None if stop_after is None else clock() + stop_after
        self._done: dict[str, Finished] = {}
        self._ran: list[str] = []
        self._kept: dict[str, bool] = {}  #: by stage: whether its last backup went through
        self._welcomed = False
        self._now = now
        self._life: Life | None = None  #: of the stage that works, once it said that it saves its progress

    @property
    def done(self) -> Mapping[str, Finished]:
        """The stages that this runner found done, or brought to their end."""
        return self._done

    def run(self) -> Summary:
        """Bring every stage to its end, or stop as asked. Errors as in `advance`."""
        done = self._done
        with contextlib.ExitStack() as looking:
            if not self._advance(self.flow.names(), looking):
                self.narration.end()
                return Summary(finished=False, stopped=True, ran=tuple(self._ran), done=done, safe=self._safety(done))
            complete = len(done) == len(self.flow.names())
            for key in self.flow.products(done) if complete else ():
                self.examiner.require(key)
            return Summary(complete, stopped=False, ran=tuple(self._ran), done=done, safe=self._safety(done))

    def advance(self, through: str | None = None) -> bool:
        """Bring stages to their end. What an earlier call brought to its end is not looked at again.

        Args:
            through: The kind of the last stages, such as `train` of `train/left`; None for all. What they build on comes first.

        Returns:
            False where it was stopped as asked.

        Raises:
            MadeOtherwise: outputs are there that were made under other settings.
            NotRestored: something needed is in the store and could not be restored.
            StageFailed: a stage could not make what it should.
            AnotherSession: a live one works on the same stage, on this machine or elsewhere.
        HoldfastError: see its type.
        """
        with contextlib.ExitStack() as looking:
            return self._advance(self._up_to(through), looking)

    def _advance(self, names: Sequence[str], looking: contextlib.ExitStack) -> bool:
        """As `advance`. One look at the store is held in `looking` however many stages are done, and none while work is done."""
        done = self._done
        looking.enter_context(self.keeper.one_look())
        self.keeper.read_ahead()
        for name in names:
            if name in done:
                continue
            found = self.examiner.find(name, done)
            if found.state is State.BEGUN and found.held is not None and found.held.ahead:
                found = self._take_over(found, done)
            self._welcome(found, done)
            if found.state is State.DONE:
                done[name] = self._accept(found)
            elif self._only and name not in self._only:
                if found.state is not State.LATER:
                    self.narration.say(f"{name}: left alone, as --only says")
            elif found.state is State.OTHERWISE:
                raise MadeOtherwise(self._refusal(found))
            elif found.stage is None:
                raise UsageError(f"{name}: cannot run before the stages that it builds on; leave --only out")
            elif self._time_is_over():
                return False
            else:
                looking.close()
                with self.keeper.claim(*found.stage.artifacts):
                    finished = self._work(found.stage, found.record, done)
                if finished is None:
                    return False
                done[name] = finished
                looking.enter_context(self.keeper.one_look())
        return True

    def _up_to(self, through: str | None) -> list[str]:
        names = self.flow.names()
        last = names[-1] if through is None else [n for n in names if n.partition("/")[0] == through][-1]
        return names[: names.index(last) + 1]

    # -- one stage ---------------------------------------------------------------------------------------------------

    def _work(self, stage: Stage, record: Record | None, done: Mapping[str, Finished]) -> Finished | None:
        """Restore what it needs, run it, check what it made, back it up. None where it was stopped as asked."""
        began = self._clock()
        self.narration.say(f"{stage.name}: {'goes on' if record else 'begins'}")
        for key in stage.inputs:
            self.examiner.require(key)
        if stage.own:
            self.examiner.ensure(stage.folder, precious=stage.precious)  # what it has made so far, all of it
        # As the version wrote it that began it, which may be an older one; unless less is asked for now.
        goes_on = record is not None and self.flow.same(record.made_from, stage.made_from)
        made_from = record.made_from if record is not None and goes_on else stage.made_from
        self._life = None
        begun = Record(stage.name, made_from, extent=stage.extent, environment=record.environment if record else {})
        self.keeper.workspace.whole.difference_update(map(self.keeper.workspace.key, stage.artifacts))

        def begin(environment: Mapping[str, Any]) -> None:
            nonlocal begun
            then = begun.environment
            noted = went_on(then, environment, self.flow.comparable) if then else environment
            begun = replace(begun, environment=noted)
            self._life = self._begin_life(stage)
            if then and noted != then:
                self.narration.warn(
                    f"{stage.name}: was begun with {self._shown(then)} and goes on with {self._shown(environment)}: what it makes "
                    "is as good, and not the same bit for bit (its record says so)"
                )
            if record is None or record.finished or noted != then or not goes_on:
                write_record(self.keeper.root / stage.record, begun)
                self._back_up(stage, None)

        bench = Bench(
            stage=stage,
            done=done,
            keeper=self.keeper,
            keep=lambda progress, *parts: self._back_up(stage, progress, parts),
            restore=lambda path: self.examiner.ensure(path, precious=True),
            patiently=self.examiner.patiently,
            narration=self.narration,
            begin=begin,
            worked_on=self._worked_on,
            environment=begun.environment,
            time_is_over=self._time_is_over,
            clock=self._clock,
        )
        module, _, function = stage.work.partition(":")
        self._ran.append(stage.name)
        with self._failing(stage):
            try:
                made: Made = getattr(importlib.import_module(module), function)(self.flow.bench(bench))
            except Stopped:
                self.narration.end()
                self._end_life("stopped")
                return None
        finished = self._finish(stage, begun, made)
        self.narration.say(f"{stage.name}: done in {duration(self._clock() - began)}")
        return finished

    @contextlib.contextmanager
    def _failing(self, stage: Stage) -> Iterator[None]:
        """What libraries raise becomes one line; what stands is kept."""
        try:
            yield
        except (HoldfastError, KeyboardInterrupt):
            self.narration.end()
            raise
        except Exception as error:
            self.narration.end()
            log.debug("%s failed", stage.name, exc_info=True)
            end = "run again to go on" if self.flow.may_pass(error) else _NO_USE
            raise StageFailed(f"{stage.name}: {in_words(error)}. What was made before it is kept; {end}") from error

    def _finish(self, stage: Stage, begun: Record, made: Made) -> Finished:
        missing = [k for k in stage.outputs if not (self.keeper.root / k).is_file()]
        if missing:
            raise StageFailed(f"{stage.name}: did not make {missing[0]}, which it should")
        self._end_life("finished")
        if stage.own:
            folder = self.keeper.root / stage.folder
            files = _files(folder, self.flow.unfinished, {LIFE, *self.flow.varying})
            record = replace(begun, finished=True, result=made.result, files=files, summary=dict(made.summary))
            write_record(self.keeper.root / stage.record, record)
            self._drop_unfinished(folder)
        else:
            record = stage.read(self.keeper.root / stage.record) or begun
        self.keeper.workspace.whole.update(map(self.keeper.workspace.key, stage.artifacts))
        self._back_up(stage, self.flow.final_progress(stage, record))
        return Finished(stage, record)

    def _back_up(self, stage: Stage, progress: float | None, parts: Sequence[Path] = ()) -> bool:
        if self._life is not None:
            self._life.kept(progress)
            parts = [*parts, self._life.place] if parts else parts
        if self.keeper.enabled:
            self.keeper.refuse_rival(*stage.artifacts)
            what = parts_of(self.keeper, stage.folder, parts) or stage.artifacts
            self._kept[stage.name] = bool(self.keeper.backup(*what, progress=progress))
        return self._kept.get(stage.name, True)

    def _begin_life(self, stage: Stage) -> Life:
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        return Life(self.keeper.root / stage.folder / LIFE, name, host_name(), self._now)

    def _worked_on(self, node: str) -> None:
        if self._life is not None and node:
            self._life.worked_on(node)

    def _end_life(self, how: str) -> None:
        if self._life is not None:
            self._life.ended(how)
        self._life = None

    def _accept(self, found: Found) -> Finished:
        """A stage that is done needs nothing but, perhaps, the backup that it missed, and what was changed here put aside."""
        stage, record = found.stage, found.record
        assert stage is not None
        assert record is not None
        for key in found.changed:  # the store has the one that was made
            aside = set_aside(self.keeper.root / key, "changed")
            self.narration.warn(f"{key}: is not what was made; moved to {aside.name}")
        saved = ""
        leftover = stage.own and self._drop_unfinished(self.keeper.root / stage.folder)
        if self.keeper.enabled and found.here and (leftover or not found.stored):
            self._back_up(stage, self.flow.final_progress(stage, record))
            saved = "; backed up now" if self._kept[stage.name] else "; NOT BACKED UP"
        self.narration.say(f"{found.name}: done ({found.why}{saved})")
        return Finished(stage, record)

    def _take_over(self, found: Found, done: Mapping[str, Finished]) -> Found:
        """Another machine went on from what this one had: its work is taken, and what is here is moved aside, not mixed with it."""
        assert found.stage is not None
        self.narration.warn(f"{found.name}: the store is ahead of this machine; what is here is moved aside, the store's is taken")
        result = self.keeper.restore(found.stage.folder)
        if not result:
            raise NotRestored(result.error or f"{found.stage.folder}: could not be restored")
        return self.examiner.find(found.name, done)

    def _drop_unfinished(self, folder: Path) -> bool:
        """Delete what the stage had saved before it was finished. True where there was something."""
        place = folder / self.flow.unfinished
        there = bool(self.flow.unfinished) and place.exists()
        if there:
            shutil.rmtree(place, ignore_errors=True)
        return there

    def _shown(self, environment: Mapping[str, Any]) -> str:
        return ", ".join(f"{k} {environment[k]}" for k in self.flow.comparable if k in environment)

    # -- around it ---------------------------------------------------------------------------------------------------

    def _chosen(self, only: Sequence[str]) -> frozenset[str]:
        names = self.flow.names()
        chosen = set()
        for wanted in only:
            matching = [n for n in names if n == wanted or n.partition("/")[0] == wanted]
            if not matching:
                raise UsageError(f"--only {wanted}: there is no such stage; the stages are {', '.join(names)}")
            chosen.update(matching)
        return frozenset(chosen)

    def _time_is_over(self) -> bool:
        return self._stop_at is not None and self._clock() >= self._stop_at

    def _welcome(self, found: Found, done: Mapping[str, Finished]) -> None:
        """On a return, say once how far it was."""
        if self._welcomed or found.state is State.DONE or found.state is State.OTHERWISE:
            return
        self._welcomed = True
        if not done and found.state is not State.BEGUN:
            return
        names = self.flow.names()
        left = names[names.index(found.name) + 1 :]
        at = f"{found.name} {self.flow.how_far(found)}" if found.state is State.BEGUN else f"{found.name} to do"
        self.narration.say(f"Welcome back: {', '.join([at, *(f'{n} to do' for n in left)])}")

    def _refusal(self, found: Found) -> str:
        assert found.stage is not None
        lines = list(found.differences)
        shown = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
        return (
            f"{found.name}: {found.stage.folder} was made under other settings: {shown}. Set them back to go on with it, or "
            "run with --fork (in a notebook: fork=True) to keep it and make another beside it, or begin it anew: `holdfast drop "
            f"{found.stage.folder}`{self.flow.road_on(found)}"
        )

    def _safety(self, done: Mapping[str, Finished]) -> str:
        """The worst of what is known of all that was made. What was not seen in the store does not count as safe."""
        if not self.keeper.enabled:
            return "NO STORE"
        try:
            self.keeper.flush()
            rows = self.keeper.standing()
        except NotBackedUp as error:
            self.narration.warn(error.line)
            return "NOT BACKED UP"
        except StoreError as error:
            log.warning("it cannot be told what is backed up (%s)", error.strerror or error)
            return "UNKNOWN"
        folders = [f.stage.folder for f in done.values()]
        # A folder is in the store where an artifact at or above it is; what no artifact holds has no generation.
        holding = {f: [r for r in rows if r.generation and _at_or_below(f, r.key.value)] for f in folders}
        within = [r for r in rows if any(_at_or_below(r.key.value, f) for f in folders)]
        ours = [*within, *(r for found in holding.values() for r in found)]
        lost = any((r.unsaved or r.named) and r.here != "no" for r in ours)
        if not all(holding.values()) or not all(self._kept.values()) or lost:
            return "NOT BACKED UP"
        return next((s for s in ("WRITTEN", "UNKNOWN") if any(r.durability == s for r in ours)), "CONFIRMED")


def _at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _files(folder: Path, unfinished: str, varying: Set[str]) -> dict[str, str]:
    """Each output below a stage's folder with its hash; a database, and what varies, with none: their bytes mean little."""
    files = {}
    for place in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != RECORD):
        inside = place.relative_to(folder)
        name = inside.as_posix()
        if unfinished and unfinished in inside.parts:
            continue
        if place.name.endswith(("-wal", "-shm", "-journal")) or _is_aside(place.name):
            continue
        with place.open("rb") as file:
            database = file.read(16) == b"SQLite format 3\0"
        files[name] = "" if database or not varying.isdisjoint(inside.parts) else file_identity(place)
    return files


def _is_aside(name: str) -> bool:
    return any(f".{word}-" in name for word in ("changed", "damaged", "unreadable"))
