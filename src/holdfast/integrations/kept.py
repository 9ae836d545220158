"""One training as its integration keeps it: where it goes on, when it saves, what is sealed, sent, and guarded.

What is the same for every library stands here; the modules beside it say how their library saves and draws batches.

    outputs/run/
      checkpoint-120/                 one checkpoint, sealed by its marker
      checkpoint-180/
      holdfast-batches.log            what was drawn since the older of the two
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from holdfast.errors import ConfigurationError, MadeOtherwise, NotRestored, UsageError
from holdfast.flow.fingerprint import differences, fingerprint, plain
from holdfast.integrations import checkpoints
from holdfast.integrations.checkpoints import SavedCheckpoint
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.guard import Guard, log_name, random_states
from holdfast.integrations.resuming import clear_the_way, search
from holdfast.integrations.watching import Watcher
from holdfast.session.functions import attached
from holdfast.session.keeper import Keeper
from holdfast.session.numbers import plain_number, seconds_of, whole_number
from holdfast.store.reporting.outcomes import Outcome

log = logging.getLogger(__name__)

EVERY_SECONDS = 300.0

#: At most so many differences are told; a person needs to know of the first.
_TOLD = 3


def rank() -> int:
    """The number of this process among those that train one model together; 0 where there is only one."""
    return int(os.environ.get("RANK") or 0)


_rank_said = rank  # under a name that no argument has


def interval(every: float | str | None) -> float | None:
    """Seconds between two checkpoints, of a number or of text such as `5min`; None for none by time.

    Raises:
        ConfigurationError: it is neither, or not above 0.
    """
    found = None if every is None else duration(every, f"every={every!r}")
    if found is not None and found <= 0:
        raise ConfigurationError(f"every={every!r}: should be above 0; None saves by steps and at the end only")
    return found


def duration(value: float | str, what: str) -> float:
    """An argument that is to be seconds, of a number or of text such as `5min`; `what` says which.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return seconds_of(value) if isinstance(value, str) else float(plain_number(value))
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"{what}: should be a number of seconds, or a duration such as 90s, 30min or 8h") from error


