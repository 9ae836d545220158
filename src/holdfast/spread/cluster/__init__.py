"""Attempts as tasks of a Ray cluster."""

from __future__ import annotations

from holdfast.spread.engine import Engine, Ground


def open_cluster(ground: Ground) -> Engine:
    """The engine of a cluster."""
    raise NotImplementedError
