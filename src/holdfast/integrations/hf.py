"""`transformers.Trainer`, also under TRL and PEFT: one callback, and the training goes on bit for bit. See `holdfast.hf`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from holdfast.errors import ConfigurationError
from holdfast.integrations import checkpoints, hf_random
from holdfast.integrations.checkpoints import SavedCheckpoint
from holdfast.integrations.hf_fetching import Fetches, Place
from holdfast.integrations.hf_settings import refuse, settings, shapes
from holdfast.integrations.kept import EVERY_SECONDS, KeptTraining, newest
from holdfast.integrations.terminating import Termination
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)


class Keep(TrainerCallback):
    """Saves a Trainer's checkpoints by steps and by time, seals them, and backs them up; with `keep.checkpoint` it goes on exactly.

    After a kill at any instant the training that goes on comes to the weights of an uninterrupted one with the same callback, bit
    for bit, and sees each sample as often. At most `every` and the save under way are done again. Of several ranks the first
    seals and sends. Random numbers that are drawn in workers of the loader are not drawn again.

    Args:
        path: The Trainer's `output_dir`, below outputs.
        keeper: Default: the attached one.
        every: Seconds, or text such as `5min`, after which a checkpoint is due; None for none by time.
        steps: A checkpoint is due every so many optimizer steps; None for none by steps. What `save_strategy` asks for counts too.
        guard: Stop before a batch is trained on that is not the one that was drawn there before. See `KeptTraining`.
        clock: Monotonic seconds.

    Raises:
        UsageError: nothing is attached, or the path cannot be kept.
        ConfigurationError: an interval cannot be used.
    """

    def __init__(
        self,
        path: str | PurePath,
        keeper: Keeper | None = None,
        *,
        every: float | str | None = EVERY_SECONDS,
        steps: int | None = None,
        guard: bool | Callable[[Any], Any] = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = KeptTraining(path, keeper, every=every, steps=steps, guard=guard, clock=clock)
        self._termination = Termination("_inner_training_loop")
        self._stops: Mapping[str, Any] | None = None
        self._hook: Any = None
        self._fetches: Fetches | None = None
        self._place: Place | None = None
        self._over = False
        self._began = 0
        self._passes = 0
        self._epoch: hf_random.State = {}
        self._first = False
        self._empty_pass = False
        self._shift = 0.0
        self._per_epoch: int | None = None
        self._owed = False
        self._ended = False
        self._sealed = 0

    # -- before a step -----------------------------------------------------------------------------------------------

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        """What a Trainer reads before training begins has to be set here.

        Raises:
            ConfigurationError: the path is not the Trainer's own, or its checkpoints could not be gone on with.
            MadeOtherwise: the model could not be given the checkpoint's weights.
        """
        refuse(args, state)
        own = Path(str(args.output_dir)).absolute()
        if own.resolve() != self._kept.folder.resolve():
            raise ConfigurationError(f'Keep("{self._kept.key}"): output_dir is {args.output_dir}; give both the same folder')
        args.restore_callback_states_from_checkpoint = True
        if args.save_total_limit is not None:
            log.info("save_total_limit is left to Holdfast, which keeps the newest two checkpoints and the best of each")
            args.save_total_limit = None
        there: Any = state.stateful_callbacks or {}
        callbacks = {name: said for name, said in there.items() if name != "TrainerControl"}
        self._hold_shapes(model)
        self._stops = {
            name: [one["args"] for one in (said if isinstance(said, list) else [said])] for name, said in callbacks.items()
        }

    def _hold_shapes(self, model: Any) -> None:
        """A Trainer gives the model the checkpoint's weights before anybody is asked, and fails in many lines."""
        if model is None or self._kept.rank:
            return
        self._kept.keeper.ensure(self._kept.folder)  # what is wrong with it is said where it is needed
        at = checkpoints.newest_sealed(self._kept.folder)
        then = None if at is None else at.settings.get("model", {}).get("weights")
        if at is not None and then is not None:
            self._kept.hold(at.step, {"model": {"weights": then}}, {"model": {"weights": shapes(model)}})

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        train_dataloader: Any = None,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Hold what is asked for against the checkpoint that is gone on with.

        Raises:
            ConfigurationError: what is asked for could not be gone on with, or training begins anew beside a checkpoint.
            MadeOtherwise: model or settings are others.
        """
        if self._stops is None:
            raise ConfigurationError("Keep: give it to the Trainer as it is made, callbacks=[...]; add_callback comes too late")
        refuse(args, state)
        at = self._gone_on_with(state.global_step)
        self._fetches = fetches = Fetches(train_dataloader, args.gradient_accumulation_steps)
        self._per_epoch = None
        if fetches.sized:
            self._per_epoch = max(math.ceil(len(train_dataloader) / args.gradient_accumulation_steps), 1)
        self._kept.begins(settings(args, state, model, fetches.base, optimizer, self._stops), at)
        self._over = at is not None and at.over and (at.step < at.total or state.global_step >= state.max_steps)
        best = self._kept.folder / f"checkpoint-{state.best_global_step}"
        if state.best_global_step and best.is_dir():  # its path is of this machine, so no checkpoint holds it
            state.best_model_checkpoint = str(best)
        self._sealed = state.global_step
        self._first = self._empty_pass = False
        self._place, self._passes, self._shift = None, 0, 0.0
        if self._over:
            self._give_nothing(args)
        elif at is not None:
            self._goes_on(args, at, fetches)
        self._listen(args, model)
        self._termination.watch()

    def _gone_on_with(self, step: int) -> SavedCheckpoint | None:
        folder, key = self._kept.folder, self._kept.key
        say = f'trainer.train(resume_from_checkpoint=keep.checkpoint("{key}"))'
        if step == 0:
            found = None if self._kept.rank else newest(self._kept.keeper, self._kept.folder)
            if found is not None:
                raise ConfigurationError(
                    f"{key}: there is a checkpoint of step {found.step}, and training begins at 0. Go on with it: {say}; or begin "
                    f"anew: holdfast drop {key}"
                )
            return None
        at = checkpoints.sealed(folder / f"checkpoint-{step}")
        later = [s for s in checkpoints.steps(folder) if s > step and checkpoints.sealed(folder / f"checkpoint-{s}")]
        if at is None or later:
            what = f"there is a newer one, of step {later[0]}" if later else "it is none that Keep sealed"
            raise ConfigurationError(f"{key}: training goes on at a checkpoint of step {step}, and {what}. Use {say}")
        return at

    def _give_nothing(self, args: TrainingArguments) -> None:
        """A training that is over gives no batch: the Trainer's loop would do a step before it asks whether it should stop."""
        assert self._fetches is not None
        self._fetches.empty()
        args.ignore_data_skip = True
        self._quiet(True)

    def _goes_on(self, args: TrainingArguments, at: SavedCheckpoint, fetches: Fetches) -> None:
        found = hf_random.load(at.folder / hf_random.file_name(self._kept.rank))
        if found is None:
            return
        self._place = place = Place(**found)
        self._first = True
        if self._per_epoch is None:
            # The Trainer looks for the place in the first pass, whichever it was: so we do it, and it does not.
            if place.done and not hasattr(fetches.loader, "skip_batches"):
                raise ConfigurationError("a streamed data set without a length needs the Trainer's own loader to go on")
            args.ignore_data_skip = True
            fetches.loader.skip_batches = place.done
            fetches.passes_before = self._passes = place.passes

    def _listen(self, args: TrainingArguments, model: Any) -> None:
        self._unlisten()
        if args.n_gpu > 1:
            log.warning("%s: with several GPUs in one process batches are not guarded; start with torchrun", self._kept.key)
            return
        self._hook = model.register_forward_pre_hook(self._drawn, with_kwargs=True)

    def _drawn(self, model: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if model.training and torch.is_grad_enabled():
            batch = {name: value for name, value in named.items() if name != "num_items_in_batch"}
            self._kept.drawn([*given, batch] if given else batch)

    def _unlisten(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    # -- pass by pass, step by step ----------------------------------------------------------------------------------

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The order of a pass is drawn from the random states of its beginning."""
        self._ended = False
        fetches, place = self._fetches, self._place if self._first else None
        if fetches is None or self._over:
            return
        self._began = state.global_step if place is None or not place.done else place.began
        self._empty_pass = place is not None and place.done > 0 and self._per_epoch is None
        if self._empty_pass:
            self._quiet(True)
        if place is not None:
            hf_random.put(place.epoch if place.done else place.now, fetches.base)
        self._epoch = hf_random.take(fetches.base) if place is None or not place.done else place.epoch
        fetches.begins(place if place is not None and place.done else None)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After a resume: its first batches are fetched, and the Trainer has put random states back that forget that."""
        if self._first:
            self._went_on(args)
        if self._hook is None:
            self._kept.send()

    def _went_on(self, args: TrainingArguments) -> None:
        self._first, place, fetches = False, self._place, self._fetches
        if place is None or fetches is None:
            return
        after = fetches.went_on()
        if place.done:
            hf_random.put(place.now if after is None else after, fetches.base)
        if self._per_epoch is None:
            args.ignore_data_skip = False
            self._empty_pass = False
            self._quiet(False)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint where one is due. At the end of an epoch it comes after the evaluation there."""
        self._correct(args, state)
        step = state.global_step
        due = self._asked(args, step)
        last = self._per_epoch is not None and step % self._per_epoch == 0
        if last or step >= state.max_steps or control.should_training_stop:
            self._owed = control.should_save or due
            control.should_save = False
        elif due:
            control.should_save = True

    def _correct(self, args: TrainingArguments, state: TrainerState) -> None:
        """Of a stream without a length the Trainer counts passes, and batches of the first, from the resume on."""
        place = self._place
        if self._per_epoch is not None or place is None or state.epoch is None:
            return
        in_pass = place.done if self._began == place.began and place.done else 0
        state.epoch += place.passes + in_pass / (state.max_steps * args.gradient_accumulation_steps)

    def _asked(self, args: TrainingArguments, step: int) -> bool:
        due = self._kept.due(step) or self._termination.asked
        if _ranks() > 1:
            said = torch.tensor([float(due)], device=args.device)
            torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX)
            due = bool(said.item())
        return due

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """An evaluation may end the training, and then its checkpoint is the last."""
        if self._hook is not None and self._stops:
            control.should_save = True

    def on_prediction_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Nothing can be saved amid an evaluation, so a SIGTERM does not wait for its end."""
        if self._termination.asked:
            self._kept.ends()
            self._termination.pass_on()

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The evaluation of the epoch comes next, and the checkpoint after it."""
        if self._over:
            control.should_evaluate = control.should_save = control.should_log = False
            control.should_training_stop = True
            args.ignore_data_skip = False
            self._quiet(False)
            return
        if self._empty_pass:  # the checkpoint was that of a pass's last batch, which only its end could show
            control.should_training_stop = False
            self._went_on(args)
        stops = control.should_training_stop or state.global_step >= state.max_steps
        self._ended = not stops
        if self._fetches is not None and hasattr(self._fetches.loader, "skip_batches"):
            self._fetches.loader.skip_batches = 0
        due = self._owed or (state.global_step != self._sealed and self._asked(args, state.global_step))
        if stops or due:
            control.should_save = True
        self._owed = False
        if self._ended:
            self._passes += 1

    # -- a checkpoint ------------------------------------------------------------------------------------------------

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal what the Trainer has just written, and let old checkpoints go."""
        step = state.global_step
        folder = self._kept.folder / f"checkpoint-{step}"
        self._write_states(folder / hf_random.file_name(self._kept.rank), args, step)
        if _ranks() > 1:
            torch.distributed.barrier()
        self._kept.seal(
            step,
            over=control.should_training_stop or step >= state.max_steps,
            total=state.max_steps,
            epochs=(float(state.epoch or 0), float(args.num_train_epochs)) if self._per_epoch is not None else None,
            best_step=state.best_global_step or None,
        )
        self._sealed = step
        if self._termination.asked:
            self._kept.ends()
            self._termination.pass_on()

    def _write_states(self, place: Path, args: TrainingArguments, step: int) -> None:
        fetches = self._fetches
        if fetches is None:
            return
        at_an_end = self._ended if self._per_epoch is None else step % self._per_epoch == 0
        done = 0 if at_an_end else (step - self._began) * args.gradient_accumulation_steps
        said = {
            "passes": self._passes,
            "began": self._began,
            "done": done,
            "epoch": self._epoch,
            "before": fetches.ahead_of(done) if done else {},
            "now": hf_random.take(fetches.base),
        }
        hf_random.save(place, said)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What was sealed is sent."""
        self._unlisten()
        self._quiet(False)
        if state.global_step > self._sealed and not self._kept.rank:
            log.warning(
                "%s: training ended at step %d, and its last checkpoint is of step %d; put Keep after the callback that ended it",
                self._kept.key,
                state.global_step,
                self._sealed,
            )
        self._kept.ends()
        self._termination.leave()

    @staticmethod
    def _quiet(on: bool) -> None:
        """The Trainer warns of a pass without a batch, which here is meant."""
        trainer = logging.getLogger("transformers.trainer")
        trainer.removeFilter(_no_sample)
        if on:
            trainer.addFilter(_no_sample)


def _no_sample(record: logging.LogRecord) -> bool:
    return "not to be a single sample" not in str(record.msg)


def _ranks() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
