"""How safe what was written is: what a place answers, what is decided by, and what people are told."""

from __future__ import annotations

import enum


class Durability(enum.Enum):
    """How sure it is that bytes outlive this machine."""

    WRITTEN = "WRITTEN"  #: handed to the store; its upload is not known to be finished
    CONFIRMED = "CONFIRMED"  #: known to be safe
    UNKNOWN = "UNKNOWN"  #: handed to the store, which cannot tell; never shown as safe
