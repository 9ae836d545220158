"""Chance that does not depend on the order of threads: each draw is a function of the seed and of what it is for."""

from __future__ import annotations

import random


def drawn(seed: int, *purpose: object) -> random.Random:
    """A generator that is the same for the same seed and purpose, on every machine and in every run."""
    return random.Random("|".join(str(part) for part in (seed, *purpose)))  # noqa: S311 - nothing here is secret
