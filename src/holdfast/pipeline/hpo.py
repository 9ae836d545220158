"""The study of one backbone, as a function: settings checked, the study brought back and opened, its trials run."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from holdfast.errors import AnotherSession, ConfigurationError, MadeOtherwise, UsageError
from holdfast.flow.narration import Narration, Quiet
from holdfast.integrations.watching import Copies
from holdfast.pipeline.data.dataset import Dataset, open_dataset
from holdfast.pipeline.experiment import check_space, explain, refuse_half_characters
from holdfast.pipeline.identity import backbone_identity
from holdfast.pipeline.layout import CHECKPOINT, CHECKPOINTS, FOLDS, TRACKING, fold_folder, trial_folder, weights_folder
from holdfast.pipeline.sameness import differing, narrowed, same
from holdfast.pipeline.settings import TINY, Hpo, StudyStorage, Training, changed
from holdfast.pipeline.study.crossing import next_fold
from holdfast.pipeline.study.database import open_storage
from holdfast.pipeline.study.folds import choose_folds, write_folds
from holdfast.pipeline.study.search import best_trial, make_pruner, make_sampler, most_reports
from holdfast.pipeline.study.spread import is_spread, run_spread_trials
from holdfast.pipeline.study.storage import (
    AttachedCopies,
    RestoreFromDrive,
    bring_back,
    setup_checkpoint_storage,
    storage_settings,
    takes_a_path,
)
from holdfast.pipeline.study.sweep import KeepParts, KeepStudy, Sweep
from holdfast.pipeline.study.trials import put_damaged_aside, run_trials
from holdfast.pipeline.tracking.publishing import Publisher, need_trackers
from holdfast.pipeline.training.device import trial_device
from holdfast.pipeline.training.tiny import make_tiny
from holdfast.pipeline.training.train import prepare
from holdfast.platform import random_hex
from holdfast.session.background.claims import claim
from holdfast.session.background.stake import AtStake
from holdfast.session.functions import attached
from holdfast.session.keeper import Keeper
from holdfast.session.numbers import whole_number
from holdfast.session.parts import parts_of
from holdfast.spread.engine import refuse_unknown

if TYPE_CHECKING:
    import optuna

#: User attribute of a study: by this trackers know its runs.
SERIES = "tracking"

__all__ = ["run_local_hpo_sweep", "setup_checkpoint_storage"]


def run_local_hpo_sweep(
    dataset_path: Path,
    config_dir: Path,
    backbone: str,
    hpo_config: Mapping[str, Any] | Hpo,
    train_config: Mapping[str, Any] | Training,
    output_dir: Path,
    mlflow_experiment_name: str | None = None,
    k_folds: int | None = None,
    fold_splits_file: Path | None = None,
    checkpoint_config: Mapping[str, Any] | None = None,
    restore_from_drive: RestoreFromDrive | None = None,
    *,
    model: str | None = None,
    identity: Any = None,
    seed: int = 0,
    max_length: int = 256,
    stride: int = 64,
    device: str = "auto",
    precision: str | None = None,
    keep: KeepStudy | None = None,
    keep_parts: KeepParts | None = None,
    at_stake: Callable[[], AtStake | None] | None = None,
    copies: Copies | None = None,
    narration: Narration | None = None,
    time_is_over: Callable[[], bool] = lambda: False,
    begin: Callable[[], None] = lambda: None,
    keeper: Keeper | None = None,
    experiment: str | None = None,
) -> optuna.Study:
    """Run the study of one backbone to its last trial, going on with one that is here or in the backup.

    After each checkpoint and each trial the study's folder is handed to the backup: to `keep`, else to the attached keeper.

    Args:
        dataset_path: Folder with `train`, `validation` and `test` files.
        config_dir: The project's configuration folder; a relative `model` folder is looked up beside it.
        backbone: A `transformers` name, or `tiny`; it names the study's folder.
        hpo_config: The `hpo` section of an experiment.
        train_config: The `training` section of an experiment.
        output_dir: The folder that `checkpoint.storage_path` starts at.
        mlflow_experiment_name: Each trial is a run of this experiment of MLflow, whatever `report_to` says.
        k_folds: The same as `folds` in `hpo_config`: each trial is trained so often, and scored on another part of the training
            data each time. Its score is the mean. The validation documents are not looked at then.
        fold_splits_file: Which documents those parts are; see docs/pipeline.md. Default: drawn by seed, and kept with the study.
        checkpoint_config: See `setup_checkpoint_storage`; default the `checkpoint` section of `hpo_config`.
        restore_from_drive: See `setup_checkpoint_storage`.
        model: What to load, where it is not called as the backbone.
        identity: What to call it in the fingerprint; default a name as it is, a folder by its content.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `auto`, `cpu` or `cuda`.
        precision: What `auto` meant when the study was begun; a study does not change its number format half-way.
        keep: Called with the study's folder and how many trials it holds, whenever something worth keeping is there.
        keep_parts: Called instead of `keep` where it is known what was changed in the folder since: with those paths, so that the
            thousandth trial costs no more than the tenth. Says False where that failed. None calls `keep` each time.
        at_stake: What a disconnect would cost now, as `Keeper.at_stake` says; shown as it goes. Default: asks the attached keeper.
        copies: Where checkpoints that are damaged here come back from. Default: the attached keeper's store.
        narration: Tells how it goes.
        time_is_over: Asked between steps; once true, what runs is saved and `Stopped` is raised.
        begin: Called once everything is checked and brought back, before the first trial.
        keeper: Keeps the study, where trials run in processes or on machines of their own. Default: the attached one.
        experiment: What trackers call it. Default: as the backbone.

    Raises:
        UsageError: something is asked for that cannot be.
        BadData: the folds cannot be those of these documents.
        MadeOtherwise: the study that is there was made under other settings.
        NotRestored: see `setup_checkpoint_storage`.
        Stopped: as asked by `time_is_over`.
    """
    hpo = _with_folds(_checked(hpo_config, Hpo, "hpo_config"), k_folds)
    training = _changed(_checked(train_config, Training, "train_config"), hpo.training)
    if mlflow_experiment_name is not None:
        training = _changed(training, {"report_to": [*training.report_to, "mlflow"]})
    need_trackers(training.report_to)
    check_space(hpo, training, "hpo_config")
    refuse_unknown(hpo.engine)
    storage = storage_settings(hpo.checkpoint if checkpoint_config is None else checkpoint_config)
    path, uri, _ = setup_checkpoint_storage(Path(output_dir), storage.model_dump(), backbone, None, restore_from_drive)
    folder = Path(output_dir) / backbone if path is None else path.parent
    data = open_dataset(Path(dataset_path))
    told, drawn_by = narration or Quiet(), _whole("seed", seed)
    kept = None if path is None else path.with_name(FOLDS)
    if hpo.folds and kept is not None and restore_from_drive is not None and path is not None and path.exists():
        _bring_back_folds(kept, restore_from_drive, storage)
    folds = choose_folds(hpo.folds, _given(fold_splits_file), kept, data.train, drawn_by, told.say)
    if folds is not None:
        hpo = _with_folds(hpo, len(folds))
    loaded = _model(model or backbone, Path(config_dir), folder, data)
    named = {"MLFLOW_EXPERIMENT_NAME": mlflow_experiment_name} if mlflow_experiment_name else {}
    publisher = Publisher(training.report_to, folder / TRACKING, told.warn, named)
    sweep = Sweep(
        backbone=backbone,
        model=loaded,
        identity=backbone_identity(loaded) if identity is None else identity,
        hpo=hpo.model_copy(update={"checkpoint": storage}),
        training=training,
        data=data,
        seed=drawn_by,
        max_length=_whole("max_length", max_length),
        stride=_whole("stride", stride),
        device=trial_device(device, hpo),
        precision=precision,
        folder=folder,
        keep=keep or _keep_with_attached,
        keep_parts=keep_parts if keep is not None else functools.partial(_keep_parts_with_attached, folder),
        file=path,
        is_over=functools.partial(_is_over_for_attached, folder) if keep is None else lambda: None,
        at_stake=at_stake or functools.partial(_at_stake_for_attached, folder.absolute()),
        copies=copies or AttachedCopies(storage),
        narration=told,
        time_is_over=time_is_over,
        claim=_claim_with_attached,
        dataset=Path(dataset_path).absolute(),
        keeper=keeper,
        folds=folds,
        experiment=experiment or backbone,
    )
    if not Path(loaded).is_dir():
        sweep.narration.say(f"{backbone}: loading {loaded} from the hub, or from its cache here")
    prepare(sweep.job(training, folder))  # what cannot be used is found before anything says that this study was begun
    with _open_study(sweep, path, uri, storage.study_name or backbone) as study, publisher:
        sweep = replace(sweep, series=_series(study) if training.report_to else "", publisher=publisher)
        if path is not None and restore_from_drive is not None:
            _restore_trials(study, folder, restore_from_drive, storage, sweep.copies, sweep.hpo.folds)
        if folds is not None and kept is not None:
            write_folds(kept, folds, data.train)
        begin()
        publisher.publish_the_rest(folder)
        (run_spread_trials if is_spread(sweep.hpo, study) else run_trials)(sweep, study)
        return study


def _series(study: optuna.Study) -> str:
    """By this trackers know the runs of a study on every machine: drawn once, and kept in the study."""
    known = study.user_attrs.get(SERIES)
    if known is None:
        study.set_user_attr(SERIES, random_hex(8))
    return str(study.user_attrs[SERIES])


def _with_folds(hpo: Hpo, folds: int | None) -> Hpo:
    """The search with so many folds, if that is asked for."""
    if folds is None:
        return hpo
    if hpo.folds is not None and hpo.folds != folds:
        raise UsageError(f"k_folds: {folds}, and hpo_config has folds: {hpo.folds}; give one of them, or make them agree")
    _checked({"folds": folds}, Hpo, "k_folds")
    return hpo.model_copy(update={"folds": folds})


def _given(splits: object) -> Path | None:
    if splits is not None and not isinstance(splits, str | os.PathLike):
        raise UsageError(f"fold_splits_file: {splits!r}: give the path of a file")
    return None if splits is None else Path(splits)


def _bring_back_folds(place: Path, restore: RestoreFromDrive, storage: StudyStorage) -> None:
    """Before they are asked for: new ones might be others, as by another version of what draws them."""
    restore = _for_any_path(restore)
    if not place.exists():
        bring_back(place.absolute(), restore, storage, "the folds")


def _for_any_path(restore: RestoreFromDrive) -> RestoreFromDrive:
    """One that was made for the study's path answers for no other."""
    if takes_a_path(restore):
        return restore
    keeper = attached()
    return keeper.ensure if keeper is not None else lambda _: False


