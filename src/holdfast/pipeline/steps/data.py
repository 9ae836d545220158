"""The data stage: documents read, checked, split and written down once, so that every later stage reads the same."""

from __future__ import annotations

import shutil

from holdfast.flow.stage import Made
from holdfast.pipeline.data.baseline import DictionaryBaseline, micro_f1
from holdfast.pipeline.data.dataset import Dataset, load_dataset, summary
from holdfast.pipeline.data.reading import write_documents
from holdfast.pipeline.data.sources import asked_of
from holdfast.pipeline.data.splits import Splits
from holdfast.pipeline.layout import DATASET
from holdfast.pipeline.settings import TINY
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.training.tiny import make_tiny
from holdfast.session.files import write_json


def make_data(bench: Workbench) -> Made:
    """Write `train`, `validation` and `test`, what they hold, and the encoder `tiny`."""
    dataset = _read(bench)
    for line in summary(dataset):
        bench.narration.say(f"  {line}")
    bench.folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    for name, documents in splits.items():
        write_documents(bench.folder / f"{name}.jsonl", documents)
    baseline = DictionaryBaseline(dataset.train)
    floor = micro_f1(dataset.test, [baseline.predict(d) for d in dataset.test])
    bench.narration.say(
        f"  a dictionary of the training entities, with patterns, reaches entity F1 {floor:.4f} on test: a model should beat it"
    )
    counts = {name: len(documents) for name, documents in splits.items()}
    described = {"identity": dataset.identity, "labels": list(dataset.labels), "documents": counts, "notes": list(dataset.notes)}
    write_json(bench.folder / DATASET, described)
    shutil.rmtree(bench.folder / TINY, ignore_errors=True)
    make_tiny(bench.folder / TINY, dataset.train)  # small, and there for whoever adds it to the backbones later
    return Made(dataset.identity[:32], {"documents": counts, "labels": list(dataset.labels), "baseline_f1": floor})


def _read(bench: Workbench) -> Dataset:
    data = bench.experiment.data
    sources = bench.pipeline.sources
    if data.sample:
        from holdfast.pipeline.sample import write_sample

        folder = bench.folder / "sample"
        write_sample(folder)
        try:
            splits = Splits(folder / "train.json", folder / "validation.json", folder / "test.json")
            return load_dataset(splits, labels=data.labels)
        finally:
            shutil.rmtree(folder)
    return load_dataset(
        Splits(sources["train"], sources.get("validation"), sources.get("test")),
        labels=data.labels,
        validation_share=data.validation_share,
        test_share=data.test_share,
        seed=bench.experiment.seed,
        asked=asked_of(data),
    )
