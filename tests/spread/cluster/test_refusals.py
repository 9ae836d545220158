from __future__ import annotations

import pytest

from holdfast.errors import ConfigurationError
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.spread.cluster.alone import HERE
from holdfast.spread.cluster.engine import ClusterEngine
from holdfast.spread.cluster.link import address_to_join
from holdfast.spread.engine import Ground
from holdfast.store.local.workspace import Workspace
from tests.support import Machine


def test_without_a_store_there_is_no_way_to_hand_over_and_that_is_one_line(machine: Machine) -> None:
    config = Config(machine.root, "outputs", "proj", machine.drive)
    keeper = Keeper(config, None, Workspace(machine.root))
    for without in (None, keeper):
        with pytest.raises(ConfigurationError, match="a store that all of them see, and there is none; give one"):
            ClusterEngine(Ground(machine.root, "outputs/study", 2, keeper=without))


def test_an_address_of_rays_client_is_refused_with_the_one_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ConfigurationError, match="is for Ray's client; run on a machine of the cluster"):
        address_to_join()


def test_the_cluster_that_is_named_is_joined_and_without_one_it_is_one_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert address_to_join() == "head:6379"
    for named in ("local", " ", ""):
        monkeypatch.setenv("RAY_ADDRESS", named)
        assert address_to_join() == HERE
    monkeypatch.delenv("RAY_ADDRESS")
    assert address_to_join() == HERE
