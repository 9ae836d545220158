"""What is asked for now: one call of a step, or one cell. Plain data, and a stage of `flow` of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.flow.bench import Bench
from holdfast.flow.flow import Flow
from holdfast.flow.stage import Declared, Finished, Stage
from holdfast.steps.code import CODE, DATA, ByOutputs
from holdfast.steps.contents import record_of


@dataclass(frozen=True)
class Task:
    """What is asked for.

    Args:
        name: Of the step.
        outputs: Keys of what it makes.
        folders: Those of them that are folders to be made before it runs.
        inputs: Steps, and paths as they were given.
        counts: What decides its outcome, beside its inputs.
        act: Makes the outputs, given the paths that it asks for.
        asks: Which of `inputs` and `outputs` it is given.
        fork: Another result is made beside the one that is there.
        anew: How a person has it made anew, in words.
    """

    name: str
    outputs: tuple[str, ...]
    folders: frozenset[str]
    inputs: tuple[ByOutputs | str, ...]
    counts: Callable[[], Mapping[str, Any]]
    act: Callable[[Mapping[str, Any]], object]
    asks: tuple[str, ...] = ()
    fork: bool = False
    anew: str = ""


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a task hold, and where they are.

    Args:
        content: By the path of each as it was given, or by the key of what a step makes, what it holds.
        needed: Keys below outputs that have to be here before it runs.
        places: For each input the key or path of it, or those of a step that makes several.
        beside: The name of a step among them whose result lies beside another one; empty for none.
    """

    content: Mapping[str, str]
    needed: tuple[str, ...]
    places: tuple[str | tuple[str, ...], ...]
    beside: str = ""


@dataclass
class Doing:
    """A task that runs, and what it raised if it did."""

    task: Task
    inputs: Inputs
    raised: Exception | None = field(default=None)


class One(Flow):
    """A pipeline of one stage.

    Args:
        task: What is asked for.
        inputs: What its inputs hold.
    """

    def __init__(self, task: Task, inputs: Inputs) -> None:
        self.doing = Doing(task, inputs)
        self._made_from = {"outputs": list(task.outputs), "inputs": dict(inputs.content), **task.counts()}

    def names(self) -> list[str]:
        """The one."""
        return [self.doing.task.name]

    def declare(self, name: str, done: Mapping[str, Finished]) -> Declared:
        """See `Flow.declare`."""
        return Declared(name, self.stage)

    def stage(self, fork: str) -> Stage:
        """The stage; of a fork, its outputs have digits of the fingerprint in their names."""
        outputs = tuple(forked(key, fork) for key in self.doing.task.outputs)
        return Stage(
            name=self.doing.task.name,
            folder=outputs[0],
            record=record_of(outputs[0]),
            outputs=outputs,
            inputs=self.doing.inputs.needed,
            made_from=self._made_from,
            work="holdfast.steps.working:work",
            precious=True,
            own=False,
        )

    def bench(self, bench: Bench) -> tuple[Bench, Doing]:
        """What `working.work` is given."""
        return bench, self.doing

    def differing(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
        """One line for each thing that differs, in words."""
        parts = [p for p in _WORDS if p != "code" or ("code" in then) == ("code" in now)]  # where a version counts, no code does
        return [line for part in parts for line in _lines(part, then.get(part), now.get(part))]


def forked(key: str, fork: str) -> str:
    """The key of an output that is made beside another one: `outputs/b-1a2b3c4d.json`."""
    if not fork:
        return key
    above, _, name = key.rpartition("/")
    stem, dot, rest = name[1:].partition(".")
    return f"{above}/{name[:1]}{stem}-{fork}{dot}{rest}"


def _code(name: str, then: str | None, now: str | None) -> str:
    if then is None or now is None:
        return f"{name or 'its code'} is read now, and was not then" if then is None else f"{name} is not read any more"
    if then.startswith(CODE) and now.startswith(CODE):
        return f"the code of {name} is another" if name else "its code is another"
    if then.startswith(DATA) and now.startswith(DATA):
        return f"{name} is other data"
    return f"{name}: {then} then, {now} now"


def _input(name: str, then: Any, now: Any) -> str:
    if then is None or now is None:
        return f"{name} is an input now, and was none then" if then is None else f"{name} is no input any more"
    return f"{name} holds something else"


def _plain(name: str, then: Any, now: Any) -> str:
    return f"{name}: {_said(then)} then, {_said(now)} now"


def _said(value: Any) -> str:
    return "not set" if value is None else str(value)


#: The parts of what a step is made from, in the order in which a person wants to know them.
_WORDS: Mapping[str, Callable[[str, Any, Any], str]] = {
    "version": _plain,
    "arguments": _plain,
    "inputs": _input,
    "code": _code,
    "outputs": _plain,
}


def _lines(part: str, then: Any, now: Any) -> list[str]:
    if then == now and repr(then) == repr(now):
        return []
    if not isinstance(then, dict | None) or not isinstance(now, dict | None):
        return [_WORDS[part](part, then, now)]
    before, after = then or {}, now or {}
    changed = [k for k in sorted(before.keys() | after.keys()) if repr(before.get(k)) != repr(after.get(k))]
    if part == "code" and "" in changed and all(before.get(k) is None or after.get(k) is None for k in changed if k):
        changed = [""]  # what it reads follows from its code
    return [_WORDS[part](k, before.get(k), after.get(k)) for k in changed]
