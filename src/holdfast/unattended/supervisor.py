"""Does what `deciding` says, one step after the other, and writes down each machine before it is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from holdfast.store.format.keys import printable
from holdfast.unattended import asking, following, ledger
from holdfast.unattended.account import WHERE, Account
from holdfast.unattended.asking import Seen
from holdfast.unattended.cargo import Loading
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.cost import rate_gone, rate_held
from holdfast.unattended.deciding import Decision, Do, Reach, Situation, decide, over
from holdfast.unattended.fetching import fetch
from holdfast.unattended.ledger import Ending, Fate, Ledger, Taken
from holdfast.unattended.news import News
from holdfast.unattended.place import Place
from holdfast.unattended.reaching import Reaching
from holdfast.unattended.told import Outcome, Told, hardware_of
from holdfast.unattended.waiting import Turns
from holdfast.unattended.wish import Patience, Wish, asked_of

_RUNNING = "it works on and costs money; `holdfast colab run` goes on following it, `holdfast colab stop` ends it"


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
        self._ledger = ledger.opened(place.ledger, asked_of(wish))
        if (had := self._ledger.current) is not None:
            news.line(f"going on with machine {had.endpoint or had.name}, which was taken before")
        self._account = Account(command, news)
        until = None if wish.hours is None else self._ledger.began + wish.hours * 3600
        self._turns = Turns(wish.accelerators, self._patience, until)
        self._asked_to_stop = self._waited_again = self._priced = self._silent = False
        self._changed = bool(self._ledger.current and self._ledger.sent) and loading.digest() not in ("", self._ledger.sent)
        self._why, self._unhanded = self._ledger.why, ""
        self._code = 1 if self._ledger.code is None else self._ledger.code

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
            self._ledger.code is not None,
            self._reaching.by_api(self._ledger),
        )

    def _look(self) -> tuple[Reach, Seen | None]:
        machine = self._ledger.current
        if machine is None:
            return Reach.NONE, None
        if not machine.endpoint:
            if self._command.being_taken():
                self._news.once("a machine is being taken still, by a command that an earlier supervisor began; waiting")
                return Reach.UNKNOWN, None
            found = self._find(machine)
            if found is None:
                return (Reach.NONE if self._ledger.current is None else Reach.UNKNOWN), None
            machine = found
        self._command.remember(machine.name, machine.endpoint)
        log = self._place.log_of(machine.name)
        while True:
            told, value = self._command.ask(machine.name, asking.look(following.length(log)))
            seen = asking.seen_in(value)
            if seen is None:
                return self._account.reach(machine, told, min(5.0, self._patience.look)), None
            self._news.told_anew()
            self._account.trouble.after("exec", told)
            if seen.work != self._ledger.work:
                break
            if self._changed:
                self._changed = False
                self._news.line(
                    "the project has changed since it was sent to that machine, which goes on with what it has; "
                    "to have it sent anew: `holdfast colab stop`, and run it again"
                )
            following.follow(log, seen, self._loading.show)
            if seen.running or not seen.log or following.length(log) >= seen.size:  # at its end, all of it is here first
                if (counted := following.counted(self._ledger, log, seen)) is not self._ledger:
                    self._keep(counted)
                break
        self._price()
        return Reach.ANSWERS, seen

    def _find(self, machine: Taken) -> Taken | None:
        """What became of a machine that was asked for when nobody wrote down the answer."""
        endpoint = self._command.endpoint(machine.name)
        listed = self._account.machines(self._ledger.current)
        if endpoint is None:
            if isinstance(listed, Told):
                return None
            fresh = [m for m in listed if m.endpoint not in machine.others and m.hardware == hardware_of(machine.accelerator)]
            if len(fresh) != 1:
                for found in fresh:
                    self._news.line(f"machine {found.endpoint} appeared while one was asked for; if it is not yours, {WHERE}")
                self._keep(self._ledger.with_current(fate=Fate.REFUSED, ended=time.time()))
                return None
            endpoint = fresh[0].endpoint
        self._keep(self._ledger.with_current(endpoint=endpoint, fate=Fate.HELD))
        return self._ledger.current

    def _price(self) -> None:
        """Know what the machine costs, also where it was granted to a supervisor that is no more."""
        machine = self._ledger.current
        if machine is not None and machine.rate is None and (self._wish.budget is not None or not self._priced):
            self._priced = True
            self._keep(self._ledger.with_current(rate=rate_held(machine, self._command.usage())))

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
            Do.HAND: lambda: self._reaching.hand(self._command, self._name(), seen, self._news.line),
            Do.STOP_WORK: lambda: self._stop_work(decision.why),
            Do.SAVE: lambda: self._save(decision.why),
            Do.FETCH: lambda: self._fetch(seen),
            Do.GIVE_BACK: lambda: self._end_machine(self._failed_with(seen), self._without_fetching(decision.why), seen),
        }
        return bool(steps[decision.do]())

    def _take(self) -> None:
        now = time.time()
        listed = self._account.machines(self._ledger.current)
        if isinstance(listed, Told):
            if listed.outcome is Outcome.SIGNED_OUT:
                self._why = self._command.signed_out
            elif self._account.broken:
                self._why = self._account.broken
            else:
                what = "the colab command fails" if listed.outcome is Outcome.BROKEN else "no connection"
                self._refused(f"{what} ({listed.line})")
            return
        # Where nothing costs anything yet, what is paid afterwards is the new machine's.
        before = self._command.usage() if listed or self._wish.budget is not None else (None, 0.0)
        if before is None and self._wish.budget is not None:
            self._refused("the service does not tell the compute units, so the budget could not be held")
            return
        accelerator = self._turns.next()
        name = f"holdfast-{self._ledger.work}-{len(self._ledger.machines) + 1}"
        balance, rate = before or (None, None)
        asked = Taken(name, accelerator, now, others=tuple(m.endpoint for m in listed), before=rate, balance=balance)
        self._keep(replace(self._ledger, machines=(*self._ledger.machines, asked)))
        told = self._command.take(name, accelerator)
        endpoint = self._command.endpoint(name)
        if endpoint is not None:
            self._keep(self._ledger.with_current(endpoint=endpoint, fate=Fate.HELD))
            self._granted(accelerator)
            return
        if told.outcome in (Outcome.FAILED, Outcome.NO_MACHINE, Outcome.BROKEN):
            if self._find(self._ledger.machines[-1]) is not None:  # granted, and the answer was lost
                self._granted(accelerator)
                return
            if self._ledger.current is not None:  # nobody knows yet
                return
            self._why = self._account.trouble.after("new", told)
            if self._why:
                return
        else:
            self._keep(self._ledger.with_current(fate=Fate.REFUSED, ended=time.time()))
        if told.outcome is Outcome.NO_RIGHT:
            self._news.line(f"this account has no right to {hardware_of(accelerator)}")
            if not self._turns.no_right(accelerator):
                self._why = f"this account has no right to any of {', '.join(self._wish.accelerators)}"
            return
        if told.outcome is Outcome.SIGNED_OUT:
            self._why = self._command.signed_out
            return
        self._refused(f"no machine with {hardware_of(accelerator)} ({told.line})")

    def _granted(self, accelerator: str) -> None:
        self._price()
        rate = self._ledger.machines[-1].rate
        self._turns.granted()
        self._asked_to_stop = self._waited_again = self._priced = False
        cost = "" if rate is None else f", {rate:g} compute units an hour"
        went_on = self._ledger.taken() > 1
        words = f"{'going on with' if went_on else 'took'} machine {self._endpoint()} ({hardware_of(accelerator)}{cost})"
        self._news.event("went on" if went_on else "took", words, machine=self._endpoint())

    def _refused(self, why: str) -> None:
        line, seconds = self._turns.refused(why, time.time())
        self._news.line(line)
        self._sleep(seconds)

    def _forget(self) -> None:
        machine, now = self._ledger.machines[-1], time.time()
        if machine.rate is None and machine.balance is not None:
            self._keep(self._ledger.with_current(rate=rate_gone(machine, self._command.usage(), now)))
        if self._ledger.code is not None:
            self._returned()
            return
        self._keep(self._ledger.with_current(fate=Fate.VANISHED, ended=now))
        self._news.event(
            "lost", f"machine {self._endpoint()} is gone; what was not safe yet is made again", machine=self._endpoint()
        )

    def _mount(self, seen: Seen | None) -> None:
        told = self._command.mount(self._name(), asking.DRIVE, person=self._person)
        if told.outcome is Outcome.NO_CONSENT and self._reaching.else_api:
            self._keep(replace(self._ledger, by_api=True))
            self._news.line("Drive's mount was not allowed for this account; going on by Drive's API")
        elif told.outcome is Outcome.NO_CONSENT:
            self._why = f"Drive was not allowed for this account yet; open {told.line}, allow it, and run this again"
        elif told.outcome is not Outcome.DONE:
            self._not_yet("drivemount", told, "Drive is not mounted yet")
        elif seen is not None and seen.work != self._ledger.work:
            self._ship()

    def _ship(self) -> None:
        by_api, self._changed = self._reaching.by_api(self._ledger), False
        self._keep(replace(self._ledger, sent=self._loading.digest()))
        told = self._loading.send(self._command, self._name(), self._ledger.work, self._patience.safe, by_api=by_api)
        if told.outcome is not Outcome.DONE:
            self._not_yet("upload", told, "the project could not be sent yet")

    def _not_yet(self, verb: str, told: Told, what: str) -> None:
        self._why = self._account.trouble.after(verb, told)
        if not self._why:
            self._news.once(f"{what} ({told.line})")
            self._sleep(self._patience.look)

    def _start(self, why: str, seen: Seen | None) -> None:
        if why:
            self._news.line(f"{why}; started again on the same machine")
        if seen is not None and seen.result is not None and not seen.result.get("safe"):
            self._waited_again = True
        self._command.ask(self._name(), asking.start())

    def _save(self, why: str) -> None:
        self._why = self._why or why
        self._waited_again = True
        self._command.ask(self._name(), asking.save())

    def _wait(self, why: str) -> None:
        if why.startswith("no sign of life") and not self._silent:
            self._news.event("stuck", f"machine {self._endpoint()}: {why}", machine=self._endpoint())
        self._silent = why.startswith("no sign of life")
        self._sleep(self._patience.look)

    def _stop_work(self, why: str) -> None:
        self._news.line(f"{why}; the work is told to end, and to keep what it has")
        told, _ = self._command.ask(self._name(), asking.stop())
        self._asked_to_stop = told.outcome is Outcome.DONE

    def _without_fetching(self, why: str) -> str:
        """Why it ends, and what does not come for that, because the work did not come to its end."""
        if self._ledger.code is not None or not self._wish.fetch:
            return why
        unfetched = (
            f"{', '.join(self._wish.fetch)}: not fetched (--fetch); what was made below {self._loading.outputs}/ is in the store"
        )
        return "; ".join(filter(None, (why, unfetched)))

    def _fetch(self, seen: Seen | None) -> bool:
        code, why = 0, "done"
        if self._wish.fetch:
            told, missing = fetch(self._command, self._name(), self._loading.project, self._wish.fetch, self._place.root)
            broken = self._account.trouble.after("download", told)
            if told.outcome is not Outcome.DONE and not broken:
                self._news.once(f"not fetched yet ({told.line})")
                self._sleep(self._patience.look)
                return False
            if broken or missing:
                code = 1
                why = broken or f"{', '.join(missing)}: is not there, so it could not be fetched (--fetch)"
                why = f"the work is done and safe, but {why}"
        return self._end_machine(code, why, seen)

    def _end_machine(self, code: object, why: str, seen: Seen | None) -> bool:
        """Give it back. That only this is left is written down first: killed now, nothing is fetched or made again."""
        result = (seen and seen.result) or {}
        if names := result.get("outside"):
            named, count, outputs = ", ".join(map(printable, names)), result["outsides"], self._loading.outputs
            self._news.line(
                f"{count} file(s) that the work wrote outside of {outputs}/ are kept nowhere, and go with the machine: "
                f"{named}; write them below that, or name them with --fetch"
            )
        self._code, self._why = code if isinstance(code, int) else 1, why
        self._keep(replace(self._ledger, code=self._code, why=why))
        while isinstance(back := self._command.give_back(self._name(), self._endpoint()), Told):
            if broken := self._account.trouble.after("sessions", back):
                self._why = broken
                break
            self._account.unheard(self._ledger.machines[-1], back, back.line)
            self._sleep(self._patience.look)
        if back is True:
            self._returned()
        else:
            self._keep(self._ledger.with_current(fate=Fate.LEFT, ended=time.time()))
            reason = "" if self._why == why else f"{self._why}; "
            self._code = self._code or 1
            self._why = f"{reason}machine {self._endpoint()} could not be given back and costs money; {WHERE}"
        self._place.forget_stop()
        return True

    def _failed_with(self, seen: Seen | None) -> object:
        result = (seen and seen.result) or {}
        return self._ledger.code if self._ledger.code is not None else result.get("code") or 1

    def _returned(self) -> None:
        self._keep(self._ledger.with_current(fate=Fate.GIVEN_BACK, ended=time.time()))
        self._news.line(f"machine {self._endpoint()} is given back")

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
