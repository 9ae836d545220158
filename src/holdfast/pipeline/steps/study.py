"""The HPO stage: the study of one backbone, trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.flow.stage import Made
from holdfast.pipeline.hpo import run_local_hpo_sweep
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.study.search import study_result, summarize
from holdfast.pipeline.training.device import (
    describe_environment,
    resolve_device,
    resolve_precision,
    resume_precision,
    trial_device,
)


def search(bench: Workbench) -> Made:
    """Run the study to its last trial."""
    experiment = bench.experiment
    name = bench.stage.name.partition("/")[2]
    backbone = next(b for b in experiment.backbones if b.name == name)
    folder = bench.folder
    run = experiment.run
    storage = experiment.hpo.checkpoint.model_dump()
    # A fork's folder carries digits behind the backbone's name, so the path is given from there.
    storage["storage_path"] = storage["storage_path"].replace("{backbone}", folder.name, 1)
    storage["study_name"] = storage["study_name"] or name
    # The restore that is passed is patient itself.
    storage["on_restore_failure"] = "continue" if run.on_restore_failure == "continue" else "stop"

    device, wanted = trial_device(run.device, experiment.hpo), experiment.trial_training().precision
    begun = bench.environment.get("precision")
    resume_precision(begun, wanted, device)
    on_cluster = experiment.hpo.engine != "local"  # where each node would go by its own GPU, so it is fixed here
    fixed = resolve_precision(begun if begun and wanted == "auto" else wanted, device) if on_cluster else begun

    def begin() -> None:
        # A final training that cannot be is found now, not after hours.
        resolve_precision(experiment.final({}).precision, resolve_device(run.device))
        bench.begin(describe_environment(device, fixed if on_cluster and fixed else resolve_precision(wanted, device)))

    def keep(_: Path, progress: float) -> Any:
        return bench.keep(progress)

    def keep_parts(parts: Sequence[Path], progress: float) -> Any:
        return bench.keep(progress, *parts)

    study = run_local_hpo_sweep(
        dataset_path=bench.path(bench.done["data"].stage.folder),
        config_dir=bench.keeper.root / "config",
        backbone=name,
        hpo_config=experiment.hpo,
        train_config=experiment.training,
        output_dir=folder.parent,
        checkpoint_config=storage,
        restore_from_drive=bench.restore,
        model=bench.pipeline.model(backbone, bench.done["data"]),
        identity=bench.stage.made_from["backbone"],
        seed=experiment.seed,
        max_length=experiment.data.max_length,
        stride=experiment.data.stride,
        device=experiment.run.device,
        precision=fixed,
        keep=keep,
        keep_parts=keep_parts,
        at_stake=bench.at_stake,
        copies=bench.copies,
        narration=bench.narration,
        time_is_over=bench.time_is_over,
        begin=begin,
        keeper=bench.keeper,
        experiment=experiment.name,
    )
    trials = study.get_trials(deepcopy=False)
    return Made(study_result(trials), summarize(trials))
