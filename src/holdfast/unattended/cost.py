"""What a machine costs: as the service tells it, from the moment at which the machine was asked for. Pure."""

from __future__ import annotations

from holdfast.unattended.ledger import Taken


def rate_held(machine: Taken, usage: tuple[float, float] | None) -> float | None:
    """Units an hour of a machine that we have; None where nobody tells.

    Args:
        machine: It knows what the account spent before.
        usage: The account's balance and units an hour, now.
    """
    return None if usage is None or machine.before is None else max(0.0, usage[1] - machine.before)


def rate_gone(machine: Taken, usage: tuple[float, float] | None, now: float) -> float | None:
    """The same of a machine that is gone before its rate was known: what is missing from the balance, but for the others' share."""
    hours = (now - machine.asked) / 3600
    if usage is None or machine.before is None or machine.balance is None or hours <= 0:
        return None
    return max(0.0, (machine.balance - usage[0]) / hours - machine.before)
