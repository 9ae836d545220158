"""Training one model with `transformers.Trainer`, so that it can be interrupted at any step and go on exactly.

What we add to the Trainer: checkpoints that are whole or do not count, and a place to hand them to.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConfigurationError, MadeOtherwise, StageFailed
from holdfast.flow.fingerprint import fingerprint
from holdfast.integrations import checkpoints
from holdfast.integrations.resuming import Wanted, clear_the_way, search
from holdfast.integrations.watching import Diverged, Watcher
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import Window, encode, word_predictions
from holdfast.pipeline.data.entities import bio_tags, word_tags
from holdfast.pipeline.identity import backbone_identity, training_identity
from holdfast.pipeline.layout import CHECKPOINT, CHECKPOINTS
from holdfast.pipeline.settings import Training
from holdfast.pipeline.tracking.journal import TrackedRun
from holdfast.pipeline.training.backbone import load_model, load_tokenizer, quiet_transformers, raw_tokenizer
from holdfast.pipeline.training.checkpoint import CheckpointInfo, write_info
from holdfast.pipeline.training.device import deterministic, resolve_precision
from holdfast.pipeline.training.loss import tag_weights, weighted_loss
from holdfast.pipeline.training.scores import OBJECTIVES, flat, score

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from holdfast.pipeline.tracking.following import Following

#: Evaluation batches need no gradients, so they may be larger.
EVALUATION_BATCH = 32
#: An estimate is made from so many steps, or those of so many seconds: the fewer, the more it is about what else the machine does.
_MEASURED_STEPS, _MEASURED_SECONDS = 6, 3.0


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        model: A `transformers` name or folder.
        labels: Entity types.
        train: What it learns from.
        validation: What each epoch is scored on; empty where nothing is held out.
        settings: How.
        objective: The score that decides which epoch is best.
        seed: Of weights that are not pretrained, dropout and data order.
        folder: Where `checkpoints/` goes while it runs, and `checkpoint/` when it is done.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `cpu` or `cuda`.
        run: What it is called by trackers; None where none follows it.
    """

    model: str
    labels: tuple[str, ...]
    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    settings: Training
    objective: str
    seed: int
    folder: Path
    max_length: int
    stride: int
    device: str
    run: TrackedRun | None = None

    @property
    def fingerprint(self) -> str:
        """What decides the weights: a checkpoint of anything else is none of this training."""
        return self._fingerprint(training_identity(self.settings.model_copy(update={"precision": "auto"})))

    def made(self, made_from: str) -> bool:
        """Whether a checkpoint with this fingerprint is one of this training, also where an older version saved it."""
        if made_from == self.fingerprint:
            return True
        settings = training_identity(self.settings.model_copy(update={"precision": "auto"}))
        del settings["exact"]  # before there was that setting
        return made_from == self._fingerprint(settings)

    def _fingerprint(self, settings: Mapping[str, Any]) -> str:
        documents = [[d.text, list(d.words), [(s.start, s.end, s.label) for s in d.spans]] for d in (*self.train, *self.validation)]
        return fingerprint(
            {
                "backbone": backbone_identity(self.model),
                "labels": self.labels,
                "documents": documents,
                "trained_on": len(self.train),
                "settings": settings,
                "objective": self.objective,
                "seed": self.seed,
                "windows": [self.max_length, self.stride],
            }
        )

    @property
    def tags(self) -> tuple[str, ...]:
        """What each word is classified as."""
        return bio_tags(self.labels)


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Args:
        folder: A complete `transformers` folder.
        steps: Optimizer steps done.
        best_step: The step whose weights these are.
        parameters: Number of weights.
        learning: For each epoch that was scored, its step, loss and scores on validation; the same after any interruption.
    """

    folder: Path
    steps: int
    best_step: int
    parameters: int
    learning: tuple[Mapping[str, float], ...] = ()


def train(job: Job, watcher: Watcher, clock: Callable[[], float]) -> Trained:
    """Train, going on at the newest checkpoint that serves, here or in the store, and leave `checkpoint/` in the job's folder.

    Args:
        job: What to train.
        watcher: Told of steps, scores and checkpoints, and of whatever has to be done again. It has their copies.
        clock: Monotonic seconds, for checkpoints by time.

    Raises:
        Diverged: the loss is no number any more.
        ConfigurationError: settings that cannot be used here.
        MadeOtherwise: a checkpoint is there that was saved under other settings.
        NotRestored: no checkpoint here serves, and the store, which may have one, cannot be read.
    """
    saves = job.folder / CHECKPOINTS
    prepared = prepare(job)
    wanted = Wanted(job.made, best=job.settings.keep == "best", finish=True, own=True)
    found = search(saves, watcher.copies, watcher.told, wanted)
    if found.start is None and found.unknown:  # before all of it is done again, a store that comes back is waited for
        found = search(saves, watcher.copies, watcher.told, wanted, patient=True)
    parameters = sum(p.numel() for p in prepared.model.parameters())
    with quiet_transformers(), deterministic(job.settings.exact):
        clear_the_way(saves, found, watcher.copies, watcher.told, wanted)
        start = found.start
        follows = _following(job, watcher, None if start is None else start.folder)
        if start is None or not start.over:
            trainer = _make_trainer(job, prepared, watcher, clock, follows)
            try:
                trainer.train(resume_from_checkpoint=None if start is None else str(start.folder))
            finally:
                if follows is not None:
                    follows.write()
            start = search(saves, watcher.copies, watcher.told, wanted).start
        if follows is not None and start is not None and start.over:
            follows.finish()
    if start is None or not start.over:
        raise StageFailed(f"{saves}: training ended and left no whole checkpoint; run again")
    best = start.best_step if job.settings.keep == "best" and start.best_step is not None else start.step
    finished = _finish(job, saves / f"checkpoint-{best}", prepared.tokenizer)
    return Trained(finished, start.step, best, parameters, _learning(start.folder / checkpoints.STATE))


def _learning(state: Path) -> tuple[Mapping[str, float], ...]:
    """What the Trainer logged at the end of each epoch, without clock times.

    The loss in between is no part of it: the Trainer counts it in windows that an interruption cuts. Nothing where the state is
    damaged, and only the weights were needed.
    """
    try:
        rows = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    except (OSError, ValueError, KeyError):
        return ()
    kept = ("eval_loss", *(f"eval_{name}" for name in OBJECTIVES))
    return tuple(
        {"epoch": round(row["epoch"]), "step": row["step"], **{k.removeprefix("eval_"): row[k] for k in kept if k in row}}
        for row in rows
        if "eval_loss" in row
    )


def _finish(job: Job, source: Path, tokenizer: Any) -> Path:
    """Make the finished folder from a checkpoint: built beside it, then moved in place."""
    finished, building = job.folder / CHECKPOINT, job.folder / f".{CHECKPOINT}.part"
    for place in (building, finished):
        shutil.rmtree(place, ignore_errors=True)
    building.mkdir(parents=True)
    _check_finite(source / "model.safetensors")
    for name in ("config.json", "model.safetensors"):
        shutil.copy2(source / name, building / name)
    with quiet_transformers():
        tokenizer.save_pretrained(building)
    write_info(building, CheckpointInfo(job.tags, job.max_length, job.stride))
    building.rename(finished)
    return finished


def _check_finite(weights: Path) -> None:
    """A loss is only looked at now and then; weights that are no numbers are seen here at the latest."""
    import torch
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            if not bool(torch.isfinite(file.get_tensor(name)).all()):
                raise Diverged(f"the weights {name} are no numbers after the training; a smaller learning rate may help")


def steps_per_epoch(windows: int, settings: Training) -> int:
    """Optimizer steps in one pass over so many windows."""
    return max(math.ceil(math.ceil(windows / settings.batch_size) / settings.gradient_accumulation), 1)


def resolve_arguments(job: Job, windows: int) -> TrainingArguments:
    """The Trainer's arguments: every configured value is in them, in the loss, in the model or in a callback.

    Args:
        job: What to train.
        windows: Number of training windows.
    """
    from transformers import TrainingArguments

    settings = job.settings
    precision = resolve_precision(settings.precision, job.device)
    total = steps_per_epoch(windows, settings) * settings.epochs
    return TrainingArguments(
        output_dir=str(job.folder / CHECKPOINTS),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=EVALUATION_BATCH,
        gradient_accumulation_steps=settings.gradient_accumulation,
        warmup_steps=round(settings.warmup * total),
        lr_scheduler_type=settings.scheduler,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        seed=job.seed,
        data_seed=job.seed,
        eval_strategy="epoch" if job.validation else "no",
        save_strategy="epoch",
        metric_for_best_model=job.objective if job.validation else None,
        greater_is_better=True if job.validation else None,
        load_best_model_at_end=False,  # the best weights are taken from their checkpoint
        restore_callback_states_from_checkpoint=True,
        logging_strategy="steps",
        logging_steps=10,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        report_to="none",  # what it logs is followed by a callback of ours
        use_cpu=job.device == "cpu",
        dataloader_pin_memory=job.device != "cpu",
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        push_to_hub=False,
    )


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs and that can be wrong, before any time is spent."""

    tokenizer: Any
    model: Any
    train: list[Window]
    validation: list[Window]
    weights: list[float] | None
    callbacks: list[Any]
    made_from: str  #: what its checkpoints say that they are of; as those that are there say it


