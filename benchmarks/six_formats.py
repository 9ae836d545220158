"""One corpus from six formats: equal identity of the dataset, equal F1 of what is trained on it. Writes benchmarks/six-formats.md.

    python benchmarks/six_formats.py --data FOLDER --title "WNUT 2017" [--encoder FOLDER] [--epochs 3]

FOLDER holds the training, validation and test data in CoNLL columns, a token, a tab and its tag a line. They are written as parquet (by
datasets), as spaCy's DocBin (by spaCy), as WebAnno TSV, a document a sentence (after INCEpTION's Tsv3XSerializer), and as the JSON of
doccano and of Label Studio (as their exports are). doccano and Label Studio keep a text and no tokens; they give back what a task
brought beside its text, and so each task brings its words. What becomes of it without them is shown, too.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.integrations.watching import Watcher
from holdfast.pipeline.data.dataset import Dataset, load_dataset
from holdfast.pipeline.data.documents import split_words
from holdfast.pipeline.data.splits import find_splits
from holdfast.pipeline.settings import Training

HERE = Path(__file__).parent
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sentence:
    """Tokens, a tag of IOB2 each, and the text that they are with blanks between."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.tokens)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where each token stands in the text."""
        found, at = [], 0
        for token in self.tokens:
            found.append((at, at + len(token)))
            at += len(token) + 1
        return found

    @property
    def spans(self) -> list[tuple[int, int, str]]:
        spans: list[tuple[int, int, str]] = []
        for (start, end), tag in zip(self.places, self.tags, strict=True):
            if tag.startswith("B-"):
                spans.append((start, end, tag[2:]))
            elif tag.startswith("I-"):
                spans[-1] = (spans[-1][0], end, tag[2:])
        return spans


def read_conll(path: Path) -> list[Sentence]:
    rows: list[list[str]] = []
    made = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        if line.strip():
            rows.append(line.split("\t"))
        elif rows:
            made.append(Sentence(tuple(r[0] for r in rows), tuple(r[1] for r in rows)))
            rows = []
    return made


def write_conll(path: Path, sentences: Sequence[Sentence]) -> None:
    rows = ("".join(f"{token}\t{tag}\n" for token, tag in zip(s.tokens, s.tags, strict=True)) for s in sentences)
    path.with_suffix(".conll").write_text("\n".join(rows), encoding="utf-8")


def write_parquet(path: Path, sentences: Sequence[Sentence]) -> None:
    import datasets

    names = ["O", *sorted({tag for s in sentences for tag in s.tags} - {"O"})]
    features = datasets.Features(
        tokens=datasets.Sequence(datasets.Value("string")), ner_tags=datasets.Sequence(datasets.ClassLabel(names=names))
    )
    rows = {"tokens": [list(s.tokens) for s in sentences], "ner_tags": [list(s.tags) for s in sentences]}
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        datasets.Dataset.from_dict(rows, features=features).to_parquet(path.with_suffix(".parquet"))
    finally:
        if bars:
            datasets.enable_progress_bars()


def write_spacy(path: Path, sentences: Sequence[Sentence]) -> None:
    import spacy
    from spacy.tokens import Doc, DocBin

    vocabulary = spacy.blank("xx").vocab
    DocBin(docs=[Doc(vocabulary, words=list(s.tokens), ents=list(s.tags)) for s in sentences]).to_disk(path.with_suffix(".spacy"))


