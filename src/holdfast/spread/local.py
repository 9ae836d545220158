"""Attempts as processes of this machine."""

from __future__ import annotations

from holdfast.spread.engine import Engine, Ground


def open_local(ground: Ground) -> Engine:
    """The engine of this machine."""
    raise NotImplementedError
