"""Statuses and welcomes as a person meets them, made by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from holdfast.session.finding.overview import Counted, Overview
from holdfast.session.finding.status import ArtifactStatus
from holdfast.session.seeing.status import Status
from holdfast.session.seeing.welcome import Welcome
from holdfast.store.backends.backend import Space
from holdfast.store.format.keys import Key
from holdfast.store.looking.view import Presence

NOW = 1_800_000_000.0
GIB = 1 << 30
MIB = 1 << 20
ROOMY = Space(15 * GIB, 9 * GIB)


def written(seconds: float) -> str:
    """A time in a manifest, so many seconds ago."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - seconds))


SAFE = ArtifactStatus(
    Key("outputs/final_training/checkpoint"),
    "yes",
    generation="77ac01fe",
    sequence=3,
    size=412 * MIB,
    time=written(3 * 60),
    durability="CONFIRMED",
    here_durability="CONFIRMED",
    confirmed="77ac01fe",
)
UPLOADING = replace(
    SAFE,
    key=Key("outputs/hpo/distilbert"),
    sequence=41,
    size=96 * MIB,
    time=written(38),
    durability="WRITTEN",
    here_durability="WRITTEN",
    confirmed="0f",
    unconfirmed=2,
    loss_seconds=41.0,
    progress=7.0,
)
UNTOLD = replace(
    UPLOADING, key=Key("outputs/conversion/model.onnx"), durability="UNKNOWN", here_durability="UNKNOWN", loss_seconds=260.0
)
CHANGED = replace(SAFE, key=Key("outputs/hpo/roberta"), unsaved=3, unsaved_seconds=95.0, loss_seconds=95.0, time=written(7200))
NEVER = ArtifactStatus(Key("outputs/notes.txt"), "yes", unsaved=1, unsaved_seconds=780.0, loss_seconds=780.0)
STALE = replace(SAFE, key=Key("outputs/benchmark.json"), size=2048, stale=True, time=written(26 * 3600))
FORKED = replace(SAFE, key=Key("outputs/best_config"), size=900, forks=("aa", "bb"), here="part")
ELSEWHERE = replace(SAFE, key=Key("outputs/data/documents"), size=31 * MIB, here="no", time=written(9 * 86400))


def status(
    *rows: ArtifactStatus, space: Space | None = ROOMY, place: str | None = "/content/drive/MyDrive/resume-ner", **other: Any
) -> Status:
    """A status on Colab."""
    fields: dict[str, Any] = {"root": "/content/resume-ner", "environment": "Colab", "on_drive": place is not None, "time": NOW}
    return Status(tuple(rows), **{**fields, **other}, place=place, space=space)


def many_safe(count: int) -> list[ArtifactStatus]:
    return [replace(SAFE, key=Key(f"outputs/hpo/distilbert/trial_{n:03d}"), sequence=n + 1, size=n * MIB) for n in range(count)]


def safe_ones() -> Sequence[ArtifactStatus]:
    return (SAFE, replace(SAFE, key=Key("outputs/hpo/distilbert"), sequence=41, size=96 * MIB, time=written(40)), ELSEWHERE)


STATUSES = {
    "safe": status(*safe_ones()),
    "uploading": status(*safe_ones(), UPLOADING),
    "cannot-tell": status(SAFE, ELSEWHERE, UNTOLD),
    "not-safe": status(SAFE, CHANGED, NEVER, STALE, FORKED, UPLOADING, UNTOLD, space=Space(15 * GIB, 12 * MIB)),
    "a-hundred": status(*many_safe(97), CHANGED, UPLOADING, STALE),
    "no-store": status(NEVER, place=None, space=None),
    "nothing": status(),
}

WELCOMES = {
    "coming-back": Welcome(
        Overview(
            Presence.STORE,
            here=2,
            part=1,
            loose=1,
            stored=4,
            coming=3,
            coming_bytes=412 * MIB,
            counted=(Counted(Key("outputs/hpo/distilbert"), 7.0, is_study=True),),
        ),
        "/content/resume-ner",
        "Colab",
        "/content/drive/MyDrive/resume-ner",
        on_drive=True,
        space=ROOMY,
    ),
    "first-day": Welcome(
        Overview(Presence.NONE), "/content/resume-ner", "Colab", "/content/drive/MyDrive/resume-ner", on_drive=True, space=ROOMY
    ),
    "unreadable": Welcome(
        None,
        "/content/resume-ner",
        "Colab",
        "/content/drive/MyDrive/resume-ner",
        on_drive=True,
        problem="is not mounted; run holdfast.attach() again",
    ),
    "local": Welcome(Overview(None, here=0, loose=2), "/home/jane/resume-ner", "elsewhere", None, on_drive=False),
}
