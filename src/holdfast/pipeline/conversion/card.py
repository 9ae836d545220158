"""The model card: what the model is, how good it is and how it was made, as Hugging Face's hub and people read it. Pure.

The head is YAML as the hub's documentation of model cards has it (`model-index` for scores); the rest is Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A label with fewer entities among the test documents is named: its score says little.
_FEW = 30


@dataclass(frozen=True)
class Subject:
    """What a card tells. Nothing of it depends on when, where or how often interrupted the model was subject.

    Args:
        name: Of the experiment.
        backbone: What was trained on, by its name.
        is_public: The backbone is one of the hub's.
        labels: What it finds.
        documents: How many there were, by split.
        notes: What was noteworthy about the documents.
        metrics: `metrics.json` of the final training.
        configuration: The parameters that the study chose.
        settings: Others that decide the weights, by name.
        conversion: `conversion.json`.
        weights: Identity of the trained weights.
    """

    name: str
    backbone: str
    is_public: bool
    labels: Sequence[str]
    documents: Mapping[str, int]
    notes: Sequence[str]
    metrics: Mapping[str, Any]
    configuration: Mapping[str, Any]
    settings: Mapping[str, Any]
    conversion: Mapping[str, Any]
    weights: str


def card(subject: Subject) -> str:
    """The card."""
    test = subject.metrics["test"]
    return "\n".join(
        [
            *_head(subject, test["micro"]),
            f"# {_plain(subject.name)}: named entities by {_plain(subject.backbone)}",
            "",
            f"Finds {', '.join(f'`{label}`' for label in subject.labels)} in text.",
            "",
            "## Use it",
            "",
            "```sh",
            "pip install 'holdfast[serve]'",
            "holdfast predict . 'a text'              # or files; see --help",
            "holdfast serve .                         # a page to paste text into, and JSON for programs",
            "```",
            "",
            "```python",
            "from pathlib import Path",
            "from holdfast.pipeline.conversion.predict import Predictor",
            "",
            'for entity in Predictor(Path(".")).entities("a text"):',
            "    print(entity.label, entity.text, entity.start, entity.end, entity.score)",
            "```",
            "",
            "`.` is this folder. It takes onnxruntime and tokenizers, and no torch.",
            "",
            "## How good it is",
            "",
            f"On {subject.documents.get('test', 0):,} test documents, from which nothing was learnt or chosen. An entity counts",
            "where its place and its label are right. In brackets 95 % intervals (bootstrap over documents).",
            "",
            *_scores(test),
            "",
            *_remarks(subject, test),
            "## How it was made",
            "",
            *_making(subject),
            "",
            "## What it is not",
            "",
            "The scores hold for documents like those that it was tested on. Of other kinds, other languages or later times they",
            "say nothing. Whoever publishes it adds a license, where the documents come from, and whether they hold personal data.",
            "",
        ]
    )


def _head(subject: Subject, micro: Mapping[str, Any]) -> list[str]:
    metrics = [
        f"        - {{type: {kind}, name: 'entity {kind}, micro', value: {micro[kind]:.4f}}}"
        for kind in ("precision", "recall", "f1")
    ]
    name = json.dumps(subject.name)  # JSON's texts are YAML's
    return [
        "---",
        "library_name: onnx",
        "pipeline_tag: token-classification",
        "tags: [named-entity-recognition, holdfast]",
        *([f"base_model: {json.dumps(subject.backbone)}"] if subject.is_public else []),
        "metrics: [precision, recall, f1]",
        "model-index:",
        f"  - name: {name}",
        "    results:",
        "      - task: {type: token-classification, name: Named entity recognition}",
        f"        dataset: {{type: {name}, name: {name}, split: test}}",
        "        metrics:",
        *metrics,
        "---",
    ]


def _scores(test: Mapping[str, Any]) -> list[str]:
    rows = [
        *((f"`{label}`", one) for label, one in test["by_label"].items()),
        ("all, micro", test["micro"]),
        ("all, macro", test["macro"]),
    ]
    return [
        "| | precision | recall | F1 | entities |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {' | '.join(_score(one, kind) for kind in ('precision', 'recall', 'f1'))} | {one['support']:,} |"
            for name, one in rows
        ),
    ]


def _score(one: Mapping[str, Any], kind: str) -> str:
    interval = one.get("intervals", {}).get(kind)
    return f"{one[kind]:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _remarks(subject: Subject, test: Mapping[str, Any]) -> list[str]:
    lines = []
    few = [f"`{label}` ({one['support']})" for label, one in test["by_label"].items() if one["support"] < _FEW]
    if few:
        lines.append(f"- Fewer than {_FEW} entities in the test documents, so that the score says little: {', '.join(few)}.")
    f1 = subject.conversion["f1"]
    lines.append(
        f"- `model.onnx` gives the tags of the trained model: F1 {f1['onnx']:.4f}, and {f1['torch']:.4f} before the conversion."
    )
    if "int8_refused" in subject.conversion:
        lines.append(f"- There is no 8-bit model: its F1 was {f1['int8']:.4f}.")
    elif "int8" in f1:
        lines.append(f"- `model.int8.onnx` is smaller and only nearly the same: F1 {f1['int8']:.4f}.")
    lines += [f"- Of the documents: {_plain(note)}" for note in subject.notes]
    return [*lines, ""]


def _making(subject: Subject) -> list[str]:
    split = ", ".join(f"{name} {count:,}" for name, count in subject.documents.items())
    metrics, versions = subject.metrics, subject.conversion["versions"]
    rows = {
        "documents": split,
        "backbone": subject.backbone,
        "learnt from": metrics.get("learnt_from", "train"),
        "parameters of the model": _count(metrics.get("parameters")),
        "steps": _count(metrics.get("steps")),
        "the weights are those of step": _count(metrics.get("best_step")),
        **{f"{name} (chosen by a study)": value for name, value in subject.configuration.items()},
        **{name: value for name, value in subject.settings.items() if name not in subject.configuration},
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "BLAKE3 of the trained weights": subject.weights,
    }
    return ["| | |", "| --- | --- |", *(f"| {_plain(name)} | {_plain(value)} |" for name, value in rows.items())]


def _count(value: int | None) -> str:
    return "not recorded" if value is None else f"{value:,}"


def _plain(value: object) -> str:
    """In one line, and no table or markup of its own."""
    text = " ".join(str(value).split())
    for sign in "\\`*[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
