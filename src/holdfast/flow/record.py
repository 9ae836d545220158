"""The record of a stage: what it was made from, whether it is finished, and what came out. A file beside its outputs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.flow.fingerprint import fingerprint
from holdfast.session.files import write_json

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What a stage says of itself.

    Args:
        stage: Its name, such as `hpo/tiny`.
        made_from: Settings, data and results of earlier stages that decide what comes out.
        finished: All of its outputs are made.
        extent: How much was asked for, where more may be asked for later without starting over; None is without limit.
        result: Identity of what came out, for the stages that build on it; empty until finished.
        files: Each output as path below the stage's folder with its BLAKE3; empty text where bytes may change without meaning
            (a database). Empty until finished.
        summary: A few numbers for people and for later stages; no clock times.
        environment: Machine and versions that it was begun with, and under `went_on` others that it went on with.
    """

    stage: str
    made_from: Mapping[str, Any]
    finished: bool = False
    extent: Mapping[str, float | None] = field(default_factory=dict)
    result: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """See `fingerprint.fingerprint`."""
        return fingerprint(self.made_from)


def went_on(begun: Mapping[str, Any], now: Mapping[str, Any], comparable: Collection[str]) -> dict[str, Any]:
    """The environment of a stage that goes on: as it was begun, and what may make its bits differ from an uninterrupted one.

    Args:
        begun: As it was begun.
        now: As it is now.
        comparable: The keys of what decides whether two of its results are equal bit for bit.
    """
    here = {k: now[k] for k in comparable if k in now}
    others = list(begun.get("went_on", []))
    if here != {k: begun[k] for k in comparable if k in begun} and here not in others:
        others.append(here)
    return {**begun, "went_on": others} if others else dict(begun)


def read_record(place: Path) -> Record | None:
    """The record in a file; None where there is no file, or what is there is no record (a torn write, another's file)."""
    try:
        document = json.loads(place.read_bytes())
        if document.pop("digest") != fingerprint(document):
            return None
        return Record(
            stage=str(document["stage"]),
            made_from=dict(document["made_from"]),
            finished=document.get("finished") is True,
            extent=dict(document.get("extent", {})),
            result=str(document.get("result", "")),
            files=dict(document.get("files", {})),
            summary=dict(document.get("summary", {})),
            environment=dict(document.get("environment", {})),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(place: Path, record: Record) -> None:
    """Write it whole or not at all."""
    document = {
        "format": FORMAT,
        "stage": record.stage,
        "fingerprint": record.fingerprint,
        "finished": record.finished,
        "extent": dict(record.extent),
        "result": record.result,
        "made_from": dict(record.made_from),
        "files": dict(record.files),
        "summary": dict(record.summary),
        "environment": dict(record.environment),
    }
    write_json(place, {**document, "digest": fingerprint(document)})
