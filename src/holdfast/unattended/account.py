"""What the service says of this account's machines, and what it means for the one that we have."""

from __future__ import annotations

import time

from holdfast.unattended.command import ColabCommand
from holdfast.unattended.deciding import Reach
from holdfast.unattended.ledger import Taken
from holdfast.unattended.news import News
from holdfast.unattended.told import Assigned, Outcome, Told
from holdfast.unattended.trouble import Trouble

#: Where a person ends what the command cannot.
WHERE = "end it at colab.research.google.com: Runtime, Manage sessions"


class Account:
    """Asks the service by the command. That the command itself does not work is said, and no machine is let go for it.

    Args:
        command: The `colab` command.
        news: Is told.
    """

    def __init__(self, command: ColabCommand, news: News) -> None:
        self._command, self._news = command, news
        self.trouble = Trouble(command.program)
        #: Why the command cannot list machines, once that is sure.
        self.broken = ""

    def machines(self, held: Taken | None) -> list[Assigned] | Told:
        """All of them, or how asking went.

        Args:
            held: The one that we have, or may have.
        """
        listed = self._command.machines()
        self.broken = self.trouble.after("sessions", listed)
        if held is not None:
            self._stuck(self.broken, held)
        return listed

    def reach(self, machine: Taken, told: Told, seconds: float) -> Reach:
        """What it means that a machine does not answer. Only the service's own list, seen twice, says that it is gone.

        Args:
            machine: Which.
            told: How it did not answer.
            seconds: Between the two.
        """
        for attempt in range(2):
            listed = self.machines(machine)
            if isinstance(listed, Told):
                self.unheard(machine, listed, listed.line or told.line)
                return Reach.UNKNOWN
            stuck = self.trouble.after("exec", told) if attempt == 0 else ""
            if any(found.endpoint == machine.endpoint for found in listed):
                if not stuck:
                    why = f"does not answer ({told.line}), and the service has it still; waiting"
                    self._news.once(f"machine {machine.endpoint} {why}")
                self._stuck(stuck, machine)
                return Reach.SILENT
            if attempt == 0:
                time.sleep(seconds)
        return Reach.GONE

    def unheard(self, machine: Taken, told: Told, line: str) -> None:
        """Say why the service was not heard. What comes of a command that does not work is said elsewhere, once it is sure."""
        if told.outcome is Outcome.SIGNED_OUT:
            self._news.once(f"not signed in any more, and machine {machine.endpoint} costs money; sign in again, and it goes on")
        elif told.outcome is not Outcome.BROKEN:
            self._news.once(f"no connection ({line}); waiting")

    def _stuck(self, why: str, held: Taken) -> None:
        if why:
            self._news.once(f"{why}; machine {held.endpoint or held.name} works on and costs money; {WHERE}", event="stuck")
