"""The keeper that `holdfast.attach()` gives: the verbs of the session, and those of whoever trains.

The session knows no library; what trains stands above it, in `integrations`, and is loaded when a verb is first used.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from holdfast.session import functions
from holdfast.session.keeper import Keeper as SessionKeeper
from holdfast.store.transfer.progress import Progress

if TYPE_CHECKING:
    import optuna

    from holdfast.integrations.loop import Training
    from holdfast.integrations.trials import KeptTrial
    from holdfast.steps.plan import Plan
    from holdfast.steps.step import Step, Steps


class Keeper(SessionKeeper):
    """Keeps the outputs of one project, and the trainings that make them. `holdfast.attach()` opens it."""

    def step(
        self,
        *,
        outputs: str | PurePath | Sequence[str | PurePath],
        inputs: Sequence[Step | str | PurePath] | Step | str | PurePath = (),
        ignore: str | Sequence[str] = (),
        version: object = None,
        fork: bool = False,
    ) -> Callable[[Callable[..., object]], Step]:
        """Keep what a function makes: it runs once, and on the next machine what it made comes back.

        ::

            @keep.step(outputs="outputs/b.json", inputs=[first_step, "data/train.csv"])
            def second_step(rate: float = 1e-3): ...

        A call gives the path of the output, or of each where several are named. What counts is its code, with the functions,
        classes and plain data of the project that it reads, the versions of other modules, its arguments, and what its inputs hold.
        Where one of these is another, it is refused with the difference. A parameter called `inputs` or `outputs` is given paths.

        Args:
            outputs: What it makes, below outputs: files or folders. A folder with a slash at the end is made before.
            inputs: Steps, and files and folders, that it reads.
            ignore: Global names that it reads and that decide nothing.
            version: Counts in place of its code.
            fork: What was made from something else stays, and another result is made beside it. The function takes `outputs`.

        Raises:
            UsageError: the function cannot be a step, or another one makes the same output.
        """
        return functools.partial(self.steps.define, outputs=outputs, inputs=inputs, ignore=ignore, version=version, fork=fork)

    def plan(self) -> Plan:
        """What there is of every step, and what a call of it would do. Nothing runs. Shows itself as a table and a drawing."""
        from holdfast.steps.plan import plan

        return plan(self.steps)

    @functools.cached_property
    def steps(self) -> Steps:
        """The steps that were made of functions."""
        from holdfast.steps.step import Steps

        return Steps(self)

    def checkpoint(self, path: str | PurePath) -> str | None:
        """The newest whole checkpoint of a training, here or brought back from the store; None where there has been none.

        It is what a library is given to go on: `trainer.train(resume_from_checkpoint=...)` of transformers,
        `trainer.fit(..., ckpt_path=...)` of Lightning. Newer ones that do not serve are moved aside, and what is done again for
        it is said before.

        Args:
            path: The folder that was given to `Keep`.

        Raises:
            NotRestored: it could not be looked at, or brought back. So nothing is begun anew by mistake.
            UsageError: the path cannot be kept.
        """
        from holdfast.integrations.kept import newest

        found = newest(self, path)
        return None if found is None else str(found.place)

    def trials(self, study: optuna.Study, n: int) -> Iterator[KeptTrial]:
        """The trials of an Optuna study until n are finished, as `study.ask` gives them; `study.tell` each as ever.

        A trial that was cut off comes first, under its number and with what was suggested to it. Each has a `folder` of its own
        beside the file of the study, which comes back with it. Once the next one is asked for, and at the end, the folder of that
        file is backed up, with the number of finished trials as progress. A trial that was not told by then is told as failed,
        as `study.optimize` does with one that gives no value. One that an exception leaves is not told, and comes first next time.

        Args:
            study: Its storage is a file below outputs, in a folder of its own: SQLite, or a journal. `keep.ensure(folder)` comes
                before `optuna.create_study`.
            n: Finished trials of the whole study: also those before, that failed or were pruned, and of other processes.

        Raises:
            UsageError: the study cannot be kept, or it was begun empty beside one that the store has.
            NotRestored: a trial's folder could not be brought back.
            StoreError: it cannot be told whether the store has the study.
        """
        from holdfast.integrations.trials import trials

        return trials(self, study, n)

    def optimize(
        self,
        study: optuna.Study,
        objective: Callable[[KeptTrial], Any],
        n_trials: int,
        timeout: float | str | None = None,
        *,
        parallel: int = 1,
        engine: str = "local",
        catch: type[Exception] | Sequence[type[Exception]] = (),
        cpus: int = 1,
        gpus: float = 0.0,
    ) -> None:
        """Run an objective until so many trials of an Optuna study are finished: `study.optimize`, kept, and spread where asked.

        ::

            keep.optimize(study, objective, 50, parallel=8)

        The objective gets a trial as `trials` gives it, with its `folder`; `trial.keep()` backs that up in the middle. A trial that
        was cut off comes first, under its number, with what was suggested to it, and what it reported stays.

        With more than one at a time, or on a cluster, each trial runs in a process of its own, and sees exactly the trials that are
        `parallel` or more below it. So the study is the same whatever ends first, and however many processes or machines die.

        Args:
            study: As for `trials`. Spread, its sampler is `holdfast.optuna.Exact` of a Random, TPE, GP, CmaEs or QMC sampler.
            objective: A function of a trial, in a module or in a notebook. Spread, it opens what it needs itself.
            n_trials: Finished trials of the whole study, as for `trials`; not so many more.
            timeout: No trial is begun so long after this call: seconds, or text such as `2h`.
            parallel: Trials at a time.
            engine: `local` is this machine; `ray` the cluster that `ray.init` or `RAY_ADDRESS` names, else one that is started here
                and ends with this call.
            catch: Errors that end their trial as failed. Any other ends this call, and the trial comes first next time.
            cpus: Cores of a trial that is spread, and so many threads it computes with.
            gpus: GPUs of such a trial, or a share of one, on a cluster.

        Raises:
            UsageError: as `trials`; or the sampler or the objective cannot be spread.
            ConfigurationError: a number is none, or what an engine needs is not installed.
            StageFailed: an objective raised an error in another process; what it said is in `output.log` in its trial's folder.
            AnotherSession: another process works on the study.
        """
        from holdfast.integrations.optimizing import optimize

        optimize(
            self,
            study,
            objective,
            n_trials,
            timeout,
            parallel=parallel,
            engine=engine,
            catch=catch,
            cpus=cpus,
            gpus=gpus,
        )

    def training(
        self,
        path: str | PurePath,
        *,
        loader: Any,
        epochs: int,
        every: float | str | None = 300.0,
        steps: int | None = None,
        guard: bool | Callable[[Any], Any] = True,
        **parts: Any,
    ) -> Training:
        """A PyTorch loop that goes on where it was cut off, on whatever machine, bit for bit.

        ::

            with keep.training("outputs/run", model=model, optimizer=optimizer, loader=loader, epochs=6) as run:
                for x, y in run: ...

        `with` puts everything back that was handed in, the random states, and the place in the data. A batch is done when the
        next one is asked for: there a checkpoint is saved where one is due, and at the end of each pass. A training that is over
        gives no batch and leaves the model as it ended.

        Args:
            path: A folder below outputs, of this training alone.
            loader: A DataLoader, a StatefulDataLoader, or whatever gives the batches of a pass each time it is iterated over.
            epochs: Passes over it.
            every: Seconds, or text such as `5min`, after which a checkpoint is due; None for none by time.
            steps: A checkpoint is due every so many batches; None for none by number.
            guard: After a start the first batches are held against those that were drawn there before. A function picks what
                tells a batch from another; False guards nothing.
            parts: `model=`, `optimizer=`, `scheduler=`, `scaler=`, `ema=` and whatever else has `state_dict` and
                `load_state_dict`. All of it is built before.

        Raises:
            ConfigurationError: something cannot be kept, or an interval cannot be used.
            UsageError: the path cannot be kept.
        """
        from holdfast.integrations.loop import Training

        return Training(path, self, loader=loader, epochs=epochs, every=every, steps=steps, guard=guard, **parts)


def attach(
    root: str | PurePath | None = None,
    drive: str | PurePath | None = None,
    *,
    mount: bool = True,
    progress: Progress | None = None,
    quiet: bool = False,
    background: bool = True,
    force: bool = False,
) -> Keeper:
    """Open the keeper of a project. On Colab mounts Drive first; elsewhere works locally unless a drive folder is given.

    A notebook shows what it finds. `backup_to_drive` and its like work with this keeper from now on.

    Args:
        root: The project folder; default the nearest one at or above here that has `config/paths.yaml`, else here.
        drive: The folder in which the store folder lies; default `HOLDFAST_DRIVE`, else Drive where it is mounted.
        mount: On Colab, mount Drive if it is not, and anew where it is dead. Only a notebook cell can.
        progress: Told about transfers; default a bar for what takes over a second.
        quiet: Show nothing, in a notebook either. A terminal is never shown anything.
        background: `keeper.backup` returns once it has a stable copy, and sends it in the background; the end of the process
            waits for what is still to be sent. False sends it before it returns.
        force: Write also where another live session works; else this one, which came later, writes nothing there. Both lines
            are kept, as a fork.

    Raises:
        ConfigurationError: `config/paths.yaml` cannot be used, or outputs lies on the drive.
        StoreUnreachable: Drive could not be mounted.
        Interrupted: nobody consented, and the wait was interrupted.
    """
    before = functions.attached()
    keeper = functions.attach(
        root, drive, mount=mount, progress=progress, quiet=quiet, background=background, force=force, kind=Keeper
    )
    assert isinstance(keeper, Keeper)
    if isinstance(before, Keeper) and "steps" in vars(before) and before.root == keeper.root:
        keeper.steps = before.steps  # what was defined stays, and is kept by the new one
        keeper.steps.go_on_with(keeper)
    if "IPython" in sys.modules:
        from holdfast.steps.cell import register

        register(keeper.steps)
    return keeper
