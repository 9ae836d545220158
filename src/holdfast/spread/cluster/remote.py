"""What Ray calls on a node. What comes with every attempt of a study is fetched once by each process."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

#: What this process fetched, by the name under which the driver put it. Names are of one run, and never used again.
_fetched: dict[str, bytes] = {}


def work(order: bytes, put: Mapping[str, Any]) -> bytes:
    """Run an attempt.

    Args:
        order: An `Order`, pickled.
        put: References by name, in order: the work, then the pieces of what it has seen.

    Returns:
        `Ended`, `Halted` or `Failed`, pickled, without the attempt's own bytes.
    """
    from dataclasses import replace

    import ray

    from holdfast.spread.cluster.node import run

    for name in [name for name in _fetched if name not in put]:
        del _fetched[name]
    missing = [name for name in put if name not in _fetched]
    _fetched.update(zip(missing, ray.get([put[name] for name in missing]), strict=True))
    first, *others = (_fetched[name] for name in put)
    asked = pickle.loads(order)  # noqa: S301 - from the driver, whose cluster this is
    end = run(asked, first, tuple(others))
    return pickle.dumps(replace(end, attempt=asked.attempt))
