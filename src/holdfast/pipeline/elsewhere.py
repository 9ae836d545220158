"""The work of a stage as attempts of an engine, on a node that has the resources, by the rules of trials."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.errors import NotRestored
from holdfast.integrations.checkpoints import newest_sealed
from holdfast.integrations.watching import Fetched
from holdfast.pipeline.layout import CHECKPOINTS
from holdfast.pipeline.settings import Experiment, Hpo
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.study.spread import ground_of
from holdfast.pipeline.training.device import trial_device
from holdfast.platform import random_hex
from holdfast.spread.attempt import Asked, Attempt, Ended, Kept, Lost, Node, Told
from holdfast.spread.cluster import lines
from holdfast.spread.driver import drive
from holdfast.spread.engine import Engine, Ground, open_engine
from holdfast.spread.environment import recorded
from holdfast.spread.performing import Desk
from holdfast.store.local.state import STATE_FOLDER

log = logging.getLogger(__name__)

#: In the environment of a stage: so many threads its attempts computed with. A stage that ran in this process has none.
THREADS = "threads"


def is_spread(hpo: Hpo, environment: Mapping[str, Any] | None = None) -> bool:
    """Whether a training beside the trials runs as they do, in a process of its own; else in this one, as it always did.

    Args:
        hpo: Which engine, and how many trials at a time.
        environment: With which the stage was begun: what was begun as an attempt goes on as one.
    """
    return hpo.parallel > 1 or hpo.engine != "local" or THREADS in (environment or {})


def device_for(experiment: Experiment) -> str:
    """The device that is asked for, to be resolved where it runs; on a cluster by the rule of trials.

    Raises:
        ConfigurationError: see `trial_device`.
    """
    hpo, device = experiment.hpo, experiment.run.device
    return device if hpo.engine == "local" else trial_device(device, hpo)


def threads_of(ground: Ground) -> dict[str, int]:
    """What of the environment of attempts decides bits, for the record of a stage."""
    return {THREADS: recorded(ground.environment)[THREADS]}


class NodeLost(Exception):
    """The node that an errand was bound to by its type is gone: whether there is another one has to be asked first."""


@dataclass(frozen=True)
class Errand:
    """A unit of work of a stage.

    Args:
        unit: Its name.
        folder: The key of its folder.
        work: Called with the desk; it and what it gives are plain data.
        inputs: See `Attempt.inputs`.
        arrived: Told what the unit made, once that is here; see `Errands.run`.
    """

    unit: str
    folder: str
    work: Callable[[Desk], Mapping[str, Any]]
    inputs: tuple[str, ...] = ()
    arrived: Callable[[Ended, Path], None] = lambda _, __: None


class Errands:
    """Runs errands of a stage, one after the other.

    Args:
        bench: Of the stage.
        engine: Runs the attempts.
        ground: What it was opened with.
    """

    def __init__(self, bench: Workbench, engine: Engine, ground: Ground) -> None:
        self._bench = bench
        self.engine = engine
        self.ground = ground

    def run(self, errand: Errand) -> Ended:
        """Run one to its end. Before this returns, what it made is here, and `errand.arrived` was told where.

        An engine that works in place made it in the unit's folder itself. Of another one it lies in a folder apart, which is gone
        afterwards.

        Raises:
            NodeLost: a node that was asked for by its type is.
            Stopped: as asked.
            HoldfastError: see `drive`.
        """
        units = _Unit(self._bench, self.engine, self.ground, errand)
        drive(self.engine, units, 1, self._bench.time_is_over)
        assert units.result is not None
        return units.result


@contextlib.contextmanager
def open_errands(bench: Workbench, home: str, node_type: str = "") -> Iterator[Errands]:
    """The engine of the experiment, for errands of a stage. What is kept of them stays until `arrived` has kept it.

    Which nodes have a part was said when the trials began; here that would be said again at every stage.

    Args:
        bench: Of the stage.
        home: See `Ground.home`; not that of another stage.
        node_type: See `Ground.node_type`.

    Raises:
        HoldfastError: see `open_engine`.
    """
    hpo, keeper = bench.experiment.hpo, bench.keeper
    ground = ground_of(hpo, keeper.root, home, keeper, bench.narration)
    ground = replace(ground, parallel=1, node_type=node_type, say=log.debug)
    engine = open_engine(hpo.engine, ground)
    try:
        yield Errands(bench, engine, ground)
    finally:
        engine.close()


class _Unit:
    """One errand, to the driver."""

    def __init__(self, bench: Workbench, engine: Engine, ground: Ground, errand: Errand) -> None:
        self._bench = bench
        self._engine = engine
        self._ground = ground
        self._errand = errand
        self._work = pickle.dumps(errand.work, protocol=5)
        self._number = 0
        self._node = ""
        self._total = 0
        self.result: Ended | None = None

    # -- what may begin ------------------------------------------------------------------------------------------------

    def next(self, running: Collection[str]) -> Attempt | None:
        if self.result is not None or self._errand.unit in running:
            return None
        self._number += 1
        return Attempt(
            unit=self._errand.unit,
            number=self._number,
            token=random_hex(4),
            home=self._ground.home,
            folder=self._errand.folder,
            work=self._work,
            inputs=self._errand.inputs,
            environment=self._ground.environment,
            resources=self._ground.resources,
        )

    def is_over(self) -> bool:
        return self.result is not None

    def finish(self) -> None:
        self._bench.narration.end()

    # -- what is told ----------------------------------------------------------------------------------------------------

    def told(self, event: Told) -> None:
        self._runs_on(event.where)
        narration, what = self._bench.narration, event.what
        if "line" in what:
            (narration.warn if what.get("warning") else narration.say)(str(what["line"]))
            return
        self._total = int(what["total"])
        note = "; ".join(filter(None, (str(what.get("note", "")), at_stake(self._bench))))
        narration.work(self._name, int(what["step"]), self._total, note)

    def node(self, event: Node) -> None:
        tell = self._bench.narration.warn if event.gone else self._bench.narration.say
        tell(f"{self._bench.stage.name}: node {event.name} {event.line}")

    def lost(self, event: Lost) -> None:
        self._bench.worked_on(event.where)
        self._node = ""
        self._bench.narration.warn(f"{self._bench.stage.name}: {event.why}; another attempt goes on with it")
        if self._ground.node_type and not event.counts:
            raise NodeLost

    def _runs_on(self, node: str) -> None:
        if node and node != self._node:
            self._node = node
            self._bench.narration.say(f"{self._bench.stage.name}: runs on node {node}")
            self._bench.worked_on(node)

    @property
    def _name(self) -> str:
        return self._bench.stage.name.replace("_", " ")

    # -- what is kept --------------------------------------------------------------------------------------------------

    def kept(self, event: Kept) -> None:
        """Where a node keeps it, only how far it is stands in the stage's own backups."""
        self._runs_on(event.where)
        progress = float(round(event.share * self._total))
        if self._engine.keeps:
            self._bench.keep(progress, self._bench.path(self._bench.stage.record))
        else:
            self._bench.keep(progress)

    def asked(self, event: Asked) -> object:
        try:
            found: Fetched = self._bench.copies.fetch(Path(event.path), weights_only=event.weights_only, patient=event.patient)
        except NotRestored as error:
            return error
        return found.why, found.unknown

    def ended(self, event: Ended) -> None:
        brought = self._bench.path(f"{STATE_FOLDER}/brought")
        shutil.rmtree(brought, ignore_errors=True)
        self._engine.take(event, brought)
        self._errand.arrived(event, brought)
        shutil.rmtree(brought, ignore_errors=True)
        self.result = event

    def keep(self) -> None:
        """Nothing to do: whoever runs the errand keeps what it made."""


