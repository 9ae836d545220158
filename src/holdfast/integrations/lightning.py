"""Lightning: a callback that keeps a training whole, and follows the loops so that it goes on as if it had never stopped.

The library's own checkpoints restore its counters. What they lack is mended where the loops are followed (`lightning_loops`).
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from holdfast.errors import ConfigurationError
from holdfast.flow.fingerprint import plain
from holdfast.integrations import checkpoints
from holdfast.integrations import lightning_place as place
from holdfast.integrations.checkpoints import SavedCheckpoint
from holdfast.integrations.kept import EVERY_SECONDS, KeptTraining
from holdfast.integrations.lightning_loops import FollowedLoops
from holdfast.integrations.lightning_settings import model_settings, settings
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)

ENTRY = "lightning.ckpt"

#: Both names of the library. A Trainer of one takes callbacks of that one only.
_NAMES = ("lightning.pytorch", "pytorch_lightning")

#: Known before anything is loaded.
_OF_THE_MODEL = frozenset({"model", "hparams"})


class Keep:
    """Keeps a training of Lightning: `L.Trainer(callbacks=[Keep("outputs/run")])`.

    It is a `Checkpoint` of the library, under whichever of its names is loaded, so the Trainer adds no ModelCheckpoint; one of
    yours stays. The same script run again with `fit(..., ckpt_path=keep.checkpoint("outputs/run"))` ends with the weights of a
    run that was never cut off. A checkpoint is made at the end of a step where one is due, at each epoch's end, and on SIGTERM.

    Args:
        path: The folder of its checkpoints, below outputs.
        keeper: Default: the attached one.
        every: Seconds, or text such as `5min`, after which a checkpoint is due; None for none by time.
        steps: A checkpoint is due every so many optimizer steps; None for none by steps.
        guard: Whether batches after a resume are held against those that were there before. A callable picks what tells a batch
            from another.

    Raises:
        UsageError: nothing is attached, or the path cannot be kept.
        ConfigurationError: an interval cannot be used, or Lightning is not installed.
    """

    def __new__(cls, *_: Any, **__: Any) -> Keep:
        """A Keep that is a `Checkpoint` of each name of the library that is loaded."""
        made: Keep = object.__new__(_with_checkpoints(cls))
        return made

    def __init__(
        self,
        path: str | PurePath,
        keeper: Keeper | None = None,
        *,
        every: float | str | None = EVERY_SECONDS,
        steps: int | None = None,
        guard: bool | Callable[[Any], Any] = True,
    ) -> None:
        super().__init__()
        self._kept = KeptTraining(path, keeper, every=every, steps=steps, guard=guard)
        self._on = False
        self._at: SavedCheckpoint | None = None
        self._follows: FollowedLoops | None = None

    @property
    def state_key(self) -> str:
        """It keeps nothing in the library's checkpoint."""
        return "holdfast.lightning.Keep"

    # -- hooks of the library ------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Before anything is loaded: what is gone on with is looked at, as soon as the library knows it.

        Raises:
            ConfigurationError: a checkpoint of elsewhere is given, or none where there is one; or several processes train.
            MadeOtherwise: the model is another.
        """
        if stage != "fit" or trainer.fast_dev_run:  # that leaves nothing behind
            return
        if trainer.world_size > 1:
            raise ConfigurationError(
                f"{self._kept.key}: {trainer.world_size} processes train; Keep keeps a training of one process, devices=1"
            )
        # Last, so that a checkpoint holds what the others have made of this step, and `checkpoint_callback` is yours.
        trainer.callbacks = [*(one for one in trainer.callbacks if one is not self), self]
        self._on = True
        connector = trainer._checkpoint_connector
        real = connector._restore_modules_and_callbacks

        def restore(given: Any = None, *more: Any) -> None:
            """Which checkpoint is given is known, and nothing of it is loaded."""
            vars(connector).pop("_restore_modules_and_callbacks", None)
            self._looks(given, pl_module)
            real(given, *more)

        connector._restore_modules_and_callbacks = restore

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The loops are followed from here; a training that is over stays so."""
        if not self._on:
            return
        saved = None if self._at is None else place.load(self._at.folder / place.FILE)
        self._follows = FollowedLoops(self, trainer, pl_module, saved)
        if self._at is not None and self._at.over and saved is not None and saved["stopped"]:
            trainer.should_stop = True

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """What is asked for now is held against what the checkpoint was made from.

        Raises:
            MadeOtherwise: the model or a setting is another.
        """
        if self._follows is None:
            return
        self._kept.begins(settings(trainer, pl_module), self._at)
        if self._at is not None and self._at.over:
            self._tell_of_more(self._at)
        self._follows.begins()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A batch, before it is trained on.

        Raises:
            WrongOrder: another one was drawn there before.
        """
        if self._follows is not None:
            self._kept.drawn(batch)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Training ends here, for whatever reason."""
        self._leave()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """What was sealed is sent."""
        if stage == "fit":
            self._leave()

    # -- what the followed loops tell ----------------------------------------------------------------------------------------

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        return self._kept.due(step)

    def save(self, trainer: Any, what: dict[str, Any], *, over: bool) -> None:
        """Make a checkpoint of now, unless there is one of this very place."""
        step = int(trainer.global_step)
        epochs = None if (trainer.max_epochs or -1) < 0 else (float(what["epoch"]), float(trainer.max_epochs))

        def write(folder: Path) -> None:
            trainer.save_checkpoint(folder / ENTRY, weights_only=False)
            place.save(folder / place.FILE, what)

        total = trainer.estimated_stepping_batches
        total = 0 if total == float("inf") else int(total)
        self._kept.save(step, write, over=over, total=total, epochs=epochs, entry=ENTRY)

    def send(self) -> None:
        """Back up what was sealed."""
        self._kept.send()

    # -- inside --------------------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        follows, self._follows, self._on = self._follows, None, False
        if follows is not None:
            follows.leave()
            self._kept.ends()

    def _tell_of_more(self, at: SavedCheckpoint) -> None:
        done, _ = at.epochs or (0.0, 0.0)
        if done == int(done):
            log.info("%s: it ended at step %d, and goes on to more", self._kept.key, at.step)
        else:
            log.warning(
                "%s: it ended at step %d inside an epoch (max_steps) and goes on with the next one, so it will not be what a "
                "longer run is; for that train in another folder",
                self._kept.key,
                at.step,
            )

    def _looks(self, given: Any, module: Any) -> None:
        self._at = self._goes_on_with(given)
        if self._at is None:
            return
        now = plain(model_settings(module))
        self._kept.hold(self._at.step, {name: value for name, value in self._at.settings.items() if name in _OF_THE_MODEL}, now)

    def _goes_on_with(self, given: Any) -> SavedCheckpoint | None:
        key = self._kept.key
        if given is None:
            ours = checkpoints.newest_sealed(self._kept.folder)
            if ours is None:
                return None
            raise ConfigurationError(
                f"{key}: there is a checkpoint of step {ours.step}, and this fit would begin anew beside it. Give "
                f'fit(..., ckpt_path=keep.checkpoint("{key}")), or begin anew: holdfast drop {key}'
            )
        folder = Path(given).resolve().parent
        found = checkpoints.sealed(folder) if folder.parent == self._kept.folder.resolve() else None
        if found is None or found.entry != ENTRY:
            raise ConfigurationError(
                f'{key}: ckpt_path={str(given)!r} is no checkpoint of it; give fit(..., ckpt_path=keep.checkpoint("{key}"))'
            )
        return found


_made: dict[tuple[type, ...], type] = {}


def _with_checkpoints(cls: type) -> type:
    names = [name for name in _NAMES if name in sys.modules] or [name for name in _NAMES if _installed(name)][:1]
    if not names:
        raise ConfigurationError("holdfast.lightning: Lightning is not installed; pip install 'holdfast[lightning]'")
    bases = (cls, *(importlib.import_module(f"{name}.callbacks").Checkpoint for name in names))
    if bases not in _made:
        _made[bases] = type(cls.__name__, bases, {"__module__": "holdfast.lightning", "__doc__": cls.__doc__})
    return _made[bases]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None
