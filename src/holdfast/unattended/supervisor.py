"""Does what `deciding` says, one step after the other, and writes down each machine before it is used."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.errors import UsageError
from holdfast.unattended import asking, ledger
from holdfast.unattended.asking import Seen
from holdfast.unattended.cargo import Loading
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.deciding import Decision, Do, Reach, Situation, decide, over, pause, point_of
from holdfast.unattended.fetching import fetch
from holdfast.unattended.ledger import Ending, Fate, Ledger, Taken
from holdfast.unattended.news import News
from holdfast.unattended.place import Place
from holdfast.unattended.reaching import API, Reaching
from holdfast.unattended.told import Outcome, Told, hardware_of
from holdfast.unattended.wish import Patience, Wish, asked_of

_RUNNING = "it works on and costs money; `holdfast colab run` goes on following it, `holdfast colab stop` ends it"
_WHERE = "end it at colab.research.google.com: Runtime, Manage sessions"


class Supervisor:
    """Takes machine after machine until the work is done.

    Args:
        command: The `colab` command.
        place: Where it keeps what it knows.
        wish: What is asked for.
        loading: Sends the project.
        news: Is told how it goes.
        patience: How long is waited.
        person: Somebody is there, and may be asked for consent.
        reaching: How the work reaches Drive.
    """

    def __init__(
        self,
        command: ColabCommand,
        place: Place,
        wish: Wish,
        loading: Loading,
        news: News,
        patience: Patience | None = None,
        *,
        person: bool = False,
        reaching: Reaching | None = None,
    ) -> None:
        self._command, self._place, self._wish, self._loading, self._news = command, place, wish, loading, news
        self._patience, self._person, self._reaching = patience or Patience(), person, reaching or Reaching()
        self._ledger = self._opened()
        self._refusals, self._refused_since, self._accelerators = 0, 0.0, list(wish.accelerators)
        self._asked_to_stop = self._waited_again = False
        self._why = self._said = self._unhanded = ""
        self._code = 1

    def run(self) -> Ending:
        """Until the work is done, or nothing more helps."""
        while True:
            reach, seen = self._look()
            decision = decide(self._situation(reach, seen))
            if self._do(decision, seen):
                now = time.time()
                self._keep(replace(self._ledger, ended="" if self._ledger.current else self._why or decision.why))
                return Ending(self._code, self._why or decision.why, self._ledger.spent(now), self._ledger.taken())

    def left(self) -> str:
        """What stays behind when it is interrupted."""
        machine = self._ledger.current
        return "no machine is held" if machine is None else f"machine {machine.endpoint or machine.name} is kept: {_RUNNING}"

    # --- What is known ---

    def _opened(self) -> Ledger:
        """The ledger of this work: the one that was left where it did not end, or a new one.

        Raises:
            UsageError: another work was left with a machine.
        """
        found = ledger.read(self._place.ledger)
        told = asked_of(self._wish)
        if found is None or found.ended:
            return Ledger(secrets.token_hex(4), time.time(), told)
        if found.wish == told:
            if (had := found.current) is not None:
                self._news.line(f"going on with machine {had.endpoint or had.name}, which was taken before")
            return found
        if found.current is not None:
            raise UsageError(
                f"machine {found.current.endpoint or found.current.name} works on `{' '.join(found.wish['command'])}` and was not "
                f"given "
                "back; `holdfast colab stop` ends that, or give the same words to go on"
            )
        return Ledger(secrets.token_hex(4), time.time(), told)

    def _keep(self, changed: Ledger) -> None:
        self._ledger = changed
        ledger.write(self._place.ledger, changed)

    def _situation(self, reach: Reach, seen: Seen | None) -> Situation:
        now = time.time()
        stop, abandon = self._place.asked_to_stop()
        why = (
            self._why
            or self._reaching.lost()
            or over(
                spent=self._ledger.spent(now),
                budget=self._wish.budget,
                hours=(now - self._ledger.began) / 3600,
                most_hours=self._wish.hours,
                stop=stop,
            )
        )
        return Situation(
            reach,
            self._ledger.work,
            seen,
            why,
            self._ledger.failures,
            self._asked_to_stop,
            self._wish.abandon or abandon,
            self._ledger.taken() < self._wish.machines,
            self._waited_again,
            self._by_api,
        )

    @property
    def _by_api(self) -> bool:
        return self._reaching.way == API or self._ledger.by_api

    def _look(self) -> tuple[Reach, Seen | None]:
        machine = self._ledger.current
        if machine is None:
            return Reach.NONE, None
        if not machine.endpoint:
            if self._command.being_taken():
                self._once("a machine is being taken still, by a command that an earlier supervisor began; waiting")
                return Reach.UNKNOWN, None
            found = self._find(machine)
            if found is None:
                return (Reach.NONE if self._ledger.current is None else Reach.UNKNOWN), None
            machine = found
        self._command.remember(machine.name, machine.endpoint)
        log = self._place.log_of(machine.name)
        told, value = self._command.ask(machine.name, asking.look(log.stat().st_size if log.exists() else 0))
        seen = asking.seen_in(value)
        if seen is None:
            return self._reach(machine, told), None
        self._said = ""
        if seen.work == self._ledger.work:
            self._follow(log, seen)
            self._count(log, seen)
        return Reach.ANSWERS, seen

    def _reach(self, machine: Taken, told: Told) -> Reach:
        """What it means that a machine does not answer. Only the service's own list, seen twice, says that it is gone."""
        for attempt in range(2):
            listed = self._command.machines()
            if isinstance(listed, Told):
                if listed.outcome is Outcome.SIGNED_OUT:
                    self._once(f"not signed in any more, and machine {machine.endpoint} costs money; sign in again, and it goes on")
                else:
                    self._once(f"no connection ({listed.line or told.line}); waiting")
                return Reach.UNKNOWN
            if any(found.endpoint == machine.endpoint for found in listed):
                self._once(f"machine {machine.endpoint} does not answer ({told.line}), and the service has it still; waiting")
                return Reach.SILENT
            if attempt == 0:
                time.sleep(min(5.0, self._patience.look))
        return Reach.GONE

    def _find(self, machine: Taken) -> Taken | None:
        """What became of a machine that was asked for when nobody wrote down the answer."""
        endpoint = self._command.endpoint(machine.name)
        listed = self._command.machines()
        if endpoint is None:
            if isinstance(listed, Told):
                return None
            fresh = [m for m in listed if m.endpoint not in machine.others and m.hardware == hardware_of(machine.accelerator)]
            if len(fresh) != 1:
                for found in fresh:
                    self._news.line(f"machine {found.endpoint} appeared while one was asked for; if it is not yours, {_WHERE}")
                self._keep(self._ledger.with_current(fate=Fate.REFUSED, ended=time.time()))
                return None
            endpoint = fresh[0].endpoint
        usage = self._command.usage() if not machine.others else None
        self._keep(self._ledger.with_current(endpoint=endpoint, fate=Fate.HELD, rate=usage[1] if usage else None))
        return self._ledger.current

    def _follow(self, log: Path, seen: Seen) -> None:
        if not seen.log:
            return
        with log.open("ab") as file:
            file.write(seen.log)
        self._loading.show(seen.log)

    def _count(self, log: Path, seen: Seen) -> None:
        """Write down a failure once: that of a result, or that of work that was killed."""
        if seen.running or not seen.begun:
            return
        code = "killed" if seen.result is None else seen.result["code"]
        end = f"{log.stat().st_size if log.exists() else 0}-{seen.result and seen.result.get('at')}"
        if code == 0 or end == self._ledger.counted or (seen.result or {}).get("stopped"):
            return
        printed = log.read_bytes() if log.exists() else b""
        lines = printed[: (seen.result or {}).get("end")][-8192:].decode(errors="replace").splitlines()
        failures = (*self._ledger.failures, point_of(lines, code))
        self._keep(replace(self._ledger, failures=failures, counted=end))

    def _once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._news.line(line)

    # --- What is done ---

    def _do(self, decision: Decision, seen: Seen | None) -> bool:
        """One step. Returns whether it was the last one."""
        if decision.do in (Do.END, Do.LEAVE):
            if decision.do is Do.LEAVE:
                self._why = (
                    f"{decision.why}, so machine {self._endpoint()} is kept: {_RUNNING} (--abandon gives it back all the same)"
                )
            self._place.forget_stop()
            return True
        steps: dict[Do, Callable[[], bool | None]] = {
            Do.TAKE: self._take,
            Do.FORGET: self._forget,
            Do.MOUNT: lambda: self._mount(seen),
            Do.SHIP: self._ship,
            Do.START: lambda: self._start(decision.why, seen),
            Do.WAIT: lambda: self._wait(decision.why),
            Do.HAND: lambda: self._hand(seen),
            Do.STOP_WORK: lambda: self._stop_work(decision.why),
            Do.SAVE: lambda: self._save(decision.why),
            Do.FETCH: self._fetch,
            Do.GIVE_BACK: lambda: self._end_machine(decision.why, seen),
        }
        return bool(steps[decision.do]())

    def _take(self) -> None:
        now = time.time()
        listed = self._command.machines()
        if isinstance(listed, Told):
            if listed.outcome is Outcome.SIGNED_OUT:
                self._why = "not signed in: run `colab sessions` once by hand, or give --auth adc"
                return
            self._refused(f"no connection ({listed.line})")
            return
        # Where nothing costs anything yet, what is paid afterwards is the new machine's.
        before = self._command.usage() if listed or self._wish.budget is not None else (0.0, 0.0)
        if before is None and self._wish.budget is not None:
            self._refused("the service does not tell the compute units, so the budget could not be held")
            return
        accelerator = self._accelerators[self._refusals % len(self._accelerators)]
        name = f"holdfast-{self._ledger.work}-{len(self._ledger.machines) + 1}"
        others = tuple(m.endpoint for m in listed)
        self._keep(replace(self._ledger, machines=(*self._ledger.machines, Taken(name, accelerator, now, others=others))))
        told = self._command.take(name, accelerator)
        endpoint = self._command.endpoint(name)
        if endpoint is not None:
            self._keep(self._ledger.with_current(endpoint=endpoint, fate=Fate.HELD))
            self._granted(before, accelerator)
            return
        if told.outcome is Outcome.FAILED or told.outcome is Outcome.NO_MACHINE:
            if self._find(self._ledger.machines[-1]) is not None:  # granted, and the answer was lost
                self._granted(before, accelerator)
                return
        else:
            self._keep(self._ledger.with_current(fate=Fate.REFUSED, ended=time.time()))
        if told.outcome is Outcome.NO_RIGHT:
            self._accelerators.remove(accelerator)
            self._news.line(f"this account has no right to {hardware_of(accelerator)}")
            if not self._accelerators:
                self._why = f"this account has no right to any of {', '.join(self._wish.accelerators)}"
            return
        if told.outcome is Outcome.SIGNED_OUT:
            self._why = "not signed in: run `colab sessions` once by hand, or give --auth adc"
            return
        self._refused(f"no machine with {hardware_of(accelerator)} ({told.line})")

    def _granted(self, before: tuple[float, float] | None, accelerator: str) -> None:
        after = self._command.usage()
        rate = None if before is None or after is None else max(0.0, after[1] - before[1])
        self._keep(self._ledger.with_current(rate=rate))
        self._refusals = 0
        self._asked_to_stop = self._waited_again = False
        cost = "" if rate is None else f", {rate:g} compute units an hour"
        went_on = self._ledger.taken() > 1
        words = f"{'going on with' if went_on else 'took'} machine {self._endpoint()} ({hardware_of(accelerator)}{cost})"
        self._news.event("went on" if went_on else "took", words, machine=self._endpoint())

    def _refused(self, why: str) -> None:
        now = time.time()
        self._refused_since = now if self._refusals == 0 else self._refused_since
        round_, last = divmod(self._refusals + 1, max(1, len(self._accelerators)))
        self._refusals += 1
        if last:  # the next one in the order of wish may be free
            self._news.line(f"{why}; trying the next")
            return
        seconds = pause(round_ - 1, self._patience.least, self._patience.most)
        until = "" if self._wish.hours is None else f", until {_clock(self._ledger.began + self._wish.hours * 3600)} at the latest"
        self._news.line(f"{why}: waiting since {_clock(self._refused_since)}{until}; asked again in {seconds:.0f} s")
        self._sleep(seconds)

    def _forget(self) -> None:
        endpoint = self._endpoint()
        self._keep(self._ledger.with_current(fate=Fate.VANISHED, ended=time.time()))
        self._news.event("lost", f"machine {endpoint} is gone; what was not safe yet is made again", machine=endpoint)

    def _mount(self, seen: Seen | None) -> None:
        told = self._command.mount(self._name(), asking.DRIVE, person=self._person)
        if told.outcome is Outcome.NO_CONSENT and self._reaching.else_api:
            self._keep(replace(self._ledger, by_api=True))
            self._news.line("Drive's mount was not allowed for this account; going on by Drive's API")
        elif told.outcome is Outcome.NO_CONSENT:
            self._why = f"Drive was not allowed for this account yet; open {told.line}, allow it, and run this again"
        elif told.outcome is not Outcome.DONE:
            self._once(f"Drive is not mounted yet ({told.line})")
            self._sleep(self._patience.look)
        elif seen is not None and seen.work != self._ledger.work:
            self._ship()

    def _ship(self) -> None:
        told = self._loading.send(self._command, self._name(), self._ledger.work, self._patience.safe, by_api=self._by_api)
        if told.outcome is not Outcome.DONE:
            self._once(f"the project could not be sent yet ({told.line})")
            self._sleep(self._patience.look)

    def _start(self, why: str, seen: Seen | None) -> None:
        if why:
            self._news.line(f"{why}; started again on the same machine")
        if seen is not None and seen.result is not None and not seen.result.get("safe"):
            self._waited_again = True
        self._command.ask(self._name(), asking.start())

    def _hand(self, seen: Seen | None) -> None:
        line = "" if seen is None else self._reaching.hand(self._command, self._name(), seen)
        if line and line != self._unhanded:
            self._news.line(f"no token for Drive's API could be handed over ({line})")
        self._unhanded = line
        self._sleep(min(5.0, self._patience.look))

    def _save(self, why: str) -> None:
        self._why = self._why or why
        self._waited_again = True
        self._command.ask(self._name(), asking.save())

    def _wait(self, why: str) -> None:
        if why.startswith("no sign of life") and not self._said.startswith("stuck"):
            self._said = "stuck"
            self._news.event("stuck", f"machine {self._endpoint()}: {why}", machine=self._endpoint())
        self._sleep(self._patience.look)

    def _stop_work(self, why: str) -> None:
        self._news.line(f"{why}; the work is told to end, and to keep what it has")
        told, _ = self._command.ask(self._name(), asking.stop())
        self._asked_to_stop = told.outcome is Outcome.DONE

    def _fetch(self) -> bool:
        if self._wish.fetch and (
            line := fetch(self._command, self._name(), self._loading.project, self._wish.fetch, self._place.root)
        ):
            self._once(f"not fetched yet ({line})")
            self._sleep(self._patience.look)
            return False
        if self._give_back():
            self._code = 0
            self._why = "done"
        return True

    def _end_machine(self, why: str, seen: Seen | None) -> bool:
        code = seen.result.get("code") if seen is not None and seen.result is not None else None
        self._code = code if isinstance(code, int) and code else 1
        self._why = why
        self._give_back()
        self._place.forget_stop()
        return True

    def _give_back(self) -> bool:
        endpoint = self._endpoint()
        back = self._command.give_back(self._name(), endpoint)
        self._keep(self._ledger.with_current(fate=Fate.GIVEN_BACK if back else Fate.LEFT, ended=time.time()))
        if back:
            self._news.line(f"machine {endpoint} is given back")
        else:
            self._why = f"machine {endpoint} could not be given back and costs money; {_WHERE}"
        return back

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._place.asked_to_stop()[0]:
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        if self._place.asked_to_stop()[0]:
            time.sleep(min(seconds, 1.0))

    def _name(self) -> str:
        return self._ledger.machines[-1].name

    def _endpoint(self) -> str:
        return self._ledger.machines[-1].endpoint


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(seconds))