def at_stake(bench: Workbench) -> str:
    """What a disconnect would cost now, in words."""
    stake = bench.at_stake()
    return "" if stake is None else stake.words(f"from step {stake.progress:.0f}" if stake.progress else "from its beginning")


def take_up(bench: Workbench, unit: str) -> None:
    """What a node had kept of a training comes into the stage's folder, where the work goes on without a cluster.

    Raises:
        NotRestored: there is something, and it could not be brought.
    """
    keeper, here = bench.keeper, bench.folder / CHECKPOINTS
    if keeper.store is None or THREADS not in bench.environment:  # none ever had it
        return
    above = lines.of_unit(lines.of_study(keeper.config.outputs, bench.stage.folder), unit)
    known, brought = newest_sealed(here), bench.path(f"{STATE_FOLDER}/brought")
    for line in lines.furthest_first(keeper.store, above):
        shutil.rmtree(brought, ignore_errors=True)
        found = keeper.restore(line.key.value, to=brought)
        if not found and not found.damaged:
            raise NotRestored(found.error)
        there = newest_sealed(brought / line.key.value / CHECKPOINTS)
        if there is not None and (known is None or there.step > known.step):
            shutil.rmtree(here, ignore_errors=True)
            os.replace(there.folder.parent, here)
            bench.narration.say(f"{bench.stage.name}: goes on here from step {there.step}, which a node had kept")
            break
    shutil.rmtree(brought, ignore_errors=True)
