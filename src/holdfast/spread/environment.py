"""The environment of an attempt: what decides the bits of what it computes, and has to be set before its process begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

#: Libraries read these once, as they are loaded. One and two threads give different bits.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")


def environment_of(threads: int) -> Mapping[str, str]:
    """The variables of every attempt of a study: the same on every machine, whatever is set there.

    Args:
        threads: So many it computes with.
    """
    return {**dict.fromkeys(_THREADS, str(threads)), "PYTHONHASHSEED": "0"}


def recorded(environment: Mapping[str, str]) -> Mapping[str, int]:
    """What of it stands in the record of a trial."""
    return {"threads": int(environment["OMP_NUM_THREADS"]), "hash_seed": int(environment["PYTHONHASHSEED"])}


def places_of_modules() -> list[str]:
    """Where this process finds modules, for one that is to find the same."""
    return [os.path.abspath(place) for place in sys.path if not place.endswith(".zip")]
