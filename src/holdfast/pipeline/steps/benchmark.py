"""The benchmark stage: how fast the best trial of a study is, in this process or on a node of a cluster.

What different backbones came to is compared, so all of it is measured on nodes of one type.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.flow.stage import Made, Stage
from holdfast.pipeline.alike import Measured, measure_alike
from holdfast.pipeline.benchmark import BENCHMARK_FILENAME, read_benchmark, run_benchmarking_local
from holdfast.pipeline.elsewhere import Errand, NodeLost, device_for, open_errands
from holdfast.pipeline.settings import BenchmarkSettings
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.training.device import resolve_device
from holdfast.session.files import write_json
from holdfast.spread.performing import Desk


def benchmark(bench: Workbench) -> Made:
    """Measure the best trial of a study."""
    if bench.experiment.hpo.engine == "local":
        found, where = _work(bench, bench.stage).measure(bench.keeper.root, bench.path(bench.stage.record)), ""
    else:
        found = _on_nodes(bench)
        where = f", on node {found['environment']['node']}, {found['environment']['node_type']}"
    first = found["results"][0]
    bench.narration.say(f"  batch of {first['batch_size']}: {first['mean_ms']:.2f} ms on average{where}")
    return Made(bench.stage.fingerprint)


@dataclass(frozen=True)
class BenchmarkWork:
    """A benchmark, wherever it runs. Paths are keys. As the work of an attempt it is called with a desk.

    Args:
        checkpoint: What is measured.
        documents: A file of documents that it is measured with.
        settings: How.
        device: As it is asked for.
        made_from: See `run_benchmarking_local`.
    """

    checkpoint: str
    documents: str
    settings: BenchmarkSettings
    device: str
    made_from: Mapping[str, Any]

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        """Measure on this node, whatever was measured elsewhere."""
        return self.measure(desk.root, desk.root / BENCHMARK_FILENAME)

    def measure(self, root: Path, place: Path) -> dict[str, Any]:
        """See `run_benchmarking_local`.

        Args:
            root: Where keys start.
            place: The file to write.
        """
        return run_benchmarking_local(
            root / self.checkpoint,
            root / self.documents,
            place,
            batch_sizes=self.settings.batch_sizes,
            iterations=self.settings.iterations,
            warmup_iterations=self.settings.warmup_iterations,
            device=resolve_device(self.device),
            made_from=self.made_from,
        )


def _work(bench: Workbench, stage: Stage) -> BenchmarkWork:
    checkpoint, documents = stage.inputs
    experiment = bench.experiment
    return BenchmarkWork(checkpoint, documents, experiment.benchmark, device_for(experiment), stage.made_from)


# -- on nodes ----------------------------------------------------------------------------------------------------------------


def _on_nodes(bench: Workbench) -> dict[str, Any]:
    stages = {bench.stage.name: bench.stage, **_others(bench)}
    places = {name: bench.path(stage.record) for name, stage in stages.items()}
    known = [Measured(name, _type_in(places[name])) for name in stages if name != bench.stage.name]

    def measure(name: str, node_type: str) -> str:
        found = _measured(bench, stages[name], node_type)
        write_json(places[name], found)
        if name != bench.stage.name:
            bench.keeper.backup(stages[name].record)
        return str(found["environment"]["node_type"])

    def again(name: str, node_type: str) -> None:
        bench.narration.warn(f"{name}: is measured again on {node_type}, as the others are")

    def gone(node_type: str) -> None:
        bench.narration.warn(
            f"{bench.stage.name}: no node is left of the type that others were measured on ({node_type}); all are measured again"
        )

    measure_alike(bench.stage.name, known, measure, again, gone)
    found = read_benchmark(places[bench.stage.name])
    assert found is not None
    return found


def _others(bench: Workbench) -> dict[str, Stage]:
    """The benchmarks of other backbones that are there, and are those that are asked for now."""
    found = {}
    for name in bench.pipeline.names():
        if not name.startswith("benchmark/") or name == bench.stage.name:
            continue
        build = bench.pipeline.declare(name, bench.done).build
        stage = bench.done[name].stage if name in bench.done else build("") if build is not None else None
        if stage is None or not bench.restore(bench.path(stage.record)):
            continue
        record = stage.read(bench.path(stage.record))
        if record is not None and bench.pipeline.same(record.made_from, stage.made_from):
            found[name] = stage
    return found


def _type_in(place: Path) -> str:
    """The type of node of a benchmark; empty where it was measured on none."""
    document = read_benchmark(place)
    return "" if document is None else str(document.get("environment", {}).get("node_type", ""))


def _measured(bench: Workbench, stage: Stage, node_type: str) -> dict[str, Any]:
    """Measure on a node of a type, or of any. It says itself which.

    Raises:
        NoSuchNode: none of that type is there any more.
    """
    backbone = stage.name.partition("/")[2]
    home = bench.pipeline.layout.folder("benchmark", backbone)
    errand = Errand("measurement", home, _work(bench, stage), stage.inputs)
    while True:
        with contextlib.suppress(NodeLost), open_errands(bench, home, node_type) as errands:
            ended = errands.run(errand)
            document = dict(ended.result)
            document["environment"] = {**document["environment"], "node": ended.where, "node_type": ended.node_type}
            return document