def prepare(job: Job) -> Prepared:
    """Load and check what a training needs.

    Raises:
        ConfigurationError: the backbone cannot be loaded, or a setting cannot be used with it or on this device.
        MadeOtherwise: a checkpoint is there that was saved under other settings.
    """
    from transformers import EarlyStoppingCallback

    settings = job.settings
    resolve_precision(settings.precision, job.device)
    saved = checkpoints.newest_sealed(job.folder / CHECKPOINTS)
    if saved is not None and not job.made(saved.made_from):
        raise MadeOtherwise(
            f"{saved.folder}: was saved by a training under other settings, and nothing else says which; move "
            f"{saved.folder.parent} away to begin anew"
        )
    with quiet_transformers():
        tokenizer = load_tokenizer(job.model)
        model = load_model(job.model, job.tags, seed=job.seed, dropout=settings.dropout)
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and job.max_length > longest:
        raise ConfigurationError(f"data.max_length: {job.max_length} is longer than {job.model} reads ({longest}); make it smaller")
    tag_ids = {t: i for i, t in enumerate(job.tags)}
    raw = raw_tokenizer(tokenizer)
    train = encode(job.train, raw, max_length=job.max_length, stride=job.stride, tag_ids=tag_ids)
    validation = encode(job.validation, raw, max_length=job.max_length, stride=job.stride, tag_ids=tag_ids)
    weights = tag_weights(settings.class_weights, job.tags, [label for w in train for label in w.labels])
    callbacks: list[Any] = []
    if settings.early_stopping is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.early_stopping))
    return Prepared(tokenizer, model, train, validation, weights, callbacks, job.fingerprint if saved is None else saved.made_from)