def number_of(value: object, what: str) -> int:
    """An argument that is to be a number of something, at least 1; `what` says which.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return whole_number(value, 1)
    except ValueError as error:
        raise ConfigurationError(f"{what}: {error}") from error


def need_keeper(keeper: Keeper | None, what: str) -> Keeper:
    """The keeper that was given, or the attached one.

    Raises:
        UsageError: nothing is attached.
    """
    found = keeper or attached()
    if found is None:
        raise UsageError(f"{what}: nothing is attached; call holdfast.attach() before")
    return found


def newest(keeper: Keeper, path: str | PurePath) -> SavedCheckpoint | None:
    """The newest checkpoint of a run that is whole, here or in the store; None where there has been none.

    What is newer and does not serve is moved aside, and what has to be done again for it is said before.

    Raises:
        NotRestored: there is something that could not be looked at or brought back, so that it might be begun anew by mistake.
        UsageError: the path cannot be kept.
    """
    found = keeper.ensure(path)
    if not found and found.outcome is not Outcome.ABSENT:
        raise NotRestored(found.error or f"{found.key}: it could not be told whether there is a checkpoint; run again")
    folder = keeper.workspace.local(found.key)
    copies, told = KeptCopies(keeper), Watcher().told
    here = search(folder, copies, told)
    if here.start is None and here.unknown:
        why = "; ".join(str(p) for p in here.passed)
        raise NotRestored(f"{found.key}: no checkpoint can be gone on with ({why}); run again when the store can be read")
    clear_the_way(folder, here, copies, told)
    if here.start is not None:
        start = here.start
        of = f" of {start.total}" if start.total else ""
        log.info("%s: %s at step %d%s", found.key, "is over, it ended" if start.over else "goes on", start.step, of)
    return here.start


class KeptTraining:
    """A training and its folder of checkpoints. One object serves one training of one process.

    Args:
        path: The folder, below outputs.
        keeper: Default: the attached one.
        every: Seconds, or text such as `5min`, after which a checkpoint is due; None for none by time.
        steps: A checkpoint is due every so many steps; None for none by steps.
        guard: Tells a batch from another, by what it picks of it; True takes all of it; False guards nothing.
        rank: The number of this process among those that train together; default what the environment says.
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
        rank: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keeper = need_keeper(keeper, str(path))
        self.key = self.keeper.workspace.key(path)
        self.folder = self.keeper.workspace.local(self.key)
        self.every = interval(every)
        self.steps = None if steps is None else number_of(steps, f"steps={steps!r}")
        self.rank = _rank_said() if rank is None else rank
        self._clock = clock
        self._last = self._began = clock()
        self._before: float | None = 0.0
        self._settings: Mapping[str, Any] = {}
        self._waits: int | None = None
        self._guard = None
        if guard is not False:
            of = None if guard is True else guard
            self._guard = Guard(self.folder / log_name(self.rank), self.key.value, of)

    # -- the beginning -----------------------------------------------------------------------------------------------

    def begins(self, settings: Mapping[str, Any], at: SavedCheckpoint | None) -> None:
        """Before a step is trained: what is asked for now is held against what the checkpoint was made from. Time counts from here.

        Args:
            settings: What decides the weights, by name, as plain data.
            at: The checkpoint that is gone on with; None where training begins.

        Raises:
            MadeOtherwise: the model or a setting is another; the text says which.
        """
        self._settings = plain(dict(settings))
        if at is not None and at.settings:
            self.hold(at.step, at.settings, self._settings)
        self._last = self._began = self._clock()
        self._before = 0.0 if at is None else at.seconds
        if self._guard is not None:
            self._guard.goes_on_after(0 if at is None else int(at.drawn.get("number", 0)))

    def hold(self, step: int, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """What a checkpoint was made from is what is asked for.

        Raises:
            MadeOtherwise: it is not.
        """
        found = differences(then, now)
        if found:
            more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            raise MadeOtherwise(
                f"{self.key}: its checkpoint of step {step} was made otherwise ({'; '.join(found[:_TOLD])}{more}). Set that back, "
                f"train in another folder, or begin anew: holdfast drop {self.key}"
            )

    def follows_otherwise(self) -> None:
        """From now on something else of the batches is followed, so those that come are held against nothing."""
        if self._guard is not None:
            self._guard.expects_nothing()

    # -- step by step ------------------------------------------------------------------------------------------------

    def drawn(self, batch: Any) -> None:
        """A batch, before it is trained on. The checkpoint before it is sent now, together with what was drawn after it.

        Raises:
            WrongOrder: another one was drawn there before.
        """
        if self._guard is not None:
            self._guard.drawn(batch)
        self.send()

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        by_steps = self.steps is not None and step % self.steps == 0
        return by_steps or (self.every is not None and self._clock() - self._last >= self.every)

    def save(self, step: int, write: Callable[[Path], None], **said: Any) -> None:
        """Make a checkpoint with what `write` puts into its folder, and seal it. See `seal`."""
        folder = self.folder / f"checkpoint-{step}"
        if folder.exists():  # of a run that was cut off while it saved; whoever went on moved aside what had a marker
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        write(folder)
        self.seal(step, **said)

    def seal(
        self,
        step: int,
        *,
        over: bool,
        total: int = 0,
        epochs: tuple[float, float] | None = None,
        best_step: int | None = None,
        entry: str = "",
    ) -> None:
        """Declare what lies in `checkpoint-STEP` whole, and let older ones go. The next batch that is drawn sends it, or `send`.

        Args:
            step: Steps done.
            over: Training has nothing left to do after it.
            total: Steps that the training will have, 0 where it is not known.
            epochs: Passes over the data that are done and that there will be.
            best_step: The step whose weights scored best so far.
            entry: See `SavedCheckpoint`.
        """
        now = self._clock()
        drawn = {} if self._guard is None else self._guard.seal(self._oldest(step))
        if self.rank:  # what is common is written by the first
            self._last = self._clock()
            return
        checkpoints.seal(
            self.folder / f"checkpoint-{step}",
            step=step,
            best_step=best_step,
            over=over,
            made_from=fingerprint(self._settings),
            total=total,
            epochs=epochs,
            seconds=None if self._before is None else self._before + now - self._began,
            entry=entry,
            settings=self._settings,
            drawn={**drawn, "random": random_states()},
        )
        checkpoints.rotate(self.folder, step)
        self._last = self._clock()
        self._waits = step

    def sealed_by_the_first(self, step: int) -> None:
        """The first process of several sealed the checkpoint of this step: what is this one's own follows."""
        if self._guard is not None:
            self._guard.seal(self._oldest(step))
        self._last = self._clock()

    def send(self) -> None:
        """Back up what was sealed and is not sent yet."""
        step, self._waits = self._waits, None
        if step is not None:
            self.keeper.backup(self.folder, progress=step)

    def ends(self) -> None:
        """Training is over, or ends here: what was sealed is sent."""
        if self._guard is not None:
            self._guard.close()
        self.send()

    def _oldest(self, step: int) -> int:
        """So many batches were drawn before the checkpoint that stays beside the one of this step."""
        before = [s for s in checkpoints.steps(self.folder) if s < step]
        saved = next((found for s in before if (found := checkpoints.sealed(self.folder / f"checkpoint-{s}")) is not None), None)
        return 0 if saved is None else int(saved.drawn.get("number", 0))
