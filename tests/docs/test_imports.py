"""Every import that the README, the docs and the plan show: whatever moves in the house, these stay where they are."""

from __future__ import annotations

import importlib

import pytest

#: Module and name.
SHOWN = [
    *(
        ("holdfast", name)
        for name in ("BACKUP_ENABLED", "attach", "backup_to_drive", "ensure_restored_from_drive", "Keeper", "Outcome", "Durability")
    ),
    ("holdfast.integrations.sampler", "ExactSampler"),
    ("holdfast.integrations.trainer", "Checkpointing"),
    ("holdfast.integrations.trainer", "resume_from"),
    ("holdfast.optuna", "Exact"),
    ("holdfast.optuna", "ExactSampler"),
    ("holdfast.pipeline.benchmark", "BENCHMARK_FILENAME"),
    ("holdfast.pipeline.benchmark", "run_benchmarking_local"),
    ("holdfast.pipeline.hpo", "run_local_hpo_sweep"),
    ("holdfast.pipeline.hpo", "setup_checkpoint_storage"),
    ("holdfast.pipeline.notebook", "open_pipeline"),
]


@pytest.mark.parametrize(("module", "name"), SHOWN)
def test_an_import_that_was_shown_stays_valid(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None
