"""How the service behaves. A test changes it while the service runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Habits:
    """How the service behaves; each is read when it matters.

    Args:
        refusals: Answers to the next requests for a machine, used up one by one: a status, or `lost`: the machine is granted, and
            the answer never comes; or `slow`: it comes after `slow_seconds`.
        rights: Accelerators that this account may have; others are refused with 400.
        most: Machines at once; more are refused with 412.
        reachable: Whether the service can be reached; else whoever connects is hung up on.
        signed_in: Whether the access token is taken; else 401.
        consent: Whether Drive was allowed for this account.
        token_seconds: How long the token of a machine is good.
        slow_seconds: See `refusals`.
        balance: Compute units that the account has at the beginning.
        rates: Units an hour, by accelerator.
        speed: Virtual seconds in a real one, for compute units and tokens.
    """

    refusals: list[int | str] = field(default_factory=list)
    rights: frozenset[str] = frozenset({"NONE", "T4", "L4"})
    most: int = 2
    reachable: bool = True
    signed_in: bool = True
    consent: bool = True
    token_seconds: float = 3600.0
    slow_seconds: float = 5.0
    balance: float = 100.0
    rates: dict[str, float] = field(default_factory=lambda: {"NONE": 0.07, "T4": 1.19, "L4": 2.4})
    speed: float = 1.0
