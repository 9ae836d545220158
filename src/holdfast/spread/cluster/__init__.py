"""Attempts as tasks of a Ray cluster."""

from __future__ import annotations

from holdfast.spread.engine import Engine, Ground


def open_cluster(ground: Ground) -> Engine:
    """The engine of the cluster that `ray.init` or `RAY_ADDRESS` names, else of one that is started on this machine.

    Raises:
        HoldfastError: it cannot be joined or started, or no node of it can have a part; its text says why.
    """
    from holdfast.spread.cluster.engine import ClusterEngine

    return ClusterEngine(ground)
