"""What a long run is about: a thousand trials, a model with all kinds of mistakes, six machines; and names that are no text."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from holdfast.flow.life import Session
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.report.facts import Facts, Life, Safety, Speed, Study, Trial
from holdfast.pipeline.report.mistakes import compare
from holdfast.session.seeing.sight import Line, Tone

#: What a page must not take for its own.
HOSTILE = '<img src=http://192.0.2.1/x onerror=alert(1)>&"\x00\ud800'

LABELS = ("PERSON", "PLACE", "ORGANISATION", "A_LABEL_THAT_IS_AS_LONG_AS_SOME_PEOPLE_MAKE_THEM", HOSTILE)


def trials(count: int) -> tuple[Trial, ...]:
    dice = random.Random(3)
    found = []
    for number in range(count):
        rate, batch = 10 ** dice.uniform(-5, -2), dice.choice([4, 8, 16])
        goal = 0.9 - abs(math.log10(rate) + 3.5) / 5 + dice.gauss(0, 0.02)
        state = dice.choices(["COMPLETE", "PRUNED", "FAIL"], [8, 1, 1])[0]
        reports = tuple((epoch, goal * (1 - 0.6**epoch)) for epoch in range(1, 6))
        params = {
            "learning_rate": rate,
            "batch_size": batch,
            "scheduler": dice.choice(["linear", "cosine"]),
            "warmup": dice.random(),
        }
        value = goal if state == "COMPLETE" else None
        failed = f"ValueError: {HOSTILE}" if state == "FAIL" else ""
        found.append(Trial(number, state, value, params, reports, 61.0, failed))
    return tuple(found)


def folded(made: tuple[Trial, ...]) -> tuple[Trial, ...]:
    """The same trials, each the mean of three folds."""
    return tuple(
        replace(
            t,
            reports=((1, t.value - 0.01), (2, t.value), (3, t.value)),
            folds=(t.value - 0.01, t.value + 0.01, t.value),
            deviation=0.01,
        )
        if t.value is not None
        else t
        for t in made
    )


def documents(count: int = 60) -> tuple[tuple[Document, ...], list[list[Span]], list[list[Span]]]:
    """Documents, their true entities, and what was found: right, with other edges, other labels, missed and invented."""
    dice = random.Random(4)
    made, true, found = [], [], []
    for number in range(count):
        text = (
            f"Document {number} of {HOSTILE.encode('ascii', 'replace').decode()} speaks of Ada Lovelace in London. "
            * dice.randint(1, 5)
        )
        first, second = text.index("Ada"), text.index("London")
        right = [Span(first, first + 12, "PERSON"), Span(second, second + 6, "PLACE")]
        guess = {
            0: right,
            1: [Span(first + 4, first + 12, "PERSON"), right[1]],
            2: [right[0], Span(second, second + 6, dice.choice(LABELS))],
            3: [right[1]],
            4: [Span(0, 8, dice.choice(LABELS)), *right],
        }[number % 5]
        made.append(Document(text, split_words(text), tuple(right)))
        true.append(right)
        found.append(guess)
    return tuple(made), true, found


def figures(f1: float, *, sure: bool = True) -> dict[str, Any]:
    numbers = {"precision": f1, "recall": f1, "f1": f1, "support": 60}
    bounds = {name: [f1 - 0.04, min(f1 + 0.03, 1.0)] for name in ("precision", "recall", "f1")}
    return {**numbers, "intervals": bounds} if sure else numbers


def scores(*, sure: bool = True) -> dict[str, Any]:
    by_label = {label: figures(0.99 - 0.1 * n, sure=sure) for n, label in enumerate(LABELS)}
    return {"micro": figures(0.88, sure=sure), "macro": figures(0.8, sure=sure), "by_label": by_label}


def speed(backbone: str, value: float, first: float) -> Speed:
    rows = [
        {"batch_size": n, "mean_ms": first * n, "p95_ms": first * n * 1.3, "windows_per_second": 1000 / first} for n in (1, 8, 16)
    ]
    return Speed(backbone, 12, value, "A Processor of 2026", "A Processor of 2026", tuple(rows))


SESSIONS = tuple(
    Session(f"{n}", f"machine-{n}", 1e9 + 3600 * n, 1e9 + 3600 * n + 1900, 40.0 * n + 0.4, 300.0, end)
    for n, end in enumerate(["", "", "stopped", "", "", "finished"])
)


def long_run(count: int = 1000) -> Facts:
    """All that a page can show, of a study with so many trials."""
    test, true, found = documents()
    made = trials(count)
    space = frozenset({"learning_rate"})
    study = Study("large", "f1_micro", count, made, {"learning_rate": 0.8, "warmup": 0.15, "batch_size": 0.05}, "", space)
    conversion = {
        "f1": {"torch": 0.88, "onnx": 0.88, "int8": 0.0},
        "bytes": {"model.onnx": 2_000_000},
        "same_tags_as_torch": {"torch": 1.0, "onnx": 1.0, "int8": 0.5},
        "int8_refused": {"may_lose": 0.02, "bytes": 600_000},
    }
    lines = [
        Line(f"outputs/{tone.name.lower()}", "yes", "#3, 1.2 MiB", tone, tone.name.lower(), "5 min ago", "nothing") for tone in Tone
    ]
    return Facts(
        name=f"a long run {HOSTILE}",
        made=1.8e9,
        stages=(("data", "done"), ("hpo/large", "done"), ("report", "to do")),
        over=True,
        documents={"train": 12_000, "validation": 800, "test": 60},
        labels=LABELS,
        notes=("3 of 60 test documents are also in the training data, so its scores come out too high", f"a note on {HOSTILE}"),
        floor=0.41,
        environment={"device": "cuda", "precision": "bf16", "torch": "2.9", "transformers": "5.0"},
        studies=(
            study,
            Study("small", "f1_micro", 5, made[:5], {}, "it takes two trials with different scores"),
            Study("folded", "f1_micro", 5, folded(made[:5]), {}, "it takes two trials with different scores", folds=3),
        ),
        selection={
            "backbone": "large",
            "trial": 12,
            "reason": "the highest score",
            "parameters": {"learning_rate": 3e-4, "scheduler": "linear"},
        },
        scores={"test": scores(), "validation": scores(sure=False)},
        learning=tuple({"epoch": n, "step": 10 * n, "loss": 1 / n, "f1_micro": 1 - 1 / n} for n in range(1, 6)),
        objective="f1_micro",
        mistakes=compare(true, found),
        test=test,
        conversion=conversion,
        speeds=(speed("large", 0.88, 20.0), speed("small", 0.8, 5.0)),
        lives=(Life("hpo/large", "trial", SESSIONS), Life("final_training", "step", SESSIONS[-1:])),
        safety=Safety(
            "NOT SAFE: 1 of 6",
            "/content/drive/MyDrive/proj",
            ("path", "here", "on Drive", "safe?", "last backup", "would be lost now"),
            tuple(lines),
        ),
    )


def just_begun() -> Facts:
    """Before anything was made."""
    return Facts("begun", 1.8e9, stages=(("data", "to do"),))
