"""What is set up of the machine before anything trains."""

from __future__ import annotations

import os

import pytest
import torch

from holdfast.errors import ConfigurationError
from holdfast.pipeline.settings import Hpo, TrialResources
from holdfast.pipeline.training.device import resolve_precision, share_cores, trial_device


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_trials_on_a_cluster_train_on_the_gpus_that_each_is_given_whatever_its_driver_has(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Hpo(engine="ray", resources=TrialResources(gpus=0.5))
    for here in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        assert trial_device("auto", given) == trial_device("cuda", given) == "cuda"
        assert trial_device("cpu", given) == trial_device("auto", Hpo(engine="ray")) == "cpu"
        with pytest.raises(ConfigurationError, match=r"run.device: cuda is asked for, and hpo.resources.gpus is 0"):
            trial_device("cuda", Hpo(engine="ray"))
    assert trial_device("auto", Hpo()) == "cuda"


def test_a_number_format_for_gpus_of_other_machines_is_as_it_is_named_and_none_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [resolve_precision(name, "cuda") for name in ("fp32", "fp16", "bf16")] == ["fp32", "fp16", "bf16"]
    with pytest.raises(ConfigurationError, match="auto goes by the GPU, and this machine, which drives the cluster, has none"):
        resolve_precision("auto", "cuda")