def _checked(given: Any, model: type[Any], name: str) -> Any:
    if isinstance(given, model):
        return given
    refuse_half_characters(given, name)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigurationError(explain(error, name, model=model)) from error


def _whole(name: str, value: Any) -> int:
    try:
        return whole_number(value)
    except ValueError as error:
        raise UsageError(f"{name}: {value!r}: {error}") from error


def _changed(training: Training, changes: Mapping[str, Any]) -> Training:
    try:
        return changed(training, dict(changes))
    except ValidationError as error:
        raise ConfigurationError(explain(error, "hpo_config", "training", Training)) from error


def _model(model: str, config_dir: Path, folder: Path, data: Dataset) -> str:
    """What to load; the encoder `tiny` is made from the training data, beside the study."""
    if model == TINY:
        place = folder / "encoder"
        if not (place / "config.json").exists():
            make_tiny(place, data.train)
        return str(place)
    beside = config_dir.parent / model
    return str(beside) if beside.is_dir() else model


def _keep_with_attached(folder: Path, progress: float) -> bool:
    keeper = attached()
    return keeper is None or not keeper.enabled or bool(keeper.backup(folder.absolute(), progress=progress))


def _keep_parts_with_attached(folder: Path, parts: Sequence[Path], progress: float) -> bool:
    keeper = attached()
    if keeper is not None and keeper.enabled:
        absolute = folder.absolute()
        return bool(keeper.backup(*(parts_of(keeper, absolute, [p.absolute() for p in parts]) or [absolute]), progress=progress))
    return True


