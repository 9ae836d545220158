"""Optuna: the trials of a study that is kept with the folder that its storage lies in.

outputs/study/
  study.db                        the study's storage
  trials/trial-0003/              the folder of one trial: `trial.folder`
"""

from __future__ import annotations

import functools
import json
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from holdfast.errors import AnotherSession, NotRestored, UsageError
from holdfast.integrations import pruner
from holdfast.integrations.account import ATTEMPTS, PARALLEL
from holdfast.integrations.exact import Exact
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.kept import number_of
from holdfast.integrations.next_trial import next_trial
from holdfast.integrations.sampler import ExactSampler
from holdfast.session.keeper import Keeper
from holdfast.session.parts import Parts, parts_of
from holdfast.store.reporting.outcomes import Outcome

log = logging.getLogger(__name__)

#: So often is looked whether the last trials are done, where other processes work on them.
_LOOK_SECONDS = 1.0

#: A pruner's answer of a step, in the system attributes of its trial, with what it noted.
ANSWER = "holdfast:pruning"


class KeptTrial(optuna.Trial):
    """A trial as `study.ask` gives it, with a folder of its own. What it reported before a kill may be reported again."""

    #: Where its files go. It is there, and after a kill what was in it.
    folder: Path

    _step: int | None
    _keeps: Callable[[], None]

    @classmethod
    def of(cls, trial: optuna.Trial, folder: Path, keeps: Callable[[], None]) -> KeptTrial:
        """The same trial, with its folder, and what keeps that."""
        kept = cls.__new__(cls)  # to begin it again would tell the sampler of it again
        kept.__dict__.update(vars(trial))
        kept.folder, kept._step, kept._keeps = folder, None, keeps
        return kept

    def keep(self) -> None:
        """Back up what is in the folder now: after a kill the trial begins with it. It is backed up at its end in any case."""
        self._keeps()

    def report(self, value: float, step: int) -> None:
        """See `optuna.Trial.report`. What was reported of a step before a kill stays; that it is another value is said."""
        before = self._cached_frozen_trial.intermediate_values.get(step)
        same = before is not None and (before == value or (math.isnan(before) and math.isnan(float(value))))
        if not same:
            super().report(value, step)
        self._step = step if self._step is None else max(self._step, step)

    def should_prune(self) -> bool:
        """See `optuna.Trial.should_prune`. Of a step that was asked about before a kill, the answer is what it was."""
        step = self._step
        if step is None or self.study._is_multi_objective():
            return super().should_prune()
        name = f"{ANSWER}:{step}"
        text = self.storage.get_trial_system_attrs(self._trial_id).get(name)
        if text is None:
            answer, notes = pruner.should_prune(self, step)
            text = json.dumps({"prune": bool(answer), "notes": notes})
            self.storage.set_trial_system_attr(self._trial_id, name, text)
        found = json.loads(text)
        pruner.note(self, found["notes"])
        return bool(found["prune"])


def trials(keeper: Keeper, study: optuna.Study, n: object) -> Iterator[KeptTrial]:
    """See `Keeper.trials`."""
    count = number_of(n, f"keep.trials(study, {n!r})")
    take_the_nameless(study)
    return Trials(keeper, study, count).each()


