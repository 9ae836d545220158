"""The drill, in order: once without a kill, once more with nothing to do, and then with kills until it is done."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from holdfast.drill import copying
from holdfast.drill.comparing import Difference, File, Inventory, compare, left_out, without
from holdfast.drill.drives import Drive, FolderDrive, simulated
from holdfast.drill.going_on import GoingOn
from holdfast.drill.inventory import Seeing, take
from holdfast.drill.judging import Shown, bound, loss
from holdfast.drill.machine import Machine, Run
from holdfast.drill.moments import Course, Tempo, Until, after, moment, reached
from holdfast.drill.report import Kill, Report
from holdfast.drill.scratch import scratch
from holdfast.drill.telling import Nothing, Telling
from holdfast.drill.watching import Watch
from holdfast.drill.written import Write, Written, lead, new_names, skipped, stretch
from holdfast.errors import CommandFailed, StoreError
from holdfast.session.attach import open_keeper
from holdfast.session.config import CONFIG_FILE, Config
from holdfast.session.keeper import Keeper
from holdfast.session.seeing.sight import Tone
from holdfast.store.local.disk import local_errors
from holdfast.store.reporting.amounts import many
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.transfer.progress import Silent

#: So many starts in a row may fail by themselves. Somebody who runs it again and again by hand gives up, too.
MOST_FAILURES = 3
#: Without a kill nothing is known of a command's time, and it may take as long as it likes.
_ANY_TIME = 1e9


@dataclass(frozen=True)
class Wish:
    """What is to be rehearsed.

    Args:
        command: A program and its arguments.
        kills: How many; at least 1.
        seed: Of everything that is drawn.
        simulate: On the simulated Drive, in place of a folder.
        ignored: Globs of files that count neither as lost nor as different.
        varying: Globs of files that differ by nature: they may be lost no more than others, and are not compared.
        copy_limit: Most bytes of the project that are copied.
        lag: Of the simulated Drive, see `drives.simulated`.
    """

    command: tuple[str, ...]
    kills: int = 5
    seed: int = 0
    simulate: bool = False
    ignored: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    copy_limit: int = 1 << 30
    lag: tuple[float, float] | None = None


def rehearse(
    config: Config, wish: Wish, *, drive: Path | None, at: Path, environment: Mapping[str, str], telling: Telling | None = None
) -> Report:
    """Rehearse the disconnect on a command, in a copy of the project. The project is only read.

    Args:
        config: The project.
        wish: What is to be rehearsed.
        drive: The project's own drive folder, which is left out of the copy.
        at: The current folder; the command runs at the same place of the copy.
        environment: What the command gets.
        telling: Is told how far it is.

    Raises:
        UsageError: it cannot be rehearsed so: no such program, a copy that is too large, no FUSE.
        CommandFailed: the command fails without a kill, or leaves nothing in outputs.
    """
    telling = telling or Nothing()
    with scratch() as (place, undone), local_errors():
        undone.callback(telling.end)
        drill = _Drill(config, wish, place, telling)
        undone.callback(drill.close)
        pristine = place / "pristine" / copying.name_of(config)
        copying.copy(config, copying.plan(config, drive, limit=wish.copy_limit), pristine)
        inside = os.path.relpath(at, config.root) if at.is_relative_to(config.root) else "."
        drill.machine = Machine(
            place / "machine", pristine, config.root, wish.command, inside, drill.drive_folder, environment, drill.watch
        )
        return drill.killed(drill.reference())


@dataclass(frozen=True)
class _Reference:
    """What comes out when nobody kills.

    Args:
        made: What is in outputs then.
        restless: What of it a start with nothing to do changes.
        tempo: How long both take.
        begun: When it was started, Unix seconds.
        written: What it was seen to write.
        names: What a start with nothing to do makes again under another name.
    """

    made: Inventory
    restless: tuple[str, ...]
    tempo: Tempo
    begun: float
    written: Written
    names: tuple[tuple[str, str], ...]


@dataclass
class _Tally:
    """What the runs with kills came to so far.

    Args:
        runs: Seconds of each.
        failures: Exit codes of those that ended by themselves and were started again.
        in_a_row: So many of these at the end.
        since: What was written since the last kill, and how long that took.
        back: What came back after it.
        stuck: Why it gets no further; empty while it does.
    """

    runs: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    in_a_row: int = 0
    since: list[Run] = field(default_factory=list)
    back: Inventory = field(default_factory=dict)
    stuck: str = ""


class _Drill:
    """One drill on one scratch folder."""

    machine: Machine

    def __init__(self, config: Config, wish: Wish, place: Path, telling: Telling) -> None:
        self._outputs = config.outputs
        self._follow = config.follow
        self._begun = time.time()
        self._wish = wish
        self._place = place
        self._telling = telling
        self._drive = self._new_drive()
        self._kills: list[Kill] = []

    @property
    def drive_folder(self) -> Path:
        return self._drive.folder

    def watch(self, root: Path) -> Watch:
        """Looks at what is written on a machine."""
        return Watch(root, self._outputs, lambda path: not left_out(path, self._wish.ignored))

    def close(self) -> None:
        """Nothing runs, and nothing is mounted."""
        try:
            if hasattr(self, "machine"):
                self.machine.kill()
        finally:
            self._drive.close()

    def _new_drive(self) -> Drive:
        place = self._place / "drive"
        shutil.rmtree(place, ignore_errors=True)
        return simulated(place, self._wish.seed, self._wish.lag) if self._wish.simulate else FolderDrive(place)

    # -- without a kill ------------------------------------------------------------------------------------------------

    def reference(self) -> _Reference:
        """What comes out when nobody kills."""
        self.machine.renew()
        self._drive.connect()
        whole = self._uninterrupted("the uninterrupted run")
        made = self._take(self.machine.root)
        if not made:
            if self._wish.ignored and take(self.machine.root, self._seeing):
                raise CommandFailed(f"--ignore leaves out all that {self._named} made in {self._outputs}/: nothing can be compared")
            raise CommandFailed(
                f"{self._named} left nothing in {self._outputs}/ of the copy in which it ran, so there is nothing to rehearse: "
                f"does it write elsewhere?{self._said}"
            )
        idle = self._uninterrupted("a start with nothing to do")
        later = self._take(self.machine.root)
        changed = self._compare(made, later)
        self._drive.disconnect()
        self._drive.close()
        self._drive = self._new_drive()
        restless = (*changed.differ, *changed.missing, *changed.extra)
        tempo = Tempo.of(whole.seconds, idle.seconds, whole.written, idle.written)
        names = new_names(whole.written, idle.written, later.keys() - made.keys())
        return _Reference(made, restless, tempo, whole.at - whole.seconds, whole.written, names)

    def _uninterrupted(self, what: str) -> Run:
        run = self._run(what, Until(_ANY_TIME))
        if run.code != 0:
            raise CommandFailed(f"{self._named} failed with exit code {run.code} in {what}, before anything was killed{self._said}")
        return run

    # -- with kills ----------------------------------------------------------------------------------------------------

    def killed(self, reference: _Reference) -> Report:
        """From nothing to the end, on as many machines as it takes."""
        lot = Random(self._wish.seed)  # noqa: S311 - moments that can be drawn again by seed
        tempo, course, tally = reference.tempo, Course(reference.tempo.work), _Tally()
        self.machine.renew()
        self._drive.connect()
        while not tally.stuck:
            open_kills = self._wish.kills - len(self._kills)
            at = moment(lot, tempo, course, open_kills) if open_kills else 0.0
            until = Until.of(at, tempo, reference.written) if open_kills else Until(tempo.patience)
            run = self._run(f"run {len(tally.runs) + 1}", until)
            tally.runs.append(run.seconds)
            tally.since.append(run)
            if run.code == 0:
                break
            if run.code is not None:
                tally.failures.append(run.code)
                tally.in_a_row += 1
                tally.stuck = self._stuck(tally, tempo) if tally.in_a_row == MOST_FAILURES else ""
            elif not open_kills:
                tally.stuck = self._stuck(tally, tempo)
            else:
                before, (kill, tally.back) = tally.back, self._kill(run)
                self._kills.append(kill)
                tally.in_a_row, tally.since = 0, []
                course = after(
                    tempo,
                    course,
                    moved=bool(compare(before, tally.back)),
                    reached=reached(reference.made, tally.back, reference.begun),
                    lasted=run.seconds,
                    lost=kill.loss.seconds,
                )
        return self._report(reference, tally)

    def _stuck(self, tally: _Tally, tempo: Tempo) -> str:
        """Why it gets no further."""
        self.machine.kill()
        if tally.in_a_row == MOST_FAILURES:
            return (
                f"after {self._so_far} {tally.in_a_row} starts in a row failed by themselves, "
                f"the last with exit code {tally.failures[-1]}"
            )
        return f"after {self._so_far} it takes over {tempo.patience:.0f} s, and takes {tempo.whole:.0f} s without one"

    def _report(self, reference: _Reference, tally: _Tally) -> Report:
        """What it came to. The last machine is still there."""
        wish, made, ending = self._wish, self._take(self.machine.root), self._shown()
        left_there = {} if tally.stuck else self._left_in_store(reference.made, made)
        self._drive.disconnect()
        written = [write for run in tally.since for write in run.written]
        return Report(
            asked=wish.kills,
            kills=tuple(self._kills),
            tempo=reference.tempo,
            runs=tuple(tally.runs),
            failures=tuple(tally.failures),
            traffic=self._drive.traffic,
            files=len(without(reference.made, wish.varying)),
            difference=Difference() if tally.stuck else self._compare(reference.made, {**made, **left_there}),
            left_in_store=len(left_there),
            restless=reference.restless,
            ending=ending,
            seed=wish.seed,
            going_on=self._going_on(reference, tally, written),
            names=reference.names or new_names(reference.written, written, made.keys() - reference.made.keys()),
            local=tuple(sorted(path for path, file in reference.made.items() if file.local)),
            stuck=tally.stuck,
            tail=self._said.removeprefix("; ") if tally.stuck else "",
        )

    def _going_on(self, reference: _Reference, tally: _Tally, written: list[Write]) -> GoingOn:
        # A start with nothing to do can take longer than one from nothing takes to its first work: it looks at all that is there.
        startup = min(reference.tempo.startup, lead(reference.written))
        worked = [(max(kill.after - startup, 0.0), kill.loss.seconds) for kill in self._kills]
        whole, work = stretch(reference.written), reference.tempo.whole - startup
        last = sum(stretch(r.written) * work / whole if whole else max(r.seconds - startup, 0.0) for r in tally.since)
        return GoingOn(
            work=work,
            worked=sum(seconds for seconds, _ in worked),
            kept=sum(max(seconds - lost, 0.0) for seconds, lost in worked) if tally.back else 0.0,
            back=max(reached(reference.made, tally.back, reference.begun) - startup, 0.0),
            saved=skipped(reference.written, written, startup),
            last=last,
            empty=not tally.back,
        )

    def _kill(self, run: Run) -> tuple[Kill, dict[str, File]]:
        """Take the machine away, which is held still, and give the next one what is left: an empty disk, and the drive.

        Returns:
            What it cost, and what comes back.
        """
        shown = self._shown()
        self.machine.kill()
        dropped = self._drive.disconnect()
        there = self._take(self.machine.root)
        back, trouble = self._restorable()
        self.machine.renew()
        self._drive.connect()
        return Kill(run.seconds, loss(there, back, run.at, shown.apart), shown, dropped, trouble), back

    def _restorable(self) -> tuple[dict[str, File], str]:
        """What a fresh machine gets back, and what it is told where that is not all that there is."""
        fresh = self._place / "fresh" / self.machine.root.name
        (fresh / CONFIG_FILE).parent.mkdir(parents=True)
        if (self.machine.root / CONFIG_FILE).is_file():
            shutil.copy2(self.machine.root / CONFIG_FILE, fresh / CONFIG_FILE)
        with self._drive.seen():
            keeper = open_keeper(fresh, self._drive.folder, mount=False, progress=Silent())
            restored = keeper.ensure(self._outputs)
        found = self._take(fresh)
        shutil.rmtree(fresh.parent)
        return found, restored.error if restored.outcome is Outcome.FAILED else ""

    def _left_in_store(self, reference: Inventory, made: Inventory) -> Inventory:
        """What a last run did not need and so did not bring back: it is there, and comes when somebody asks for it."""
        missing = reference.keys() - made.keys()
        if missing:
            self._keeper().ensure(self._outputs)
        return {path: file for path, file in self._take(self.machine.root).items() if path in missing} if missing else {}

    # -- both ----------------------------------------------------------------------------------------------------------

    def _run(self, what: str, until: Until) -> Run:
        tick = functools.partial(self._telling.run, what, kills=len(self._kills))
        return self.machine.run(until, tick)

    @property
    def _seeing(self) -> Seeing:
        return Seeing(self._outputs, self.machine.machines(), self._follow, self._begun)

    def _take(self, root: Path) -> dict[str, File]:
        return without(take(root, self._seeing), self._wish.ignored)

    def _compare(self, wanted: Inventory, got: Inventory) -> Difference:
        varying = self._wish.varying
        return compare(without(wanted, varying), without(got, varying))

    def _keeper(self) -> Keeper:
        return open_keeper(self.machine.root, self._drive.folder, mount=False, progress=Silent())

    def _shown(self) -> Shown:
        """What status says of the machine as it is now. Nothing runs there."""
        try:
            status = self._keeper().status()
        except StoreError as error:
            return Shown(None, safe=False, words=f"it could not be told ({error.strerror or error})")
        verdict = status.sight.verdict
        named = tuple(text for row in status if row.here != "no" for text in row.named)
        apart = tuple(str(row.key.join(path)) for row in status for path in row.refused)
        return Shown(bound(status), verdict.tone is Tone.SAFE, f"{verdict.title}: {verdict.text}", named, apart)

    @property
    def _named(self) -> str:
        return f"`{shlex.join(self._wish.command)}`"

    @property
    def _so_far(self) -> str:
        return many(len(self._kills), "kill")

    @property
    def _said(self) -> str:
        tail = self.machine.tail()
        return f"; the end of what it printed: {tail}" if tail else "; it printed nothing"