def _is_over_for_attached(folder: Path) -> None:
    """From here on its file is sent whole, so that whoever has no Holdfast finds all of it under one name."""
    keeper = attached()
    with contextlib.suppress(UsageError):  # not below its outputs
        if keeper is not None:
            keeper.workspace.whole.add(keeper.workspace.key(folder.absolute()))


def _claim_with_attached(folder: Path) -> contextlib.AbstractContextManager[Any]:
    """Only on this machine: that the study is worked on, other machines are told by its backups."""
    keeper = attached()
    if keeper is None:
        return contextlib.nullcontext()
    try:
        key = keeper.workspace.key(folder.absolute())
        return claim(keeper.workspace.claims, [key])
    except UsageError:  # not below its outputs
        return contextlib.nullcontext()
    except AnotherSession as error:
        if keeper.force and error.path != key.value:
            return contextlib.nullcontext()
        raise


def _at_stake_for_attached(folder: Path) -> AtStake | None:
    keeper = attached()
    try:
        return None if keeper is None else keeper.at_stake(folder)
    except UsageError:  # not below its outputs
        return None


def _restore_trials(
    study: optuna.Study, folder: Path, restore: RestoreFromDrive, storage: StudyStorage, copies: Copies, folds: int | None
) -> None:
    """Each trial that is needed, by its own path, before anything is backed up: what a killed one had saved, the best weights."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    best = best_trial(trials)
    wanted = {t.number: _needed(t, folds) for t in trials if t.state is TrialState.RUNNING}
    if best is not None:
        weights = weights_folder(best.number, folds)
        wanted[best.number] = [f"{weights}/{CHECKPOINT}"]
        put_damaged_aside(folder / weights, copies)
    restore = _for_any_path(restore)
    for number, parts in sorted(wanted.items()):
        if not all((folder / part).exists() for part in parts):
            bring_back((folder / trial_folder(number)).absolute(), restore, storage, f"trial {number}")


def _needed(trial: optuna.trial.FrozenTrial, folds: int | None) -> list[str]:
    """What a trial that runs needs to be here, below the folder of its study; its first fold's weights, too, once it is done."""
    place, done = trial_folder(trial.number), next_fold(trial) - 1
    if not folds:
        return [f"{place}/{CHECKPOINTS}"]
    weights = [f"{weights_folder(trial.number, folds)}/{CHECKPOINT}"] if done else []
    return [f"{place}/{fold_folder(done + 1)}/{CHECKPOINTS}", *weights]


@contextlib.contextmanager
def _open_study(sweep: Sweep, path: Path | None, uri: str | None, name: str) -> Iterator[optuna.Study]:
    import optuna

    with contextlib.nullcontext() if path is None or uri is None else open_storage(uri, path) as storage:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=make_sampler(sweep.hpo, sweep.seed),
            pruner=make_pruner(sweep.hpo, most_reports(sweep.hpo, sweep.training.epochs)),
        )
        now = sweep.made_from()
        then = study.user_attrs.get("made_from")
        if then is None and not study.get_trials(deepcopy=False):
            study.set_user_attr("made_from", now)
        elif narrowed(then or {}, now):
            sweep.narration.say(f"{sweep.backbone}: goes on within a narrower search space; the trials that are there stay")
            study.set_user_attr("made_from", now)
        elif not same(then or {}, now):
            raise MadeOtherwise(
                f"{sweep.folder}: the study there was made under other settings: "
                f"{'; '.join(differing(then or {}, now)[:4])}; set them back, or give another output folder"
            )
        yield study
