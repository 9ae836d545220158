"""Attempts as tasks of a Ray cluster."""

from __future__ import annotations

from holdfast.spread.engine import Engine, Ground


def open_cluster(ground: Ground) -> Engine:
    """The engine of the cluster that `ray.init` or `RAY_ADDRESS` names.

    Raises:
        HoldfastError: there is no such cluster, or no node of it can have a part; its text says why.
    """
    from holdfast.spread.cluster.engine import ClusterEngine

    return ClusterEngine(ground)
