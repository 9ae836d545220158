"""Which steps have to run, and which only to be fetched: each is a pipeline of one stage, and `flow` says what there is of it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from holdfast.errors import MadeOtherwise, NotBackedUp, StageFailed, UsageError
from holdfast.flow.examination import Examiner, Patience
from holdfast.flow.found import Found, State
from holdfast.flow.narration import Quiet
from holdfast.flow.runner import Runner
from holdfast.session.keeper import Keeper
from holdfast.steps.code import ByOutputs
from holdfast.steps.contents import Contents, combined
from holdfast.steps.task import Inputs, One, Task

log = logging.getLogger(__name__)


class Makers(Protocol):
    """Knows the steps of a project."""

    keeper: Keeper
    contents: Contents
    patience: Patience

    def task_of(self, step: ByOutputs) -> Task:
        """What is asked of a step where another one needs it."""

    def maker_of(self, key: str) -> ByOutputs | None:
        """The step that makes exactly this path, if any."""


class Lines(Quiet):
    """A step that runs tells the log; what should not be missed is seen in a notebook, too."""

    def say(self, text: str) -> None:
        """For who asks for it."""
        log.info("%s", text)

    def warn(self, text: str) -> None:
        """For everybody."""
        log.warning("%s", text)


#: One step of a project runs once at a time in this process; a second process is told by the claim of the runner.
_locks: dict[tuple[Path, str], threading.Lock] = {}
_making = threading.Lock()
_inside = threading.local()


@contextlib.contextmanager
def _alone(root: Path, task: Task) -> Iterator[None]:
    running: set[tuple[Path, str]] = _inside.__dict__.setdefault("running", set())
    what = (root, task.outputs[0])
    if what in running:
        raise UsageError(f"{task.name}: a step cannot call itself")
    with _making:
        lock = _locks.setdefault(what, threading.Lock())
    with lock:
        running.add(what)
        try:
            yield
        finally:
            running.discard(what)


class Bringing:
    """One look at what there is, and what follows from it.

    Args:
        makers: The steps.
    """

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._keeper = makers.keeper
        self._found: dict[str, tuple[Found, Inputs]] = {}
        self._brought: set[str] = set()
        self._above: list[str] = []

    def bring(self, task: Task, *, again: bool = False) -> tuple[Path, ...]:
        """The paths of what a task makes, here: restored where they were made so, else made and backed up.

        Raises:
            MadeOtherwise: they are there, and were made from something else.
            UsageError: the function, an argument or an input cannot be counted; or it did what a step must not.
            NotRestored, StageFailed, AnotherSession: as `Runner.advance`.
        """
        with self._within(task), _alone(self._keeper.root, task):
            self._found.pop(task.name, None)  # another thread may have made it meanwhile
            if again:
                self._forget(task)
            with self._keeper.one_look():
                found, inputs = self._look(task, make=True)
                if found.state is State.OTHERWISE:
                    raise MadeOtherwise(refusal(task, found))
            runs = found.state is not State.DONE
            if runs:
                for step in self._steps_of(task):
                    if step.name not in self._brought:
                        self.bring(self._makers.task_of(step))
                self._found.pop(task.name, None)
                found, inputs = self._look(task, make=True)
                _refuse_unforked(task, found, inputs)
            return self._run(task, inputs, runs=runs)

    def look(self, task: Task) -> Found:
        """What there is of a task, without making or fetching anything but records. `LATER` where a step before it has to run."""
        with self._within(task):
            return self._look(task, make=False)[0]

    def _run(self, task: Task, inputs: Inputs, *, runs: bool) -> tuple[Path, ...]:
        flow = One(task, inputs)
        runner = Runner(self._keeper, flow, self._makers.patience, fork=task.fork, narration=Lines())
        raised: Exception | None = None
        try:
            runner.advance()
        except StageFailed:
            raised = flow.doing.raised
            if raised is None:
                raise
        if raised is not None:  # as the function raised it: its author knows what to do with it
            trace = raised.__traceback__
            raise raised.with_traceback(trace.tb_next if trace is not None else None)
        done = runner.done[task.name]
        places = tuple(runner.examiner.require(key) for key in done.stage.outputs)
        if runs:
            try:  # what comes after it may take hours: then a lost machine costs that, and not this again
                self._keeper.flush()
            except NotBackedUp as error:
                log.warning("%s", error.line)
        self._found.pop(task.name, None)
        self._brought.add(task.name)
        return places

    def _look(self, task: Task, *, make: bool) -> tuple[Found, Inputs]:
        known = self._found.get(task.name)
        if known is None:
            inputs = self._inputs(task, make=make)
            if inputs is None:
                return Found(task.name, State.LATER, why="a step before it has to run first"), Inputs({}, (), ())
            flow = One(task, inputs)
            known = Examiner(self._keeper, flow, self._makers.patience, fork=task.fork).find(task.name, {}), inputs
            self._found[task.name] = known
        return known

    def _inputs(self, task: Task, *, make: bool) -> Inputs | None:
        """What the inputs hold. Of a step its record says it, also where what it made is in the store alone, or gone."""
        content: dict[str, str] = {}
        needed: list[str] = []
        places: list[str | tuple[str, ...]] = []
        beside = ""
        for given in task.inputs:
            step = given if isinstance(given, ByOutputs) else self._maker(given)
            if step is None:
                assert isinstance(given, str)
                content[given] = self._content(task, given, needed)
                places.append(given)
                continue
            before = self._makers.task_of(step)
            found = self._known(before, make=make)
            if found is None or found.stage is None or found.record is None:
                return None
            keys = found.stage.outputs
            for plain, key in zip(before.outputs, keys, strict=True):
                files = {k[len(key) + 1 :]: h for k, h in found.record.files.items() if k == key or k.startswith(key + "/")}
                content[plain] = combined({k: h or f"made from {found.record.fingerprint}" for k, h in files.items()})
            beside = beside or (step.name if keys != before.outputs else "")
            needed += keys
            places.append(keys[0] if len(keys) == 1 or isinstance(given, str) else keys)
        return Inputs(content, tuple(needed), tuple(places), beside)

    def _known(self, task: Task, *, make: bool) -> Found | None:
        """A step before, whose record says what it made; where there is none, it is made if it may be."""
        with self._within(task):
            found = self._look(task, make=make)[0]
        if _says_what_it_made(found):
            return found
        if not make:
            return None
        self.bring(task)
        with self._within(task):
            return self._look(task, make=False)[0]

    def _maker(self, given: str) -> ByOutputs | None:
        return self._makers.maker_of(given)

    def _content(self, task: Task, given: str, needed: list[str]) -> str:
        """What a path holds that no step makes: here, or as the store has it."""
        place = self._keeper.root / given
        below = place.is_relative_to(self._keeper.workspace.local(self._keeper.workspace.outputs))
        found = self._makers.contents.of(place)
        if below:
            needed.append(self._keeper.workspace.key(place).value)
            if found is None and self._keeper.enabled:
                key = needed[-1]
                held = self._keeper.held(key)[0].files
                if held:
                    found = combined({k[len(key) + 1 :]: h for k, (_, h) in held.items()})
        if found is None:
            where = " or in the store" if below else ""
            raise UsageError(f"{task.name}: {given} is not here{where}, and is one of its inputs; put it there, and call it again")
        return found

    def _steps_of(self, task: Task) -> list[ByOutputs]:
        found = [given if isinstance(given, ByOutputs) else self._maker(given) for given in task.inputs]
        return [step for step in found if step is not None]

    @contextlib.contextmanager
    def _within(self, task: Task) -> Iterator[None]:
        if task.name in self._above:
            circle = " -> ".join([*self._above[self._above.index(task.name) :], task.name])
            raise UsageError(f"{task.name}: is among its own inputs ({circle}); define one of them anew")
        self._above.append(task.name)
        try:
            yield
        finally:
            self._above.pop()

    def _forget(self, task: Task) -> None:
        """What is there is over: moved aside here, and dropped in the store, where `holdfast history` still shows it."""
        inputs = self._inputs(task, make=True)
        assert inputs is not None
        flow = One(task, inputs)
        found = Examiner(self._keeper, flow, self._makers.patience, fork=task.fork).find(task.name, {})
        stage = found.stage or flow.stage("")
        for key in (stage.record, *stage.outputs):
            self._drop(key)

    def _drop(self, key: str) -> None:
        place = self._keeper.root / key
        self._keeper.settle()
        if self._keeper.held(key)[0]:
            with contextlib.suppress(UsageError):  # a part of what is kept as a whole
                if self._keeper.drop(key):
                    return
        if place.exists():
            self._keeper.workspace.set_aside(place)
            if self._keeper.enabled:
                self._keeper.backup(key, wait=0)


def _says_what_it_made(found: Found) -> bool:
    """Whether a record that is asked for says what came out, wherever that is now."""
    return found.record is not None and found.record.finished and found.state in (State.DONE, State.BEGUN)


def _refuse_unforked(task: Task, found: Found, inputs: Inputs) -> None:
    """A function that knows no path but its own cannot make another result beside one, nor take one from there."""
    if found.stage is not None and found.stage.outputs != task.outputs and "outputs" not in task.asks:
        raise UsageError(
            f"{task.name}: another result is made as {found.stage.outputs[0]}, and the function would write {task.outputs[0]}; "
            "give it a parameter called outputs, which is told the path"
        )
    if inputs.beside and "inputs" not in task.asks:
        raise UsageError(
            f"{task.name}: the result of {inputs.beside} lies beside another one, and the function would read that; give it a "
            "parameter called inputs, which is told the paths"
        )


def refusal(task: Task, found: Found) -> str:
    """What to say where outputs were made from something else."""
    lines = list(found.differences)
    shown = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
    return (
        f"{task.name}: {task.outputs[0]} was made from something else: {shown}. Set that back to have it as it was; or have it "
        f"made anew: {task.anew}"
    )