class Trials:
    """The trials of a study of one's own, and the folder that it is kept with. Raises as `Keeper.trials`."""

    def __init__(self, keeper: Keeper, study: optuna.Study, n: int) -> None:
        self.keeper = keeper
        self.study = study
        self.n = n
        self._file = _file(study)
        try:
            self.key = keeper.workspace.key(self._file.parent)
        except UsageError as error:
            raise UsageError(self._elsewhere(f" ({error})")) from error
        if "/" not in self.key.value:
            raise UsageError(self._elsewhere())
        self.folder = keeper.workspace.local(self.key)
        self._refuse_beside_stored()
        self._looked = False
        self.parts = Parts()

    def _elsewhere(self, why: str = "") -> str:
        return (
            f"study {self.study.study_name} lies in {self._file}, and is kept only in a folder of its own below outputs, such as "
            f"sqlite:///outputs/study/study.db{why}"
        )

    def _refuse_beside_stored(self) -> None:
        """Where nothing is in the file, it may be that the store's was not taken. Only then the store is asked."""
        storage = self.study._storage
        if any(storage.get_n_trials(s._study_id) for s in storage.get_all_studies()):
            return
        held = self.keeper.held(self.key.value)[0]
        file = self.key.join(self._file.name)
        taken = any(self.keeper.workspace.record(k).base is not None for k in (file, *file.parents()))
        count = held.progress if held.progress is not None or file.value not in held.files or taken else math.inf
        if count:
            stored = "an unknown number" if count == math.inf else f"{count:g}"
            raise UsageError(
                f"{self.key}: this study has 0 trials, and the store's has {stored}; keep.ensure({self.key.value!r}) comes "
                f"before create_study: move {self._file.name} aside, and run again. To begin anew: holdfast drop {self.key}"
            )

    def say(self, line: str) -> None:
        """Tell a line that stays."""
        log.info("%s", line)

    def warn(self, line: str) -> None:
        """The same of what should not be missed."""
        log.warning("%s", line)

    # -- one after the other -------------------------------------------------------------------------------------------

    def each(self, time_is_over: Callable[[], bool] = lambda: False) -> Iterator[KeptTrial]:
        """See `Keeper.trials`. Once the time is over no new trial begins."""
        study, sampler = self.study, self.study.sampler
        waits, kept_at = False, -1
        self.keeper.workspace.whole.discard(self.key)
        finished = self._finished()
        if finished:
            log.info("%s: goes on with %d of %d trials finished", self.key, finished, self.n)
            if not isinstance(sampler, (Exact, ExactSampler)):
                name = type(sampler).__name__
                log.warning(
                    "%s: %s begins its random numbers anew at every start, so this study is not what it had been without the stop; "
                    "with holdfast.optuna.Exact(lambda seed: %s(..., seed=seed), seed=7) it is",
                    self.key,
                    name,
                    name,
                )
        while True:
            now = study.get_trials(deepcopy=False)
            running = [t for t in now if t.state is TrialState.RUNNING]
            finished = sum(t.state.is_finished() for t in now)
            over = time_is_over() or (isinstance(sampler, Exact) and sampler.is_over(study))
            if finished >= self.n or (over and not running):
                if finished and kept_at != finished:
                    self.end()
                return
            room = 0 if over else self.n - finished - len(running)
            chosen = None
            if room > 0 or running:
                chosen = next_trial(study, running, self._claimed, room=room, goes_on=self._goes_on)
            if chosen is None:
                if not waits:
                    log.info("%s: other processes work on the last %d trial(s); waiting for them", self.key, len(running))
                    waits = True
                time.sleep(_LOOK_SECONDS)
                continue
            trial, claim = chosen
            alone = trial.number <= len(now) and all(t.number == trial.number for t in running)
            with claim:
                folder = self.folder_of(trial, new=all(t.number != trial.number for t in running))
                kept = KeptTrial.of(trial, folder, functools.partial(self.keep, folder))
                try:
                    yield kept
                except GeneratorExit:  # no more is asked for: what was told stays
                    if not sys.is_finalizing() and self._is_told(kept):
                        self.keep()
                    raise
                if not self._is_told(kept):
                    log.warning("%s: trial %d was not told, and counts as failed", self.key, kept.number)
                    study.tell(kept, state=TrialState.FAIL)
            kept_at = self._finished()
            if kept_at >= self.n:
                self.end()
            elif alone and self.parts.are_enough():
                self.keep(kept.folder)
            else:
                self.keep()

    def _finished(self) -> int:
        return sum(t.state.is_finished() for t in self.study.get_trials(deepcopy=False))

    def _is_told(self, trial: optuna.Trial) -> bool:
        return self.study._storage.get_trial(trial._trial_id).state.is_finished()

    def end(self) -> None:
        """The last backup: the study's file goes whole, so that whoever has no Holdfast finds all of it under one name."""
        self.keeper.workspace.whole.add(self.key)
        self.keep()

    def finished_in_file(self) -> int:
        """Finished trials of all studies of the file, as it is one artifact."""
        storage = self.study._storage
        over = tuple(state for state in TrialState if state.is_finished())
        return sum(storage.get_n_trials(s._study_id, over) for s in storage.get_all_studies())

    def keep(self, *trials: Path, done: int | None = None) -> None:
        """Back up.

        Args:
            trials: The folders of the trials that were told: folders of others are not looked at then.
            done: `finished_in_file`, where it is known; to count goes over all trials.
        """
        done = self.finished_in_file() if done is None else done
        parts = parts_of(self.keeper, self.folder, [*self._beside(), *trials]) if trials else ()
        if not self.keeper.backup(*(parts or (self.folder,)), progress=done):
            self.parts.all_is_due()

    def _beside(self) -> Iterator[Path]:
        """What lies beside the folders of trials. What SQLite has there for a moment goes with its database."""
        for place in self.folder.iterdir():
            if place.name != "trials" and not place.name.startswith(("study-", f"{self._file.name}-")):
                yield place

    def _goes_on(self, number: int) -> None:
        log.info("%s: trial %d goes on", self.key, number)

    # -- the folder of a trial -----------------------------------------------------------------------------------------

    def place(self, number: int) -> Path:
        """The folder of a trial. The first study of a file has its trials beside it; the others in folders of their own."""
        first = 0 if isinstance(self.study._storage, JournalStorage) else 1
        study = self.study._study_id
        below = self.folder if study == first else self.folder / f"study-{study}"
        return below / "trials" / f"trial-{number:04d}"

    def folder_of(self, trial: optuna.Trial | FrozenTrial, *, new: bool) -> Path:
        """The folder of a trial, which is there then.

        Args:
            trial: The trial.
            new: It was begun just now; what is there already is another's.

        Raises:
            NotRestored: it could not be brought back.
        """
        folder = self.place(trial.number)
        if not self._looked:
            self.bring_back(trial.number)
        self._looked = True  # what other trials of this call have, they make here
        if new and not isinstance(self.study.sampler, (Exact, ExactSampler)) and folder.is_dir() and any(folder.iterdir()):
            log.warning("%s: it has files of a trial %d that is lost; they are moved aside", self.key, trial.number)
            KeptCopies(self.keeper).set_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def bring_back(self, number: int) -> None:
        """What the store has of the folder of a trial, where that is not here.

        Raises:
            NotRestored: it could not be told.
        """
        folder = self.place(number)
        if not folder.exists():
            found = self.keeper.ensure(folder)
            if not found and found.outcome is not Outcome.ABSENT:
                raise NotRestored(found.error or f"{found.key}: it could not be told whether the trial has files; run again")

    def _claimed(self, number: int) -> AbstractContextManager[Any] | None:
        folder = self.place(number)
        with ExitStack() as stack:
            if not stack.enter_context(_in_this_thread(folder)):
                return None
            try:
                stack.enter_context(self.keeper.claim(folder))
            except AnotherSession as error:
                if error.path != self.keeper.workspace.key(folder).value:
                    raise
                return None
            self._refuse_spread(number)
            return stack.pop_all()

    def _refuse_spread(self, number: int) -> None:
        """Refuse a trial that `keep.optimize` began in a process of its own: what it did is in its account, not in the study.

        Raises:
            UsageError: its text says where it goes on.
        """
        begun = self.study.get_trials(deepcopy=False)[number].system_attrs
        if ATTEMPTS in begun:
            raise UsageError(
                f"{self.key}: trial {number} was begun in a process of its own, and what it did is not in the study yet; "
                f"keep.optimize(study, objective, {self.n}, parallel={begun.get(PARALLEL, 1)}) goes on with it"
            )


