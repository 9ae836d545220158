"""One line of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report. `level` is `good`, `note` or `bad`."""

    topic: str
    level: str
    text: str


def good(topic: str, text: str) -> Finding:
    """As it should be."""
    return Finding(topic, "good", text)


def note(topic: str, text: str) -> Finding:
    """Worth knowing; Holdfast copes."""
    return Finding(topic, "note", text)


def bad(topic: str, text: str) -> Finding:
    """Backups are not safe here until somebody does what the text says."""
    return Finding(topic, "bad", text)