def write_doccano(path: Path, sentences: Sequence[Sentence], *, words: bool = True) -> None:
    rows = [
        {"id": n, "text": s.text, **({"words": s.places} if words else {}), "label": s.spans, "Comments": []}
        for n, s in enumerate(sentences, start=1)
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.with_suffix(".jsonl").write_text(text, encoding="utf-8")


def write_label_studio(path: Path, sentences: Sequence[Sentence], *, words: bool = True) -> None:
    tasks = []
    for n, s in enumerate(sentences, start=1):
        result = [
            {
                "id": f"{n}_{m}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "origin": "manual",
                "value": {"start": start, "end": end, "text": s.text[start:end], "labels": [label]},
            }
            for m, (start, end, label) in enumerate(s.spans)
        ]
        annotation = {"id": n, "completed_by": 1, "result": result, "was_cancelled": False, "lead_time": 1.0, "task": n}
        tasks.append(
            {
                "id": n,
                "annotations": [annotation],
                "predictions": [],
                "data": {"text": s.text, **({"words": s.places} if words else {})},
                "project": 1,
            }
        )
    path.with_suffix(".json").write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")


def write_webanno(path: Path, sentences: Sequence[Sentence]) -> None:
    """A document a sentence, a file a document, as INCEpTION exports a project."""
    path.mkdir()
    header = "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n\n"
    for number, s in enumerate(sentences, start=1):
        escaped = s.text.replace("\\", "\\\\")
        lines = [header, f"#Sentence.id={number}", f"#Text={escaped}"]
        joined = 0
        cells = "_\t_"
        for n, ((start, end), token, tag) in enumerate(zip(s.places, s.tokens, s.tags, strict=True)):
            if tag.startswith("B-"):
                several = n + 1 < len(s.tags) and s.tags[n + 1].startswith("I-")
                joined += several
                which = f"[{joined}]" if several else ""
                label = re.sub(r"([\\\[\]|_;*\t\n])", r"\\\1", tag[2:]).replace("->", "\\->")
                cells = f"*{which}\t{label}{which}"
            elif tag == "O":
                cells = "_\t_"
            first, last = (len(s.text[:at].encode("utf-16-le")) // 2 for at in (start, end))
            lines.append(f"1-{n + 1}\t{first}-{last}\t{token}\t{cells}\t")
        (path / f"{number:05}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


Writer = Callable[..., None]

FORMATS: dict[str, Writer] = {
    "CoNLL": write_conll,
    "parquet": write_parquet,
    "doccano JSONL": write_doccano,
    "Label Studio JSON": write_label_studio,
    "spaCy DocBin": write_spacy,
    "WebAnno TSV": write_webanno,
}
#: Those that keep a text and no tokens.
OF_TEXT = ("doccano JSONL", "Label Studio JSON")


def load_from(folder: Path, corpus: dict[str, Sequence[Sentence]], name: str, **options: Any) -> Dataset:
    """The corpus written in a format and read back."""
    folder.mkdir(parents=True)
    for split, sentences in corpus.items():
        FORMATS[name](folder / split, sentences, **options)
    return load_dataset(find_splits(folder))


def as_split(sentence: Sentence) -> bool:
    """Whether the tokens are what a text without tokens is split into."""
    return list(split_words(sentence.text)) == sentence.places


def f1_of(dataset: Dataset, encoder: str, settings: Training, folder: Path) -> float:
    """Micro F1 on the test documents, of a model trained on this dataset."""
    import torch

    from holdfast.pipeline.training.evaluation import evaluate
    from holdfast.pipeline.training.tiny import make_tiny
    from holdfast.pipeline.training.train import Job, train

    torch.set_num_threads(1)
    if encoder == "tiny":
        encoder = str(folder / "encoder")
        make_tiny(Path(encoder), dataset.train)
    job = Job(
        model=encoder,
        labels=dataset.labels,
        train=dataset.train,
        validation=(),
        settings=settings,
        objective="f1_micro",
        seed=0,
        folder=folder / "training",
        max_length=128,
        stride=32,
        device="cpu",
    )
    trained = train(job, Watcher(), time.monotonic)
    score: float = evaluate(trained.folder, dataset.test, "cpu")["micro"]["f1"]
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, validation (or dev) and test in CoNLL columns")
    parser.add_argument("--title", required=True, help="what the data are")
    parser.add_argument("--encoder", default="tiny", help="a transformers folder; default: the small one of the sample")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--untrained", action="store_true", help="read only")
    given = parser.parse_args()
    splits = find_splits(given.data)
    assert splits.validation is not None
    assert splits.test is not None
    corpus: dict[str, Sequence[Sentence]] = {
        split: read_conll(path) for split, path in zip(SPLITS, (splits.train, splits.validation, splits.test), strict=True)
    }
    settings = Training.model_validate(
        {"epochs": given.epochs, "learning_rate": given.learning_rate, "keep": "last", "checkpoint": {"every": None}}
    )
    with tempfile.TemporaryDirectory() as made:
        text = report(corpus, given, settings, Path(made))
    print(text)
    if not given.untrained:
        (HERE / "six-formats.md").write_text(text, encoding="utf-8")


def report(corpus: dict[str, Sequence[Sentence]], given: argparse.Namespace, settings: Training, work: Path) -> str:
    counts = ", ".join(f"{len(sentences):,} {split}" for split, sentences in corpus.items())
    lines = [
        f"# {given.title} from six formats",
        "",
        f"Made by `benchmarks/six_formats.py` on one core ({platform.machine()}), Python {platform.python_version()}: {counts} sentences. "
        f"Encoder {Path(given.encoder).name}, {given.epochs} epochs of all training data at {given.learning_rate:g}, weights of the last step.",
        "",
        "| format | identity of the dataset | seconds to write and read | test F1 (micro) | seconds to train |",
        "|---|---|---|---|---|",
    ]
    rows = [(name, name, {}) for name in FORMATS] + [(f"{name}, without words", name, {"words": False}) for name in OF_TEXT]
    for n, (title, name, options) in enumerate(rows):
        began = time.monotonic()
        dataset = load_from(work / str(n), corpus, name, **options)
        took = time.monotonic() - began
        began = time.monotonic()
        f1 = "-" if given.untrained else f"{f1_of(dataset, given.encoder, settings, work / str(n)):.6f}"
        lines.append(f"| {title} | `{dataset.identity}` | {took:.1f} | {f1} | {time.monotonic() - began:.0f} |")
        print(lines[-1], flush=True)
    whole = {split: [s for s in sentences if as_split(s)] for split, sentences in corpus.items()}
    total, alike = (sum(map(len, part.values())) for part in (corpus, whole))
    lines += [
        "",
        f"doccano and Label Studio keep no tokens. Where the task brings none either, a text is split into words anew, and in {total - alike:,} "
        f"of {total:,} sentences those are not the tokens of the corpus (`can't`, `@name`, a web address). Of the other {alike:,}, all without "
        "words:",
        "",
        "| format | identity of the dataset |",
        "|---|---|",
    ]
    for n, name in enumerate(FORMATS, start=len(rows)):
        options = {"words": False} if name in OF_TEXT else {}
        lines.append(f"| {name} | `{load_from(work / str(n), whole, name, **options).identity}` |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