def _following(job: Job, watcher: Watcher, checkpoint: Path | None) -> Following | None:
    """Who follows what is logged, from a checkpoint on; None where no tracker wants it."""
    if job.run is None:
        return None
    from holdfast.pipeline.tracking.following import Following, journal_at

    settings = job.settings.model_dump(mode="json", exclude={"checkpoint", "report_to"})
    about = {"backbone": Path(job.model).name if Path(job.model).is_dir() else job.model, "seed": job.seed}
    return Following(journal_at(checkpoint, job.run, {**settings, **about}), job.folder, watcher.logged)


def _make_trainer(job: Job, prepared: Prepared, watcher: Watcher, clock: Callable[[], float], follows: Following | None) -> Any:
    from transformers import PrinterCallback, Trainer

    from holdfast.integrations.trainer import Checkpointing

    saving = job.settings.checkpoint
    ours = Checkpointing(watcher, clock, steps=saving.steps, every=saving.every, made_from=prepared.made_from)
    loss = weighted_loss(prepared.weights)
    trainer = Trainer(
        model=prepared.model,
        args=resolve_arguments(job, len(prepared.train)),
        train_dataset=_rows(prepared.train),
        eval_dataset=_rows(prepared.validation) if prepared.validation else None,
        data_collator=Collator(prepared.tokenizer.pad_token_id or 0),
        compute_loss_func=loss if follows is None else follows.counting(loss),
        compute_metrics=_scorer(job, prepared.validation),
        callbacks=[*([] if follows is None else [follows]), ours, *prepared.callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _rows(windows: Sequence[Window]) -> list[dict[str, list[int]]]:
    return [{"input_ids": w.input_ids, "labels": w.labels} for w in windows]


class Collator:
    """Pads a batch to its longest window. Labels of padding are -100, which no loss counts."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Any]:
        """Tensors of shape [batch, longest]: input_ids, attention_mask, labels."""
        import torch

        longest = max(len(r["input_ids"]) for r in rows)
        fill = {"input_ids": self.pad, "labels": -100}
        batch = {k: torch.tensor([[*r[k], *[f] * (longest - len(r[k]))] for r in rows]) for k, f in fill.items()}
        batch["attention_mask"] = torch.tensor([[int(i < len(r["input_ids"])) for i in range(longest)] for r in rows])
        return batch


def _scorer(job: Job, windows: Sequence[Window]) -> Callable[[Any], dict[str, float]]:
    true = [word_tags(d) for d in job.validation]

    def compute(prediction: Any) -> dict[str, float]:
        return flat(score(true, word_predictions(job.validation, windows, prediction.predictions, job.tags)))

    return compute


def estimate_seconds(job: Job) -> float:
    """Seconds that this training will take on this machine, from the quickest of a few measured steps; the first one warms up.

    A rough figure for a person who may prefer to look for a GPU. It leaves every random state as it was.
    """
    import random
    import time

    import torch

    state = random.getstate()
    with torch.random.fork_rng(), quiet_transformers():
        tokenizer = load_tokenizer(job.model)
        tag_ids = {t: i for i, t in enumerate(job.tags)}
        windows = encode(job.train, raw_tokenizer(tokenizer), max_length=job.max_length, stride=job.stride, tag_ids=tag_ids)
        model = load_model(job.model, job.tags, seed=job.seed).train()
        batch = Collator(tokenizer.pad_token_id or 0)(_rows(windows[: job.settings.batch_size]))
        taken: list[float] = []
        while len(taken) < 3 or (len(taken) < _MEASURED_STEPS and sum(taken) < _MEASURED_SECONDS):
            began = time.perf_counter()
            model(**batch).loss.backward()
            taken.append(time.perf_counter() - began)
    random.setstate(state)
    batches = math.ceil(len(windows) / job.settings.batch_size) * job.settings.epochs
    return min(taken[1:]) * batches * 1.3  # evaluation, optimizer and checkpoints, as measured on the built-in sample
