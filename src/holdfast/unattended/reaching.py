"""How the work reaches Drive: by its mount, or by its API with tokens of this computer; and who else has claimed the project."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.errors import ConfigurationError, HoldfastError, StoreError, UsageError
from holdfast.session.config import load_config
from holdfast.session.drive_api import DriveFolder, need_api, open_api
from holdfast.session.drive_tokens import token_place
from holdfast.unattended import asking
from holdfast.unattended.asking import Seen
from holdfast.unattended.claim import Claim
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.ledger import Ledger
from holdfast.unattended.place import Place

AUTO, MOUNT, API = "auto", "mount", "api"
WAYS = (AUTO, MOUNT, API)
#: More than from one heartbeat of the job to the next.
_SECONDS = 4.0


@dataclass
class Reaching:
    """What was found before a machine is taken.

    Args:
        way: What was asked for; `auto` is the mount, and the API where that was not allowed.
        signed_in: This computer makes tokens that Drive's API takes.
        claim: Of this computer on the project; None where only the store's lease tells two apart.
    """

    way: str = AUTO
    signed_in: bool = False
    claim: Claim | None = None
    _said: str = ""

    @property
    def else_api(self) -> bool:
        """Whether the API is the way where the mount was not allowed."""
        return self.way == AUTO and self.signed_in

    def lost(self) -> str:
        """Why nothing more may be spent: another computer has the project. Empty where none has."""
        holder = "" if self.claim is None else self.claim.lost()
        return f"the computer {holder} has taken this project over" if holder else ""

    def by_api(self, ledger: Ledger) -> bool:
        """Whether the API is the way of this work."""
        return self.way == API or ledger.by_api

    def hand(self, command: ColabCommand, name: str, seen: Seen | None, say: Callable[[str], None]) -> None:
        """Hand over a token, and give the job the time to say that it has it. Why that did not come about is said once."""
        from holdfast.unattended.tokens import sealed_token  # of the extra `drive`

        why = ""
        try:
            told, done = command.ask(name, asking.hand(sealed_token("" if seen is None else seen.key)))
            why = "" if done else told.line or "the job does not listen"
        except (HoldfastError, OSError, ValueError) as error:
            why = str(error)
        if why and why != self._said:
            say(f"no token for Drive's API could be handed over ({why})")
        self._said = why
        time.sleep(_SECONDS)


def look(place: Place, way: str, say: Callable[[str], None]) -> Reaching:
    """See how Drive can be reached, and say so. Takes no machine, and asks nobody anything.

    Args:
        place: The project.
        way: One of `WAYS`.
        say: Is given lines for a person.

    Raises:
        UsageError: no such way.
        ConfigurationError, StoreError: the API was asked for, and cannot be used.
    """
    if way not in WAYS:
        raise UsageError(f"--by: {way!r} is not one of {', '.join(WAYS)}")
    config = load_config(place.root)
    if config.api == "only" and way == AUTO:
        way = API
    backend, space, why = None, None, f"nothing here gives a token for it ({token_place()})"
    try:
        if way == API:
            backend = need_api(config, DriveFolder(""), place.folder / "drive", ask=False)
        elif config.api == "off":
            why = "drive.api is off in config/paths.yaml"
        else:
            backend = open_api(config, DriveFolder(""), place.folder / "drive", hurried=True)
        space = None if backend is None else backend.space()
    except (ConfigurationError, StoreError) as error:
        if way == API:
            raise
        backend, why = None, str(error)
    if backend is None:
        say(f"Drive is reached by its mount; its API is not used: {why}")
        say("so two supervisors on two computers are told apart only by the store's lease, which is advice")
        return Reaching(way)
    room = "" if space is None else f", {space.free / (1 << 30):.1f} GiB free"
    by_mount = "its mount" + (", and by its API where that is not allowed" if way == AUTO else "")
    say(f"Drive is reached by {'its API' if way == API else by_mount}; signed in for its API{room}")
    return Reaching(way, True, Claim(backend, place.folder / "claim.json"))