#: By folder, the thread that works on its trial. A claim keeps out other processes only.
_threads: dict[Path, tuple[threading.Thread, object]] = {}
_lock = threading.Lock()


@contextmanager
def _in_this_thread(folder: Path) -> Iterator[bool]:
    """Work on a trial; false where another thread does. What this thread worked on before, it has left: a cell that was ended."""
    token = object()
    with _lock:
        thread, _ = _threads.get(folder, (None, None))
        free = thread is None or thread is threading.current_thread() or not thread.is_alive()
        if free:
            _threads[folder] = (threading.current_thread(), token)
    try:
        yield free
    finally:
        with _lock:
            if _threads.get(folder, (None, None))[1] is token:
                del _threads[folder]


# -- where a study lies ----------------------------------------------------------------------------------------------------


def _file(study: optuna.Study) -> Path:
    """The file of a study's storage.

    Raises:
        UsageError: there is none on this machine.
    """
    storage: BaseStorage = study._storage
    if isinstance(storage, _CachedStorage):
        storage = storage._backend
    instead = 'optuna.create_study(storage="sqlite:///outputs/study/study.db", ...)'
    if isinstance(storage, RDBStorage) and storage.engine.url.get_backend_name() != "sqlite":
        server = storage.engine.url.get_backend_name()
        raise UsageError(f"study {study.study_name} is on a server ({server}), and kept is one in a file below outputs: {instead}")
    if isinstance(storage, RDBStorage):
        place = (storage.engine.url.database or "").removeprefix("file:").partition("?")[0]
        if place and place != ":memory:" and "mode=memory" not in str(storage.engine.url):
            return Path(place).absolute()
    if isinstance(storage, JournalStorage) and isinstance(storage._backend, JournalFileBackend):
        return Path(storage._backend._file_path).absolute()
    if isinstance(storage, (RDBStorage, optuna.storages.InMemoryStorage)):
        raise UsageError(f"study {study.study_name} is in memory, and kept is one in a file below outputs: {instead}")
    kind = type(getattr(storage, "_backend", storage)).__name__
    raise UsageError(
        f"study {study.study_name} is in no file of this machine ({kind}), and kept is one in a file below outputs: {instead}"
    )


def take_the_nameless(study: optuna.Study) -> None:
    """A study without a name gets a random one at every start, and `load_if_exists` finds none. It is the one that was begun.

    Raises:
        UsageError: it could be one of several.
    """
    storage = study._storage
    if isinstance(storage, optuna.storages.InMemoryStorage) or not study.study_name.startswith(DEFAULT_STUDY_NAME_PREFIX):
        return
    own = study._study_id
    if storage.get_n_trials(own):
        return
    alike = [s for s in storage.get_all_studies() if s.study_name.startswith(DEFAULT_STUDY_NAME_PREFIX)]
    alike = sorted((s for s in alike if s.directions == study.directions), key=lambda s: s._study_id)
    begun = [s for s in alike if storage.get_n_trials(s._study_id)]
    if len(begun) > 1:
        raise UsageError(f"there are {len(begun)} studies without a name here; give this one its own: create_study(study_name=...)")
    first = (begun or alike)[0]
    if first._study_id == own:
        return
    for name, value in study.user_attrs.items():
        storage.set_study_user_attr(first._study_id, name, value)
    storage.delete_study(own)
    study._study_id, study.study_name = first._study_id, first.study_name
    log.info("the study has no name; it is %s, which was begun before", first.study_name)
