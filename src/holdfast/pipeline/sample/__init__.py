"""The built-in sample: short English résumés of invented people, with eight kinds of entities."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.sample.resume import write_resume
from holdfast.pipeline.sample.vocabulary import Pool, Vocabulary, split_pools

#: What the sample's entities are.
LABELS = ("NAME", "EMAIL", "PHONE", "LOCATION", "DESIGNATION", "EDUCATION", "EXPERIENCE", "SKILL")
SIZES = {"train": 400, "validation": 80, "test": 80}


@dataclass(frozen=True)
class Sample:
    """Documents to train on, to choose by, and to measure by.

    Validation and test each have names, towns, products, fields and the like that are theirs alone, and draw the rest
    from training: so a choice made on validation is a choice for unknown words, and none of them is test's. The
    sentences around them are the same everywhere.
    """

    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    test: tuple[Document, ...]


def make_sample(seed: int = 0) -> Sample:
    """Write the sample: the same seed gives the same documents, on any machine."""
    rng = random.Random(seed)  # noqa: S311 - nothing here is secret
    train, validation, test = split_pools(rng)

    def write(pools: dict[str, Pool], size: int) -> tuple[Document, ...]:
        vocabulary = Vocabulary(pools, rng)
        return tuple(write_resume(vocabulary, rng) for _ in range(size))

    return Sample(write(train, SIZES["train"]), write(validation, SIZES["validation"]), write(test, SIZES["test"]))


def write_sample(folder: Path, seed: int = 0) -> None:
    """Write `train.json`, `validation.json` and `test.json`: texts with `[start, end, label]`, end exclusive."""
    sample = make_sample(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for split in SIZES:
        documents: tuple[Document, ...] = getattr(sample, split)
        rows = [{"text": d.text, "annotations": [[s.start, s.end, s.label] for s in d.spans]} for d in documents]
        (folder / f"{split}.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
