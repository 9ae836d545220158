"""The nodes of a cluster: which are alive, what each said of itself, and what runs where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.spread.attempt import Node
from holdfast.spread.cluster.fitness import Facts, differs_in_processor, fits, refusal, type_of
from holdfast.spread.cluster.words import Machine
from holdfast.store.reporting.amounts import many


@dataclass
class _Known:
    machine: Machine
    asked: str = ""  #: name of the question that is not answered yet
    fit: bool = False
    type: str = ""
    refused: str = ""
    said: bool = False  #: a person was told that it is part of this
    lost: bool = False  #: and that it is so no more, though Ray lists it a while longer
    used: dict[str, Mapping[str, float]] = field(default_factory=dict)


class Roster:
    """The nodes.

    Args:
        here: What is so on the driver's machine.
        need: What each attempt needs, in Ray's words.
        disk: Bytes that a node should have for temporary files.
        ask: Asks a node what it is; the arguments are the name of the question, and the node's id.
        type_: Only nodes of this type have a part; empty for any.
    """

    def __init__(self, here: Facts, need: Mapping[str, float], disk: int, ask: Callable[[str, str], None], type_: str = "") -> None:
        self._here = here
        self._need = need
        self._disk = disk
        self._ask = ask
        self._type = type_
        self._known: dict[str, _Known] = {}
        self._too_small: dict[str, Machine] = {}
        self._questions = 0
        self._processors: set[str] = set()

    # -- what is heard of them -----------------------------------------------------------------------------------------

    def alive(self, machines: Sequence[Machine]) -> list[Node]:
        """These are alive now. New ones are asked what they are, where they are large enough at all."""
        news = []
        now = {m.id: m for m in machines}
        for gone in [i for i in self._known if i not in now]:
            news += self._lost(self._known.pop(gone))
        self._too_small = {i: m for i, m in now.items() if not fits(m.resources, (), self._need)}
        for id_, machine in now.items():
            if id_ not in self._known and id_ not in self._too_small:
                self._known[id_] = _Known(machine)
                self.question(id_)
        return news

    def question(self, id_: str) -> None:
        """Ask a node what it is. Until it has answered, nothing begins there."""
        known = self._known[id_]
        self._questions += 1
        known.asked, known.fit = f"probe {self._questions} {id_}", False
        self._ask(known.asked, id_)

    def answered(self, name: str, answer: Mapping[str, Any]) -> list[Node]:
        """A node said what it is."""
        known = self._asked(name)
        if known is None:
            return []
        known.asked = ""
        there = Facts.of(answer)
        known.type = type_of(there, known.machine.resources)
        why = refusal(there, self._here, self._disk)
        if not why and self._type and known.type != self._type:  # as is known, and nothing is wrong with it
            known.refused = f"is of another type ({known.type})"
            return []
        return self._refused(known, why) if why else self._joined(known, there)

    def failed(self, name: str, why: str, *, there: bool) -> list[Node]:
        """A node could not say it.

        Args:
            name: Of the question.
            why: As a sentence goes on.
            there: The node is; else it is lost, which is known before Ray lists it no more.
        """
        known = self._asked(name)
        if known is None:
            return []
        known.asked = ""
        return self._refused(known, f"cannot be asked what it has: what asks it {why}") if there else self._lost(known)

    def _lost(self, known: _Known) -> list[Node]:
        """What ran there is said to be lost by whoever waits for it: a node is one line."""
        told, known.lost, known.fit = known.lost or not known.said or bool(known.used), True, False
        return [] if told else [Node(known.machine.name, "is lost", gone=True)]

    def _asked(self, name: str) -> _Known | None:
        return next((k for k in self._known.values() if k.asked == name), None)

    def _refused(self, known: _Known, why: str) -> list[Node]:
        known.refused = why
        return [Node(known.machine.name, f"{why}; it has no part in this", gone=True)]

    def _joined(self, known: _Known, there: Facts) -> list[Node]:
        known.fit, known.refused, known.lost = True, "", False
        if known.said:
            return [Node(known.machine.name, "answers again")]
        known.said = True
        name = known.machine.name
        news = [Node(name, f"has a part: {described(known.machine.resources)}")]
        other = differs_in_processor(there, self._here)
        if other and there.processor not in self._processors:
            self._processors.add(there.processor)
            news.append(Node(name, other))
        return news

    def loses(self, id_: str) -> None:
        """Something that ran there is lost with it, and that is said. If it is there after all, it answers."""
        if id_ in self._known:
            self._known[id_].lost = True
            if not self._known[id_].asked:
                self.question(id_)

    # -- what runs where -----------------------------------------------------------------------------------------------

    def place(self, token: str) -> Machine | None:
        """A node with room for one more, the one with the fewest first; None where there is none now."""
        free = [k for k in self._known.values() if k.fit and fits(k.machine.resources, tuple(k.used.values()), self._need)]
        if not free:
            return None
        chosen = min(free, key=lambda k: (len(k.used), k.machine.id))
        chosen.used[token] = self._need
        return chosen.machine

    def leave(self, token: str) -> None:
        """What ran under this token runs no more."""
        for known in self._known.values():
            known.used.pop(token, None)

    # -- what is asked of them -----------------------------------------------------------------------------------------

    def has(self, id_: str) -> bool:
        """Whether it is alive, as Ray says."""
        return id_ in self._known

    def type_of(self, id_: str) -> str:
        """The type of a node, as it said; empty once it is gone."""
        return self._known[id_].type if id_ in self._known else ""

    def is_asked(self, id_: str) -> bool:
        """Whether it owes an answer."""
        return id_ in self._known and bool(self._known[id_].asked)

    @property
    def resources(self) -> Mapping[str, float]:
        """CPUs and GPUs of all of them together, where there are any."""
        all_ = [*(k.machine for k in self._known.values()), *self._too_small.values()]
        sums = {name: sum(m.resources.get(name, 0.0) for m in all_) for name in ("CPU", "GPU")}
        return {name: amount for name, amount in sums.items() if amount}

    @property
    def are_all_known(self) -> bool:
        """Whether each has answered."""
        return not any(k.asked for k in self._known.values())

    @property
    def silent(self) -> list[str]:
        """Names of those that have not."""
        return [k.machine.name for k in self._known.values() if k.asked]

    @property
    def is_any_fit(self) -> bool:
        """Whether there is one that attempts can run on."""
        return any(k.fit for k in self._known.values())

    @property
    def why_none(self) -> str:
        """Why there is none, as a sentence goes on."""
        if self._known:
            each = [f"node {k.machine.name} {k.refused or 'does not answer'}" for k in self._known.values()]
            return "no node can have a part: " + "; ".join(each)
        if self._too_small:
            each = [f"node {m.name} has {described(m.resources)}" for m in self._too_small.values()]
            return f"no node has the {described(self._need)} that each trial needs (hpo.resources): " + "; ".join(each)
        return "no node is there"


def described(resources: Mapping[str, float]) -> str:
    """What a machine has, or an attempt needs, in words."""
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    said = many(int(cpus), "CPU") if cpus == int(cpus) else f"{cpus:g} CPUs"
    if gpus:
        said += f" and {many(int(gpus), 'GPU') if gpus == int(gpus) else f'{gpus:g} GPUs'}"
    return said
