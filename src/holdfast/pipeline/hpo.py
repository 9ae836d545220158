"""The study of one backbone: trials that are kept one by one, and go on where they were killed."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from holdfast.errors import ConfigurationError, MadeOtherwise, StageFailed, UsageError
from holdfast.integrations.watching import Diverged, Watcher
from holdfast.pipeline.dataset import Dataset, open_dataset
from holdfast.pipeline.device import describe_device, resolve_device
from holdfast.pipeline.evaluation import evaluate
from holdfast.pipeline.experiment import explain
from holdfast.pipeline.fingerprint import differences, fingerprint
from holdfast.pipeline.identity import backbone_identity, study_made_from
from holdfast.pipeline.layout import CHECKPOINT, CHECKPOINTS, METRICS, trial_folder
from holdfast.pipeline.narration import Narration, Quiet, duration
from holdfast.pipeline.search import best_trial, make_pruner, make_sampler, most_epochs, suggest
from holdfast.pipeline.settings import TINY, Hpo, Training, changed
from holdfast.pipeline.storage import RestoreFromDrive, setup_checkpoint_storage, storage_settings
from holdfast.pipeline.tiny import make_tiny
from holdfast.pipeline.training import Job, drop_checkpoints, estimate_seconds, prepare, train
from holdfast.session.files import write_json
from holdfast.session.functions import attached

if TYPE_CHECKING:
    import optuna

__all__ = ["Stopped", "run_local_hpo_sweep", "setup_checkpoint_storage"]

log = logging.getLogger(__name__)

#: Hands a folder to the backup, with how far it is: finished trials, and the share of the one that runs.
KeepStudy = Callable[[Path, float], Any]


class Stopped(Exception):
    """The time that the run was given is over; everything is saved."""


class SmallerDevice(StageFailed):
    """A trial that began on a larger device ran out of memory here. It stays, and goes on on a larger one."""


@dataclass(frozen=True)
class Sweep:
    """One study, ready to run.

    Args:
        backbone: Name of the backbone.
        model: What to load for it.
        identity: What it is called in fingerprints.
        hpo: The search.
        training: Settings of a trial before its parameters.
        data: The documents.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `cpu` or `cuda`.
        folder: Where the study and its trials lie.
        keep: Hands the folder to the backup.
        narration: Tells how it goes.
        time_is_over: True once no more work should begin.
        clock: Monotonic seconds.
    """

    backbone: str
    model: str
    identity: Any
    hpo: Hpo
    training: Training
    data: Dataset
    seed: int
    max_length: int
    stride: int
    device: str
    folder: Path
    keep: KeepStudy
    narration: Narration = field(default_factory=Quiet)
    time_is_over: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic

    def made_from(self) -> dict[str, Any]:
        """What decides the study's outcome. Not how long it may go on: a study may be given more trials."""
        return study_made_from(
            self.hpo,
            self.training,
            self.identity,
            self.data.identity,
            seed=self.seed,
            max_length=self.max_length,
            stride=self.stride,
        )

    def job(self, settings: Training, folder: Path) -> Job:
        """The training of one trial."""
        return Job(
            model=self.model,
            labels=self.data.labels,
            train=self.data.train,
            validation=self.data.validation,
            settings=settings,
            objective=self.hpo.objective,
            seed=self.seed,
            folder=folder,
            max_length=self.max_length,
            stride=self.stride,
            device=self.device,
        )


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
    keep: KeepStudy | None = None,
    narration: Narration | None = None,
    time_is_over: Callable[[], bool] = lambda: False,
    begin: Callable[[], None] = lambda: None,
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
        mlflow_experiment_name: Not supported; refused where given.
        k_folds: Not supported; refused where given.
        fold_splits_file: Not supported; refused where given.
        checkpoint_config: See `setup_checkpoint_storage`; default the `checkpoint` section of `hpo_config`.
        restore_from_drive: See `setup_checkpoint_storage`.
        model: What to load, where it is not called as the backbone.
        identity: What to call it in the fingerprint; default a name as it is, a folder by its content.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `auto`, `cpu` or `cuda`.
        keep: Called with the study's folder and how many trials it holds, whenever something worth keeping is there.
        narration: Tells how it goes.
        time_is_over: Asked between steps; once true, what runs is saved and `Stopped` is raised.
        begin: Called once everything is checked, before the study is opened.

    Raises:
        UsageError: something is asked for that is not supported, or cannot be.
        MadeOtherwise: the study that is there was made under other settings.
        NotRestored: see `setup_checkpoint_storage`.
        Stopped: as asked by `time_is_over`.
    """
    _refuse_unsupported(mlflow_experiment_name, k_folds, fold_splits_file)
    hpo = _checked(hpo_config, Hpo, "hpo_config")
    training = changed(_checked(train_config, Training, "train_config"), hpo.training)
    storage = storage_settings(hpo.checkpoint if checkpoint_config is None else checkpoint_config)
    path, uri, _ = setup_checkpoint_storage(Path(output_dir), storage.model_dump(), backbone, None, restore_from_drive)
    folder = Path(output_dir) / backbone if path is None else path.parent
    data = open_dataset(Path(dataset_path))
    loaded = _model(model or backbone, Path(config_dir), folder, data, max_length)
    sweep = Sweep(
        backbone=backbone,
        model=loaded,
        identity=backbone_identity(loaded) if identity is None else identity,
        hpo=hpo.model_copy(update={"checkpoint": storage}),
        training=training,
        data=data,
        seed=seed,
        max_length=max_length,
        stride=stride,
        device=resolve_device(device),
        folder=folder,
        keep=keep or _keep_with_attached,
        narration=narration or Quiet(),
        time_is_over=time_is_over,
    )
    prepare(sweep.job(training, folder))  # what cannot be used is found before anything says that this study was begun
    begin()
    with _open_study(sweep, uri, storage.study_name or backbone) as study:
        if path is not None and restore_from_drive is not None:
            _restore_trials(study, folder, restore_from_drive, everything=storage.save_only_best)
        _run(sweep, study)
        return study


def _refuse_unsupported(mlflow: str | None, folds: int | None, splits: Path | None) -> None:
    for name, value, instead in (
        ("mlflow_experiment_name", mlflow, "scores are in the study and in each trial's metrics.json"),
        ("k_folds", folds, "give a validation set, or data.validation_share"),
        ("fold_splits_file", splits, "give a validation set, or data.validation_share"),
    ):
        if value is not None:
            raise UsageError(f"{name}: not supported yet, so it is refused instead of ignored; leave it out: {instead}")


def _checked(given: Any, model: type[Any], name: str) -> Any:
    if isinstance(given, model):
        return given
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigurationError(explain(error, name, model=model)) from error


def _model(model: str, config_dir: Path, folder: Path, data: Dataset, max_length: int) -> str:
    """What to load; the encoder `tiny` is made from the training data, beside the study."""
    if model == TINY:
        place = folder / "encoder"
        if not (place / "config.json").exists():
            make_tiny(place, data.train, max_length=max_length)
        return str(place)
    beside = config_dir.parent / model
    return str(beside) if beside.is_dir() else model


def _keep_with_attached(folder: Path, progress: float) -> None:
    keeper = attached()
    if keeper is not None and keeper.enabled:
        keeper.backup(folder.absolute(), progress=progress)


def _restore_trials(study: optuna.Study, folder: Path, restore: RestoreFromDrive, *, everything: bool) -> None:
    """What a killed trial had saved, before it goes on; and the best weights, if they will have to make room for better ones."""
    from optuna.trial import TrialState

    if everything and study.get_trials(deepcopy=False):
        restore(folder.absolute())
        return
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        place = folder / trial_folder(trial.number) / CHECKPOINTS
        if not place.exists():
            restore(place.absolute())


@contextlib.contextmanager
def _open_study(sweep: Sweep, uri: str | None, name: str) -> Iterator[optuna.Study]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None if uri is None else optuna.storages.RDBStorage(uri)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=make_sampler(sweep.hpo, sweep.seed),
            pruner=make_pruner(sweep.hpo, most_epochs(sweep.hpo, sweep.training.epochs)),
        )
        now = sweep.made_from()
        then = study.user_attrs.get("made_from")
        if then is None and not study.get_trials(deepcopy=False):
            study.set_user_attr("made_from", now)
        elif fingerprint(then or {}) != fingerprint(now):
            raise MadeOtherwise(
                f"{sweep.folder}: the study there was made under other settings: "
                f"{'; '.join(differences(then or {}, now)[:4])}; set them back, or give another output folder"
            )
        yield study
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _run(sweep: Sweep, study: optuna.Study) -> None:
    """Trials until all are finished. Each is kept before the next begins."""
    import optuna
    from optuna.trial import TrialState

    told = False
    while True:
        _tidy(sweep, study)
        trials = study.get_trials(deepcopy=False)
        running = [t for t in trials if t.state is TrialState.RUNNING]
        finished = sum(t.state.is_finished() for t in trials)
        spent = sum(float(t.user_attrs.get("seconds", 0.0)) for t in trials)
        over = sweep.hpo.timeout is not None and spent >= sweep.hpo.timeout
        if finished >= sweep.hpo.trials or (over and not running):
            sweep.narration.end()
            return
        if sweep.time_is_over():
            raise Stopped
        if not told:
            _announce(sweep, finished)
            told = True
        if running:
            trial = optuna.Trial(study, running[0]._trial_id)
            sweep.narration.say(f"{sweep.backbone}: trial {trial.number} goes on")
        else:
            trial = study.ask()
        _run_trial(sweep, study, trial, finished)
        sweep.narration.end()
        line = _line(sweep, study.get_trials(deepcopy=False)[trial.number])
        sweep.narration.say(f"{line}  [{finished + 1} of {sweep.hpo.trials}]")
        _tidy(sweep, study)
        sweep.keep(sweep.folder, float(finished + 1))


def _announce(sweep: Sweep, finished: int) -> None:
    if sweep.device != "cpu":
        return
    each = estimate_seconds(sweep.job(sweep.training, sweep.folder))
    left = sweep.hpo.trials - finished
    sweep.narration.warn(
        f"NO GPU: training on the CPU. {sweep.backbone}: about {duration(each * left)} for {left} trial(s), "
        f"{duration(each)} each. In Colab: Runtime, Change runtime type"
    )


def _run_trial(sweep: Sweep, study: optuna.Study, trial: optuna.Trial, finished: int) -> None:
    """One trial, from its last checkpoint on: told to the study exactly once."""
    import optuna
    from optuna.trial import TrialState

    folder = sweep.folder / trial_folder(trial.number)
    device = describe_device(sweep.device)
    began = trial.user_attrs.get("device")
    if began is None:
        trial.set_user_attr("device", device)
        began = device
    watcher = TrialWatcher(sweep, trial, finished)
    try:
        parameters = suggest(trial, sweep.hpo.search_space)
        job = sweep.job(changed(sweep.training, parameters), folder)
        trained = train(job, watcher, sweep.clock)
        scores = evaluate(trained.folder, sweep.data.validation, sweep.device)
        value = scores["micro" if sweep.hpo.objective.endswith("micro") else "macro"][sweep.hpo.objective.rpartition("_")[0]]
        trial.set_user_attr("parameters", trained.parameters)
        trial.set_user_attr("best_step", trained.best_step)
        write_json(
            folder / METRICS, {"trial": trial.number, "steps": trained.steps, "best_step": trained.best_step, "validation": scores}
        )
        watcher.count_time()
        study.tell(trial, value)
    except optuna.TrialPruned:
        watcher.count_time()
        study.tell(trial, state=TrialState.PRUNED)
    except Diverged as error:
        _fail(study, trial, watcher, str(error))
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        if device["type"] == began["type"] and device["memory"] < began["memory"]:
            raise SmallerDevice(
                f"trial {trial.number} began on {began['name']} with {began['memory'] >> 20} MiB and ran out of memory on "
                f"{device['name']} with {device['memory'] >> 20} MiB; it stays as it is, and goes on where the device is as large"
            ) from error
        _fail(study, trial, watcher, f"out of memory on {device['name']} ({device['memory'] >> 20} MiB)")


def _fail(study: optuna.Study, trial: optuna.Trial, watcher: TrialWatcher, reason: str) -> None:
    """This trial alone has failed; the study goes on."""
    from optuna.trial import TrialState

    watcher.count_time()
    trial.set_user_attr("failed", reason)
    study.tell(trial, state=TrialState.FAIL)
    log.warning("trial %d failed: %s", trial.number, reason)


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "not enough memory" in text or "can't allocate memory" in text)
    )


class TrialWatcher(Watcher):
    """Reports a trial's epochs to the study, and hands its checkpoints to the backup.

    Args:
        sweep: The study that it belongs to.
        trial: The trial.
        finished: Trials that are finished before it.
    """

    def __init__(self, sweep: Sweep, trial: optuna.Trial, finished: int) -> None:
        self._sweep = sweep
        self._trial = trial
        self._finished = finished
        self._since = sweep.clock()
        self._reported = set(trial.storage.get_trial(trial._trial_id).intermediate_values)
        self._note = ""

    def stepped(self, step: int, total: int) -> None:
        """Move the bar."""
        what = f"{self._sweep.backbone}: trial {self._trial.number} ({self._finished + 1} of {self._sweep.hpo.trials})"
        self._sweep.narration.work(what, step, total, self._note)

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Report an epoch, once; raise where the pruner ends the trial."""
        import optuna

        value = scores[self._sweep.hpo.objective]
        self._note = f"{self._sweep.hpo.objective} {value:.3f}"
        if epoch not in self._reported:
            self._trial.report(value, epoch)
            self._reported.add(epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned

    def saved(self, step: int, total: int) -> None:
        """Keep study and checkpoint together; stop here where the time is over."""
        self.count_time()
        self._sweep.keep(self._sweep.folder, self._finished + min(step / total, 0.999))
        if self._sweep.time_is_over():
            raise Stopped

    def wants_to_stop(self) -> bool:
        """Once the time is over."""
        return self._sweep.time_is_over()

    def count_time(self) -> None:
        """Add the time since the last count to the trial's: a study's time limit counts work, not interruptions."""
        now = self._sweep.clock()
        known = self._trial.storage.get_trial(self._trial._trial_id).user_attrs.get("seconds", 0.0)
        self._trial.storage.set_trial_user_attr(self._trial._trial_id, "seconds", float(known) + now - self._since)
        self._since = now


def _tidy(sweep: Sweep, study: optuna.Study) -> None:
    """What finished trials need no more goes: their checkpoints, and the weights of all but the best if so configured."""
    trials = study.get_trials(deepcopy=False)
    best = best_trial(trials)
    for trial in trials:
        if not trial.state.is_finished():
            continue
        folder = sweep.folder / trial_folder(trial.number)
        drop_checkpoints(folder)
        if sweep.hpo.checkpoint.save_only_best and (best is None or trial.number != best.number):
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def _line(sweep: Sweep, trial: optuna.trial.FrozenTrial) -> str:
    from optuna.trial import TrialState

    shown = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(trial.params.items()))
    state = {TrialState.COMPLETE: f"{sweep.hpo.objective} {trial.value or 0.0:.4f}", TrialState.PRUNED: "pruned"}.get(trial.state)
    state = state or f"failed: {trial.user_attrs.get('failed', 'for an unknown reason')}"
    took = duration(float(trial.user_attrs.get("seconds", 0.0)))
    return f"{sweep.backbone}: trial {trial.number}: {state}  ({shown or 'nothing varies'}; {took})"


def summarize(sweep_trials: list[optuna.trial.FrozenTrial]) -> dict[str, Any]:
    """Counts and the best trial, for the record of the stage. No clock times."""
    best = best_trial(sweep_trials)
    if best is None:
        reasons = sorted({str(t.user_attrs.get("failed", t.state.name.lower())) for t in sweep_trials})
        raise StageFailed(f"no trial is complete ({'; '.join(reasons)[:300]}); change the search space, or give it more trials")
    states: dict[str, int] = {}
    for trial in sweep_trials:
        states[trial.state.name] = states.get(trial.state.name, 0) + 1
    return {
        "trials": len(sweep_trials),
        "states": states,
        "best_trial": best.number,
        "best_value": best.value,
        "best_params": best.params,
    }
